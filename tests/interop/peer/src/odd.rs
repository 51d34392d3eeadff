//! Scenarios for our client with a server that responds in unusual ways (`python/raw_server.py`).
//!
//! Each scenario calls the server's method of the same name, which describes the response. Nothing
//! else here depends on the server.

use std::time::Duration;

use serde_json::{Value, json};
use wsjsonrpc::{Error, Peer};

use crate::outcome::{Outcome, code_of, error, of, success};
use crate::usual::Notes;

/// Short enough that a missing response does not delay the run.
const SHORT: Duration = Duration::from_millis(300);

/// Runs the scenario of this name; `None` if there is none here.
pub async fn play(name: &str, peer: &Peer, notes: &mut Notes) -> Option<Outcome> {
    let call = || peer.call::<Value>(name, [1]);
    let (got, expected) = match name {
        "odd.plain"
        | "odd.error_null"
        | "odd.more_members"
        | "odd.white_space"
        | "odd.twice"
        | "odd.garbage"
        | "odd.events"
        | "odd.in_an_array"
        | "odd.array_with_strangers"
        | "odd.binary"
        | "odd.fragments"
        | "odd.same_id"
        | "odd.id_with_fraction"
        | "odd.id_as_text"
        | "odd.ping" => (of(call().await), success(3)),
        "odd.welcome" => {
            let note = tokio::time::timeout(Duration::from_secs(5), notes.recv()).await;
            (json!(note.ok().flatten()), json!("welcome"))
        }
        "odd.mixed_array" => {
            let answer = of(call().await);
            let note = tokio::time::timeout(SHORT, notes.recv()).await;
            (json!([answer, note.ok().flatten()]), json!([success(3), "mixed"]))
        }
        "odd.null" => (of(call().await), success(Value::Null)),
        "odd.result_null_and_error" | "odd.error_more" => (code_of(call().await), error(5)),
        "odd.error_data" => (
            of(call().await),
            json!({"error": {"code": 5, "message": "no", "data": {"missing": 7}}}),
        ),
        "odd.big_code" => (code_of(call().await), error(9_007_199_254_740_993)),
        "odd.negative_code" => (code_of(call().await), error(-3_000_000_000)),
        "odd.empty_arrays_sent" => (of(call().await), success(0)),
        "odd.both" | "odd.neither" | "odd.array_neither_twice" => {
            (of(call().await), json!("no valid response"))
        }
        "odd.wrong_type" | "odd.deep" => {
            (of(peer.call::<i64>(name, [1]).await), json!("not the expected type"))
        }
        "odd.lone_surrogate" => {
            (of(peer.call::<String>(name, [1]).await), json!("not the expected type"))
        }
        "odd.error_is_text" => (
            of(call().await),
            json!({"error": {"code": -32603, "message": "no", "data": "no"}}),
        ),
        // An error with the id null belongs to the only pending call.
        "odd.unknown_ids" => (of(call().await), json!({"error": {"code": 1, "message": "no"}})),
        "odd.never" => (of(call().timeout(SHORT).await), json!("timeout")),
        "odd.late" => {
            let first = of(call().timeout(SHORT).await);
            tokio::time::sleep(Duration::from_millis(600)).await;
            let second = of(peer.call::<Value>("odd.plain", ()).await);
            (json!([first, second]), json!(["timeout", success(3)]))
        }
        "odd.close" | "odd.drop" => (of(call().await), json!("closed")),
        name if name.starts_with("odd.batch") => return batches(name, peer).await,
        _ => return None,
    };
    Some(Outcome { got, expected })
}

/// The server responds to each call of a batch with its id; ids rise in the order of the calls.
async fn batches(name: &str, peer: &Peer) -> Option<Outcome> {
    let call = || peer.call::<i64>(name, [1]).timeout(SHORT);
    if name == "odd.batch_empty_array" {
        // Python's wsjsonrpc would drop the connection if we sent an error about this array.
        let before = of(peer.call::<Value>("odd.null_errors_sent", ()).await);
        let sent = peer.batch([peer.notify(name, [1])]).await.is_ok();
        // An error would be sent before the next call.
        let plain = of(peer.call::<Value>("odd.plain", ()).await);
        let after = of(peer.call::<Value>("odd.null_errors_sent", ()).await);
        let got = json!([sent, plain, after]);
        return Some(Outcome { got, expected: json!([true, success(3), before]) });
    }
    if name == "odd.batch_object_for_one" {
        let answer = peer.batch((peer.notify(name, [1]), call())).await;
        let got = of(answer.map(|(_, answer)| answer.is_ok()));
        return Some(Outcome { got, expected: success(true) });
    }
    let expected = match name {
        "odd.batch_reverse" | "odd.batch_split" | "odd.batch_two_arrays" | "odd.batch_extra" => {
            json!([0, 1, 2])
        }
        "odd.batch_missing" => json!(["timeout", 1, 2]),
        "odd.batch_some_fail" => json!([5, 1, 2]),
        _ => return None,
    };
    let got = match peer.batch([call(), call(), call()]).await {
        Ok(answers) => rebase(answers),
        Err(error) => of::<Value>(Err(error)),
    };
    Some(Outcome { got, expected })
}

/// Ids as distances from the id of the first call.
fn rebase(answers: Vec<Result<i64, Error>>) -> Value {
    let ids = answers.iter().enumerate();
    let first = ids.filter_map(|(n, id)| id.as_ref().ok().map(|id| id - n as i64)).min();
    let one = |answer: Result<i64, Error>| match (answer, first) {
        (Ok(id), Some(first)) => json!(id - first),
        (Err(Error::Call(object)), _) => json!(object.code().0),
        (other, _) => of(other),
    };
    answers.into_iter().map(one).collect()
}

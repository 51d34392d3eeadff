//! Scenarios that every JSON-RPC server should support with our client.
//!
//! Does not depend on the software of the server; scenarios for one server only have its name.

use std::time::Duration;

use serde_json::{Value, json};
use wsjsonrpc::Peer;

use crate::outcome::{Outcome, code_of, error, of, success};

/// Runs the scenario of this name; `None` if there is none here.
pub async fn play(name: &str, peer: &Peer, notes: &mut Notes) -> Option<Outcome> {
    let call = |method: &str, params: Value| peer.call::<Value>(method, params);
    let (got, expected) = match name {
        "sum" => (of(call("math.sum", json!([1, 2])).await), success(3)),
        "by_name" => (of(call("math.sum", json!({"x": 1, "y": 2})).await), success(3)),
        "echo" => {
            let text = "é☃𝄞\n\"\\\u{0}\u{7f}";
            (of(call("echo", json!([text])).await), success(text))
        }
        "large" => {
            let text = "0123456789abcde☃".repeat(1 << 16);
            let got = call("echo", json!([text])).await.map(|answer| answer == text);
            (of(got), success(true))
        }
        "no_params" => (of(peer.call::<Value>("nothing", ()).await), success(Value::Null)),
        "unknown_method" => (code_of(call("nope", json!([])).await), error(-32601)),
        "inner_error" => (code_of(call("broken", json!([])).await), error(-32603)),
        "app_error" => (
            of(call("fail", json!([])).await),
            json!({"error": {"code": 1001, "message": "insufficient funds", "data": {"missing": 7}}}),
        ),
        "app_error_plain" => (
            of(call("fail_plain", json!([])).await),
            json!({"error": {"code": 1002, "message": "no such account"}}),
        ),
        "notify" => {
            for text in ["one", "two", "three"] {
                if let Err(error) = peer.notify("log", [text]).await {
                    return Some(Outcome { got: of::<Value>(Err(error)), expected: Value::Null });
                }
            }
            (of(call("logged", json!([])).await), success(json!(["one", "two", "three"])))
        }
        "notify_unknown" => {
            let sent = peer.notify("nope", [1]).await.is_ok();
            (json!([sent, of(call("math.sum", json!([1, 2])).await)]), json!([true, success(3)]))
        }
        "concurrent" => (concurrent(peer).await, json!("all as expected")),
        "login" => {
            let before = code_of(call("whoami", json!([])).await);
            let login = of(call("login", json!(["Ada"])).await);
            let after = of(call("whoami", json!([])).await);
            (
                json!([before, login, after]),
                json!([error(-32001), success(Value::Null), success("Ada")]),
            )
        }
        name if name.starts_with("batch") => return batches(name, peer).await,
        name if name.starts_with("callback") => return callbacks(name, peer, notes).await,
        name if name.starts_with("rpc_websockets") => return rpc_websockets(name, peer).await,
        _ => return None,
    };
    Some(Outcome { got, expected })
}

/// 500 concurrent calls, the slow ones first.
async fn concurrent(peer: &Peer) -> Value {
    let mut waiting = Vec::new();
    for n in 0..500_u64 {
        let peer = peer.clone();
        waiting.push(tokio::spawn(async move {
            let (method, params, expected) = match n {
                0..5 => ("slow", json!([100 - n]), json!(100 - n)),
                _ => ("math.sum", json!([n, n]), json!(2 * n)),
            };
            matches!(peer.call::<Value>(method, params).await, Ok(got) if got == expected)
        }));
    }
    let mut wrong = 0;
    for one in waiting {
        if !matches!(one.await, Ok(true)) {
            wrong += 1;
        }
    }
    if wrong == 0 { json!("all as expected") } else { json!(format!("{wrong} of 500 went wrong")) }
}

async fn batches(name: &str, peer: &Peer) -> Option<Outcome> {
    let sum = |x: i64, y: i64| peer.call::<i64>("math.sum", (x, y));
    let mark = |text: &str| peer.notify("log", [text]);
    let (got, expected) = match name {
        "batch" => {
            let answer =
                peer.batch((sum(1, 2), peer.call::<String>("echo", ["é"]), sum(3, 4))).await;
            let got = answer.map(|(a, b, c)| json!([of(a), of(b), of(c)]));
            (of(got), success(json!([success(3), success("é"), success(7)])))
        }
        "batch_with_notification" => {
            let answer = peer.batch((mark("x"), sum(1, 2), mark("y"))).await;
            (of(answer.map(|(_, sum, _)| of(sum))), success(success(3)))
        }
        "batch_notifications" => {
            let sent = peer.batch(vec![mark("x"), mark("y")]).await.is_ok();
            // Long enough for any response of the server, and for its reaction to our response.
            tokio::time::sleep(Duration::from_millis(300)).await;
            (json!([sent, of(sum(1, 2).await)]), json!([true, success(3)]))
        }
        "batch_with_error" => {
            let answer = peer.batch((sum(1, 2), peer.call::<Value>("nope", ()), sum(3, 4))).await;
            let got = answer.map(|(a, b, c)| json!([of(a), code_of(b), of(c)]));
            (of(got), success(json!([success(3), error(-32601), success(7)])))
        }
        _ => return None,
    };
    Some(Outcome { got, expected })
}

/// The notifications that our client received.
pub type Notes = tokio::sync::mpsc::UnboundedReceiver<String>;

/// The server's `call_me`, `notify_me` and `batch_me` call our methods.
async fn callbacks(name: &str, peer: &Peer, notes: &mut Notes) -> Option<Outcome> {
    let call_me = |method: &str, params: Value| peer.call::<Value>("call_me", (method, params));
    let (got, expected) = match name {
        "callback" => (of(call_me("client.add", json!([1, 2])).await), success(3)),
        "callback_by_name" => {
            (of(call_me("client.add", json!({"y": 1, "x": 2})).await), success(3))
        }
        "callback_unknown" => (code_of(call_me("client.nope", json!([])).await), error(-32601)),
        "callback_error" => (
            of(call_me("client.fail", json!([])).await),
            json!({"error": {"code": 1001, "message": "insufficient funds", "data": {"missing": 7}}}),
        ),
        "callback_error_plain" => (
            of(call_me("client.fail_plain", json!([])).await),
            json!({"error": {"code": 1002, "message": "no such account"}}),
        ),
        "callback_batch" => {
            let answer = peer.call::<Value>("batch_me", ("client.double", [1, 2, 3])).await;
            (of(answer), success(json!([2, 4, 6])))
        }
        "callback_nested" => (of(call_me("client.ask_back", json!([20])).await), success("bottom")),
        "callback_notify" => {
            let answer = of(peer.call::<Value>("notify_me", ("client.log", ["hello"])).await);
            let note = tokio::time::timeout(Duration::from_secs(5), notes.recv()).await;
            (json!([answer, note.ok().flatten()]), json!([success(Value::Null), "hello"]))
        }
        _ => return None,
    };
    Some(Outcome { got, expected })
}

/// Features of rpc-websockets only: events, its login, its response to an exception.
async fn rpc_websockets(name: &str, peer: &Peer) -> Option<Outcome> {
    let call = |method: &str, params: Value| peer.call::<Value>(method, params);
    let (got, expected) = match name {
        "rpc_websockets_throws" => (
            of(call("throws", json!([])).await),
            json!({"error": {"code": -32000, "message": "TypeError", "data": "some text"}}),
        ),
        "rpc_websockets_events" => {
            // An event is not a JSON-RPC message; it must not end the connection.
            let on = of(call("rpc.on", json!(["news"])).await);
            let published = of(call("publish", json!([1])).await);
            tokio::time::sleep(Duration::from_millis(200)).await;
            let sum = of(call("math.sum", json!([1, 2])).await);
            (
                json!([on, published, sum]),
                json!([success(json!({"news": "ok"})), success(Value::Null), success(3)]),
            )
        }
        "rpc_websockets_login" => {
            let before = code_of(call("secret", json!([])).await);
            let login = of(call("rpc.login", json!({"user": "Ada"})).await);
            let after = of(call("secret", json!([])).await);
            (json!([before, login, after]), json!([error(-32605), success(true), success(42)]))
        }
        _ => return None,
    };
    Some(Outcome { got, expected })
}

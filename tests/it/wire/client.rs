//! The calling side on the wire: the text that is sent, and how all kinds of replies are
//! interpreted. The other side is raw, so the test chooses each text.

use std::future::IntoFuture;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wsjsonrpc::{Call, Client, Config, Context, Error, Peer, Result, Server, rpc};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{
    Raw, begin, empty_batch, error, invalid_request, method_not_found, not_an_object, request,
    result,
};

#[rpc(namespace = "math")]
trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn greet(&self, ctx: &Context, name: &str, greeting: Option<&str>) -> Result<String>;
    async fn nothing(&self, ctx: &Context) -> Result<()>;
    #[method(params = "named")]
    async fn named(&self, ctx: &Context, #[param(rename = "type")] kind: &str) -> Result<()>;
    #[method(params = "whole")]
    async fn whole(&self, ctx: &Context, numbers: &[f64]) -> Result<f64>;
}

#[derive(Serialize)]
struct Named {
    x: i64,
}

async fn pair() -> (Raw, Client) {
    Raw::server(Client::builder()).await
}

#[tokio::test]
async fn requests_are_compact_and_ids_count_up_from_one() {
    let (mut raw, client) = pair().await;
    let math = MathClient::new(client.peer());
    let peer = client.peer();
    let calls: [(Call<serde_json::Value>, &str); 5] = [
        (peer.call("m", ()), r#""method":"m""#),
        (peer.call("m", (1, "a")), r#""method":"m","params":[1,"a"]"#),
        (peer.call("m", Named { x: 1 }), r#""method":"m","params":{"x":1}"#),
        (peer.call("m", Vec::<i64>::new()), r#""method":"m","params":[]"#),
        (peer.call("\"ä\n", [None::<i64>]), r#""method":"\"ä\n","params":[null]"#),
    ];
    let mut id = 0;
    for (call, text) in calls {
        id += 1;
        raw.expect_call(call, text, id).await;
    }
    raw.expect_call(math.sum(1, -2), r#""method":"math.sum","params":[1,-2]"#, 6).await;
    let by_name = r#""method":"math.sum","params":{"x":1,"y":-2}"#;
    raw.expect_call(math.sum(1, -2).by_name(), by_name, 7).await;
    let greet = r#""method":"math.greet","params":["Ada",null]"#;
    raw.expect_call(math.greet("Ada", None), greet, 8).await;
    raw.expect_call(math.nothing(), r#""method":"math.nothing""#, 9).await;
    raw.expect_call(math.nothing().by_name(), r#""method":"math.nothing""#, 10).await;
    let named = r#""method":"math.named","params":{"type":"a\"b"}"#;
    raw.expect_call(math.named("a\"b"), named, 11).await;
    raw.expect_call(math.whole(&[1.0, 0.5]), r#""method":"math.whole","params":[1.0,0.5]"#, 12)
        .await;
}

#[tokio::test]
async fn a_notification_has_no_id_and_uses_none_up() {
    let (mut raw, client) = pair().await;
    let math = MathClient::new(client.peer());
    math.sum(1, 2).notify().await.unwrap();
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"math.sum","params":[1,2]}"#);
    math.sum(1, 2).by_name().notify().await.unwrap();
    assert_eq!(
        raw.receive().await,
        r#"{"jsonrpc":"2.0","method":"math.sum","params":{"x":1,"y":2}}"#
    );
    math.nothing().notify().await.unwrap();
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"math.nothing"}"#);
    assert_eq!(client.peer().pending_calls(), 0);
    raw.expect_call(math.nothing(), r#""method":"math.nothing""#, 1).await;
}

#[tokio::test(start_paused = true)]
async fn unsendable_calls_fail_before_anything_is_sent() {
    let config = Config { max_outgoing_message: 120, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(config)).await;
    let peer = client.peer();
    let unwritable = std::collections::HashMap::from([(vec![1], 1)]);
    let large = "x".repeat(120);
    for (call, expected) in [
        (peer.call::<()>("m", 1), "encode"),
        (peer.call::<()>("m", "text"), "encode"),
        (peer.call::<()>("m", [&unwritable]), "encode"),
        (peer.call::<()>("m", (1, 2)).by_name(), "encode"),
        (peer.call::<()>("m", [&large]), "too large"),
    ] {
        assert_eq!(outcome(call.await), expected);
    }
    assert_eq!(outcome(peer.notify("m", 1).await), "encode");
    assert_eq!(outcome(peer.notify("m", [&large]).await), "too large");
    let batch = (peer.call::<()>("m", [&large]), peer.notify("m", ()));
    assert!(matches!(peer.batch(batch).await, Err(Error::TooLarge { limit: 120, .. })));
    assert!(matches!(peer.batch(Vec::<Call<()>>::new()).await, Err(Error::EmptyBatch)));
    assert_eq!(peer.pending_calls(), 0);
    raw.check("[]", &[&empty_batch()]).await;
}

/// The outcome of a call, in a word.
fn outcome<T: Serialize>(outcome: Result<T, Error>) -> String {
    match outcome {
        Ok(value) => format!("ok {}", serde_json::to_string(&value).unwrap()),
        Err(Error::Call(object)) => {
            let data = object.data().map_or("no data", |data| data.get());
            format!("error {} {:?} {data}", object.code(), object.message())
        }
        Err(Error::Decode(_)) => "decode".to_owned(),
        Err(Error::InvalidResponse(_)) => "invalid".to_owned(),
        Err(Error::Timeout(_)) => "timeout".to_owned(),
        Err(Error::Encode(_)) => "encode".to_owned(),
        Err(Error::TooLarge { .. }) => "too large".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

/// Replies to one call after another; `$` stands for the call's id.
async fn replies<T: DeserializeOwned + Serialize>(table: &[(&str, &str)]) {
    let (mut raw, client) = pair().await;
    for (at, (reply, expected)) in table.iter().enumerate() {
        let call = begin(client.peer().call::<T>("m", ()).into_future()).await;
        raw.receive().await;
        raw.check(&reply.replace('$', &(at + 1).to_string()), &[]).await;
        assert_eq!(outcome(call.await), *expected, "{reply}");
        assert_eq!(client.peer().pending_calls(), 0, "{reply}");
    }
}

#[tokio::test]
async fn replies_of_other_implementations_are_accepted() {
    replies::<i64>(&[
        (r#"{"jsonrpc":"2.0","result":7,"id":$}"#, "ok 7"),
        (r#"{"id":$,"result":7}"#, "ok 7"),
        (r#" { "result" : -7 , "id" : $ , "jsonrpc" : "2.0" } "#, "ok -7"),
        (r#"{"jsonrpc":"1.0","result":7,"error":null,"id":$}"#, "ok 7"),
        (r#"{"jsonrpc":"2.0","result":7,"id":$,"time":0.1,"meta":{"a":[]}}"#, "ok 7"),
        (r#"{"jsonrpc":"2.0","result":7,"id":$.0}"#, "ok 7"),
        (r#"[{"jsonrpc":"2.0","result":7,"id":$}]"#, "ok 7"),
        (r#"{"jsonrpc":"2.0","result":null,"id":$}"#, "decode"),
        (r#"{"jsonrpc":"2.0","result":"7","id":$}"#, "decode"),
        (r#"{"jsonrpc":"2.0","result":7.5,"id":$}"#, "decode"),
        (r#"{"jsonrpc":"2.0","result":1e999,"id":$}"#, "decode"),
        (r#"{"jsonrpc":"2.0","result":{},"id":$}"#, "decode"),
        (r#"{"jsonrpc":"2.0","result":7,"error":{"code":1,"message":""},"id":$}"#, "invalid"),
        (r#"{"jsonrpc":"2.0","result":7,"error":false,"id":$}"#, "invalid"),
        (r#"{"jsonrpc":"2.0","id":$}"#, "invalid"),
        (r#"{"jsonrpc":"2.0","error":null,"id":$}"#, "invalid"),
        (r#"{"jsonrpc":"2.0","result":7,"id":$}"#, "ok 7"),
    ])
    .await;
    replies::<()>(&[
        (r#"{"jsonrpc":"2.0","result":null,"id":$}"#, "ok null"),
        (r#"{"jsonrpc":"2.0","result":0,"id":$}"#, "decode"),
    ])
    .await;
    replies::<Option<i64>>(&[
        (r#"{"jsonrpc":"2.0","result":null,"id":$}"#, "ok null"),
        (r#"{"jsonrpc":"2.0","result":7,"id":$}"#, "ok 7"),
        (r#"{"jsonrpc":"2.0","result":null,"error":null,"id":$}"#, "ok null"),
    ])
    .await;
    replies::<String>(&[
        (r#"{"jsonrpc":"2.0","result":"\u00e4\ud83d\ude00","id":$}"#, "ok \"ä😀\""),
        (r#"{"jsonrpc":"2.0","result":"\ud800","id":$}"#, "decode"),
    ])
    .await;
    let deep =
        format!(r#"{{"jsonrpc":"2.0","result":{}1{},"id":$}}"#, "[".repeat(9999), "]".repeat(9999));
    replies::<serde_json::Value>(&[(&deep, "decode")]).await;
}

#[tokio::test]
async fn error_objects_of_other_implementations_are_accepted() {
    replies::<i64>(&[
        (r#"{"jsonrpc":"2.0","error":{"code":1,"message":"m"},"id":$}"#, r#"error 1 "m" no data"#),
        (
            r#"{"error":{"message":"m","code":-32000,"data":[1, 2]},"id":$}"#,
            r#"error -32000 "m" [1, 2]"#,
        ),
        (r#"{"error":{"code":1,"message":"m","data":null},"id":$}"#, r#"error 1 "m" no data"#),
        (
            r#"{"error":{"code":1,"message":"m","stack":["x"],"name":"E"},"id":$}"#,
            r#"error 1 "m" no data"#,
        ),
        (r#"{"result":null,"error":{"code":1,"message":"m"},"id":$}"#, r#"error 1 "m" no data"#),
        (r#"{"error":{"code":0,"message":"\u00e4"},"id":$}"#, r#"error 0 "ä" no data"#),
        (r#"{"error":{"code":2147483648,"message":""},"id":$}"#, r#"error 2147483648 "" no data"#),
        (
            r#"{"error":{"code":-9223372036854775809,"message":""},"id":$}"#,
            r#"error -9223372036854775808 "" no data"#,
        ),
        (
            r#"{"error":{"code":1180591620717411303424,"message":""},"id":$}"#,
            r#"error 9223372036854775807 "" no data"#,
        ),
        (r#"{"error":{"code":-32000.0,"message":""},"id":$}"#, r#"error -32000 "" no data"#),
        (r#"{"error":{"code":5},"id":$}"#, r#"error 5 "" no data"#),
        // The error keeps everything that the server sent.
        (
            r#"{"error":{"code":"5","message":"m"},"id":$}"#,
            r#"error -32603 "m" {"code":"5","message":"m"}"#,
        ),
        (
            r#"{"error":{"message":"m","data":[7]},"id":$}"#,
            r#"error -32603 "m" {"message":"m","data":[7]}"#,
        ),
        (
            r#"{"error":{"code":5,"message":null},"id":$}"#,
            r#"error -32603 "{\"code\":5,\"message\":null}" {"code":5,"message":null}"#,
        ),
        (r#"{"error":{},"id":$}"#, r#"error -32603 "{}" {}"#),
        (r#"{"error":"m","id":$}"#, r#"error -32603 "m" "m""#),
        (r#"{"error":[1,"m"],"id":$}"#, r#"error -32603 "[1,\"m\"]" [1,"m"]"#),
        (r#"{"error":true,"id":$}"#, r#"error -32603 "true" true"#),
        (
            r#"{"error":{"code":1,"message":"\ud800"},"id":$}"#,
            r#"error -32603 "{\"code\":1,\"message\":\"\\ud800\"}" {"code":1,"message":"\ud800"}"#,
        ),
        (r#"{"jsonrpc":"2.0","result":7,"id":$}"#, "ok 7"),
    ])
    .await;
}

/// Some servers store ids as strings.
#[tokio::test]
async fn a_numeric_id_may_come_back_as_a_string() {
    let (log, _guard) = Log::of_this_thread();
    let (mut raw, client) = pair().await;
    for id in 1..=3 {
        let call = begin(client.peer().call::<i64>("m", ()).into_future()).await;
        raw.receive().await;
        raw.check(&result("7", &format!("\"{id}\"")), &[]).await;
        assert_eq!(call.await.unwrap(), 7);
    }
    let lines = log.text().lines().filter(|line| line.contains("as strings")).count();
    assert_eq!(lines, 1, "{}", log.text());
}

#[tokio::test]
async fn replies_may_come_in_any_order() {
    let (mut raw, client) = pair().await;
    let mut calls = Vec::new();
    for _ in 0..100 {
        calls.push(begin(client.peer().call::<u64>("m", ()).into_future()).await);
        raw.receive().await;
    }
    for id in (1..=100u64).rev() {
        raw.send(result(&(id * id).to_string(), &id.to_string())).await;
    }
    for (call, id) in calls.into_iter().zip(1u64..) {
        assert_eq!(call.await.unwrap(), id * id);
    }
}

#[tokio::test]
async fn a_reply_with_another_id_changes_nothing() {
    let (mut raw, client) = pair().await;
    let call = begin(client.peer().call::<i64>("m", ()).into_future()).await;
    raw.receive().await;
    for id in ["2", "0", "-1", "1.5", "\"01\"", "\"s1\"", "true", "[1]", "1e999", "01e", "{}"] {
        if serde_json::from_str::<Box<serde_json::value::RawValue>>(id).is_ok() {
            raw.check(&result("666", id), &[]).await;
            raw.check(&error(666, "no", id), &[]).await;
        }
    }
    raw.check(&result("666", "null"), &[]).await;
    raw.check(r#"{"jsonrpc":"2.0","result":666}"#, &[]).await;
    raw.check(
        &result("666", "1").replace("2.0\"", "2.0\",\"id\":1"),
        &[&invalid_request("duplicate member \"id\"", "null")],
    )
    .await;
    assert_eq!(client.peer().pending_calls(), 1);
    raw.check(&result("7", "1"), &[]).await;
    raw.check(&result("666", "1"), &[]).await;
    assert_eq!(call.await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_dropped() {
    let (mut raw, client) = pair().await;
    let peer = client.peer();
    let in_time = peer.call::<()>("m", ()).timeout(Duration::from_secs(1)).await;
    assert_eq!(outcome(in_time), "timeout");
    drop(begin(peer.call::<()>("m", ()).into_future()).await);
    drop(
        begin(peer.batch([peer.call::<()>("m", ()), peer.call::<()>("m", ())]).into_future()).await,
    );
    assert_eq!(peer.pending_calls(), 0);
    for _ in 0..3 {
        raw.receive().await;
    }
    raw.check(&format!("[{},{}]", result("3", "3"), result("4", "4")), &[]).await;
    raw.check(&result("2", "2"), &[]).await;
    raw.check(&error(1, "", "1"), &[]).await;
    let call = begin(peer.call::<i64>("m", ()).into_future()).await;
    raw.receive().await;
    raw.check(&result("1", "1"), &[]).await;
    raw.send(result("5", "5")).await;
    assert_eq!(call.await.unwrap(), 5, "no id is used again");
}

#[tokio::test]
async fn a_batch_is_sent_as_one_array() {
    let (mut raw, client) = pair().await;
    let math = MathClient::new(client.peer());
    let notify = math.nothing().notify();
    let sent =
        begin(math.batch((math.sum(1, 2), notify, math.sum(3, 4).by_name())).into_future()).await;
    let first = request("math.sum", "[1,2]", "1");
    let last = request("math.sum", r#"{"x":3,"y":4}"#, "2");
    let expected = format!(r#"[{first},{{"jsonrpc":"2.0","method":"math.nothing"}},{last}]"#);
    assert_eq!(raw.receive().await, expected);
    drop(sent);
    math.batch([math.nothing().notify()]).await.unwrap();
    assert_eq!(raw.receive().await, r#"[{"jsonrpc":"2.0","method":"math.nothing"}]"#);
}

/// Some servers answer a batch of notifications with an empty array, and would not accept an error
/// about it.
#[tokio::test]
async fn an_empty_array_answers_only_a_batch_of_notifications() {
    let (mut raw, client) = pair().await;
    let peer = client.peer();
    peer.batch([peer.notify("a", ()), peer.notify("b", ())]).await.unwrap();
    raw.receive().await;
    raw.check("[]", &[]).await;
    raw.check("[]", &[&empty_batch()]).await;
}

/// Replies to a batch of three calls with the ids 1 to 3: the frames, and the outcome of each call.
#[tokio::test(start_paused = true)]
async fn a_batch_accepts_its_replies_in_any_form() {
    let [one, two, three] = [1, 2, 3].map(|id| result(&format!("{id}{id}"), &id.to_string()));
    let refused = error(7, "no", "2");
    let all = ["ok 11", "ok 22", "ok 33"];
    for (frames, expected) in [
        (vec![format!("[{one},{two},{three}]")], all),
        (vec![format!("[{three},{one},{two}]")], all),
        (vec![one.clone(), three.clone(), two.clone()], all),
        (vec![format!("[{two}]"), format!("[{one},{three}]")], all),
        (vec![format!("[{one},{two},{two},{one},{three}]")], all),
        (vec![format!("[{one},{two},{},{three}]", result("9", "9"))], all),
        (vec![format!("[{one},{refused},{three}]")], ["ok 11", "error 7 \"no\" no data", "ok 33"]),
        (vec![format!(r#"[{one},{{"id":2}},{three}]"#)], ["ok 11", "invalid", "ok 33"]),
        (vec![format!("[{one},{},{three}]", result("{}", "2"))], ["ok 11", "decode", "ok 33"]),
        (vec![format!("[{one},{three}]")], ["ok 11", "timeout", "ok 33"]),
        (vec![one.clone()], ["ok 11", "timeout", "timeout"]),
    ] {
        let (mut raw, client) = pair().await;
        let peer = client.peer();
        let calls: Vec<Call<i64>> = (0..3).map(|_| peer.call("m", ())).collect();
        let replies = begin(peer.batch(calls).into_future()).await;
        raw.receive().await;
        for frame in &frames {
            raw.check(frame, &[]).await;
        }
        let got: Vec<String> = replies.await.unwrap().into_iter().map(outcome).collect();
        assert_eq!(got, expected, "{frames:?}");
        assert_eq!(peer.pending_calls(), 0);
    }
}

#[tokio::test]
async fn an_array_may_mix_replies_and_requests() {
    let builder = Client::builder().method("own", |_, ()| async { Ok("served") });
    let (mut raw, client) = Raw::server(builder).await;
    let call = begin(client.peer().call::<i64>("m", ()).into_future()).await;
    raw.receive().await;
    let mixed = format!(
        r#"[{},{},1,{},{{"jsonrpc":"2.0","id":1}},{}]"#,
        request("own", "[]", "1"),
        result("7", "1"),
        request("no", "[]", "1"),
        result("8", "8"),
    );
    let answers = [
        result("\"served\"", "1"),
        not_an_object(),
        method_not_found("no", "1"),
        invalid_request("\"method\" is missing", "1"),
    ];
    raw.check(&mixed, &[&format!("[{}]", answers.join(","))]).await;
    assert_eq!(call.await.unwrap(), 7);
}

/// In the opposite direction, a server calls its caller. A client with ids of the same kind must
/// not mistake such a request for a reply.
#[tokio::test]
async fn ids_of_a_servers_own_calls_are_strings() {
    let ask = |ctx: Context, ()| async move {
        let peer: &Peer = &ctx.peer();
        Ok(peer.call::<i64>("question", [1]).await.map_err(|error| error.to_string()))
    };
    let mut raw = Raw::client(Server::builder().method("ask", ask)).await;
    for (own_id, answer) in [("1", "41"), ("2", "42"), ("\"s1\"", "43")] {
        let id = answer.as_bytes()[1] - b'0';
        let asked = raw.ask(request("ask", "[]", own_id)).await;
        assert_eq!(asked, request("question", "[1]", &format!("\"s{id}\"")));
        for wrong in ["1", "2", "3", "\"1\"", "\"s\"", "\"s9\"", "\"S1\"", "\"s-1\"", "null"] {
            raw.check(&result("666", wrong), &[]).await;
        }
        let reply = result(answer, &format!("\"s{id}\""));
        assert_eq!(raw.ask(&reply).await, result(&format!(r#"{{"Ok":{answer}}}"#), own_id));
        raw.check(&reply, &[]).await;
    }
}

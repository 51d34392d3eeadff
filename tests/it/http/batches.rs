//! Batches over HTTP POST: one array out, one array back, and a separate outcome for each call.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::{Client, Context, Error, Server, memory};
use wsjsonrpc_tests::scripted::{Scripted, answer};
use wsjsonrpc_tests::{assert_same_json, begin, error, result};

/// A server that answers the first batch of any client with these responses; `$0` and `$1` stand
/// for ids.
async fn answering(responses: &'static str) -> Scripted {
    Scripted::new(move |asked| async move {
        let body: Vec<Value> = serde_json::from_str(&asked.body).unwrap();
        let ids = body.iter().filter_map(|entry| entry["id"].as_u64());
        let filled = ids.enumerate().fold(responses.to_owned(), |text, (place, id)| {
            text.replace(&format!("${place}"), &id.to_string())
        });
        answer("200 OK", &filled)
    })
    .await
}

#[tokio::test]
async fn each_call_gets_its_own_outcome_in_any_order() {
    let server = answering(
        r#"[{"jsonrpc":"2.0","result":"two","id":$1},
            {"jsonrpc":"2.0","result":99,"id":4711},
            {"jsonrpc":"2.0","error":{"code":7,"message":"no"},"id":$2},
            {"jsonrpc":"2.0","result":1,"id":$0},
            {"jsonrpc":"2.0","result":5,"id":$0}]"#,
    )
    .await;
    let peer = server.peer();
    let (one, two, three, four, told) = peer
        .batch((
            peer.call::<i64>("a", [1]),
            peer.call::<String>("b", ()),
            peer.call::<i64>("c", ()),
            // The server has sent more responses than there are calls; the surplus is ignored.
            peer.call::<i64>("d", ()),
            peer.notify("e", ()),
        ))
        .await
        .unwrap();
    assert_eq!((one.unwrap(), two.unwrap()), (1, "two".to_owned()));
    assert!(matches!(three, Err(Error::Call(object)) if object.code().0 == 7));
    assert!(matches!(four, Err(Error::InvalidResponse(what)) if what.contains("no response")));
    told.unwrap();
    let expected = r#"[{"jsonrpc":"2.0","method":"a","params":[1],"id":1},
        {"jsonrpc":"2.0","method":"b","id":2},{"jsonrpc":"2.0","method":"c","id":3},
        {"jsonrpc":"2.0","method":"d","id":4},{"jsonrpc":"2.0","method":"e"}]"#;
    assert_same_json(&server.asked()[0].body, expected, "the batch");
    assert_eq!(peer.pending_calls(), 0);
}

#[tokio::test]
async fn lists_and_batches_built_step_by_step_work() {
    let server = answering(
        r#"[{"jsonrpc":"2.0","result":0,"id":$0},{"jsonrpc":"2.0","result":10,"id":$1}]"#,
    )
    .await;
    let peer = server.peer();
    let calls: Vec<_> = (0..2).map(|n| peer.call::<i64>("m", [n])).collect();
    let got: Vec<i64> =
        peer.batch(calls).await.unwrap().into_iter().map(|reply| reply.unwrap()).collect();
    assert_eq!(got, [0, 10]);

    let mut batch = peer.new_batch();
    let first = batch.add(peer.call::<i64>("m", ()));
    let second = batch.add(peer.call::<i64>("m", ()));
    batch.send().await.unwrap();
    assert_eq!((second.await.unwrap(), first.await.unwrap()), (10, 0));

    let mut batch = peer.new_batch();
    let never = batch.add(peer.call::<i64>("m", ()));
    drop(batch);
    assert!(matches!(never.await, Err(Error::NotSent)));
    assert!(matches!(peer.new_batch().send().await, Err(Error::EmptyBatch)));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_failure_of_the_whole_batch_fails_each_call() {
    for (bytes, expected) in [
        (answer("500 Internal Server Error", "oops"), "HTTP status 500"),
        (answer("200 OK", "oops"), "it is not JSON"),
        (answer("200 OK", &error(-32600, "Too many", "null")), "Too many"),
        (answer("200 OK", &error(-32600, "Too many", "1")), "Too many"),
        (answer("200 OK", &format!("[{}]", error(-32600, "Too many", "1"))), "Too many"),
        (answer("200 OK", r#"{"error":"Too many","id":null}"#), "Too many"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\n[".to_vec(),
            "was cut short",
        ),
    ] {
        let server = Scripted::saying(bytes).await;
        let peer = server.peer();
        let both = (peer.call::<i64>("a", ()), peer.call::<String>("b", ()));
        let (one, two) = peer.batch(both).await.unwrap();
        for words in [one.unwrap_err().to_string(), two.unwrap_err().to_string()] {
            assert!(words.contains(expected), "{words}");
        }
        assert_eq!(peer.pending_calls(), 0);
    }
}

#[tokio::test]
async fn an_error_without_id_answers_the_call_without_response() {
    for (error, expected) in [
        (error(-32600, "what", "null"), "what (-32600)"),
        // The error belongs to the notification.
        (error(-32601, "what", "null"), "no response with the call's id"),
    ] {
        let body = format!("[{error},{}]", result("7", "1"));
        let server = Scripted::saying(answer("200 OK", &body)).await;
        let peer = server.peer();
        let all = (peer.call::<i64>("a", ()), peer.call::<i64>("b", ()), peer.notify("c", ()));
        let (one, two, _) = peer.batch(all).await.unwrap();
        assert_eq!(one.unwrap(), 7);
        let words = two.unwrap_err().to_string();
        assert!(words.contains(expected), "{words}");
    }
}

/// Only an error with the first call's id and a code about a whole message fails the batch.
#[tokio::test]
async fn an_error_of_one_call_does_not_fail_its_batch() {
    for (error, failed) in [(error(7, "no", "1"), 0), (error(-32600, "no", "2"), 1)] {
        let server = Scripted::saying(answer("200 OK", &error)).await;
        let peer = server.peer();
        let both = [peer.call::<i64>("a", ()), peer.call::<i64>("b", ())];
        let replies = peer.batch(both).await.unwrap();
        for (place, reply) in replies.into_iter().enumerate() {
            match reply {
                Err(Error::Call(_)) => assert_eq!(place, failed),
                Err(Error::InvalidResponse(_)) => assert_ne!(place, failed),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_single_response_may_come_without_an_array() {
    let server = answering(r#"{"jsonrpc":"2.0","result":7,"id":$0}"#).await;
    let peer = server.peer();
    let replies = peer.batch((peer.call::<i64>("a", ()), peer.notify("b", ()))).await.unwrap();
    assert_eq!(replies.0.unwrap(), 7);
}

#[tokio::test]
async fn a_batch_of_notifications_needs_a_success_status() {
    let server = Scripted::saying(answer("204 No Content", "")).await;
    let peer = server.peer();
    peer.batch((peer.notify("a", ()), peer.notify("b", ()))).await.unwrap().0.unwrap();
    let server = Scripted::saying(answer("503 Service Unavailable", "")).await;
    let peer = server.peer();
    let outcome = peer.batch((peer.notify("a", ()),)).await;
    assert!(matches!(outcome, Err(Error::Http(_))), "{outcome:?}");
}

/// A handler that passes on notifications waits no longer than its own caller does.
#[tokio::test]
async fn a_batch_of_notifications_inherits_the_deadline() {
    let silent = Scripted::new(|_| std::future::pending()).await;
    let backend = HttpPeer::new(&silent.url).unwrap().call_timeout(None).peer();
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::builder().method("relay", move |ctx: Context, ()| {
        let (backend, tell) = (ctx.with_deadline(&backend), tell.clone());
        async move {
            let news = (backend.notify("a", ()), backend.notify("b", ()));
            let _ = tell.send(backend.batch(news).await);
            Ok(())
        }
    });
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let relayed = client.peer().call::<()>("relay", ()).timeout(Duration::from_millis(50)).await;
    assert!(relayed.is_err(), "{relayed:?}");
    let late = told.recv().await.unwrap().unwrap_err().to_string();
    assert!(late.starts_with("no response to a batch of 2 (\"a\", …) within "), "{late}");
}

#[tokio::test]
async fn each_call_of_a_batch_has_its_own_timeout() {
    let mut server = Scripted::new(|_| std::future::pending()).await;
    let peer = server.peer();
    let (soon, later) = (Duration::from_millis(10), Duration::from_millis(30));
    let mut batch = peer.new_batch();
    let first = batch.add(peer.call::<i64>("a", ()).timeout(soon));
    let second = batch.add(peer.call::<i64>("b", ()).timeout(later));
    let third = batch.add(peer.call::<i64>("c", ()).timeout(Duration::ZERO));
    let sending = tokio::spawn(batch.send());
    for (reply, words) in [
        (first, "no response to \"a\" within 10 ms"),
        (second, "no response to \"b\" within 30 ms"),
        (third, "no response to \"c\" within 0 ms"),
    ] {
        assert_eq!(reply.await.unwrap_err().to_string(), words);
    }
    // No call waits any more, so the request ends.
    sending.await.unwrap().unwrap();
    server.gone().await;
    assert!(!server.asked()[0].body.contains("\"c\""));
}

#[tokio::test]
async fn a_batch_dropped_amid_its_request_closes_its_calls() {
    let mut server = Scripted::new(|_| std::future::pending()).await;
    let peer = server.peer();
    let mut batch = peer.new_batch();
    let call = batch.add(peer.call::<i64>("a", ()));
    let sending = begin(batch.send()).await;
    assert_eq!(peer.pending_calls(), 1);
    drop(sending);
    assert!(matches!(call.await, Err(Error::Closed(CloseReason::Local))));
    assert_eq!(peer.pending_calls(), 0);
    drop(peer);
    // If a connection was opened, it is closed.
    if !server.asked().is_empty() {
        server.gone().await;
    }
}

#[tokio::test]
async fn a_batch_can_not_subscribe() {
    let server = Scripted::saying(answer("200 OK", &format!("[{}]", result("1", "1")))).await;
    let peer = server.peer();
    let both = (peer.call::<i64>("a", ()), peer.subscribe::<i64>("heads", ()));
    let (one, heads) = peer.batch(both).await.unwrap();
    assert_eq!(one.unwrap(), 1);
    assert!(heads.unwrap_err().to_string().contains("needs a WebSocket"));
    assert!(!server.asked()[0].body.contains("heads"));
}

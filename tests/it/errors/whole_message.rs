//! Errors of the peer about a whole message: a batch that it refuses, or a request that it could
//! not read. Their id is null, or that of the batch's first call.

use std::future::IntoFuture;
use std::time::Duration;

use wsjsonrpc::{Call, Client, Config, Error, Peer, Server, memory};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Raw, begin, error, method_not_found, request, result};

use wsjsonrpc_tests::reconnect::{client as reconnecting, connected};

/// The outcome of a call, in a few words.
fn outcome(outcome: Result<i64, Error>) -> String {
    match outcome {
        Ok(value) => format!("ok {value}"),
        Err(Error::Call(error)) => error.to_string(),
        Err(Error::Timeout(_)) => "timeout".to_owned(),
        Err(other) => format!("{other:?}"),
    }
}

fn calls(peer: &Peer) -> Vec<Call<i64>> {
    (0..3).map(|_| peer.call("m", ())).collect()
}

/// Sends a batch of three calls and returns their outcomes. In the frames of the peer, `$1`, `$2`
/// and `$3` stand for the ids.
async fn batch(raw: &mut Raw, peer: &Peer, frames: &[String]) -> Vec<String> {
    let replies = begin(peer.batch(calls(peer)).into_future()).await;
    let sent: Vec<serde_json::Value> = serde_json::from_str(&raw.receive().await).unwrap();
    for frame in frames {
        let mut frame = frame.clone();
        for (place, call) in sent.iter().enumerate() {
            frame = frame.replace(&format!("${}", place + 1), &call["id"].to_string());
        }
        raw.check(&frame, &[]).await;
    }
    let outcomes = replies.await.unwrap().into_iter().map(outcome).collect();
    assert_eq!(peer.pending_calls(), 0);
    outcomes
}

/// Responses to a batch of three calls, with the outcome of each call.
fn table() -> Vec<(Vec<String>, [&'static str; 3])> {
    let whole = ["too many (-32600)"; 3];
    let too_many = |id| error(-32600, "too many", id);
    let array = |entries: &[String]| format!("[{}]", entries.join(","));
    let (two, three) = (result("2", "$2"), result("3", "$3"));
    vec![
        (vec![too_many("null")], whole),
        (vec![array(&[too_many("null")])], whole),
        (vec![r#"{"error":{"code":-32600,"message":"too many"}}"#.to_owned()], whole),
        (vec![error(-32005, "limit", "null")], ["limit (-32005)"; 3]),
        (vec![r#"{"error":"overloaded","id":null}"#.to_owned()], ["overloaded (-32603)"; 3]),
        // As go-ethereum does it.
        (vec![array(&[too_many("$1")])], whole),
        (vec![too_many("$1")], whole),
        (vec![error(-32700, "what", "$1")], ["what (-32700)"; 3]),
        // After one of the calls was answered.
        (vec![two.clone(), too_many("null")], ["too many (-32600)", "ok 2", "too many (-32600)"]),
        // About one call: a server may answer the calls one by one.
        (vec![error(7, "no", "$1"), two.clone(), three.clone()], ["no (7)", "ok 2", "ok 3"]),
        (
            vec![error(-32601, "no", "$1"), array(&[two.clone(), three.clone()])],
            ["no (-32601)", "ok 2", "ok 3"],
        ),
        (
            vec![error(-32005, "limit", "$1"), two.clone(), three.clone()],
            ["limit (-32005)", "ok 2", "ok 3"],
        ),
        (
            vec![too_many("$2"), result("1", "$1"), three.clone()],
            ["ok 1", "too many (-32600)", "ok 3"],
        ),
        (vec![array(&[too_many("$1"), two, three])], ["too many (-32600)", "ok 2", "ok 3"]),
        // Nothing else follows about this batch.
        (
            vec![array(&[too_many("null"), result("1", "$1")])],
            ["ok 1", "too many (-32600)", "too many (-32600)"],
        ),
        (
            vec![array(&[result("2", "$2"), too_many("null"), error(7, "no", "$1")])],
            ["no (7)", "ok 2", "too many (-32600)"],
        ),
        // About a notification: a server that looked up the method has read the id.
        (
            vec![array(&[error(-32601, "no", "null"), result("1", "$1")])],
            ["ok 1", "timeout", "timeout"],
        ),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_error_about_a_batch_ends_all_of_its_calls() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    for (frames, expected) in table() {
        let outcomes = batch(&mut raw, &client.peer(), &frames).await;
        assert_eq!(outcomes, expected, "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_batches_of_servers_and_reconnecting_clients() {
    let (mut raw, peer) = Raw::client_and_peer(Server::builder()).await;
    for (frames, expected) in table() {
        assert_eq!(batch(&mut raw, &peer, &frames).await, expected, "{frames:?}");
    }
    let (client, mut raw, _attempts) = connected(reconnecting()).await;
    for (frames, expected) in table() {
        let outcomes = batch(&mut raw, &client.peer(), &frames).await;
        assert_eq!(outcomes, expected, "{frames:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_refused_though_its_first_call_was_dropped() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    for times_out in [false, true] {
        let mut batch = peer.new_batch();
        let first = batch.add(peer.call::<i64>("m", ()).timeout(Duration::from_secs(1)));
        let second = batch.add(peer.call::<i64>("m", ()));
        batch.send().await.unwrap();
        if times_out {
            assert_eq!(outcome(first.await), "timeout");
        } else {
            drop(first);
        }
        let sent: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
        raw.check(&error(-32600, "too many", &sent[0]["id"].to_string()), &[]).await;
        assert_eq!(outcome(second.await), "too many (-32600)");
        // The calls of an answered batch do not belong to another batch.
        raw.check(&error(-32600, "too many", &sent[0]["id"].to_string()), &[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_without_id_answers_the_only_pending_request() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    // The error cannot be about a batch that was not sent.
    let mut unsent = peer.new_batch();
    let waiting = unsent.add(peer.call::<i64>("later", ()));
    let call = begin(peer.call::<i64>("m", ()).into_future()).await;
    raw.receive().await;
    raw.check(&error(-32700, "Parse error", "null"), &[]).await;
    assert_eq!(outcome(call.await), "Parse error (-32700)");
    unsent.send().await.unwrap();
    raw.receive().await;
    raw.check(&result("5", "1"), &[]).await;
    assert_eq!(outcome(waiting.await), "ok 5");
}

/// Some servers answer notifications, against the specification. Nothing shows which message such
/// an error belongs to, so it ends a call only if the server must have read past the notification.
#[tokio::test(start_paused = true)]
async fn an_error_that_may_answer_a_notification_ends_no_call() {
    let own = error(7, "no", "null");
    let call = async |raw: &mut Raw, peer: &Peer| {
        let call = begin(peer.call::<i64>("m", ()).into_future()).await;
        let sent: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
        (call, sent["id"].to_string())
    };
    let notify = async |raw: &mut Raw, peer: &Peer, batch: bool| {
        match batch {
            true => peer.batch([peer.notify("n", ())]).await.map(drop).unwrap(),
            false => peer.notify("n", ()).await.unwrap(),
        }
        raw.receive().await;
    };
    for reconnects in [false, true] {
        let (client, mut raw, _attempts) = match reconnects {
            true => {
                let (client, raw, attempts) = connected(reconnecting()).await;
                (client, raw, Some(attempts))
            }
            false => {
                let (raw, client) = Raw::server(Client::builder()).await;
                (client, raw, None)
            }
        };
        let peer = client.peer();
        for batch in [false, true] {
            // Before the call, and after it.
            for before in [true, false] {
                if before {
                    notify(&mut raw, &peer, batch).await;
                }
                let (waiting, id) = call(&mut raw, &peer).await;
                if !before {
                    notify(&mut raw, &peer, batch).await;
                }
                raw.check(&own, &[]).await;
                assert_eq!(peer.pending_calls(), 1);
                raw.check(&result("5", &id), &[]).await;
                assert_eq!(outcome(waiting.await), "ok 5");
                // The server read this call after the notification.
                let (waiting, _) = call(&mut raw, &peer).await;
                raw.check(&own, &[]).await;
                assert_eq!(outcome(waiting.await), if before { "no (7)" } else { "timeout" });
                let _ = call(&mut raw, &peer).await;
            }
            // About a message as a whole.
            notify(&mut raw, &peer, batch).await;
            let (waiting, _) = call(&mut raw, &peer).await;
            raw.check(&error(-32600, "what", "null"), &[]).await;
            assert_eq!(outcome(waiting.await), "what (-32600)");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_ambiguous_error_fails_no_call_and_logs_one_line() {
    let (log, _guard) = Log::of_this_thread();
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let call = begin(peer.call::<i64>("m", ()).into_future()).await;
    raw.receive().await;
    let replies = begin(peer.batch(calls(&peer)).into_future()).await;
    raw.receive().await;
    for _ in 0..3 {
        raw.check(&error(-32700, &format!("no\\n{}", "x".repeat(500)), "null"), &[]).await;
    }
    assert_eq!(peer.pending_calls(), 4);
    // The first id of the batch stands for the batch.
    raw.check(&error(-32600, "too many", "2"), &[]).await;
    for reply in replies.await.unwrap() {
        assert_eq!(outcome(reply), "too many (-32600)");
    }
    raw.check(&result("7", "1"), &[]).await;
    assert_eq!(outcome(call.await), "ok 7");

    let text = log.text();
    let lines: Vec<&str> =
        text.lines().filter(|line| line.contains("matches no pending call")).collect();
    assert_eq!(lines.len(), 1, "{text}");
    assert!(lines[0].starts_with("WARN ") && lines[0].contains(r"no\n"), "{}", lines[0]);
    assert!(lines[0].len() < 400, "{}", lines[0]);
    client.peer().close(1000, "");
    raw.wait_for_end().await;
    client.closed().await;
    tokio::task::yield_now().await;
    assert!(log.text().contains("count=3 "), "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn subscriptions_in_a_refused_batch_end_too() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let both = (peer.subscribe::<u64>("feed", ()), peer.call::<i64>("m", ()));
    let replies = begin(peer.batch(both).into_future()).await;
    raw.receive().await;
    raw.check(&error(-32600, "too many", "null"), &[]).await;
    let (feed, call) = replies.await.unwrap();
    assert!(matches!(feed, Err(Error::Call(_))));
    assert_eq!(outcome(call), "too many (-32600)");
    // A late response starts no subscription that would have to be ended.
    raw.check(&result("\"0x1\"", "1"), &[]).await;
}

#[tokio::test]
async fn a_batch_over_the_servers_limit_fails_at_once() {
    let config = Config { max_batch: 2, ..Config::default() };
    let server = Server::builder().config(config).method("m", |_, ()| async { Ok(1) });
    let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer();
    for reply in peer.batch(calls(&peer)).await.unwrap() {
        let words = "Invalid Request: a batch may have at most 2 entries (-32600)";
        assert_eq!(outcome(reply), words);
    }
    assert_eq!(outcome(peer.call("m", ()).await), "ok 1");
}

#[tokio::test]
async fn a_batch_over_the_local_limit_is_not_sent() {
    let config = Config { max_outgoing_batch: 2, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(config.clone())).await;
    let peer = client.peer();
    let refused = peer.batch(calls(&peer)).await;
    assert!(matches!(refused, Err(Error::LargeBatch { entries: 3, limit: 2 })), "{refused:?}");
    let mut batch = peer.new_batch();
    let first = batch.add(peer.call::<i64>("m", ()));
    drop(batch.add((peer.notify("n", ()), peer.notify("n", ()))));
    let words = batch.send().await.unwrap_err().to_string();
    assert!(words.contains("3 entries") && words.contains("max_outgoing_batch"), "{words}");
    assert!(matches!(first.await, Err(Error::NotSent)));
    assert_eq!(peer.pending_calls(), 0);
    raw.send(request("none", "[]", "1")).await;
    assert_eq!(raw.receive().await, method_not_found("none", "1"));

    let (client, mut raw, _attempts) = connected(reconnecting().config(config)).await;
    let peer = client.peer();
    assert!(matches!(peer.batch(calls(&peer)).await, Err(Error::LargeBatch { .. })));
    raw.send(request("none", "[]", "1")).await;
    assert_eq!(raw.receive().await, method_not_found("none", "1"));
}

/// As npm's rpc-websockets answers a notification of an unknown method.
#[tokio::test]
async fn a_response_to_a_notification_fails_no_call() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let mut call = begin(client.peer().call::<u32>("m", ()).into_future()).await;
    raw.receive().await;
    raw.send(error(-32601, "Method not found", "null")).await;
    raw.send(result("3", "1")).await;
    assert_eq!(call.as_mut().await.unwrap(), 3);
}

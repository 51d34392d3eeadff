//! The memory of a connection is bounded, whatever the other side does: handlers in flight, bytes
//! in the send queue, sizes of messages. Callers that wait because of a limit continue when there is
//! room.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::SinkExt;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, Server, memory};
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, begin, busy, gated_server, notification, request, result, server, too_large,
};

/// With a paused clock, time passes only when every task is idle.
async fn all_is_quiet() {
    tokio::time::sleep(SECOND).await;
}

#[tokio::test]
async fn requests_over_the_in_flight_limit_are_refused_at_once() {
    let gate = Gate::default();
    let config = Config { max_in_flight: 3, ..Config::default() };
    let (mut raw, mut other) = Raw::two_clients(gated_server(&gate).config(config)).await;

    raw.send(request("gated", "[]", "1")).await;
    raw.send(notification("gated", "[]")).await;
    let batch = [request("gated", "[]", "2"), request("gated", "[]", "3"), "1".to_owned()];
    raw.send(format!("[{}]", batch.join(","))).await;
    gate.arrived(3).await;
    assert_eq!(raw.ask(request("gated", "[]", "4")).await, busy("4"));
    assert_eq!(raw.ask(request("quick", "[]", "5")).await, busy("5"));
    raw.send(notification("gated", "[]")).await;
    let refused = format!("[{},{}]", busy("6"), busy("7"));
    let batch = [request("quick", "[]", "6"), request("gated", "[]", "7")];
    assert_eq!(raw.ask(format!("[{}]", batch.join(","))).await, refused);
    assert_eq!(gate.started(), 3);

    other.check(&request("quick", "[]", "1"), &[&result("null", "1")]).await;
    other.send(request("gated", "[]", "2")).await;
    gate.arrived(1).await;

    gate.open(4);
    let mut answers = [raw.receive().await, raw.receive().await];
    answers.sort();
    let finished = |id| result("\"finished\"", id);
    let mixed = [finished("2"), busy("3"), wsjsonrpc_tests::not_an_object()];
    assert_eq!(answers, [format!("[{}]", mixed.join(",")), finished("1")]);
    assert_eq!(other.receive().await, finished("2"));
    raw.check(&request("quick", "[]", "8"), &[&result("null", "8")]).await;
    assert_eq!(gate.started(), 4, "what was refused never ran");
}

#[tokio::test]
async fn handlers_that_are_ready_at_once_do_not_count_as_in_flight() {
    let config = Config { max_in_flight: 1, ..Config::default() };
    let mut raw = Raw::client(server().config(config)).await;
    let batch = format!("[{}]", vec![request("quick", "[]", "1"); 100].join(","));
    let answers = format!("[{}]", vec![result("null", "1"); 100].join(","));
    raw.check(&batch, &[&answers]).await;
}

fn small_outbox() -> ClientBuilder {
    Client::builder().config(Config { max_send_queue: 1000, ..Config::default() })
}

/// A raw server that does not read, a client that has filled the stream and its send queue, and the
/// number of notifications that took.
async fn filled() -> (Raw, Client, usize) {
    let (raw, client) = Raw::server(small_outbox()).await;
    let text = "x".repeat(100);
    let mut sent = 0;
    let fill = |sent: usize| client.peer().notify("fill", (sent, &text)).into_future();
    while let Ok(queued) = tokio::time::timeout(SECOND, fill(sent)).await {
        queued.unwrap();
        sent += 1;
        assert!(sent < 10_000, "sending never blocks");
    }
    (raw, client, sent)
}

#[tokio::test(start_paused = true)]
async fn callers_wait_while_the_send_queue_is_full_and_lose_nothing() {
    let (mut raw, client, sent) = filled().await;
    let peer = client.peer();
    let late_call = peer.call::<i64>("late", ()).timeout(SECOND).await;
    assert!(matches!(late_call, Err(Error::Timeout(_))), "{late_call:?}");
    drop(begin(peer.batch([peer.notify("late", ())]).into_future()).await);
    drop(begin(peer.notify("late", ()).into_future()).await);
    assert_eq!(peer.pending_calls(), 0);

    let notified = begin(peer.notify("last", ()).into_future()).await;
    let called = begin(peer.call::<i64>("call", ()).into_future()).await;
    let batched = begin(peer.batch([peer.notify("batched", ())]).into_future()).await;
    for number in 0..sent {
        let text = raw.receive().await;
        assert!(text.contains(&format!(r#""method":"fill","params":[{number},"#)), "{text}");
    }
    let (notified, batched, called, ()) = tokio::join!(notified, batched, called, async {
        let mut rest = [raw.receive().await, raw.receive().await, raw.receive().await];
        rest.sort();
        assert_eq!(
            rest,
            [
                r#"[{"jsonrpc":"2.0","method":"batched"}]"#,
                r#"{"jsonrpc":"2.0","method":"call","id":2}"#,
                r#"{"jsonrpc":"2.0","method":"last"}"#,
            ]
        );
        raw.send(result("7", "2")).await;
    });
    notified.unwrap();
    batched.unwrap();
    assert_eq!(called.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn callers_waiting_for_the_send_queue_fail_when_it_closes() {
    let (raw, client, _) = filled().await;
    let peer = client.peer();
    let notified = begin(peer.notify("late", ()).into_future()).await;
    let called = begin(peer.call::<()>("late", ()).into_future()).await;
    let batched = begin(peer.batch([peer.call::<()>("late", ())]).into_future()).await;
    raw.hang_up();
    assert!(matches!(notified.await, Err(Error::Closed(_))));
    assert!(matches!(called.await, Err(Error::Closed(_))));
    assert!(matches!(batched.await, Err(Error::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn reading_pauses_while_the_send_queue_is_full() {
    const REQUESTS: usize = 500;
    let handled = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&handled);
    let config = Config { max_send_queue: 1000, ..Config::default() };
    let server = Server::builder().config(config).method("large", move |_, ()| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok("x".repeat(10_000)) }
    });
    let (mut raw, _) = Raw::client_and_peer(server).await;
    for id in 0..REQUESTS {
        raw.send(request("large", "[]", &id.to_string())).await;
    }
    all_is_quiet().await;
    let before = handled.load(Ordering::Relaxed);
    assert!(before < 50, "{before} responses wait to be read");
    let large = format!("\"{}\"", "x".repeat(10_000));
    for id in 0..REQUESTS {
        assert_eq!(raw.receive().await, result(&large, &id.to_string()));
    }
    assert_eq!(handled.load(Ordering::Relaxed), REQUESTS);
}

/// Sends the message repeatedly without reading until sending blocks; returns how many were sent.
async fn send_until_it_blocks(raw: &mut Raw, message: &Message) -> usize {
    let mut sent = 0;
    while tokio::time::timeout(SECOND, raw.socket.send(message.clone())).await.is_ok() {
        sent += 1;
        assert!(sent < 20_000, "sending {message:?} never blocks");
    }
    sent
}

fn answering_at_length() -> ServerBuilder {
    let config = Config { max_send_queue: 10_000, ..Config::default() };
    Server::builder().config(config).method("large", |_, ()| async { Ok("x".repeat(10_000)) })
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_without_reading_is_held_back() {
    let requests = [
        Message::text(request("large", "[]", "1")),
        Message::text("]"),
        Message::binary(b"\xff".as_slice()),
        Message::text(format!("[{}]", vec!["1"; 100].join(","))),
        Message::Ping(vec![b'x'; 100].into()),
    ];
    for message in requests {
        let (mut raw, peer) = Raw::client_and_peer(answering_at_length()).await;
        send_until_it_blocks(&mut raw, &message).await;
        assert!(matches!(peer.closed().await, CloseReason::Stalled), "{message:?}");
    }
}

/// Otherwise two sides would deadlock, each waiting for the other to read.
#[tokio::test(start_paused = true)]
async fn responses_are_read_while_the_send_queue_is_full() {
    let (mut raw, peer) = Raw::client_and_peer(answering_at_length()).await;
    let call = begin(peer.call::<i64>("question", ()).into_future()).await;
    assert!(raw.receive().await.contains("question"));
    for id in 0..50 {
        raw.send(request("large", "[]", &id.to_string())).await;
    }
    all_is_quiet().await;
    raw.send(result("42", "\"s1\"")).await;
    assert_eq!(call.await.unwrap(), 42);
    let large = format!("\"{}\"", "x".repeat(10_000));
    for id in 0..50 {
        assert_eq!(raw.receive().await, result(&large, &id.to_string()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tiny_send_queue_lets_one_message_through_at_a_time() {
    let config = Config { max_send_queue: 0, ..Config::default() };
    let echo = |_: Context, (text,): (String,)| async move { Ok(text) };
    let (client, caller) = memory::pair(
        Client::builder().config(config.clone()).method("echo", echo),
        Server::builder().config(config).method("echo", echo),
    )
    .unwrap();
    for peer in [client.peer(), caller] {
        let texts = ["a", "b", "c"].map(str::to_owned);
        let calls = texts.clone().map(|text| peer.call::<String>("echo", [text]));
        let echoes: Result<Vec<_>, _> = peer.batch(calls).await.unwrap().into_iter().collect();
        assert_eq!(echoes.unwrap(), texts);
        assert_eq!(peer.call::<String>("echo", ["d"]).await.unwrap(), "d");
    }
}

/// Each side waits until the other takes its responses. They must not deadlock.
#[tokio::test(start_paused = true)]
async fn both_sides_can_flood_each_other_with_large_results() {
    const CALLS: usize = 300;
    let config = Config { max_send_queue: 100_000, call_timeout: None, ..Config::default() };
    let large = |_: Context, (id,): (usize,)| async move { Ok((id, "x".repeat(20_000))) };
    let (client, caller) = memory::pair(
        Client::builder().config(config.clone()).method("large", large),
        Server::builder().config(config).method("large", large),
    )
    .unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for id in 0..CALLS {
        for peer in [client.peer(), caller.clone()] {
            calls.spawn(async move {
                let answer = peer.call::<(usize, String)>("large", [id]).await;
                assert_eq!(answer.expect("the connection is fine").0, id);
            });
        }
    }
    for outcome in calls.join_all().await {
        outcome
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_is_dropped() {
    let server = Server::builder().method("large", |_, ()| async { Ok("x".repeat(1_000_000)) });
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    let call = begin(peer.call::<()>("never.answered", ()).without_timeout().into_future()).await;
    raw.send(request("large", "[]", "1")).await;
    assert!(matches!(call.await, Err(Error::Closed(CloseReason::Stalled))));
    assert!(matches!(peer.closed().await, CloseReason::Stalled));

    let (_raw, client, _) = filled().await;
    assert!(matches!(client.closed().await, CloseReason::Stalled));

    let (_raw, client, _) = filled().await;
    assert!(
        matches!(client.close().await, CloseReason::Stalled),
        "the queued bytes cannot be sent"
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not_dropped() {
    const SIZE: usize = 500_000;
    // A ping would wait for hours behind the bytes in the stream's buffer.
    let config = Config { ping_interval: None, ..Config::default() };
    let server = Server::builder().config(config);
    let server = server.method("large", |_, ()| async { Ok("x".repeat(SIZE)) });
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    raw.send(request("large", "[]", "1")).await;
    let mut bytes = vec![0; 10_000];
    let mut left = 10 + result(&format!("\"{}\"", "x".repeat(SIZE)), "1").len(); // with its header
    while left > 0 {
        tokio::time::sleep(Config::default().write_timeout - SECOND).await;
        let read = raw.socket.get_mut().read(&mut bytes).await.unwrap();
        assert!(read > 0, "disconnected with {left} bytes left");
        left -= read;
    }
    raw.check(&request("no", "[]", "2"), &[&wsjsonrpc_tests::method_not_found("no", "2")]).await;
    assert!(!peer.is_closed());
}

fn repeating(limit: usize) -> ServerBuilder {
    let config = Config { max_outgoing_message: limit, ..Config::default() };
    let repeat = |_: Context, (size,): (usize,)| async move { Ok("x".repeat(size)) };
    Server::builder().config(config).method("repeat", repeat)
}

/// If the results of a batch do not fit together, each one that does not fit is replaced by an
/// error.
#[tokio::test]
async fn results_of_a_batch_over_the_limit_together_become_errors() {
    for scale in [1, 100] {
        let mut raw = Raw::client(repeating(1000 * scale)).await;
        let sizes = [300, 300, 2000, 400, 10];
        let entries: Vec<String> = sizes
            .iter()
            .enumerate()
            .map(|(id, size)| request("repeat", &format!("[{}]", size * scale), &id.to_string()))
            .collect();
        let answer = raw.ask(format!("[{}]", entries.join(","))).await;
        assert!(answer.len() <= 1000 * scale);
        let answers: Vec<HashMap<String, serde_json::Value>> =
            serde_json::from_str(&answer).unwrap();
        let ids: Vec<_> = answers.iter().filter_map(|answer| answer["id"].as_u64()).collect();
        assert_eq!(ids, [0, 1, 2, 3, 4]);
        let results: usize =
            answers.iter().filter_map(|answer| answer.get("result")?.as_str()).map(str::len).sum();
        assert!((600 * scale..=1000 * scale).contains(&results), "{results}");
        for large in [2, 3] {
            assert_eq!(answers[large]["error"]["code"], -32003, "{answer}");
        }
        assert_eq!(answers[0]["result"], "x".repeat(300 * scale));
    }
}

/// An error cannot be replaced by anything shorter, so it is sent in any case.
#[tokio::test]
async fn errors_over_max_outgoing_message_are_sent_anyway() {
    let mut raw = Raw::client(repeating(1000)).await;
    let entries = vec![request("repeat", "[2000]", "1"); 1000];
    let answer = raw.ask(format!("[{}]", entries.join(","))).await;
    let too_large = too_large("1");
    assert!(answer.contains(&too_large), "{answer:.300}");
    raw.check(&request("repeat", "[1]", "2"), &[&result("\"x\"", "2")]).await;

    let long_id = format!("\"{}\"", "i".repeat(1000));
    let answer = raw.ask(request("repeat", "[1]", &long_id)).await;
    assert!(answer.contains("-32003"), "{answer:.300}");
    raw.check(&request("repeat", "[1]", "3"), &[&result("\"x\"", "3")]).await;
}

/// `max_batch` limits the batches of the peer, not the reply to a batch of this side.
#[tokio::test]
async fn a_batch_reply_longer_than_max_batch_is_accepted() {
    let config = Config { max_batch: 2, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(config)).await;
    let peer = client.peer();
    let calls = || (0..5).map(|_| peer.call::<i64>("m", ())).collect::<Vec<_>>();
    let replies = |ids: std::ops::RangeInclusive<i64>| {
        let replies: Vec<_> = ids.map(|id| result("7", &id.to_string())).collect();
        format!("[{}]", replies.join(","))
    };
    let batch = begin(peer.batch(calls()).into_future()).await;
    raw.receive().await;
    raw.check(&replies(1..=5), &[]).await;
    for reply in batch.await.unwrap() {
        assert_eq!(reply.unwrap(), 7);
    }
    drop(begin(peer.batch(calls()).into_future()).await);
    raw.receive().await;
    raw.check(&replies(6..=10), &[]).await;
}

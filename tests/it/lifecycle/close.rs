//! How a connection ends: closed by either side, lost, or with its runtime. What happens to pending
//! calls, queued messages and handlers in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::SinkExt;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Context, Error, Server, memory};
use wsjsonrpc_tests::{Gate, Raw, begin, frame, longest_timeouts, notification, request, result};

fn close_frame(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.to_owned().into() }))
}

/// A way in which a raw server ends a connection, and a check of the reason that its client sees.
type Ending = (&'static str, fn(&CloseReason) -> bool);

const ENDINGS: [Ending; 5] = [
    (
        "close frame",
        |reason| matches!(reason, CloseReason::Remote { code: 4001, reason } if reason == "enough"),
    ),
    (
        "close frame without code",
        |reason| matches!(reason, CloseReason::Remote { code: 1005, reason } if reason.is_empty()),
    ),
    ("lost", |reason| matches!(reason, CloseReason::Lost(_))),
    ("garbage", |reason| matches!(reason, CloseReason::Protocol(_))),
    ("own wish", |reason| matches!(reason, CloseReason::Local)),
];

async fn end(mut raw: Raw, client: &Client, how: &str) {
    match how {
        "close frame" => raw.socket.send(close_frame(4001, "enough")).await.unwrap(),
        "close frame without code" => raw.socket.send(Message::Close(None)).await.unwrap(),
        "lost" => return raw.hang_up(),
        "garbage" => raw.send_bytes(&[0xff; 16]).await,
        _ => client.peer().close(1000, ""),
    }
    raw.wait_for_end().await;
}

#[tokio::test]
async fn every_pending_call_fails_with_the_close_reason() {
    for (how, is_expected) in ENDINGS {
        let (mut raw, client) = Raw::server(Client::builder()).await;
        let peer = client.peer();
        let mut calls = Vec::new();
        for _ in 0..3 {
            calls.push(begin(peer.call::<i64>("never.answered", ()).into_future()).await);
            raw.receive().await;
        }
        assert_eq!(peer.pending_calls(), 3);

        end(raw, &client, how).await;
        for call in calls {
            match call.await {
                Err(Error::Closed(reason)) => assert!(is_expected(&reason), "{how}: {reason:?}"),
                other => panic!("{how}: {other:?}"),
            }
        }
        assert_eq!(peer.pending_calls(), 0, "{how}");
        assert!(is_expected(&client.closed().await), "{how}");
        assert!(peer.is_closed(), "{how}");

        let later = [
            peer.call::<()>("too.late", ()).await.map_err(|error| ("call", error)),
            peer.notify("too.late", ()).await.map_err(|error| ("notification", error)),
            peer.batch([peer.notify("too.late", ())])
                .await
                .map(drop)
                .map_err(|error| ("batch", error)),
        ];
        for outcome in later {
            match outcome {
                Err((_, Error::Closed(reason))) => assert!(is_expected(&reason), "{how}"),
                other => panic!("{how}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn calls_of_a_server_fail_when_its_client_leaves() {
    let (mut raw, peer) = Raw::client_and_peer(Server::builder()).await;
    let calls = [
        begin(peer.call::<i64>("never.answered", ()).into_future()).await,
        begin(peer.call::<i64>("never.answered", ()).into_future()).await,
    ];
    raw.receive().await;
    raw.socket.send(close_frame(1001, "going away")).await.unwrap();
    raw.wait_for_end().await;
    for call in calls {
        match call.await {
            Err(Error::Closed(CloseReason::Remote { code: 1001, reason })) => {
                assert_eq!(reason, "going away");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_response_before_the_close_frame_still_counts() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let call = begin(client.peer().call::<i64>("m", ()).into_future()).await;
    raw.receive().await;
    raw.send(result("7", "1")).await;
    raw.socket.send(close_frame(1000, "")).await.unwrap();
    raw.wait_for_end().await;
    assert_eq!(call.await.unwrap(), 7);
}

#[tokio::test]
async fn a_client_closes_when_its_last_handle_is_dropped() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let clone = client.clone();
    let peer = client.peer();
    drop(client);
    drop(clone);
    peer.notify("still.open", ()).await.unwrap();
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"still.open"}"#);
    drop(peer);
    let frame = raw.receive_close().await.expect("a code");
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (1000, ""));
}

#[tokio::test]
async fn a_handle_in_the_clients_service_does_not_keep_it_open() {
    let (send, mut kept) = mpsc::unbounded_channel();
    let keeps = Client::builder().method("keep", move |ctx: Context, ()| {
        let sent = send.send((ctx.clone(), ctx.peer().clone()));
        async move { Ok(sent.is_ok()) }
    });
    let (mut raw, client) = Raw::server(keeps).await;
    assert_eq!(raw.ask(request("keep", "[]", "1")).await, result("true", "1"));
    let (ctx, peer) = kept.recv().await.unwrap();
    drop(client);
    raw.receive_close().await;
    raw.wait_for_end().await;
    assert!(matches!(ctx.closed().await, CloseReason::Local));
    assert!(peer.is_closed());
}

#[tokio::test]
async fn queued_messages_are_sent_before_the_close_frame() {
    const COUNT: usize = 10_000;
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let sending = tokio::spawn(async move {
        for number in 0..COUNT {
            client.peer().notify("count", [number]).await.unwrap();
        }
    });
    for number in 0..COUNT {
        let expected = format!(r#"{{"jsonrpc":"2.0","method":"count","params":[{number}]}}"#);
        assert_eq!(raw.receive().await, expected);
    }
    assert_eq!(raw.receive_close().await.map(|frame| frame.code.into()), Some(1000u16));
    sending.await.unwrap();
}

fn counting(count: &Arc<AtomicUsize>) -> wsjsonrpc::server::ServerBuilder {
    let count = Arc::clone(count);
    Server::builder().method("count", move |_, _: (usize,)| {
        count.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    })
}

#[tokio::test]
async fn a_server_handles_all_that_a_dropped_client_has_sent() {
    const COUNT: usize = 10_000;
    let count = Arc::default();
    let (client, caller) = memory::pair(Client::builder(), counting(&count)).unwrap();
    for number in 0..COUNT {
        client.peer().notify("count", [number]).await.unwrap();
    }
    drop(client);
    assert!(matches!(caller.closed().await, CloseReason::Remote { code: 1000, .. }));
    assert_eq!(count.load(Ordering::Relaxed), COUNT);
}

/// In the second case, the response can no longer be written. The server still reads everything.
#[tokio::test]
async fn a_server_handles_all_it_received_before_the_loss() {
    for first in [notification("count", "[0]"), request("count", "[0]", "1")] {
        let count = Arc::default();
        let (mut raw, peer) = Raw::client_and_peer(counting(&count)).await;
        raw.socket.feed(Message::text(first.clone())).await.unwrap();
        for number in 1..500 {
            let text = notification("count", &format!("[{number}]"));
            raw.socket.feed(Message::text(text)).await.unwrap();
        }
        raw.socket.flush().await.unwrap();
        raw.hang_up();
        assert!(matches!(peer.closed().await, CloseReason::Lost(_)), "{first}");
        assert_eq!(count.load(Ordering::Relaxed), 500, "{first}");
    }
}

/// Codes that must not be sent (RFC 6455, section 7.4) become 1000.
#[tokio::test]
async fn close_sends_a_valid_code_and_a_reason_that_fits() {
    let (words, cut) = ("é".repeat(100), "é".repeat(61));
    for (code, reason, sent_code, sent) in [
        (1000, "", 1000, ""),
        (4321, "no more, thanks", 4321, "no more, thanks"),
        (3000, &words, 3000, &cut),
        (0, "a", 1000, "a"),
        (1005, "b", 1000, "b"),
        (1006, "c", 1000, "c"),
        (1015, "d", 1000, "d"),
        (u16::MAX, "e", 1000, "e"),
    ] {
        let (mut raw, peer) = Raw::client_and_peer(Server::builder()).await;
        peer.close(code, reason);
        peer.close(4999, "too late: the first one counts");
        let frame = raw.receive_close().await.expect("a code");
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (sent_code, sent));
        raw.wait_for_end().await;
        assert!(matches!(peer.closed().await, CloseReason::Local));
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_the_peers_close_frame_is_bounded() {
    let (silent, client) = Raw::server(Client::builder()).await;
    assert!(matches!(client.close().await, CloseReason::Local));
    drop(silent);

    let (mut raw, peer) = Raw::server(Client::builder()).await;
    raw.send_bytes(&[0x88, 0x02, 0x0f, 0xa1]).await; // closes with 4001, and keeps the stream open
    assert!(matches!(peer.closed().await, CloseReason::Remote { code: 4001, .. }));
}

/// A close frame was sent or received, and the stream is still open: messages in between must not
/// disturb the end.
#[tokio::test(start_paused = true)]
async fn messages_between_the_close_frames_are_ignored() {
    let gate = Gate::default();
    let slow = Server::builder().method("slow", gate.handler(()));
    let (mut raw, peer) = Raw::client_and_peer(slow).await;
    raw.send(request("slow", "[]", "1")).await;
    gate.arrived(1).await;
    peer.close(4000, "");
    raw.receive_close().await;
    gate.open(1);
    raw.send_bytes(&frame(0x81, b"[]")).await;
    assert!(matches!(peer.closed().await, CloseReason::Local));

    let (mut raw, client) = Raw::server(Client::builder()).await;
    raw.send_bytes(&[0x88, 0x00]).await;
    raw.receive_close().await;
    let late = client.peer().notify("late", ()).await;
    assert!(matches!(late, Ok(()) | Err(Error::Closed(CloseReason::Remote { .. }))), "{late:?}");
    assert!(matches!(client.closed().await, CloseReason::Remote { code: 1005, .. }));
}

#[tokio::test]
async fn the_closing_handshake_ends_at_the_answer() {
    let (raw, client) = Raw::server(Client::builder()).await;
    let closing = begin(client.close()).await;
    raw.wait_for_end().await;
    assert!(matches!(closing.await, CloseReason::Local));
}

#[test]
fn calls_end_when_the_runtime_of_the_connection_is_dropped() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let connections = runtime();
    let (raw, peer) = connections.block_on(async {
        let (raw, client) = Raw::server(Client::builder()).await;
        (raw, client.peer())
    });
    let callers = runtime();
    let call = callers.block_on(begin(peer.call::<i64>("never.answered", ()).into_future()));
    drop(connections);
    match callers.block_on(call) {
        Err(Error::Closed(CloseReason::Aborted)) => {}
        other => panic!("{other:?}"),
    }
    assert!(matches!(callers.block_on(peer.closed()), CloseReason::Aborted));
    drop(raw);
}

#[tokio::test(start_paused = true)]
async fn every_timeout_may_be_duration_max() {
    let config = longest_timeouts();
    let long = |ctx: Context, ()| async move {
        drop(ctx);
        Ok("x".repeat(1 << 20))
    };
    let endpoint = Server::builder().config(config.clone()).method("long", long).build().unwrap();
    let (ours, theirs) = tokio::io::duplex(1024);
    let serving = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.serve(theirs, None).await }
    });
    let client = Client::builder().config(config).connect_over("ws://localhost/", ours);
    let peer = client.await.unwrap().peer();
    let both = [peer.call::<String>("long", ()), peer.call::<String>("long", ())];
    for long in peer.batch(both).await.unwrap() {
        assert_eq!(long.unwrap().len(), 1 << 20);
    }
    assert_eq!(peer.call::<String>("long", ()).await.unwrap().len(), 1 << 20);
    assert_eq!(endpoint.shutdown().await, 0);
    assert!(matches!(serving.await.unwrap().unwrap(), CloseReason::Local));
}

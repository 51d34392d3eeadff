//! A connection that ends while its `on_connect` hook runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::Error;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::Handshake;
use wsjsonrpc_tests::frames::frame_of;
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::record::Record;
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, begin, error, notification, request, result, serve_upgraded,
};

use super::on_connect::{gated, settle};

/// A request that arrived before the client's close frame is answered once the hook has accepted.
#[tokio::test(start_paused = true)]
async fn a_request_before_a_close_frame_is_handled_if_the_hook_accepts_soon() {
    for accepted in [true, false] {
        let (gate, record) = (Gate::default(), Record::default());
        let (ends, ended) = (Arc::new(AtomicUsize::new(0)), Instant::now());
        let counted = Arc::clone(&ends);
        let endpoint = gated(&gate, &record)
            .on_disconnect(move |_, reason| {
                assert!(matches!(reason, CloseReason::Remote { code: 1000, .. }), "{reason:?}");
                counted.fetch_add(1, Ordering::Relaxed);
                async {}
            })
            .build()
            .unwrap();
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        raw.send(request("echo", "[\"a\"]", "1")).await;
        raw.send(notification("quick", "[]")).await;
        raw.socket.send(Message::Close(Some(close(1000)))).await.unwrap();
        gate.arrived(1).await;
        settle().await;
        assert_eq!((record.take(), ends.load(Ordering::Relaxed)), (Vec::new(), 0));
        if accepted {
            gate.open(1);
            assert_eq!(raw.receive().await, result("\"a\"", "1"));
            let lines =
                ["request echo echo [\"a\"]", "\"a\"", "notification quick quick []", "nothing"];
            assert_eq!(record.take(), lines);
        } else {
            // The hook takes longer than close_timeout: the messages are dropped.
            let reason = serving.await.unwrap();
            assert!(matches!(reason, CloseReason::Remote { code: 1000, .. }), "{reason:?}");
            assert_eq!(ended.elapsed(), 5 * SECOND);
            assert_eq!((record.take(), ends.load(Ordering::Relaxed)), (Vec::new(), 0));
            // It runs on, and accepts a connection that has ended.
            gate.open(1);
        }
        settle().await;
        assert_eq!((record.take(), ends.load(Ordering::Relaxed)), (Vec::new(), 1));
        assert_eq!(endpoint.connection_count(), 0);
    }
}

fn close(code: u16) -> tokio_tungstenite::tungstenite::protocol::CloseFrame {
    tokio_tungstenite::tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() }
}

/// The same if the client only ends its direction of the stream.
#[tokio::test(start_paused = true)]
async fn a_request_before_the_end_of_the_stream_is_handled_if_the_hook_accepts_soon() {
    let (gate, record) = (Gate::default(), Record::default());
    let endpoint = gated(&gate, &record).build().unwrap();
    let (mut stream, serving) = serve_upgraded(&endpoint, Handshake::new("/"), 4096);
    stream.write_all(&frame_of(0x81, request("quick", "[]", "1").as_bytes(), true)).await.unwrap();
    stream.shutdown().await.unwrap();
    gate.arrived(1).await;
    settle().await;
    assert_eq!(record.take(), [""; 0]);
    gate.open(1);
    let expected = frame_of(0x81, result("null", "1").as_bytes(), false);
    let mut answer = vec![0; expected.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, expected);
    drop(stream);
    assert!(matches!(serving.await.unwrap(), CloseReason::Lost(_)));
}

/// Without a close frame, an idle client that has left is noticed at once. The hook's calls fail.
#[tokio::test(start_paused = true)]
async fn a_hook_runs_on_when_the_network_breaks() {
    let gate = Gate::default();
    let (at_gate, record) = (gate.clone(), Record::default());
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&ended);
    let endpoint = wsjsonrpc_tests::server()
        .middleware(record.clone())
        .on_connect(move |connection| {
            let gate = at_gate.clone();
            async move {
                let call = connection.peer().call::<()>("version", ()).await;
                assert!(matches!(call, Err(Error::Closed(_))), "{call:?}");
                assert!(connection.is_closed());
                gate.pass().await;
                Ok(())
            }
        })
        .on_disconnect(move |_, reason| {
            assert!(matches!(reason, CloseReason::Lost(_)), "{reason:?}");
            counted.fetch_add(1, Ordering::Relaxed);
            async {}
        })
        .build()
        .unwrap();
    let (raw, serving) = Raw::client_of(&endpoint).await;
    raw.hang_up();
    assert!(matches!(serving.await.unwrap(), CloseReason::Lost(_)));
    gate.arrived(1).await;
    settle().await;
    assert_eq!(ended.load(Ordering::Relaxed), 0);
    gate.open(1);
    settle().await;
    assert_eq!(ended.load(Ordering::Relaxed), 1);
}

/// A client that sends and leaves: its messages are dropped with a line if the hook does not accept it
/// in time.
#[tokio::test(start_paused = true)]
async fn messages_of_a_client_that_is_not_accepted_are_logged_as_dropped() {
    let (log, _guard) = Log::of_this_thread();
    let (gate, record) = (Gate::default(), Record::default());
    let endpoint = gated(&gate, &record).build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let begun = Instant::now();
    raw.send(notification("quick", "[]")).await;
    raw.send(notification("quick", "[]")).await;
    raw.hang_up();
    serving.await.unwrap();
    assert_eq!(begun.elapsed(), 5 * SECOND);
    gate.open(1);
    settle().await;
    assert_eq!(record.take(), [""; 0]);
    let line = "dropped the messages of a connection that no `on_connect` hook has accepted";
    let text = log.text();
    let line = text.lines().find(|it| it.contains(line)).expect("a line");
    assert!(line.contains("messages=2"), "{line}");
}

/// A connection can be closed from outside while its hook runs.
#[tokio::test(start_paused = true)]
async fn a_connection_is_listed_and_can_be_closed_while_its_hook_runs() {
    let (gate, record) = (Gate::default(), Record::default());
    let endpoint = gated(&gate, &record).build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    raw.send(request("quick", "[]", "1")).await;
    gate.arrived(1).await;
    settle().await;
    endpoint.connections()[0].close(4001, "session ended");
    assert_eq!(raw.receive_close().await.map(|frame| frame.code.into()), Some(4001_u16));
    raw.wait_for_end().await;
    gate.open(1);
    settle().await;
    assert_eq!(record.take(), [""; 0]);
}

/// Shutdown refuses the requests that wait, and gives the hook the time of handlers.
#[tokio::test(start_paused = true)]
async fn a_shutdown_refuses_what_waits_and_waits_for_the_hook() {
    for finishes in [true, false] {
        let (gate, record) = (Gate::default(), Record::default());
        let config =
            wsjsonrpc::Config { hook_timeout: 100 * SECOND, ..wsjsonrpc::Config::default() };
        let ends = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&ends);
        let endpoint = gated(&gate, &record)
            .config(config)
            .on_disconnect(move |_, _| {
                counted.fetch_add(1, Ordering::Relaxed);
                async {}
            })
            .build()
            .unwrap();
        let (mut raw, _) = Raw::client_of(&endpoint).await;
        raw.send(request("quick", "[]", "1")).await;
        gate.arrived(1).await;
        settle().await;
        let begun = Instant::now();
        let shutdown = begin(endpoint.shutdown()).await;
        assert_eq!(raw.receive().await, error(-32002, "Shutting down", "1"));
        assert_eq!(raw.ask(request("quick", "[]", "2")).await, error(-32002, "Shutting down", "2"));
        if finishes {
            gate.open(1);
        }
        let task = tokio::spawn(raw.wait_for_end());
        assert_eq!(shutdown.await, 0);
        task.await.unwrap();
        // The deadline, and the time for closing, which the hook does not use.
        let expected = if finishes { 0 } else { 30 + 6 };
        assert_eq!(begun.elapsed().as_secs(), expected);
        assert_eq!(ends.load(Ordering::Relaxed), usize::from(finishes));
        assert_eq!(record.take(), [""; 0]);
    }
}

//! The bytes that handlers in flight keep are bounded: requests, and responses that wait for others
//! of their batch. All of them are released in the end.

use futures_util::{SinkExt, StreamExt};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Config, Server};
use wsjsonrpc_tests::{Gate, Raw, busy, notification, request, result, too_large};

/// `gated` waits at the gate, then returns a string of this size; `quick` returns one at once.
fn server(gate: &Gate, max_in_flight_bytes: usize) -> ServerBuilder {
    let gate = gate.clone();
    let config = Config { max_in_flight_bytes, ..Config::default() };
    let server =
        Server::builder().config(config).method("gated", move |_, (size, _): (usize, String)| {
            let gate = gate.clone();
            async move {
                gate.pass().await;
                Ok("x".repeat(size))
            }
        });
    server.method("quick", |_, (size, _): (usize, String)| async move { Ok("x".repeat(size)) })
}

/// Params of a request of about `padding` bytes whose result has `result` bytes.
fn sized(result: usize, padding: usize) -> String {
    format!("[{result},\"{}\"]", "p".repeat(padding))
}

fn xs(size: usize, id: &str) -> String {
    result(&format!("\"{}\"", "x".repeat(size)), id)
}

#[tokio::test]
async fn requests_over_max_in_flight_bytes_are_refused_at_once() {
    let gate = Gate::default();
    let (mut raw, mut other) = Raw::two_clients(server(&gate, 10_000)).await;
    // One message may exceed the limit, whatever its size.
    let begins = [
        request("gated", &sized(1, 20_000), "1"),
        notification("gated", &sized(1, 20_000)),
        format!("[{}]", request("gated", &sized(1, 20_000), "1")),
        // Handlers of a batch share its message, so it counts until the last handler has ended.
        format!(
            "[{},{}]",
            notification("gated", &sized(1, 9_900)),
            request("gated", &sized(1, 9_900), "1")
        ),
        format!("[{}]", notification("gated", &sized(1, 20_000))),
    ];
    for begin in begins {
        let handlers = begin.matches("gated").count();
        raw.send(&begin).await;
        gate.arrived(handlers as u32).await;
        assert_eq!(raw.ask(request("gated", &sized(1, 0), "2")).await, busy("2"));
        assert_eq!(raw.ask(request("quick", &sized(1, 0), "3")).await, busy("3"));
        raw.send(notification("gated", &sized(1, 0))).await;
        let batch = format!("[{}]", request("quick", &sized(1, 0), "4"));
        assert_eq!(raw.ask(batch).await, format!("[{}]", busy("4")));
        other.check(&request("quick", &sized(1, 0), "1"), &[&xs(1, "1")]).await;
        if handlers > 1 {
            gate.open(1);
            tokio::task::yield_now().await;
            assert_eq!(raw.ask(request("quick", &sized(1, 0), "5")).await, busy("5"));
        }
        gate.open(handlers - usize::from(handlers > 1));
        if begin.contains("\"id\"") {
            let answer = raw.receive().await;
            assert_eq!(answer.trim_matches(['[', ']']), xs(1, "1"));
        }
        // The bytes are released as soon as the task of the handler has ended.
        while raw.ask(request("quick", &sized(1, 0), "6")).await == busy("6") {}
    }
}

#[tokio::test]
async fn requests_that_are_ready_at_once_do_not_count_as_bytes() {
    let mut raw = Raw::client(server(&Gate::default(), 1)).await;
    for _ in 0..100 {
        raw.check(&request("quick", &sized(1, 1000), "1"), &[&xs(1, "1")]).await;
    }
}

/// The responses of a batch wait for its last handler. A peer must not be able to collect results
/// in many batches that never complete.
#[tokio::test]
async fn responses_waiting_for_their_batch_are_bounded() {
    const LIMIT: usize = 10_000;
    let gate = Gate::default();
    let mut raw = Raw::client(server(&gate, LIMIT)).await;
    let batch = |name: &str| {
        let quick = request("quick", &sized(4000, 0), &format!("\"{name}1\""));
        format!("[{quick},{}]", request("gated", &sized(4000, 0), &format!("\"{name}2\"")))
    };
    for name in ["a", "b"] {
        raw.send(batch(name)).await;
        gate.arrived(1).await;
    }
    // 8000 bytes are waiting, so the second result of the first batch does not fit. Then there is
    // room again.
    gate.open(1);
    let answer = raw.receive().await;
    assert_eq!(answer, format!("[{},{}]", xs(4000, "\"a1\""), too_large("\"a2\"")));
    gate.open(1);
    let answer = raw.receive().await;
    assert_eq!(answer, format!("[{},{}]", xs(4000, "\"b1\""), xs(4000, "\"b2\"")));
    // All of it was released.
    for _ in 0..3 {
        raw.send(batch("c")).await;
        gate.arrived(1).await;
        gate.open(1);
        assert_eq!(raw.receive().await, format!("[{},{}]", xs(4000, "\"c1\""), xs(4000, "\"c2\"")));
    }
}

/// Nobody waits for a notification, so its batch does not either.
#[tokio::test]
async fn a_batch_does_not_wait_for_its_notifications() {
    let (done, wait) = oneshot::channel::<()>();
    let wait = std::sync::Mutex::new(Some(wait));
    let server = server(&Gate::default(), 1 << 20).method("slow", move |_, ()| {
        let wait = wait.lock().unwrap().take();
        async move {
            if let Some(wait) = wait {
                let _ = wait.await;
            }
            Ok(())
        }
    });
    let mut raw = Raw::client(server).await;
    let batch = [notification("slow", "[]"), request("quick", &sized(1, 0), "1")];
    let answer = format!("[{}]", xs(1, "1"));
    raw.check(&format!("[{}]", batch.join(",")), &[&answer]).await;
    drop(done);
}

/// Handlers outlive their connection. Without this rule, a peer could start more and more handlers
/// by disconnecting and connecting again.
#[tokio::test]
async fn a_dropped_connection_counts_until_its_handlers_have_ended() {
    let gate = Gate::default();
    let config = Config { max_connections: 2, max_in_flight: 3, ..Config::default() };
    let endpoint = server(&gate, 1000).config(config).build().unwrap();
    let calls = [
        request("gated", &sized(1, 1), "1"),
        notification("gated", &sized(1, 1)),
        format!("[{}]", request("gated", &sized(1, 1), "1")),
    ];
    for _ in 0..2 {
        let (mut raw, serving) = Raw::client_of(&endpoint).await;
        for call in &calls {
            raw.send(call).await;
        }
        gate.arrived(3).await;
        raw.hang_up();
        serving.await.unwrap();
    }
    assert!(endpoint.connections().is_empty());
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    // A response would arrive before the close frame.
    let _ = raw.socket.send(Message::text("1")).await;
    assert_eq!(raw.receive_close().await.map(|close| u16::from(close.code)), Some(1013));
    gate.open(6);
    // The six handlers pass the gate before this one.
    loop {
        let (raw, serving) = Raw::client_of(&endpoint).await;
        let mut raw = raw.socket;
        raw.send(Message::text(request("quick", &sized(1, 1), "1"))).await.unwrap();
        match raw.next().await.unwrap().unwrap() {
            Message::Text(text) => break assert_eq!(text.as_str(), xs(1, "1")),
            Message::Close(_) => drop((raw, serving.await)),
            other => panic!("{other:?}"),
        }
    }
}

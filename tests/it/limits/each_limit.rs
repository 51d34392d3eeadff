//! For each limit of `Config`, a connected peer that exceeds it: the exact response, and that
//! another connection is not affected. `admission` and `handshake` test limits of connections and
//! handshakes, `calls::timeouts` those of calls.

use std::future::pending;

use futures_util::SinkExt;
use tokio::io::AsyncReadExt;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Config, Endpoint, Server};
use wsjsonrpc_tests::{
    Gate, Raw, SECOND, busy, error, frame, not_an_object, request, result, too_large,
};

/// A second connection, which has a call in flight while the first one exceeds a limit.
struct Bystander {
    gate: Gate,
    task: JoinHandle<()>,
}

impl Bystander {
    /// Checks that its call is answered and that the connection still works.
    async fn notices_nothing(self) {
        self.gate.open(1);
        self.task.await.unwrap();
    }
}

/// A server with this configuration, a client that will exceed a limit, and a bystander.
async fn beside(config: Config) -> (Endpoint, Raw, JoinHandle<CloseReason>, Bystander) {
    let gate = Gate::default();
    let server = Server::builder().config(config);
    let server = server.method("gated", gate.handler(()));
    let endpoint = server
        .method("never", |_, (_,): (String,)| pending::<wsjsonrpc::Result<()>>())
        .method("large", |_, (size,): (usize,)| async move { Ok("x".repeat(size)) })
        .build()
        .unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    raw.send(request("gated", "[]", "1")).await;
    gate.arrived(1).await;
    // The bystander has to read, because tungstenite answers pings while reading.
    let task = tokio::spawn(async move {
        assert_eq!(raw.receive().await, result("null", "1"));
        raw.check(&request("large", "[1]", "2"), &[&result("\"x\"", "2")]).await;
    });
    let (raw, serving) = Raw::client_of(&endpoint).await;
    (endpoint, raw, serving, Bystander { gate, task })
}

/// A request that exceeds a limit gets an error, and the connection stays open.
#[tokio::test]
async fn requests_over_a_limit_are_answered_with_an_error() {
    let default = Config::default;
    let never = request("never", "[\"x\"]", "\"n\"");
    let long = request("never", &format!("[\"{}\"]", "x".repeat(5000)), "\"n\"");
    let batch = |entries: usize| format!("[{}]", vec!["1"; entries].join(","));
    let large = |size: usize| request("large", &format!("[{size}]"), "1");
    let table: [(&str, Config, Vec<String>, String); 4] = [
        (
            "max_outgoing_message",
            Config { max_outgoing_message: 1000, ..default() },
            vec![large(1001)],
            too_large("1"),
        ),
        (
            "max_batch",
            Config { max_batch: 3, ..default() },
            vec![batch(4)],
            error(-32600, "Invalid Request: a batch may have at most 3 entries", "null"),
        ),
        (
            "max_in_flight",
            Config { max_in_flight: 2, ..default() },
            vec![never.clone(), never, large(1)],
            busy("1"),
        ),
        (
            "max_in_flight_bytes",
            Config { max_in_flight_bytes: 5000, ..default() },
            vec![long, large(1)],
            busy("1"),
        ),
    ];
    for (limit, config, over, answer) in table {
        let (_endpoint, mut raw, _, bystander) = beside(config).await;
        for text in over {
            raw.send(text).await;
        }
        assert_eq!(raw.receive().await, answer, "{limit}");
        raw.check("2", &[&not_an_object()]).await;
        bystander.notices_nothing().await;
    }
}

/// After such a frame, the rest of the stream cannot be parsed.
#[tokio::test]
async fn frames_over_a_limit_close_the_connection_with_a_code() {
    let small = Config { max_incoming_message: 1000, ..Config::default() };
    let table = [
        ("max_incoming_message", frame(0x81, &[b'x'; 1001]), 1009),
        ("a frame of an unknown kind", frame(0x83, b""), 1002),
        ("a text that is no UTF-8", frame(0x81, b"\xff"), 1007),
    ];
    for (limit, over, code) in table {
        let (_endpoint, mut raw, serving, bystander) = beside(small.clone()).await;
        raw.send_bytes(&over).await;
        let close = raw.receive_close().await;
        assert_eq!(close.map(|close| u16::from(close.code)), Some(code), "{limit}");
        raw.wait_for_end().await;
        let reason = serving.await.unwrap();
        assert!(matches!(reason, CloseReason::Protocol(_)), "{limit}: {reason:?}");
        bystander.notices_nothing().await;
    }
}

#[tokio::test(start_paused = true)]
async fn over_max_outbox_a_peer_is_dropped_after_write_timeout() {
    let config = Config { max_send_queue: 1000, write_timeout: 3 * SECOND, ..Config::default() };
    let (_endpoint, mut raw, serving, bystander) = beside(config).await;
    let asks = Message::text(request("large", "[10000]", "1"));
    let mut sent = 0;
    while tokio::time::timeout(SECOND, raw.socket.send(asks.clone()))
        .await
        .is_ok_and(|ok| ok.is_ok())
    {
        sent += 1;
        assert!(sent < 10_000, "it is still read");
    }
    assert!(matches!(serving.await.unwrap(), CloseReason::Stalled));
    bystander.notices_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn over_ping_interval_a_peer_is_pinged_then_closed_with_1011() {
    let config = Config { ping_interval: Some(SECOND), ..Config::default() };
    let (_endpoint, mut raw, serving, bystander) = beside(config).await;
    assert!(matches!(serving.await.unwrap(), CloseReason::Unresponsive));
    let mut bytes = Vec::new();
    raw.socket.get_mut().read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes[..6], [0x89, 0, 0x88, 22, 0x03, 0xf3]); // a ping, and 1011 with 20 letters
    bystander.notices_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn over_close_timeout_an_unanswered_close_is_given_up() {
    let config = Config { close_timeout: 2 * SECOND, ..Config::default() };
    let (endpoint, mut raw, serving, bystander) = beside(config).await;
    raw.check("1", &[&not_an_object()]).await;
    let before = tokio::time::Instant::now();
    let connections = endpoint.connections();
    assert_eq!(connections.len(), 2);
    let closed = connections.iter().find(|it| it.calls_in_flight() == 0).unwrap();
    closed.close(4000, "enough");
    assert!(matches!(serving.await.unwrap(), CloseReason::Local));
    assert_eq!(before.elapsed(), 2 * SECOND);
    let mut bytes = Vec::new();
    raw.socket.get_mut().read_to_end(&mut bytes).await.unwrap();
    assert_eq!(bytes, b"\x88\x08\x0f\xa0enough");
    bystander.notices_nothing().await;
}

//! A peer can neither flood the log nor forge lines in it. Text of the other side is escaped where
//! it is printed, and unchanged in the fields that a program reads.

use futures_util::SinkExt;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::{Client, Config, Context, Error, ErrorObject, Server, memory};
use wsjsonrpc_tests::http::{opened, read_head, say, upgrade};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::mounted::in_axum;
use wsjsonrpc_tests::reconnect::{client, connect, connected};
use wsjsonrpc_tests::{Gate, Raw, error, not_an_object, notification, request, result};

/// A text that ends a line, begins another one and colours it, and its escaped form.
const FORGED: &str = "no\r\n ERROR it burns\u{1b}[31m\u{202e}";
const SHOWN: &str = "no\\r\\n ERROR it burns\\u{1b}[31m\\u{202e}";

/// A response to the opening handshake that refuses with this body.
fn refusal() -> String {
    format!("HTTP/1.1 502 Bad Gateway\r\nContent-Length: {}\r\n\r\n{FORGED}", FORGED.len())
}

fn farewell() -> Message {
    Message::Close(Some(CloseFrame { code: 3000.into(), reason: FORGED.into() }))
}

/// Refuses one client.
async fn refuse(mut stream: tokio::io::DuplexStream) {
    read_head(&mut stream).await;
    stream.write_all(refusal().as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_refusal_is_shown_in_one_line() {
    let (connecting, mut attempts) = connect(Client::builder());
    let (refused, ()) =
        tokio::join!(connecting, async { refuse(attempts.next().await.open()).await });
    let error = refused.unwrap_err();
    assert!(error.to_string().ends_with(&format!("502 Bad Gateway: {SHOWN}")), "{error}");
    let ConnectError::Refused { body, .. } = error else { panic!("{error:?}") };
    assert_eq!(body, FORGED);
}

#[tokio::test(start_paused = true)]
async fn a_close_reason_is_shown_in_one_line() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let call = tokio::spawn(client.peer().call::<()>("m", ()).into_future());
    raw.receive().await;
    raw.socket.send(farewell()).await.unwrap();
    let error = call.await.unwrap().unwrap_err();
    let words = format!("connection closed by the peer with code 3000: {SHOWN}");
    assert_eq!(error.to_string(), words);
    let reason = client.closed().await;
    assert_eq!(reason.to_string(), words);
    let CloseReason::Remote { reason, .. } = reason else { panic!("{reason:?}") };
    assert_eq!(reason, FORGED);
}

#[derive(Debug, Deserialize)]
enum Fruit {}

#[tokio::test]
async fn an_error_message_is_shown_in_one_line() {
    let fail = async |_: Context, ()| Err::<(), _>(ErrorObject::new(7, FORGED));
    let server = Server::builder().method("fail", fail);
    let server = server.method("fruit", |_, ()| async { Ok(FORGED) });
    let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
    let error = client.peer().call::<()>("fail", ()).await.unwrap_err();
    assert_eq!(error.to_string(), format!("{SHOWN} (7)"));
    let Error::Call(object) = error else { panic!("{error:?}") };
    assert_eq!(object.message(), FORGED);
    let error = client.peer().call::<Fruit>("fruit", ()).await.unwrap_err();
    let words = format!("cannot deserialize the result: unknown variant `{SHOWN}`");
    assert!(error.to_string().starts_with(&words), "{error}");
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
}

/// Checks that no line of the log is forged or has control characters, and that the log has the
/// expected texts.
#[track_caller]
fn check_lines(log: &Log, expected: &[&str]) {
    let text = log.text();
    let levels = ["ERROR ", "WARN ", "INFO ", "DEBUG ", "TRACE ", "SPAN "];
    for line in text.lines() {
        assert!(levels.iter().any(|level| line.starts_with(level)), "{line:?} in\n{text}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    for expected in expected {
        assert!(text.contains(expected), "no `{expected}` in\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_can_not_forge_lines_in_its_clients_log() {
    let log = Log::default();
    // The runtime has one thread, so all its tasks write to this log.
    let _guard = tracing::subscriber::set_default(log.clone());
    let (_client, mut raw, mut attempts) = connected(client()).await;
    raw.socket.send(farewell()).await.unwrap();
    drop(raw);
    refuse(attempts.next().await.open()).await;
    let _raw = attempts.accept().await;
    let closed = format!("connection closed by the peer with code 3000: {SHOWN}");
    check_lines(&log, &[&closed, &format!("502 Bad Gateway: {SHOWN}")]);
}

#[tokio::test]
async fn a_client_can_not_forge_lines_in_its_servers_log() {
    let (log, _guard) = Log::of_this_thread();
    let server = Server::builder().method("ask", |ctx: Context, ()| async move {
        Ok(ctx.peer().call::<Value>("question", ()).await?)
    });
    let (mut raw, _peer) = Raw::client_and_peer(server).await;
    raw.send(request("ask", "[]", "1")).await;
    assert!(raw.receive().await.contains("question"));
    let error = json!({ "id": "s1", "error": { "code": 7, "message": FORGED } });
    assert!(raw.ask(error.to_string()).await.contains("-32603"));
    check_lines(&log, &[&format!("error={SHOWN} (7)")]);
}

#[derive(Debug)]
struct NoUser(std::io::Error);

impl std::fmt::Display for NoUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the user is not known")
    }
}

impl std::error::Error for NoUser {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

/// Errors may quote what the caller has sent.
#[tokio::test]
async fn errors_that_quote_the_caller_forge_no_lines() {
    let (log, _guard) = Log::of_this_thread();
    let server = Server::builder().method("find", |_, (name,): (String,)| async move {
        let quoted = std::io::Error::other(format!("no user `{name}`"));
        if name.is_empty() { Ok(()) } else { Err(NoUser(quoted))? }
    });
    let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
    client.peer().call::<()>("find", [FORGED]).await.unwrap_err();
    // The line includes the cause.
    check_lines(&log, &[&format!("error=the user is not known: no user `{SHOWN}`")]);

    let server =
        Server::builder().authorize_fn(|_| async { Err(NoUser(std::io::Error::other(FORGED)))? });
    let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
    client.closed().await;
    check_lines(&log, &[&format!("error=the user is not known: {SHOWN}")]);
}

/// The number of warnings with these words.
fn count(log: &Log, words: &str) -> usize {
    log.text().lines().filter(|line| line.starts_with("WARN") && line.contains(words)).count()
}

#[tokio::test]
async fn dropped_notifications_log_two_lines_however_many_they_are() {
    let (log, _guard) = Log::of_this_thread();
    let gate = Gate::default();
    let config = Config { max_in_flight: 1, ..Config::default() };
    let server = Server::builder().config(config).method("gated", gate.handler(()));
    let endpoint = server.build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    let (mut other, other_serving) = Raw::client_of(&endpoint).await;
    // A limit that is reached again and again logs no more lines.
    for _ in 0..10 {
        raw.send(request("gated", "[]", "1")).await;
        gate.arrived(1).await;
        for _ in 0..100 {
            raw.send(notification("gated", "[]")).await;
        }
        raw.check("1", &[&not_an_object()]).await;
        gate.open(1);
        assert_eq!(raw.receive().await, result("null", "1"));
    }
    other.check("1", &[&not_an_object()]).await;
    assert_eq!(count(&log, ""), 1, "{}", log.text());
    assert_eq!(count(&log, "too many calls are in flight"), 1, "{}", log.text());
    raw.hang_up();
    serving.await.unwrap();
    assert_eq!(count(&log, "count=1000 "), 1, "{}", log.text());
    other.hang_up();
    other_serving.await.unwrap();
    assert_eq!(count(&log, ""), 2, "{}", log.text());
}

#[tokio::test]
async fn notifications_dropped_in_a_shutdown_log_two_lines() {
    let (log, _guard) = Log::of_this_thread();
    let gate = Gate::default();
    let server = Server::builder().method("gated", gate.handler(()));
    let endpoint = server.build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.send(request("gated", "[]", "1")).await;
    gate.arrived(1).await;
    let shutdown = tokio::spawn(async move { endpoint.shutdown().await });
    // The shutdown has started when calls are refused.
    while raw.ask(request("no", "[]", "2")).await != error(-32002, "Shutting down", "2") {}
    for _ in 0..100 {
        raw.send(notification("gated", "[]")).await;
    }
    assert_eq!(raw.ask(request("no", "[]", "3")).await, error(-32002, "Shutting down", "3"));
    gate.open(1);
    raw.wait_for_end().await;
    serving.await.unwrap();
    assert_eq!(shutdown.await.unwrap(), 0);
    assert_eq!(count(&log, "does not read its responses"), 1, "{}", log.text());
    assert_eq!(count(&log, "count=100 "), 1, "{}", log.text());
}

#[tokio::test]
async fn a_full_server_logs_one_line_however_many_connect() {
    let (log, _guard) = Log::of_this_thread();
    let config = Config { max_connections: 1, ..Config::default() };
    let endpoint = Server::builder().config(config).build().unwrap();
    let (mut raw, _) = Raw::client_of(&endpoint).await;
    raw.check("1", &[&not_an_object()]).await;
    for _ in 0..100 {
        let (mut refused, serving) = Raw::client_of(&endpoint).await;
        assert!(refused.receive_close().await.is_some_and(|close| u16::from(close.code) == 1013));
        drop(refused);
        serving.await.unwrap();
    }
    assert_eq!(count(&log, "connection limit reached"), 1, "{}", log.text());
    assert_eq!(count(&log, ""), 1, "{}", log.text());
}

#[tokio::test]
async fn a_refusal_on_a_mounted_route_logs_one_fixed_line() {
    let (log, _guard) = Log::of_this_thread();
    let address = in_axum(Server::builder().build().unwrap().http_service()).await;
    let foreign = upgrade("/rpc", "Origin: https://secret.example\r\n");
    assert!(opened(address, &foreign).await.1.starts_with("HTTP/1.1 403 "));
    let put = "PUT /rpc?secret HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert!(say(address, put).await.starts_with("HTTP/1.1 405 "));
    let text = log.text();
    let (hints, lines): (Vec<&str>, Vec<&str>) = text
        .lines()
        .filter(|line| line.contains("wsjsonrpc"))
        .partition(|line| line.starts_with("WARN "));
    assert!(hints.len() == 1 && hints[0].contains("allow_origin"), "{text}");
    for (line, status) in lines.iter().zip(["403", "405"]) {
        assert!(
            line.starts_with("DEBUG ") && line.contains(&format!("status={status} ")),
            "{line}"
        );
    }
    assert!(lines.len() == 2 && !text.contains("secret"), "{text}");
}

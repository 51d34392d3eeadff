//! Errors that a reconnecting client does not retry: a first connection that cannot succeed, and a
//! server that does not want the client back. Also how the application can observe retries.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::{Client, Context, Error, Server};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::reconnect::{client, connect, connected, settings};
use wsjsonrpc_tests::tls::{self, Authority};
use wsjsonrpc_tests::{MILLISECOND, Raw, error, id_of, listen, result};

fn stubborn() -> ClientBuilder {
    Client::builder().reconnect(Reconnect { retry_first: true, ..settings() })
}

fn frame(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code: CloseCode::from(code), reason: reason.into() }
}

fn is_remote(reason: &CloseReason, expected: u16) {
    let CloseReason::Remote { code, reason } = reason else { panic!("{reason}") };
    assert_eq!((*code, reason.as_str()), (expected, "banned"));
}

#[tokio::test(start_paused = true)]
async fn a_final_close_code_ends_reconnecting() {
    let own = Reconnect { final_codes: vec![1000..=1001, 4100..=4100], ..settings() };
    let never = Reconnect { final_codes: Vec::new(), ..settings() };
    for (settings, ends, goes_on) in [
        (settings(), &[1008, 4000, 4001, 4999][..], &[1000, 1001, 1011, 1012, 3000, 3999][..]),
        (own, &[1000, 1001, 4100], &[1008, 4000, 4099, 4101]),
        (never, &[], &[1000, 1008, 4000, 4999]),
    ] {
        for code in goes_on {
            let (_client, mut raw, mut attempts) =
                connected(Client::builder().reconnect(settings.clone())).await;
            raw.socket.close(Some(frame(*code, "banned"))).await.unwrap();
            drop(raw);
            attempts.accept().await;
        }
        for code in ends {
            let (client, mut raw, mut attempts) =
                connected(Client::builder().reconnect(settings.clone())).await;
            let mut states = client.states();
            let _ = states.next().await;
            raw.socket.close(Some(frame(*code, "banned"))).await.unwrap();
            drop(raw);
            attempts.are_over().await;
            let Some(ConnectionState::Closed { reason, .. }) = states.next().await else {
                panic!("{code}")
            };
            is_remote(&reason, *code);
            is_remote(&client.closed().await, *code);
            // The same for a call that would wait for a connection or would be sent again.
            let Err(Error::Closed(reason)) = client.peer().call::<()>("m", ()).idempotent().await
            else {
                panic!("{code}")
            };
            is_remote(&reason, *code);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_final_close_code_during_the_hook_ends_reconnecting() {
    let hooked =
        || stubborn().on_connect(|peer| async move { Ok(peer.call::<()>("login", ()).await?) });
    // The first connection.
    let (connecting, mut attempts) = connect(hooked());
    let kicking = async {
        let mut raw = attempts.accept().await;
        raw.receive().await;
        raw.socket.close(Some(frame(4001, "banned"))).await.unwrap();
    };
    let ((), outcome) = tokio::join!(kicking, connecting);
    let error = outcome.unwrap_err();
    assert!(matches!(error, ConnectError::Hook(_)), "{error:?}");
    assert!(error.to_string().contains("closed by the peer with code 4001: banned"), "{error}");
    attempts.are_over().await;
    // A later connection.
    let (connecting, mut attempts) = connect(hooked());
    let welcoming = async {
        let mut raw = attempts.accept().await;
        raw.receive().await;
        raw.send(wsjsonrpc_tests::result("null", "1")).await;
        raw
    };
    let (raw, client) = tokio::join!(welcoming, connecting);
    let client = client.unwrap();
    raw.hang_up();
    let mut raw = attempts.accept().await;
    raw.receive().await;
    raw.socket.close(Some(frame(4001, "banned"))).await.unwrap();
    is_remote(&client.closed().await, 4001);
    attempts.are_over().await;
}

/// The login is refused with an error, and the close frame arrives a little later.
#[tokio::test(start_paused = true)]
async fn a_login_refused_with_a_final_code_is_not_retried() {
    let login = || {
        stubborn().on_connect(|peer| async move {
            peer.call::<()>("login", ()).await?;
            Ok(())
        })
    };
    let refuse = |mut raw: Raw| async move {
        let id = id_of(&raw.receive().await);
        raw.send(error(7, "banned", &id)).await;
        tokio::time::sleep(50 * MILLISECOND).await;
        raw.socket.close(Some(frame(4001, "banned"))).await.unwrap();
    };
    let (connecting, mut attempts) = connect(login());
    let ((), outcome) = tokio::join!(async { refuse(attempts.accept().await).await }, connecting);
    let Err(ConnectError::Hook(refused)) = outcome else { panic!("the login was refused") };
    assert!(refused.source().is_some_and(|source| source.to_string().contains("banned")));
    attempts.are_over().await;

    let (connecting, mut attempts) = connect(login());
    let accepting = async {
        let mut raw = attempts.accept().await;
        let id = id_of(&raw.receive().await);
        raw.send(result("null", &id)).await;
        raw
    };
    let (raw, client) = tokio::join!(accepting, connecting);
    raw.hang_up();
    refuse(attempts.accept().await).await;
    is_remote(&client.unwrap().closed().await, 4001);
    attempts.are_over().await;
}

/// With a real server whose handler closes the connection.
#[tokio::test]
async fn a_client_that_the_server_banned_does_not_reconnect() {
    let server = Server::builder().method("misbehave", |ctx: Context, ()| async move {
        ctx.peer().close(4003, "banned");
        Ok(())
    });
    let (url, _) = listen(server).await;
    let client = Client::builder().reconnect(Reconnect::default()).connect(&url).await.unwrap();
    let _ = client.peer().call::<()>("misbehave", ()).await;
    is_remote(&client.closed().await, 4003);
    assert!(matches!(client.state(), ConnectionState::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_permanent_failure_of_the_first_attempt_is_not_retried() {
    for status in [
        "200 OK",
        "301 Moved Permanently",
        "302 Found",
        "400 Bad Request",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "410 Gone",
        "426 Upgrade Required",
        "501 Not Implemented",
        "505 HTTP Version Not Supported",
    ] {
        let (connecting, mut attempts) = connect(stubborn());
        let answering = async { attempts.next().await.answer(status).await };
        let (_, outcome) = tokio::join!(answering, connecting);
        let error = outcome.unwrap_err();
        assert!(matches!(error, ConnectError::Refused { .. }), "{status}: {error:?}");
        attempts.are_over().await;
    }
    // A server that is no WebSocket server, and one that expects TLS.
    for said in [&b"220 mail.example.com ESMTP\r\n\r\n"[..], b"\x15\x03\x01\x00\x02\x02\x46"] {
        let (connecting, mut attempts) = connect(stubborn());
        let answering = async {
            let mut stream = attempts.next().await.open();
            stream.write_all(said).await.unwrap();
            stream
        };
        let (_stream, outcome) = tokio::join!(answering, connecting);
        assert!(matches!(outcome.unwrap_err(), ConnectError::Handshake(_)));
        attempts.are_over().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_temporary_failure_of_the_first_attempt_is_retried() {
    for status in [
        "408 Request Timeout",
        "425 Too Early",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        let (connecting, mut attempts) = connect(stubborn());
        let answering = async {
            attempts.next().await.answer(status).await;
            attempts.accept().await
        };
        let (_raw, outcome) = tokio::join!(answering, connecting);
        drop(outcome.unwrap());
    }
    // If the headers can change, even 401 is retried.
    let fresh = stubborn().headers_with(|| async { Ok([("authorization", "token")]) });
    let (connecting, mut attempts) = connect(fresh);
    let answering = async {
        attempts.next().await.answer("401 Unauthorized").await;
        // A server that disconnects without a response, a connection that cannot be opened, and a
        // silent server.
        drop(attempts.next().await.open());
        attempts.next().await.refuse();
        let _silent = attempts.next().await.open();
        attempts.accept().await
    };
    let (_raw, outcome) = tokio::join!(answering, connecting);
    drop(outcome.unwrap());
}

#[tokio::test]
async fn tls_and_name_errors_of_the_first_attempt_are_final() {
    let authority = Authority::default();
    let (secure, _) = listen(tls::server(&authority.certify(|_| {}))).await;
    let (plain, _) = listen(Server::builder()).await;
    let connect = |url: String| async move { stubborn().connect(&url).await.unwrap_err() };
    let error = connect(secure.clone()).await;
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let error = connect(plain.replace("ws:", "wss:")).await;
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let error = connect(secure.replace("wss:", "ws:")).await;
    assert!(error.to_string().contains("connect with wss://"), "{error}");
    // A label of a host name has at most 63 letters.
    let name = "a".repeat(64);
    let error = connect(format!("ws://{name}.example/")).await;
    assert!(matches!(&error, ConnectError::Io(error) if error.kind() == ErrorKind::NotFound));
    assert!(error.to_string().contains(&name), "{error}");
}

#[tokio::test(start_paused = true)]
async fn attempts_are_reported_before_the_first_connection() {
    let log = Log::default();
    let _logging = tracing::subscriber::set_default(log.clone());
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let tell = Arc::clone(&seen);
    let builder = stubborn().on_state(move |state| {
        tell.lock().unwrap().push(match state {
            ConnectionState::Connected { number, .. } => format!("connected {number}"),
            ConnectionState::Down { reason, attempt, retry_in, .. } => {
                assert!(matches!(reason, CloseReason::Reconnect(_) | CloseReason::Lost(_)));
                format!("{attempt} in {retry_in:?}")
            }
            ConnectionState::Closed { reason, .. } => format!("closed: {reason}"),
            _ => unreachable!(),
        });
        // Even if this closure panics, the client continues.
        std::panic::resume_unwind(Box::new("a panic of the test's own"));
    });
    let (connecting, mut attempts) = connect(builder);
    let answering = async {
        attempts.next().await.refuse();
        attempts.next().await.answer("503 Service Unavailable").await;
        let third = attempts.next().await;
        assert_eq!(*seen.lock().unwrap(), ["1 in 100ms", "2 in 200ms"]);
        third.accept().await
    };
    let (raw, client) = tokio::join!(answering, connecting);
    let client = client.unwrap();
    let text = log.text();
    let line = |attempt: u32, delay: Duration, error: &str| {
        text.lines().any(|line| {
            line.starts_with("WARN")
                && line.contains(&format!("attempt={attempt}"))
                && line.contains(&format!("delay={delay:?}"))
                && line.contains(error)
        })
    };
    assert!(line(1, 100 * MILLISECOND, "connection refused"), "{text}");
    assert!(line(2, 200 * MILLISECOND, "503"), "{text}");
    raw.hang_up();
    let raw = attempts.accept().await;
    while seen.lock().unwrap().len() < 5 {
        tokio::task::yield_now().await;
    }
    client.close().await;
    drop((raw, client));
    attempts.are_over().await;
    let all = ["1 in 100ms", "2 in 200ms", "connected 1", "1 in 400ms", "connected 2"];
    let mut all: Vec<String> = all.map(str::to_owned).into();
    all.push("closed: connection closed by this side".to_owned());
    assert_eq!(*seen.lock().unwrap(), all);
}

/// The same settings have worked before, so the status of a proxy does not end the client.
#[tokio::test(start_paused = true)]
async fn later_attempts_retry_what_ends_the_first() {
    let (_client, raw, mut attempts) = connected(client()).await;
    raw.hang_up();
    for status in ["404 Not Found", "301 Moved Permanently", "501 Not Implemented"] {
        attempts.next().await.answer(status).await;
    }
    let mut stream = attempts.next().await.open();
    stream.write_all(b"\x15\x03\x01\x00\x02\x02\x46").await.unwrap();
    attempts.accept().await;
}

/// The file of a Unix socket appears when its server starts.
#[cfg(unix)]
#[tokio::test]
async fn a_missing_unix_socket_is_retried() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let (tell, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let builder = stubborn().on_state(move |state| {
        let _ = tell.send(state.clone());
    });
    let url = format!("ws+unix://{}:/", path.display());
    let connecting = tokio::spawn(async move { builder.connect(&url).await });
    let Some(ConnectionState::Down { .. }) = seen.recv().await else { panic!() };
    let server = Server::builder().bind_unix(&path).await.unwrap();
    tokio::spawn(server.run());
    drop(connecting.await.unwrap().unwrap());
}

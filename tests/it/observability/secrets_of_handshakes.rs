//! The log never contains what a client sent: cookies, tokens, params.

use serde_json::Value;
use wsjsonrpc::server::{Grant, Handshake, Refusal};
use wsjsonrpc::{Client, Server, memory};
use wsjsonrpc_tests::http::{address, http, upgrade};
use wsjsonrpc_tests::listen;
use wsjsonrpc_tests::log::Log;

async fn decide(handshake: Handshake) -> Result<Grant, Refusal> {
    match handshake.path() {
        "/panic" => panic!("as the test wants it"),
        "/error" => Err(std::io::Error::other("the database is down"))?,
        "/refused" => Err(Refusal::forbidden("words about s3cr3t")),
        _ => Ok(Grant::new().set("s3cr3t")),
    }
}

#[tokio::test]
async fn handshakes_good_and_bad_leave_no_secret_in_the_log() {
    let log = Log::default();
    // The runtime has one thread, so all its tasks write to this log.
    let _guard = tracing::subscriber::set_default(log.clone());
    let server = || {
        let server = Server::builder().subprotocol("a").authorize_fn(decide);
        server.method("fail", |_, (text,): (String,)| async move {
            if text.is_empty() { Ok(()) } else { Err(std::io::Error::other("it failed"))? }
        })
    };
    let client = || {
        let client = Client::builder().header("Cookie", "session=s3cr3t");
        let client = client.header("Authorization", "Bearer s3cr3t");
        client.subprotocol("a").subprotocol("token.s3cr3t")
    };
    let (url, _) = listen(server()).await;
    for path in ["ok", "panic", "error", "refused"] {
        let opened = client().connect(&format!("{url}{path}?token=s3cr3t")).await;
        assert_eq!(opened.is_ok(), path == "ok", "{path}");
        let shown = format!("{opened:?}");
        assert!(path == "refused" || !shown.contains("s3cr3t"), "{shown}");
        let Ok(client) = opened else { continue };
        // Params and ids may be secret too.
        client.peer().call::<Value>("fail", ("s3cr3t",)).await.unwrap_err();
        client.peer().call::<Value>("fail", (7, "s3cr3t")).await.unwrap_err();
        client.peer().notify("fail", (7, "s3cr3t")).await.unwrap();
        // So may the close reason.
        client.peer().close(4000, "s3cr3t");
        client.closed().await;
    }
    let (pair, _) = memory::pair(client(), server()).unwrap();
    pair.close().await;
    let address = address(server()).await;
    for headers in [
        "Origin: https://s3cr3t.example\r\nCookie: s3cr3t\r\n".to_owned(),
        "Origin: https://other.example\r\n".to_owned(),
        "Sec-WebSocket-Key: s3cr3t\r\n".to_owned(),
        "Host: s3cr3t\r\n".to_owned(),
        format!("X: s3cr3t{}\r\n", "x".repeat(20_000)),
        "s3cr3t\r\n".to_owned(),
    ] {
        let answer = http(address, upgrade("/?token=s3cr3t", &headers)).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert!(!answer.contains("s3cr3t"), "{answer}");
    }
    let text = log.text();
    assert!(!text.contains("s3cr3t"), "{text}");
    assert_eq!(text.matches("refused a web page of another origin").count(), 1, "{text}");
    for line in [
        "`Authorize` hook panicked",
        "`Authorize` hook failed",
        "the database is down",
        "HTTP status 403 Forbidden",
        "HTTP status 431",
        "it failed",
        "connection closed by the peer with code 4000",
    ] {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}

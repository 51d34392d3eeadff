//! The example `axum_app` with slow HTTP clients. The clock is paused: it advances when all tasks wait.

use axum::Router;
use axum::routing::{get, post};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

#[path = "axum_app.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod axum_app;

fn app() -> Router {
    let page = get(|| async { "hello" });
    Router::new().route("/", page).route("/echo", post(|body: String| async { body }))
}

/// The server closes the connection of every client that stops sending, wherever it stops.
#[tokio::test(start_paused = true)]
async fn a_slow_client_loses_its_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum_app::serve(listener, app(), std::future::pending()));
    for (sent, answer) in [
        ("", ""),
        ("GET / HTTP/1.1\r\nHost: x", ""),
        // Half of the HTTP/2 preface.
        ("PRI * HTTP/2.0\r\n", ""),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel", ""),
        // One request, then an idle connection.
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "hello"),
        ("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nhel", "hel"),
    ] {
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut received = Vec::new();
        // Reads until the server closes the connection.
        client.read_to_end(&mut received).await.unwrap();
        let received = String::from_utf8(received).unwrap();
        assert!(received.ends_with(answer), "{sent:?}: {received:?}");
        assert_eq!(
            received.starts_with("HTTP/1.1 200"),
            !answer.is_empty(),
            "{sent:?}: {received:?}"
        );
    }
}

/// A graceful shutdown does not wait for a client that has stopped sending.
#[tokio::test(start_paused = true)]
async fn a_slow_client_does_not_block_a_shutdown() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { drop(stopped.await) };
    let serving = tokio::spawn(axum_app::serve(listener, app(), stopped));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    client.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    client
        .write_all(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhel")
        .await
        .unwrap();
    drop(stop);
    serving.await.unwrap();
    TcpStream::connect(address).await.unwrap_err();
}

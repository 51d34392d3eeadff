//! The opening handshake by hand: HTTP requests as text, and answers word for word.
//!
//! Must not know the crate's inside.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use wsjsonrpc::server::ServerBuilder;

/// The headers of a request that is let in; the host is `x`.
pub const UPGRADE: &str = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request that is let in, with more headers.
pub fn upgrade(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{UPGRADE}{headers}\r\n")
}

/// Runs a server on a port of its own.
pub async fn address(server: ServerBuilder) -> SocketAddr {
    let server = server.bind("127.0.0.1:0").await.expect("a port is free");
    let address = server.local_addr();
    tokio::spawn(server.run());
    address
}

/// Sends this, and gives what comes back until the server hangs up.
pub async fn http(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // A server may refuse before it has read all.
    let _ = stream.write_all(request.as_ref()).await;
    // One that takes it for a WebSocket sees it end, and the test fails.
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status line, headers in small letters, body.
pub fn parts(answer: &str) -> (&str, String, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    (status, headers.to_lowercase(), body)
}

/// A connection on which this was sent, and the answer's head has come.
pub async fn opened(address: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("an answer"));
    }
    (stream, String::from_utf8(head).expect("text"))
}

/// The whole of a refusal.
pub fn refusal(status: &str, headers: &str, words: &str) -> String {
    let length = words.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n{headers}\r\n{words}\n"
    )
}

/// A server that reads one request, sends this answer and then waits for the client to hang up.
/// Gives the request.
pub async fn answering(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let answer = answer.into();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.expect("a whole request"));
        }
        stream.write_all(&answer).await.expect("it reads");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        String::from_utf8(request).expect("a request is ASCII")
    });
    (address, asked)
}

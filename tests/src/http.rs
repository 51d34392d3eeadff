//! Raw opening handshakes: HTTP requests and responses as text.

use std::io::{Read, Write};
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use wsjsonrpc::server::ServerBuilder;

/// The headers of a request that a server accepts; the host is `x`.
pub const UPGRADE: &str = "Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A request that a server accepts, with more headers.
pub fn upgrade(target: &str, headers: &str) -> String {
    format!("GET {target} HTTP/1.1\r\n{UPGRADE}{headers}\r\n")
}

/// Runs a server on a free port.
pub async fn address(server: ServerBuilder) -> SocketAddr {
    let server = server.bind("127.0.0.1:0").await.expect("a port is free");
    let address = server.local_addr();
    tokio::spawn(server.run());
    address
}

/// Sends this request, shuts down its own direction, and returns everything that the server sends.
pub async fn http(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    // The server may refuse the request before it has read everything.
    let _ = stream.write_all(request.as_ref()).await;
    // If the server treats this as a WebSocket, it sees the end, and the test fails.
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends this request, and returns everything that the server sends. The request must ask the
/// server to close the connection. This side stays open, because servers treat a half-closed
/// connection as a client that has disconnected.
pub async fn say(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_ref()).await.expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    String::from_utf8(answer).expect("text")
}

/// Status line, headers in lower case, body.
pub fn parts(answer: &str) -> (&str, String, &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let (status, headers) = head.split_once("\r\n").unwrap_or((head, ""));
    (status, headers.to_lowercase(), body)
}

/// Sends this request; returns the connection and the head of the response.
pub async fn opened(address: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it reads");
    let head = read_head(&mut stream).await;
    (stream, head)
}

/// The same on a blocking socket, with a request for this target that the server accepts.
pub fn open_blocking(address: SocketAddr, target: &str) -> std::net::TcpStream {
    let mut stream = std::net::TcpStream::connect(address).expect("it listens");
    stream.set_nodelay(true).expect("it is a socket");
    stream.write_all(upgrade(target, "").as_bytes()).expect("it reads");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a response");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"));
    stream
}

/// Reads exactly the head of a request or a response.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a whole head"));
    }
    String::from_utf8(head).expect("a head is text")
}

/// The `Sec-WebSocket-Accept` value for this request.
pub fn accept_key(request: &str) -> String {
    let key = request.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("sec-websocket-key").then_some(value)
    });
    derive_accept_key(key.expect("the request has a key").as_bytes())
}

/// A whole refusal, as the server sends it.
pub fn refusal(status: &str, headers: &str, words: &str) -> String {
    let length = words.len() + 1;
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\n\
         content-length: {length}\r\nconnection: close\r\n{headers}\r\n{words}\n"
    )
}

/// A server that reads one request, sends this response and then waits for the client to close. The
/// task returns the request.
pub async fn answering(answer: impl Into<Vec<u8>>) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let answer = answer.into();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a client");
        let request = read_head(&mut stream).await;
        stream.write_all(&answer).await.expect("it reads");
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        request
    });
    (address, asked)
}

/// The address in a URL.
pub fn address_of(url: &str) -> SocketAddr {
    url.parse::<http::Uri>().unwrap().authority().unwrap().as_str().parse().unwrap()
}

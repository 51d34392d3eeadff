//! Helpers of the tests: raw peers that speak text, so that the wire is what is tested.
//!
//! Must not know the crate's inside. A raw peer sends what it is told, word for word, and gives
//! back what came, word for word.
#![allow(missing_docs)] // test helpers; their names say it

pub mod frames;
pub mod http;
pub mod log;
pub mod scripted;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::{Handshake, ServerBuilder};
use wsjsonrpc::{Client, Endpoint, Peer, memory};

/// A peer that says what the test writes.
pub struct Raw {
    pub socket: WebSocketStream<DuplexStream>,
}

impl Raw {
    async fn over(stream: DuplexStream, role: Role) -> Self {
        Raw { socket: WebSocketStream::from_raw_socket(stream, role, None).await }
    }

    /// A raw client of a server.
    pub async fn client(server: ServerBuilder) -> Self {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let endpoint = server.build().expect("method names are unique");
        tokio::spawn(async move { endpoint.serve_upgraded(theirs, Handshake::new("/")).await });
        Self::over(ours, Role::Client).await
    }

    /// A raw server, and a client that is connected to it.
    pub async fn server(client: ClientBuilder) -> (Self, Client) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let accepting = tokio_tungstenite::accept_async(ours);
        let connecting = client.connect_over("ws://localhost/", theirs);
        let (socket, client) = tokio::join!(accepting, connecting);
        let socket = socket.expect("the handshake is valid");
        (Raw { socket }, client.expect("the handshake is answered"))
    }

    pub async fn send(&mut self, text: impl AsRef<str>) {
        let message = Message::text(text.as_ref());
        self.socket.send(message).await.expect("the connection is open");
    }

    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) {
        let message = Message::binary(bytes.into());
        self.socket.send(message).await.expect("the connection is open");
    }

    /// The next text that comes.
    pub async fn receive(&mut self) -> String {
        loop {
            match self.socket.next().await.expect("the connection is open").expect("no error") {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }

    /// The close frame, when no message comes before it.
    pub async fn receive_close(&mut self) -> Option<CloseFrame> {
        loop {
            match self.socket.next().await.expect("a close frame").expect("no error") {
                Message::Close(frame) => return frame,
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// Sends a text and takes the next one that comes.
    pub async fn ask(&mut self, text: impl AsRef<str>) -> String {
        self.send(text).await;
        self.receive().await
    }

    /// Sends `incoming` and checks what comes back: these texts in this order, and nothing else.
    /// That nothing else comes is seen by asking for an unknown method behind it: its answer must
    /// be the next thing.
    pub async fn check(&mut self, incoming: &str, expected: &[&str]) {
        self.send(incoming).await;
        self.send(r#"{"jsonrpc":"2.0","method":"no.such.method","id":"sentinel"}"#).await;
        for expected in expected {
            let got = self.receive().await;
            assert_same_json(&got, expected, incoming);
        }
        let got = self.receive().await;
        let sentinel = method_not_found("no.such.method", r#""sentinel""#);
        assert_same_json(&got, &sentinel, incoming);
    }
}

/// Raw peers that say in the handshake that they know this crate's extensions.
impl Raw {
    /// A raw client, and the server's handle to it.
    pub async fn knowing_client(server: ServerBuilder) -> (Self, Peer) {
        let endpoint = server.build().expect("method names are unique");
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let mut handshake = Handshake::new("/");
        let (name, version) = EXTENSIONS;
        handshake.headers.insert(name, HeaderValue::from_static(version));
        let serving = endpoint.clone();
        tokio::spawn(async move { serving.serve_upgraded(theirs, handshake).await });
        let mut raw = Self::over(ours, Role::Client).await;
        raw.check("[]", &[&empty_batch()]).await;
        (raw, endpoint.peers().pop().expect("it has just answered"))
    }

    /// A raw server, and a client that is connected to it.
    pub async fn knowing_server(client: ClientBuilder) -> (Self, Client) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        #[allow(clippy::result_large_err, reason = "tungstenite asks for it")]
        let agree = |request: &Request, mut response: Response| {
            let (name, version) = EXTENSIONS;
            assert_eq!(request.headers()[name], version);
            response.headers_mut().insert(name, HeaderValue::from_static(version));
            Ok(response)
        };
        let accepting = tokio_tungstenite::accept_hdr_async(ours, agree);
        let connecting = client.connect_over("ws://localhost/", theirs);
        let (socket, client) = tokio::join!(accepting, connecting);
        let socket = socket.expect("the handshake is valid");
        (Raw { socket }, client.expect("the handshake is answered"))
    }
}

/// The header by which peers of this crate know each other.
pub const EXTENSIONS: (&str, &str) = ("wsjsonrpc-extensions", "1");

/// Equal as JSON: white space and the order of members do not count, everything else does.
#[track_caller]
pub fn assert_same_json(got: &str, expected: &str, context: &str) {
    let parse = |text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    };
    assert_eq!(parse(got), parse(expected), "for {context}");
}

/// For tests of the connection's life: the other side's handle, and what is below the messages.
impl Raw {
    /// A raw client of an endpoint; the handle tells how the server's end of it ended.
    pub async fn client_of(endpoint: &Endpoint) -> (Self, JoinHandle<CloseReason>) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let endpoint = endpoint.clone();
        let serving =
            tokio::spawn(async move { endpoint.serve_upgraded(theirs, Handshake::new("/")).await });
        (Self::over(ours, Role::Client).await, serving)
    }

    /// A raw client, and the server's handle to it.
    pub async fn client_and_peer(server: ServerBuilder) -> (Self, Peer) {
        let endpoint = server.build().expect("method names are unique");
        let (mut raw, _) = Self::client_of(&endpoint).await;
        raw.check("[]", &[&empty_batch()]).await;
        let peer = endpoint.peers().pop().expect("it has just answered");
        (raw, peer)
    }

    /// Checks a table of texts that each have exactly one answer, word for word.
    pub async fn check_verbatim(&mut self, table: &[(&str, &str)]) {
        for (incoming, expected) in table {
            let got = self.ask(incoming).await;
            assert_eq!(got, *expected, "for {incoming}");
        }
    }

    /// Bytes below the level of messages.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).await.expect("the stream is open");
    }

    /// Drops the stream without a close frame.
    pub fn hang_up(self) {
        drop(self);
    }

    /// Takes whatever still comes, until the other side hangs up. Answers its close frame.
    pub async fn wait_for_end(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

/// Holds handlers until the test lets them go on.
#[derive(Clone, Debug)]
pub struct Gate {
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate { arrived: Arc::new(Semaphore::new(0)), open: Arc::new(Semaphore::new(0)) }
    }
}

impl Gate {
    /// For a handler: says that it is here, and waits to be let through.
    pub async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.expect("never closed").forget();
    }

    /// Waits until so many more handlers are here.
    pub async fn arrived(&self, handlers: u32) {
        self.arrived.acquire_many(handlers).await.expect("never closed").forget();
    }

    /// Lets so many through.
    pub fn open(&self, handlers: usize) {
        self.open.add_permits(handlers);
    }
}

/// Begins what is not ready at once: it has done all it can do by itself when this returns.
pub async fn begin<F: Future>(future: F) -> Pin<Box<F>> {
    let mut future = Box::pin(future);
    let pending = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(pending, "it was expected to wait");
    future
}

/// A client's WebSocket frame with this first byte; masked with zeros.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![first, 0x80 | 126];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// A request, as text. `params` and `id` are JSON.
pub fn request(method: &str, params: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params},"id":{id}}}"#)
}

/// A notification, as text. `params` is JSON.
pub fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

/// A successful response, as text.
pub fn result(result: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","result":{result},"id":{id}}}"#)
}

/// An error response without data, as text.
pub fn error(code: i64, message: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}},"id":{id}}}"#)
}

/// The error about what is JSON, but no request. `why` is what it says behind "Invalid Request: ".
pub fn invalid_request(why: &str, id: &str) -> String {
    error(-32600, &format!("Invalid Request: {why}").replace('"', "\\\""), id)
}

/// The answer to `[]`, which tests send to see that all before it was taken in.
pub fn empty_batch() -> String {
    invalid_request("the batch is empty", "null")
}

/// The answer to a number, which tests send for the same reason.
pub fn not_an_object() -> String {
    invalid_request("expected an object, got a number", "null")
}

/// The error about a method that nobody has.
pub fn method_not_found(method: &str, id: &str) -> String {
    error(-32601, &format!("Method not found: \\\"{method}\\\""), id)
}

/// Runs a server on a port of its own; gives its URL, and the endpoint behind it.
pub async fn listen(server: ServerBuilder) -> (String, Endpoint) {
    let server = server.bind("127.0.0.1:0").await.expect("a port is free");
    let (url, endpoint) = (server.url(), server.endpoint().clone());
    tokio::spawn(server.run());
    (url, endpoint)
}

/// A client and the server's handle to it, over a real socket.
pub async fn over_socket(client: ClientBuilder, server: ServerBuilder) -> (Client, Peer) {
    let (url, endpoint) = listen(server).await;
    let client = client.connect(&url).await.expect("the server lets everybody in");
    // An answer shows that the server has the connection in its list, whatever the answer is.
    let _ = client.peer().call::<()>("no.such.method", ()).await;
    let peer = endpoint.peers().pop().expect("it is connected");
    (client, peer)
}

/// The same two sides in memory and over a socket.
pub async fn both_ways(
    client: impl Fn() -> ClientBuilder,
    server: impl Fn() -> ServerBuilder,
) -> [(Client, Peer); 2] {
    let in_memory = memory::pair(client(), server()).expect("method names are unique");
    [in_memory, over_socket(client(), server()).await]
}

/// Polls a future once, so that what it does first is done.
pub async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx))).await
}

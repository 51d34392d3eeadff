//! Servers with the usual methods, and clients that are connected to them.

use std::time::Duration;

use futures_util::stream;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::{Handshake, ServerBuilder};
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{
    Client, Config, Context, Endpoint, ErrorObject, Methods, Peer, Result, Server, memory,
};

use crate::Gate;

/// A server with the methods that most tests need:
///
/// | method | returns |
/// |---|---|
/// | `sum(x, y)`, `double(x)` | an integer |
/// | `echo(text)` | the text |
/// | `later(value)` | the value, in a later poll |
/// | `large(size)` | a string of this size |
/// | `quick()` | null |
/// | `fail(code)` | an error with this code and the message "no" |
/// | `panic()` | nothing: it panics |
/// | `never(…)` | nothing |
///
/// and the subscriptions `count(upto)`, which yields the integers from 1, `silence()`, which yields nothing
/// and does not end, and `refused()`, which is refused with the error 7, "no".
pub fn server() -> ServerBuilder {
    let subscriptions = Methods::new()
        .subscription(Topic::new("count"), |_, (upto,): (u64,)| async move {
            Ok(stream::iter((1..=upto).map(Ok)))
        })
        .subscription(Topic::new("silence"), |_, ()| async { Ok(stream::pending::<Result<()>>()) })
        .subscription(Topic::new("refused"), |_, ()| async {
            Err::<stream::Empty<Result<()>>, _>(ErrorObject::new(7, "no"))
        });
    Server::builder()
        .service(subscriptions)
        .method("sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) })
        .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
        .method("echo", |_, (text,): (String,)| async move { Ok(text) })
        .method("later", |_, (value,): (serde_json::Value,)| async move {
            tokio::task::yield_now().await;
            Ok(value)
        })
        .method("large", |_, (size,): (usize,)| async move { Ok("x".repeat(size)) })
        .method("quick", |_, ()| async { Ok(()) })
        .method(
            "fail",
            |_, (code,): (i64,)| async move { Err::<(), _>(ErrorObject::new(code, "no")) },
        )
        .method("panic", |_, ()| async { if true { panic!("on purpose") } else { Ok(()) } })
        .method("never", |_: Context, _: Option<Vec<serde_json::Value>>| {
            std::future::pending::<Result<()>>()
        })
}

/// The same server with a method `gated()`, which waits at the gate and returns "finished".
pub fn gated_server(gate: &Gate) -> ServerBuilder {
    server().method("gated", gate.handler("finished"))
}

/// A configuration in which all timeouts have the maximum duration.
pub fn longest_timeouts() -> Config {
    Config {
        call_timeout: Some(Duration::MAX),
        handshake_timeout: Duration::MAX,
        write_timeout: Duration::MAX,
        close_timeout: Duration::MAX,
        shutdown_timeout: Duration::MAX,
        ..Config::default()
    }
}

/// Runs a server on a free port; returns its URL and its endpoint.
pub async fn listen(server: ServerBuilder) -> (String, Endpoint) {
    let server = server.bind("127.0.0.1:0").await.expect("a port is free");
    let (url, endpoint) = (server.url(), server.endpoint().clone());
    tokio::spawn(server.run());
    (url, endpoint)
}

/// A client and the server's handle to it, over a socket.
pub async fn over_socket(client: ClientBuilder, server: ServerBuilder) -> (Client, Peer) {
    let (url, endpoint) = listen(server).await;
    let client = client.connect(&url).await.expect("the server accepts every client");
    (client, first_peer(&endpoint).await)
}

/// The same two sides in memory and over a socket.
pub async fn both_ways(
    client: impl Fn() -> ClientBuilder,
    server: impl Fn() -> ServerBuilder,
) -> [(Client, Peer); 2] {
    let in_memory = memory::pair(client(), server()).expect("method names are unique");
    [in_memory, over_socket(client(), server()).await]
}

/// An endpoint's handle to its client, as soon as it is listed.
pub async fn first_peer(endpoint: &Endpoint) -> Peer {
    loop {
        match endpoint.connections().pop() {
            Some(connection) => break connection.peer(),
            None => tokio::task::yield_now().await,
        }
    }
}

/// A stream, with a buffer of this size, that an endpoint serves without a handshake; the task returns how
/// the connection ended.
pub fn serve_upgraded(
    endpoint: &Endpoint,
    handshake: Handshake,
    buffer: usize,
) -> (DuplexStream, JoinHandle<CloseReason>) {
    let (ours, theirs) = tokio::io::duplex(buffer);
    let endpoint = endpoint.clone();
    let serving = tokio::spawn(async move { endpoint.serve_upgraded(theirs, handshake).await });
    (ours, serving)
}

/// How many handlers of this connection's calls are in flight on this side.
pub fn in_flight(peer: &Peer) -> usize {
    let shown = format!("{peer:?}");
    let (_, rest) = shown.split_once("in_flight: ").expect("`Debug` shows it");
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).expect("a number")
}

/// Waits until this many handlers are in flight. Yields, so with a paused clock no time passes.
pub async fn wait_for_in_flight(peer: &Peer, handlers: usize) {
    while in_flight(peer) != handlers {
        tokio::task::yield_now().await;
    }
}

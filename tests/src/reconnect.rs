//! Reconnecting clients. The test holds the other end of each connection attempt and decides
//! whether it succeeds.

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use wsjsonrpc::Client;
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::error::{CloseReason, ConnectError};

use crate::http::read_head;
use crate::{Raw, SECOND};

/// The attempts of a client, in order. There are no more when its task has ended.
pub struct Attempts(mpsc::UnboundedReceiver<Attempt>);

/// One attempt to open a stream.
pub struct Attempt {
    pub at: Instant,
    answer: oneshot::Sender<io::Result<DuplexStream>>,
}

impl Attempts {
    /// Waits for the next attempt.
    pub async fn next(&mut self) -> Attempt {
        self.0.recv().await.expect("the client makes another attempt")
    }

    /// Checks that the client's task has ended.
    pub async fn are_over(&mut self) {
        assert!(
            self.0.recv().await.is_none(),
            "the client makes another attempt, but must have ended"
        );
    }

    /// Accepts the next attempt.
    pub async fn accept(&mut self) -> Raw {
        self.next().await.accept().await
    }
}

impl Attempt {
    /// Makes the attempt fail.
    pub fn refuse(self) {
        let _ = self.answer.send(Err(io::ErrorKind::ConnectionRefused.into()));
    }

    /// Gives the client a stream, on which it starts its handshake.
    pub fn open(self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.answer.send(Ok(theirs)).expect("the client waits for the stream");
        ours
    }

    /// Gives the client a stream and completes the handshake.
    pub async fn accept(self) -> Raw {
        let accepting = tokio_tungstenite::accept_async(self.open());
        Raw { socket: accepting.await.expect("the handshake is valid") }
    }

    /// The same, for a server that announces the extensions.
    pub async fn accept_knowing(self) -> Raw {
        Raw::knowing(self.open()).await
    }

    /// Responds to the handshake with this HTTP status; returns the request.
    pub async fn answer(self, status: &str) -> String {
        let mut stream = self.open();
        let head = read_head(&mut stream).await;
        let response = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(response.as_bytes()).await.unwrap();
        head
    }
}

/// Settings without jitter, so that times are exact.
pub fn settings() -> Reconnect {
    Reconnect { jitter: 0.0, max: 2 * SECOND, ..Reconnect::default() }
}

/// Starts to connect; returns the attempts.
pub fn connect(
    builder: ClientBuilder,
) -> (impl Future<Output = Result<Client, ConnectError>> + Send + 'static, Attempts) {
    let (sender, attempts) = mpsc::unbounded_channel();
    let connecting = builder.connect_with("ws://localhost/", move || {
        let (answer, answered) = oneshot::channel();
        let _ = sender.send(Attempt { at: Instant::now(), answer });
        async move { answered.await.map_err(io::Error::other)? }
    });
    (connecting, Attempts(attempts))
}

/// A client with its first connection, and the other end of it.
pub async fn connected(builder: ClientBuilder) -> (Client, Raw, Attempts) {
    let (connecting, mut attempts) = connect(builder);
    let (client, raw) = tokio::join!(connecting, attempts.accept());
    (client.unwrap(), raw, attempts)
}

/// A builder with these [`settings`].
pub fn client() -> ClientBuilder {
    Client::builder().reconnect(settings())
}

/// The reason, the attempt and its delay, from a state that must be `Down`.
pub fn is_down(state: Option<ConnectionState>) -> (CloseReason, u32, Duration) {
    match state {
        Some(ConnectionState::Down { reason, attempt, retry_in, .. }) => {
            (reason, attempt, retry_in)
        }
        other => panic!("expected `Down`, got {other:?}"),
    }
}

/// The number of the connection in a state that must be `Connected`.
pub fn is_connected(state: Option<ConnectionState>) -> u64 {
    match state {
        Some(ConnectionState::Connected { number, .. }) => number,
        other => panic!("expected `Connected`, got {other:?}"),
    }
}

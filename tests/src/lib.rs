//! Helpers of the tests: raw peers that speak text, so that the wire is what is tested.
//!
//! Must not know the crate's inside. A raw peer sends what it is told, word for word, and gives
//! back what came, word for word.
#![allow(missing_docs)] // test helpers; their names say it

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use wsjsonrpc::{Client, ClientBuilder, Handshake, ServerBuilder};

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

    /// The close frame, when nothing but it comes.
    pub async fn receive_close(&mut self) -> Option<CloseFrame> {
        match self.socket.next().await.expect("a close frame").expect("no error") {
            Message::Close(frame) => frame,
            other => panic!("expected a close frame, got {other:?}"),
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
        let sentinel = r#"{"jsonrpc":"2.0","error":{"code":-32601,"message":"Method not found"},"id":"sentinel"}"#;
        assert_same_json(&got, sentinel, incoming);
    }
}

/// Equal as JSON: white space and the order of members do not count, everything else does.
#[track_caller]
pub fn assert_same_json(got: &str, expected: &str, context: &str) {
    let parse = |text: &str| -> Value {
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    };
    assert_eq!(parse(got), parse(expected), "for {context}");
}

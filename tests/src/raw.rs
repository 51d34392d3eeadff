//! WebSocket peers that send the test's texts and return the received texts, so that tests check
//! the wire format.

use std::future::IntoFuture;

use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::{Handshake, ServerBuilder};
use wsjsonrpc::{Call, Client, Endpoint, Peer};

use crate::begin;
use crate::messages::{assert_same_json, empty_batch, method_not_found};
use crate::servers::{first_peer, serve_upgraded};

/// A WebSocket peer that sends texts of the test.
pub struct Raw {
    pub socket: WebSocketStream<DuplexStream>,
}

impl Raw {
    /// A raw client of a server.
    pub async fn client(server: ServerBuilder) -> Self {
        Self::client_of(&server.build().expect("method names are unique")).await.0
    }

    /// Two raw clients of one server.
    pub async fn two_clients(server: ServerBuilder) -> (Self, Self) {
        let endpoint = server.build().expect("method names are unique");
        (Self::client_of(&endpoint).await.0, Self::client_of(&endpoint).await.0)
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

    /// Sends a text message.
    pub async fn send(&mut self, text: impl AsRef<str>) {
        let message = Message::text(text.as_ref());
        self.socket.send(message).await.expect("the connection is open");
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: impl Into<Vec<u8>>) {
        let message = Message::binary(bytes.into());
        self.socket.send(message).await.expect("the connection is open");
    }

    /// Returns the next text. Skips pings and pongs.
    pub async fn receive(&mut self) -> String {
        loop {
            match self.socket.next().await.expect("the connection is open").expect("no error") {
                Message::Text(text) => return text.as_str().to_owned(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a text, got {other:?}"),
            }
        }
    }

    /// Returns the close frame, which must arrive before any message.
    pub async fn receive_close(&mut self) -> Option<CloseFrame> {
        loop {
            match self.socket.next().await.expect("a close frame").expect("no error") {
                Message::Close(frame) => return frame,
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("expected a close frame, got {other:?}"),
            }
        }
    }

    /// Sends a text and returns the next text that arrives.
    pub async fn ask(&mut self, text: impl AsRef<str>) -> String {
        self.send(text).await;
        self.receive().await
    }

    /// Polls a call and checks the request that it sends. `members` are `method` and `params`, as
    /// text.
    pub async fn expect_call<T: DeserializeOwned>(
        &mut self,
        call: Call<T>,
        members: &str,
        id: u64,
    ) {
        let _call = begin(call.into_future()).await;
        assert_eq!(self.receive().await, format!(r#"{{"jsonrpc":"2.0",{members},"id":{id}}}"#));
    }

    /// Sends `incoming` and checks the responses: these texts in this order, and nothing else. To
    /// check that nothing else arrives, it calls an unknown method; the next text must be the error
    /// for that call.
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

/// Raw peers that announce this crate's extensions in the handshake.
impl Raw {
    /// A raw client, and the server's handle to it.
    pub async fn knowing_client(server: ServerBuilder) -> (Self, Peer) {
        let endpoint = server.build().expect("method names are unique");
        let mut handshake = Handshake::new("/");
        let (name, version) = EXTENSIONS;
        handshake.headers.insert(name, HeaderValue::from_static(version));
        let (mut raw, _) = Self::client_with(&endpoint, handshake).await;
        raw.check("[]", &[&empty_batch()]).await;
        (raw, first_peer(&endpoint).await)
    }

    /// A raw server, and a client that is connected to it.
    pub async fn knowing_server(client: ClientBuilder) -> (Self, Client) {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let connecting = client.connect_over("ws://localhost/", theirs);
        let (raw, client) = tokio::join!(Self::knowing(ours), connecting);
        (raw, client.expect("the handshake is answered"))
    }

    /// A raw server on this stream.
    pub async fn knowing(stream: DuplexStream) -> Self {
        #[allow(clippy::result_large_err, reason = "tungstenite asks for it")]
        let agree = |request: &Request, mut response: Response| {
            let (name, version) = EXTENSIONS;
            assert_eq!(request.headers()[name], version);
            response.headers_mut().insert(name, HeaderValue::from_static(version));
            Ok(response)
        };
        let accepting = tokio_tungstenite::accept_hdr_async(stream, agree);
        Raw { socket: accepting.await.expect("the handshake is valid") }
    }
}

/// The header that announces the extensions.
pub const EXTENSIONS: (&str, &str) = ("wsjsonrpc-extensions", "1");

/// Access to the other side's handle, and to the level below messages.
impl Raw {
    /// A raw client of an endpoint; the task returns how the server's end of the connection ended.
    pub async fn client_of(endpoint: &Endpoint) -> (Self, JoinHandle<CloseReason>) {
        Self::client_with(endpoint, Handshake::new("/")).await
    }

    /// The same, with this handshake.
    pub async fn client_with(
        endpoint: &Endpoint,
        handshake: Handshake,
    ) -> (Self, JoinHandle<CloseReason>) {
        let (stream, serving) = serve_upgraded(endpoint, handshake, 64 * 1024);
        let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
        (Raw { socket }, serving)
    }

    /// A raw client, and the server's handle to it.
    pub async fn client_and_peer(server: ServerBuilder) -> (Self, Peer) {
        let endpoint = server.build().expect("method names are unique");
        let (mut raw, _) = Self::client_of(&endpoint).await;
        raw.check("[]", &[&empty_batch()]).await;
        (raw, first_peer(&endpoint).await)
    }

    /// Checks that each text of a table gets exactly one response, byte for byte.
    pub async fn check_verbatim(&mut self, table: &[(&str, &str)]) {
        for (incoming, expected) in table {
            let got = self.ask(incoming).await;
            assert_eq!(got, *expected, "for {incoming}");
        }
    }

    /// Sends bytes below the level of messages.
    pub async fn send_bytes(&mut self, bytes: &[u8]) {
        self.socket.get_mut().write_all(bytes).await.expect("the stream is open");
    }

    /// Drops the stream without a close frame.
    pub fn hang_up(self) {
        drop(self);
    }

    /// Ignores all messages until the other side closes, and answers its close frame.
    pub async fn wait_for_end(mut self) {
        while let Some(Ok(_)) = self.socket.next().await {}
    }
}

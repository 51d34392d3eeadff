//! A client and a server, and what they send to each other.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::Handshake;
use wsjsonrpc::{Client, Endpoint};
use wsjsonrpc_tests::{Raw, raw::EXTENSIONS};

/// Who sent a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    Client,
    Server,
}

impl Side {
    pub(super) fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }
}

/// The recorded texts, in the order in which they were sent.
#[derive(Clone, Default)]
pub(super) struct Recording(Arc<Mutex<Vec<(Side, Value)>>>);

impl Recording {
    /// The texts since the last `take`.
    pub(super) fn take(&self) -> Vec<(Side, Value)> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Passes texts on and records them before the other side gets them.
    async fn pass(
        self,
        from: Side,
        mut source: impl StreamExt<Item = Result<Message, impl Sized>> + Unpin,
        mut destination: impl SinkExt<Message> + Unpin,
    ) {
        while let Some(Ok(message)) = source.next().await {
            if let Message::Text(text) = &message {
                let json = serde_json::from_str(text.as_str()).expect("both sides send JSON");
                self.0.lock().unwrap().push((from, json));
                if destination.send(message).await.is_err() {
                    break;
                }
            }
        }
    }
}

/// Connects a client to an endpoint through a recording.
pub(super) async fn connect(client: ClientBuilder, endpoint: &Endpoint) -> (Client, Recording) {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let connecting = client.connect_over("ws://localhost/", theirs);
    let (to_client, client) = tokio::join!(Raw::knowing(ours), connecting);
    let (to_server, _) = Raw::client_with(endpoint, handshake()).await;
    let recording = Recording::default();
    tokio::spawn(run(to_client.socket, to_server.socket, recording.clone()));
    (client.expect("the handshake is answered"), recording)
}

/// The handshake of a client that announces the extensions.
pub(super) fn handshake() -> Handshake {
    let mut handshake = Handshake::new("/");
    handshake.headers.insert(EXTENSIONS.0, EXTENSIONS.1.parse().unwrap());
    handshake
}

async fn run(
    client: WebSocketStream<DuplexStream>,
    server: WebSocketStream<DuplexStream>,
    recording: Recording,
) {
    let (to_client, from_client) = client.split();
    let (to_server, from_server) = server.split();
    tokio::join!(
        recording.clone().pass(Side::Client, from_client, to_server),
        recording.pass(Side::Server, from_server, to_client),
    );
}

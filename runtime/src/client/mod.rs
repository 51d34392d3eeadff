//! Connecting to a server: [`Client`], its builder and its reconnecting.

// In reading order: `builder`; `dial` with `addresses` makes a connection; `session` is the state
// of a reconnecting client, `reconnect` its task with the delays of `backoff`, `calls` and `batch`
// what it sends.

mod addresses;
pub(crate) mod backoff;
mod batch;
pub(crate) mod builder;
mod calls;
pub(crate) mod dial;
mod reconnect;
pub(crate) mod session;

pub use self::backoff::{Reconnect, WhileDown};
pub use self::builder::ClientBuilder;
pub use self::session::{ConnectionState, ConnectionStates};

use std::fmt;
use std::sync::Arc;

use crate::client::dial::Opened;
use crate::client::session::{Session, SessionHandle};
use crate::error::{CloseReason, ConnectError};
use crate::handshake::Handshake;
use crate::link::Link;
use crate::outgoing::peer::Peer;

/// An open connection, seen from the side that opened it.
///
/// It closes when this and all handles from [`peer`](Self::peer) are gone: what is queued is sent,
/// then a close frame. Handles that its own services get ([`Context::peer`](crate::Context::peer))
/// do not keep it open. One that [reconnects](crate::client::ClientBuilder::reconnect) is a chain of
/// connections.
///
/// ```
/// # use wsjsonrpc::{rpc, Client, Context, Result, Server};
/// # #[rpc]
/// # trait Math { async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>; }
/// # struct Calculator;
/// # impl Math for Calculator {
/// #     async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> { Ok(x + y) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Calculator.into_service()).bind("127.0.0.1:0").await?;
/// # let url = server.url();
/// # tokio::spawn(server.run());
/// let client = Client::builder()
///     .header("cookie", "session=xyz")
///     .call_timeout(std::time::Duration::from_secs(5))
///     .connect(&url)
///     .await?;
/// let math = MathClient::new(client.peer());
/// assert_eq!(math.sum(1, 2).await?, 3);
/// client.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "dropping the last handle closes the connection"]
pub struct Client {
    peer: Peer,
    connections: Connections,
}

#[derive(Clone)]
enum Connections {
    One { link: Arc<Link>, handshake: Arc<Handshake> },
    Session(Arc<Session>),
}

impl Client {
    /// Connects to a `ws://` URL with default settings, or with the feature `tls` to a `wss://` URL;
    /// on Unix also to a Unix socket: `ws+unix:///run/app.sock:/path`.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Self::builder().connect(url).await
    }

    /// Connects with headers, services or limits of one's own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    pub(crate) fn of(opened: Opened) -> Self {
        let Opened { peer, link, handshake } = opened;
        Client { peer, connections: Connections::One { link, handshake } }
    }

    /// A reconnecting client, which ends when the last handle is dropped.
    pub(crate) fn reconnecting(session: Arc<Session>) -> Self {
        let peer = Peer::on(Arc::new(SessionHandle(Arc::clone(&session))));
        Client { peer, connections: Connections::Session(session) }
    }

    /// A handle to the server that keeps the connection open. A reconnecting client's goes on with
    /// the next one.
    pub fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// What the opening handshake told of the server; that of the latest connection.
    pub fn handshake(&self) -> Arc<Handshake> {
        match &self.connections {
            Connections::One { handshake, .. } => Arc::clone(handshake),
            Connections::Session(session) => session.handshake(),
        }
    }

    /// Whether it has a connection.
    pub fn state(&self) -> ConnectionState {
        match &self.connections {
            Connections::One { link, .. } => ConnectionState::of(link),
            Connections::Session(session) => session.state(),
        }
    }

    /// Its states, one after another, from that of now to the last one.
    ///
    /// ```
    /// # use wsjsonrpc::{memory, Client, Server};
    /// # use wsjsonrpc::client::ConnectionState;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (client, server) = memory::pair(Client::builder(), Server::builder())?;
    /// let mut states = client.states();
    /// # server.close(1001, "shutting down");
    /// while let Some(state) = states.next().await {
    ///     match state {
    ///         ConnectionState::Connected { number, .. } => println!("connection {number}"),
    ///         ConnectionState::Down { reason, retry_in, .. } => {
    ///             println!("{reason}; trying again in {retry_in:?}");
    ///         }
    ///         ConnectionState::Closed { reason, .. } => println!("{reason}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn states(&self) -> ConnectionStates {
        match &self.connections {
            Connections::One { link, .. } => ConnectionStates::of(Arc::clone(link)),
            Connections::Session(session) => session.states(),
        }
    }

    /// Sends what is queued, closes the connection with code 1000 and waits until it has ended.
    /// Calls that have no response by then fail with [`Error::Closed`](crate::Error::Closed). A
    /// reconnecting client ends for good, whatever it is doing.
    ///
    /// # Cancel safety
    /// The closing goes on when the future is dropped.
    pub async fn close(&self) -> CloseReason {
        self.peer.close(1000, "");
        self.closed().await
    }

    /// Waits until the connection has ended, for whatever reason, and says why; of a reconnecting
    /// client, until it has ended for good.
    pub async fn closed(&self) -> CloseReason {
        self.peer.closed().await
    }
}

impl From<&Client> for Peer {
    fn from(client: &Client) -> Self {
        client.peer()
    }
}

impl From<Client> for Peer {
    fn from(client: Client) -> Self {
        client.peer
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("peer", &self.peer)
            .field("remote_addr", &self.handshake().remote_addr)
            .finish()
    }
}

//! Connecting to a server: [`Client`], its builder, and reconnecting.

// In reading order: `builder`; `dial` and `addresses` make a connection; `session` is the state of
// a reconnecting client, `reconnect` its task with the delays of `backoff`; `calls` and `batch`
// send on whichever connection is current.

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

/// The client side of a connection. Cheap to clone.
///
/// The connection closes when this and all handles from [`peer`](Self::peer) have been dropped: the
/// client sends what is queued, then a close frame. Handles that the client's own services get
/// ([`Context::peer`](crate::Context::peer)) do not keep the connection open. A client that
/// [reconnects](crate::client::ClientBuilder::reconnect) uses one connection after another.
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
    /// Connects with default settings to a `ws://` URL, with the feature `tls` also to a `wss://`
    /// URL, and on Unix to a Unix socket (`ws+unix:///run/app.sock:/path`).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server};
    /// # let server = Server::builder()
    /// #     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
    /// #     .bind("127.0.0.1:0")
    /// #     .await?;
    /// # let url = server.url();
    /// # tokio::spawn(server.run());
    /// let client = Client::connect(&url).await?;
    /// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`ClientBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Self::builder().connect(url).await
    }

    /// Creates a builder, to connect with headers, services, limits or reconnecting.
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

    /// A handle for calls to the server. It keeps the connection open. The handle of a reconnecting
    /// client always uses the current connection.
    pub fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// The opening handshake as the client saw it. Of a reconnecting client, that of the latest
    /// connection.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server};
    /// let server = Server::builder().subprotocol("chat.v1").bind("127.0.0.1:0").await?;
    /// let url = server.url();
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::builder().subprotocol("chat.v1").connect(&url).await?;
    /// assert_eq!(client.handshake().subprotocol.as_deref(), Some("chat.v1"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn handshake(&self) -> Arc<Handshake> {
        match &self.connections {
            Connections::One { handshake, .. } => Arc::clone(handshake),
            Connections::Session(session) => session.handshake(),
        }
    }

    /// Whether the client is connected.
    pub fn state(&self) -> ConnectionState {
        match &self.connections {
            Connections::One { link, .. } => ConnectionState::of(link),
            Connections::Session(session) => session.state(),
        }
    }

    /// A stream of the client's states, from the current state to the last one.
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
    ///             println!("{reason}; reconnecting in {retry_in:?}");
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

    /// Sends what is queued, closes the connection with code 1000, and waits until it has ended.
    /// Calls that have no response by then fail with [`Error::Closed`](crate::Error::Closed). A
    /// reconnecting client ends for good.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::error::CloseReason;
    /// use wsjsonrpc::{Client, Server, memory};
    ///
    /// let (client, _) = memory::pair(Client::builder(), Server::builder())?;
    /// assert!(matches!(client.close().await, CloseReason::Local));
    /// assert!(client.is_closed());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The connection closes even if the future is dropped.
    pub async fn close(&self) -> CloseReason {
        self.peer.close(1000, "");
        self.closed().await
    }

    /// Returns `true` if the connection is closed. A reconnecting client returns `true` only when it no
    /// longer reconnects.
    pub fn is_closed(&self) -> bool {
        self.peer.is_closed()
    }

    /// Waits until the connection has ended, and returns the reason. For a reconnecting client,
    /// waits until it no longer reconnects.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::{Client, Server, memory};
    ///
    /// let (client, caller) = memory::pair(Client::builder(), Server::builder())?;
    /// caller.close(1001, "maintenance");
    /// let reason = client.closed().await;
    /// assert!(reason.to_string().ends_with("code 1001: maintenance"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Safe: the future can be dropped and called again.
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

//! The handle to one connection of a server: [`Connection`].

use std::fmt;
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::incoming::connection_id::ConnectionId;
use crate::incoming::context::Context;
use crate::incoming::extension::Extension;
use crate::link::Link;
use crate::outgoing::peer::Peer;
use crate::protocol::error::Result;

/// One connection of a server: who the client is, what the connection does, and a way to call the
/// client and to close the connection. Cheap to clone, and usable from any task.
///
/// [`Endpoint::connections`](crate::Endpoint::connections) lists the open connections.
/// [`Endpoint::connection`](crate::Endpoint::connection) finds one by its number, and
/// [`Endpoint::connections_of`](crate::Endpoint::connections_of) those of one user. The hooks
/// [`on_connect`](crate::server::ServerBuilder::on_connect) and
/// [`on_disconnect`](crate::server::ServerBuilder::on_disconnect) get one as well.
///
/// The values of a connection are those of [`Context`](crate::Context): what a handler stores with
/// `ctx.set(..)` is read here with [`get`](Self::get), and the other way round.
///
/// # After the end of the connection
///
/// A handle may be kept. It does not keep the connection open, but it keeps the connection's values
/// in memory. Once the connection has ended, the values and the totals of bytes can still be read,
/// calls fail with [`Error::Closed`](crate::Error::Closed), and [`close`](Self::close) and
/// [`identify`](Self::identify) have no effect. Handlers that are still running are counted in
/// [`calls_in_flight`](Self::calls_in_flight) until they end.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use wsjsonrpc::{Client, Server};
/// # use wsjsonrpc::server::{Endpoint, Grant};
/// struct User {
///     banned: bool,
/// }
///
/// fn close_banned(endpoint: &Endpoint) {
///     for connection in endpoint.connections() {
///         if connection.get::<User>().is_some_and(|user| user.banned) {
///             println!("{} sent {} bytes", connection.id(), connection.bytes_received());
///             connection.close(4003, "banned");
///         }
///     }
/// }
/// # let server = Server::builder()
/// #     .authorize_fn(|_| async { Ok(Grant::new().set(User { banned: true })) })
/// #     .bind("127.0.0.1:0")
/// #     .await?;
/// # let (url, endpoint) = (server.url(), server.endpoint().clone());
/// # tokio::spawn(server.run());
/// # let client = Client::connect(&url).await?;
/// # close_banned(&endpoint);
/// # assert_eq!(client.closed().await.to_string(), "connection closed by the peer with code 4003: banned");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection(Context);

impl Connection {
    /// `context` is the connection's own, outside any call.
    pub(crate) fn new(context: Context) -> Self {
        Connection(context)
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        self.0.link()
    }

    /// The number of the connection, which no other connection of this process has.
    pub fn id(&self) -> ConnectionId {
        self.0.connection_id()
    }

    /// A handle to the client, for untyped calls.
    pub fn peer(&self) -> Peer {
        self.0.peer()
    }

    /// A typed stub for calling the client: `connection.client::<TickerClient>().tick(1.5).await?`.
    pub fn client<C: From<Peer>>(&self) -> C {
        self.0.client()
    }

    /// When the opening handshake was finished.
    pub fn connected_at(&self) -> SystemTime {
        self.0.connected_at()
    }

    /// The client's network address, if it has one. Behind a reverse proxy, the proxy's address.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        self.handshake().remote_addr
    }

    /// The opening handshake: target, headers, cookies, address, subprotocol.
    pub fn handshake(&self) -> &Handshake {
        self.0.handshake()
    }

    /// The value of this type, as [`Context::get`](crate::Context::get) returns it.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        self.0.get()
    }

    /// The value of this type, for hooks that need it.
    ///
    /// # Errors
    /// -32001 "Unauthorized" if there is none, as with
    /// [`Context::require`](crate::Context::require). An `on_connect` hook that passes the error on
    /// with `?` closes the connection with code 1008.
    pub fn require<T: Send + Sync + 'static>(&self) -> Result<Extension<T>> {
        self.0.require()
    }

    /// Stores a value on the connection, one for each type. Returns the previous value. Handlers
    /// read it with [`Context::get`](crate::Context::get).
    pub fn set<T: Send + Sync + 'static>(&self, value: T) -> Option<Extension<T>> {
        self.0.set(value)
    }

    /// Removes the value of this type, as [`Context::remove`](crate::Context::remove) does.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        self.0.remove()
    }

    /// Says whose connection this is, as [`Context::identify`](crate::Context::identify) does.
    ///
    /// ```
    /// use wsjsonrpc::Server;
    ///
    /// #[derive(PartialEq, Eq, Hash)]
    /// struct Room(String);
    ///
    /// let server = Server::builder().on_connect(|connection| async move {
    ///     let room = connection.handshake().path().to_owned();
    ///     connection.identify(Room(room)); // endpoint.connections_of(&Room(..))
    ///     Ok(())
    /// });
    /// # drop(server);
    /// ```
    pub fn identify<K: Eq + Hash + Send + Sync + 'static>(&self, key: K) {
        self.0.identify(key);
    }

    /// Removes the key of this type that [`identify`](Self::identify) has set. Returns whether there
    /// was one.
    pub fn remove_identity<K: 'static>(&self) -> bool {
        self.0.remove_identity::<K>()
    }

    /// The number of bytes received from the network, with frame headers, the opening handshake and
    /// the overhead of TLS. Updated whenever the connection has read.
    pub fn bytes_received(&self) -> u64 {
        self.link().transferred.received()
    }

    /// The number of bytes sent to the network, counted like
    /// [`bytes_received`](Self::bytes_received).
    pub fn bytes_sent(&self) -> u64 {
        self.link().transferred.sent()
    }

    /// The number of the client's calls whose handlers are running. A handler that finishes in its
    /// first poll is never counted.
    pub fn calls_in_flight(&self) -> usize {
        self.link().in_flight.load(Ordering::Relaxed)
    }

    /// The number of calls to the client that wait for their response.
    pub fn pending_calls(&self) -> usize {
        self.link().pending.len()
    }

    /// The number of bytes in the send queue: messages and responses that the network has not
    /// accepted yet. A number that stays above zero means that the client reads slowly;
    /// [`Config::max_send_queue`](crate::Config::max_send_queue) limits it for messages of this side.
    pub fn queued_bytes(&self) -> usize {
        self.link().send_queue.bytes()
    }

    /// Sends what is queued, then closes the connection with a close code and a reason. Returns at
    /// once; see [`Peer::close`](crate::Peer::close). A reconnecting client does not reconnect
    /// after 1008 and 4000 to 4999, and does after other codes.
    pub fn close(&self, code: u16, reason: &str) {
        self.link().close(code, reason);
    }

    /// Waits until the connection has ended, and returns the reason. Ready at once if it has already
    /// ended.
    ///
    /// # Cancel safety
    /// Safe: the future can be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        self.link().closed().await
    }

    /// Whether the connection has ended. Still `false` after [`close`](Self::close) until the client
    /// has answered the close frame, or [`Config::close_timeout`](crate::Config::close_timeout) has
    /// passed.
    pub fn is_closed(&self) -> bool {
        self.link().close_reason().is_some()
    }
}

/// Leaves out the values of the connection and of headers, which may be secret.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("remote_addr", &self.remote_addr())
            .field("closed", &self.link().close_reason())
            .field("calls_in_flight", &self.calls_in_flight())
            .field("pending_calls", &self.pending_calls())
            .finish_non_exhaustive()
    }
}

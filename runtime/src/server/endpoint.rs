//! A server without its listener: [`Endpoint`] serves streams, lists its connections and shuts them
//! down. [`Server`](crate::Server) runs one on a listener; `http` mounts one in an HTTP server.

use std::fmt;
use std::future::{Future, poll_fn};
use std::hash::Hash;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::config::Config;
use crate::connection::{ConnectionTask, Setup};
use crate::error::{CloseReason, Remote, Wordless};
use crate::handshake::Handshake;
use crate::handshake::accept::{AcceptError, Accepted, accept};
use crate::handshake::authorize::Grant;
use crate::handshake::connection_limit::{Acquired, ConnectionLimit, ConnectionPermit};
use crate::handshake::rules::{Arrival, Rules};
#[cfg(feature = "tls")]
use crate::handshake::tls;
use crate::incoming::connection_id::ConnectionId;
use crate::incoming::context::IdentityIndex;
#[cfg(feature = "tower")]
use crate::incoming::one_shot::OneShotCall;
use crate::incoming::router::Router;
use crate::link::pending_calls::Side;
use crate::outgoing::peer::Peer;
use crate::server::connection::Connection;
use crate::server::connections::{ConnectionEntry, Connections};
use crate::server::hooks::{ConnectionHooks, Hooks};
use crate::util::runtime;
use crate::util::runtime::deadline;
use crate::websocket::stream::Stream;
use crate::websocket::transport::Transport;

/// A server without a listener, which serves any stream. Created by
/// [`ServerBuilder::build`](crate::server::ServerBuilder::build). Cheap to clone.
///
/// ```
/// # use wsjsonrpc::{Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Server::builder()
///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
///     .build()?;
/// let (ours, theirs) = tokio::io::duplex(4096); // any stream of bytes in both directions
/// tokio::spawn(async move { endpoint.serve(ours, None).await });
///
/// let client = Client::builder().connect_over("ws://localhost/", theirs).await?;
/// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
}

struct Shared {
    router: Arc<Router>,
    config: Arc<Config>,
    rules: Rules,
    #[cfg(feature = "tls")]
    tls: Option<Arc<crate::rustls::ServerConfig>>,
    connection_limit: Arc<ConnectionLimit>,
    connections: Arc<Connections>,
    hooks: Option<Arc<Hooks>>,
}

impl Endpoint {
    pub(crate) fn new(router: Router, config: Config, rules: Rules, hooks: Hooks) -> Self {
        Endpoint {
            shared: Arc::new(Shared {
                router: Arc::new(router),
                connection_limit: ConnectionLimit::new(&config),
                config: Arc::new(config),
                rules,
                #[cfg(feature = "tls")]
                tls: None,
                connections: Connections::new(),
                hooks: hooks.shared(),
            }),
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(mut self, config: Option<Arc<crate::rustls::ServerConfig>>) -> Self {
        // The endpoint has just been created, so there is no other reference.
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.tls = config;
        }
        self
    }

    /// Performs the opening handshake on a stream, and serves the stream until the connection ends.
    /// If the builder has a certificate, a TLS handshake comes first.
    ///
    /// The connection lives in the returned future, so spawn it.
    ///
    /// # Errors
    /// The client was refused (and got an HTTP response), the network connection or the TLS
    /// handshake failed, or the handshake took longer than
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    ///
    /// # Cancel safety
    /// Dropping the future drops the connection without a close frame. Its pending calls fail.
    pub async fn serve(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        remote_addr: Option<SocketAddr>,
    ) -> io::Result<CloseReason> {
        runtime::check()?;
        self.serve_stream(Stream::other(stream), remote_addr).await
    }

    /// Serves a stream that was upgraded to a WebSocket elsewhere, for example by a web framework,
    /// until the connection ends.
    ///
    /// The code that upgraded the stream has already accepted the client: this method checks
    /// neither `Origin` nor path, and does not run the [`Authorize`](crate::server::Authorize)
    /// hook. [`Config::max_connections`](crate::Config::max_connections) and the limit per address
    /// still apply; beyond them the server closes the WebSocket with code 1013.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::Server;
    /// use wsjsonrpc::server::Handshake;
    ///
    /// let endpoint = Server::builder().build()?;
    /// let (upgraded, other_end) = tokio::io::duplex(4096); // from the framework, after its upgrade
    /// # drop(other_end);
    /// let reason = endpoint.serve_upgraded(upgraded, Handshake::new("/rpc")).await;
    /// println!("{reason}");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// As for [`serve`](Self::serve).
    pub async fn serve_upgraded(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        handshake: Handshake,
    ) -> CloseReason {
        let stream = Stream::other(stream);
        if let Err(error) = runtime::check() {
            tracing::error!(%error, "cannot serve a connection");
            return CloseReason::Lost(Arc::new(error));
        }
        match self.acquire(handshake.remote_addr) {
            Acquired::Granted(permit) => {
                let (_, serving) = self.run(stream, Vec::new(), handshake, Some(permit));
                serving.await
            }
            Acquired::Refused(_place, refusal) => {
                let transport = Transport::new(stream, Vec::new(), Role::Server, self.config());
                let telling = Box::pin(turn_away(transport, refusal.message()));
                let _ = runtime::timeout(self.config().close_timeout, pin!(telling)).await;
                CloseReason::Local
            }
            Acquired::Dropped => CloseReason::Local,
        }
    }

    /// The open connections, in the order in which they were opened. Clients that use HTTP POST have
    /// no connection.
    ///
    /// A connection is listed from the end of its opening handshake until it has ended, also while
    /// its [`on_connect`](crate::server::ServerBuilder::on_connect) hook runs. When the
    /// [`on_disconnect`](crate::server::ServerBuilder::on_disconnect) hook runs, it is not listed
    /// any more.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server};
    /// let server = Server::builder().bind("127.0.0.1:0").await?;
    /// let (url, endpoint) = (server.url(), server.endpoint().clone());
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::builder()
    ///     .method("notice", |_, (text,): (String,)| async move { Ok(text.len()) })
    ///     .connect(&url)
    ///     .await?;
    /// for connection in endpoint.connections() {
    ///     println!("{} from {:?}", connection.id(), connection.remote_addr());
    ///     assert_eq!(connection.peer().call::<usize>("notice", ["hello"]).await?, 5);
    /// }
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.connections.all()
    }

    /// The OpenRPC document of everything that this endpoint serves: services whose traits have
    /// `#[rpc(schema)]`, closures with a
    /// [`describe`](crate::server::ServerBuilder::describe), and the methods that it
    /// [`calls`](crate::server::ServerBuilder::calls) on its clients.
    ///
    /// [`Document::undescribed`](crate::openrpc::Document::undescribed) has the names of methods
    /// that the document leaves out. Each call builds the document again.
    ///
    /// ```
    /// use wsjsonrpc::Server;
    /// use wsjsonrpc::openrpc::{Info, Method};
    ///
    /// let endpoint = Server::builder()
    ///     .method("ping", |_ctx, (): ()| async { Ok("pong") })
    ///     .describe(Method::new("ping").doc("Answers at once.").result::<String>())
    ///     .method("secret", |_ctx, (): ()| async { Ok(42) })
    ///     .build()
    ///     .unwrap();
    /// let document = endpoint.openrpc(&Info::new("Ping", "1.0.0"));
    /// assert_eq!(document.as_value()["methods"][0]["summary"], "Answers at once.");
    /// assert_eq!(document.undescribed(), ["secret"]);
    /// ```
    #[cfg(feature = "schema")]
    pub fn openrpc(&self, info: &crate::openrpc::Info) -> crate::openrpc::Document {
        self.shared.router.api.document(info)
    }

    /// The number of open connections: the length of [`connections`](Self::connections).
    pub fn connection_count(&self) -> usize {
        self.shared.connections.len()
    }

    /// The open connection with this number. `None` if it has ended, or belongs to another endpoint.
    pub fn connection(&self, id: ConnectionId) -> Option<Connection> {
        self.shared.connections.find(id)
    }

    /// The open connections with this key, in the order in which they were opened, for example all
    /// connections of one user. The application names the key of a connection with
    /// [`Grant::identify`](crate::server::Grant::identify) when it authorizes the client, or with
    /// [`Context::identify`](crate::Context::identify) or
    /// [`Connection::identify`](crate::server::Connection::identify) later.
    ///
    /// The server keeps an index, so the time does not depend on the number of other connections. A
    /// key has to have the type with which it was named.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server};
    /// use wsjsonrpc::server::{Grant, Refusal};
    ///
    /// #[derive(PartialEq, Eq, Hash)]
    /// struct UserId(String);
    ///
    /// let server = Server::builder()
    ///     .authorize_fn(|handshake| async move {
    ///         match handshake.header("authorization") {
    ///             Some("Bearer s3cr3t") => Ok(Grant::new().identify(UserId("ada".to_owned()))),
    ///             _ => Err(Refusal::unauthorized("a valid token is needed")),
    ///         }
    ///     })
    ///     .bind("127.0.0.1:0")
    ///     .await?;
    /// let (url, endpoint) = (server.url(), server.endpoint().clone());
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::builder().header("authorization", "Bearer s3cr3t").connect(&url).await?;
    /// // Ada's session has ended.
    /// for connection in endpoint.connections_of(&UserId("ada".to_owned())) {
    ///     connection.close(4001, "session ended");
    /// }
    /// client.closed().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connections_of<K: Eq + Hash + Send + Sync + 'static>(&self, key: &K) -> Vec<Connection> {
        self.shared.connections.of(key)
    }

    /// Shuts down all connections gracefully. The server refuses new requests, lets handlers in
    /// flight finish within [`Config::shutdown_timeout`](crate::Config::shutdown_timeout), sends
    /// their responses, and closes each connection with code 1001. Streams passed in later are
    /// closed as well; in a web application, the route responds with HTTP status 503 from then on.
    /// Handlers of HTTP POST requests in flight finish and respond like those of connections. Hooks
    /// that are running finish as well, and `on_disconnect` hooks that begin when the connections
    /// close, for at most [`Config::close_timeout`](crate::Config::close_timeout) longer.
    ///
    /// Returns the number of handlers, without hooks, that were still in flight when the time was up.
    /// They keep running, but their responses are dropped. A handler that awaits this future waits for
    /// itself, and so for the whole time.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = wsjsonrpc::Server::builder().bind("127.0.0.1:0").await?;
    /// let endpoint = server.endpoint().clone();
    /// let running = tokio::spawn(server.run());
    /// let unfinished = endpoint.shutdown().await; // `run` still accepts; `run_until` stops that, too
    /// assert_eq!(unfinished, 0);
    /// running.abort();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The connections keep shutting down if the future is dropped. The method may be called again.
    pub async fn shutdown(&self) -> usize {
        let config = &self.shared.config;
        let deadline = deadline(Instant::now(), config.shutdown_timeout);
        // The connections' own timers end them. This timer is for a connection task that does not
        // get to run.
        let closing = config.close_timeout.saturating_add(Duration::from_secs(1));
        self.shared.connections.shut_down(deadline, closing).await
    }

    /// Serves one stream. Not an async function: its future would reserve space for the arguments
    /// as long as the connection lives. The handshake is boxed for the same reason.
    pub(crate) fn serve_stream(
        &self,
        stream: Stream,
        remote_addr: Option<SocketAddr>,
    ) -> impl Future<Output = io::Result<CloseReason>> + Send + use<> {
        let admission = self.acquire(remote_addr);
        let opening = Box::pin(self.clone().open(stream, remote_addr, admission));
        async move {
            match opening.await {
                Ok(serving) => Ok(serving.await),
                Err(AcceptError::Io(error)) => Err(error),
                Err(AcceptError::Health { .. }) => Err(io::Error::other(
                    "the request was a health check; it was answered with HTTP status 200",
                )),
                // Only the status: the refusal's text may quote the client, and this error is
                // logged.
                Err(AcceptError::Refused(refusal)) => {
                    let words = "client refused with HTTP status";
                    Err(io::Error::other(format!("{words} {}", refusal.status())))
                }
            }
        }
    }

    /// Like [`serve_stream`](Self::serve_stream), and logs the end of the connection.
    pub(crate) fn serve_logged(
        &self,
        stream: Stream,
        remote_addr: Option<SocketAddr>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let served = self.serve_stream(stream, remote_addr);
        async move {
            let served = served.await;
            let remote = Remote(remote_addr);
            match served {
                Ok(reason) => {
                    let reason = Wordless(&reason);
                    tracing::debug!(%remote, %reason, "connection ended");
                }
                Err(error) => tracing::debug!(%remote, %error, "handshake failed"),
            }
        }
    }

    /// Turns an accepted stream into a connection that is ready to be served.
    async fn open(
        self,
        mut stream: Stream,
        remote_addr: Option<SocketAddr>,
        admission: Acquired,
    ) -> Result<Pin<Box<Serving>>, AcceptError> {
        let (permit, refusal) = match admission {
            Acquired::Granted(permit) => (permit, None),
            Acquired::Refused(permit, refusal) => (permit, Some(refusal)),
            Acquired::Dropped => {
                let words = "dropped without a response: `Config::max_connections` is reached, and \
                             too many other clients are being refused";
                return Err(io::Error::other(words).into());
            }
        };
        let deadline = deadline(Instant::now(), self.config().handshake_timeout);
        #[cfg(feature = "tls")]
        if let Some(config) = &self.shared.tls {
            stream = tls::accept(stream, config, deadline).await?;
        }
        let secure = self.is_secure() || self.shared.rules.behind_tls;
        let arrival = Arrival { remote_addr, secure, deadline, refusal };
        let max_head = self.config().max_handshake_size;
        let accepted = accept(&mut stream, arrival, &self.shared.rules, max_head).await?;
        let Accepted { handshake, grant, part } = accepted;
        let (_, serving) = self.run(stream, part, handshake, Some(permit));
        serving.adopt(grant);
        Ok(serving)
    }

    /// Returns a handle to the client, and the connection: already registered, and served as long
    /// as the future is polled. Boxed, because a task that awaits it would otherwise reserve space
    /// for it several times.
    pub(crate) fn run(
        &self,
        stream: Stream,
        part: Vec<u8>,
        handshake: Handshake,
        permit: Option<ConnectionPermit>,
    ) -> (Peer, Pin<Box<Serving>>) {
        let transport = Transport::new(stream, part, Role::Server, &self.shared.config);
        let Shared { router, config, connections, hooks, .. } = &*self.shared;
        let gate = hooks.as_ref().and_then(|hooks| hooks.gate());
        let setup = Setup {
            side: Side::Server,
            config: Arc::clone(config),
            router: Arc::clone(router),
            handshake,
            tracker: connections.tracker(),
            permit,
            index: Some(Arc::clone(connections) as Arc<dyn IdentityIndex>),
            gate: gate.clone(),
        };
        let task = ConnectionTask::new(transport, setup);
        let connection = Connection::new(task.context().bare());
        let hooks = hooks.as_ref().map(|hooks| {
            let (hooks, lease) = (Arc::clone(hooks), connections.lease());
            ConnectionHooks::new(hooks, connection.clone(), gate, task.responder(), lease)
        });
        let entry = connections.insert(task.context());
        (connection.peer(), Box::pin(Serving { task, _entry: entry, hooks }))
    }

    /// Applies the connection limit to a client with this address.
    pub(crate) fn acquire(&self, remote_addr: Option<SocketAddr>) -> Acquired {
        self.shared.connection_limit.acquire(remote_addr.map(|address| address.ip()))
    }

    /// Handles one message of a caller that has no connection.
    #[cfg(feature = "tower")]
    pub(crate) fn one_shot(&self, handshake: Handshake, grant: Grant) -> OneShotCall {
        let (config, router) = (Arc::clone(&self.shared.config), Arc::clone(&self.shared.router));
        OneShotCall::new(config, router, handshake, grant.state)
    }

    #[cfg(feature = "tower")]
    pub(crate) fn registry(&self) -> &Arc<Connections> {
        &self.shared.connections
    }

    /// Whether the endpoint itself does TLS.
    pub(crate) fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.shared.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.shared.rules
    }
}

/// A connection that stays in the registry as long as it is served. The fields are dropped in this
/// order: the connection ends, leaves the registry, and then its `on_disconnect` hook runs.
pub(crate) struct Serving {
    task: ConnectionTask,
    _entry: ConnectionEntry,
    hooks: Option<ConnectionHooks>,
}

impl Serving {
    /// Stores the values and the identities of the authorization on the connection.
    pub(crate) fn adopt(&self, grant: Grant) {
        let context = self.task.context();
        context.adopt(grant.state);
        grant.identities.into_iter().for_each(|identity| context.add_identity(identity));
    }
}

impl Future for Serving {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let polled = Pin::new(&mut self.task).poll(cx);
        if let Some(hooks) = &self.hooks {
            hooks.connected();
        }
        polled
    }
}

/// Closes a WebSocket before anything was sent on it.
async fn turn_away(mut transport: Transport, words: &str) -> Result<(), CloseReason> {
    poll_fn(|cx| Poll::Ready(transport.start_close(cx, CloseCode::Again.into(), words))).await?;
    poll_fn(|cx| transport.poll_flush(cx)).await?;
    poll_fn(|cx| transport.poll_linger(cx)).await;
    Ok(())
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("router", &self.shared.router)
            .field("connections", &self.shared.connections.len())
            .finish_non_exhaustive()
    }
}

//! Accepting connections: [`Server`] runs a listener, [`Endpoint`] serves streams.

// In reading order: `builder`; `listener` with `socket_file`; `endpoint`; `connections`, the registry
// for pushing to clients and for shutdown, with the handle `connection`; and `hooks` with `rejection`.

mod builder;
mod connection;
pub(crate) mod connections;
pub(crate) mod endpoint;
mod hooks;
mod listener;
mod rejection;
#[cfg(unix)]
mod socket_file;

pub use self::builder::ServerBuilder;
pub use self::connection::Connection;
pub use self::endpoint::Endpoint;
pub use self::rejection::Rejection;
pub use crate::handshake::Handshake;
pub use crate::handshake::authorize::{Authorize, Grant};
pub use crate::handshake::refusal::Refusal;
pub use crate::incoming::connection_id::ConnectionId;
pub use crate::incoming::methods::Fallback;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::time::Instant;

use self::listener::Listener;
use crate::error::connect_error::BindError;
#[cfg(unix)]
use crate::handshake::url;
use crate::util::race::{Either, race};
use crate::util::runtime::{self, timer, within};

/// The pause after an accept that failed with an error of the operating system, such as too many
/// open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A server that listens. It serves clients once [`run`](Self::run) or
/// [`run_until`](Self::run_until) is awaited or spawned.
///
/// ```
/// # use wsjsonrpc::{Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
///     .bind("127.0.0.1:0")
///     .await?;
/// let url = server.url();
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(server.run_until(async { drop(stopped.await) }));
///
/// let client = Client::connect(&url).await?;
/// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
///
/// drop(stop);
/// assert_eq!(running.await?, 0); // the number of handlers that did not finish
/// # Ok(())
/// # }
/// ```
///
/// `A` is the address type: that of a TCP port, or with [`bind_unix`](ServerBuilder::bind_unix) the
/// path of a Unix socket.
#[derive(Debug)]
#[must_use = "a server accepts no connections until it is run"]
pub struct Server<A = SocketAddr> {
    pub(crate) endpoint: Endpoint,
    pub(crate) listener: Listener,
    pub(crate) address: A,
    pub(crate) url: String,
    pub(crate) runtime: Option<Handle>,
}

impl Server {
    /// Creates a builder.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn over(endpoint: Endpoint, listener: TcpListener) -> Result<Self, BindError> {
        let address = listener
            .local_addr()
            .map_err(|error| BindError::Io { address: "the given listener".to_owned(), error })?;
        let reached = listener::reached(address);
        let scheme = if endpoint.is_secure() { "wss" } else { "ws" };
        let url = format!("{scheme}://{reached}{}", endpoint.rules().first_path());
        let (listener, runtime) = (Listener::Tcp(listener), Handle::try_current().ok());
        Ok(Server { endpoint, listener, address, url, runtime })
    }

    /// The address that the server listens on, with the port that it got for port 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl<A> Server<A> {
    /// A URL at which clients on this machine can connect.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// The server without its listener: to reach connected clients, or to shut the server down from
    /// elsewhere. Clone it before [`run`](Self::run) consumes the server.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = wsjsonrpc::Server::builder().bind("127.0.0.1:0").await?;
    /// let endpoint = server.endpoint().clone();
    /// tokio::spawn(server.run());
    /// println!("{} clients", endpoint.connection_count());
    /// # Ok(())
    /// # }
    /// ```
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Accepts and serves connections until the future is dropped.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = wsjsonrpc::Server::builder().bind("127.0.0.1:0").await?;
    /// let running = tokio::spawn(server.run());
    /// # running.abort();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Dropping the future stops accepting. Open connections continue;
    /// [`run_until`](Self::run_until) shuts them down gracefully.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// Accepts and serves connections until `shutdown` is ready. Then the server stops accepting,
    /// and shuts its connections down as [`Endpoint::shutdown`] does.
    ///
    /// ```no_run
    /// # use wsjsonrpc::Server;
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().bind("127.0.0.1:8080").await?;
    /// let ctrl_c = async {
    ///     if tokio::signal::ctrl_c().await.is_err() {
    ///         std::future::pending().await // the signal cannot be received
    ///     }
    /// };
    /// server.run_until(ctrl_c).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Returns the number of handlers that were still in flight after
    /// [`Config::shutdown_timeout`](crate::Config::shutdown_timeout).
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> usize {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset};
        let Server { endpoint, listener, runtime, .. } = self;
        let here = Handle::try_current().ok().filter(|_| runtime::check().is_ok());
        let Some(runtime) = here.or(runtime) else {
            tracing::error!(
                "cannot run the server without a tokio runtime; call `Server::run` inside one"
            );
            return 0;
        };
        let mut shutdown = pin!(shutdown);
        let mut failing = false;
        loop {
            let accepting = pin!(listener.accept());
            let accepting = within(&runtime, accepting);
            let Either::Right(accepted) = race(shutdown.as_mut(), accepting).await else { break };
            match accepted {
                Ok((stream, remote_addr)) => {
                    failing = false;
                    runtime.spawn(endpoint.serve_logged(stream, remote_addr));
                }
                // The client disconnected before it was accepted. Not worth a log line.
                Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset) => {}
                Err(error) => {
                    // Logged once for each series of failures, so that clients cannot fill the log.
                    if !failing {
                        tracing::warn!(%error, retry_in = ?ACCEPT_PAUSE, "accept failed; retrying");
                    }
                    failing = true;
                    let until = Instant::now() + ACCEPT_PAUSE;
                    let Some(pause) = timer(until, Some(&runtime)) else { break };
                    if let Either::Left(()) = race(shutdown.as_mut(), pin!(pause)).await {
                        break;
                    }
                }
            }
        }
        drop(listener);
        endpoint.shutdown().await
    }
}

#[cfg(unix)]
impl Server<PathBuf> {
    pub(crate) fn on_socket(
        endpoint: Endpoint,
        listener: Listener,
        path: PathBuf,
    ) -> Server<PathBuf> {
        let url = url::of_socket(&path, endpoint.rules().first_path());
        Server { endpoint, listener, address: path, url, runtime: Handle::try_current().ok() }
    }

    /// The path of the Unix socket that the server listens on.
    pub fn socket_path(&self) -> &Path {
        &self.address
    }
}

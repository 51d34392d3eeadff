//! The side that accepts connections: its builder, and the loop around a listener.
//!
//! Must not know clients. What happens to an accepted stream is `endpoint`'s.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, ToSocketAddrs};

use crate::accept::Rules;
use crate::builder::common_builder_methods;
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::error::{BindError, DuplicateMethod, Remote};
use crate::router::RouterBuilder;
use crate::stream::Stream;

/// How long to wait before accepting again when the operating system refuses, as it does when
/// there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Builds a [`Server`], or an [`Endpoint`] that has no listener; made by [`Server::builder`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    router: RouterBuilder,
    config: Config,
    rules: Rules,
}

impl ServerBuilder {
    common_builder_methods!();

    /// Serves this URL path; others get HTTP status 404. May be called for several. Default: any.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        let path = path.into();
        self.rules.paths.push(if path.starts_with('/') { path } else { format!("/{path}") });
        self
    }

    /// Speaks this subprotocol if a client offers it. May be called for several, the most wanted
    /// first ([RFC 6455, section 1.9](https://www.rfc-editor.org/rfc/rfc6455#section-1.9)).
    /// Default: none. A client that offers none, or only others, is let in all the same.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.rules.subprotocols.push(name.into());
        self
    }

    /// Listens on an address; port 0 takes any that is free.
    ///
    /// # Errors
    /// Two services have a method of the same name, or the address can't be had.
    pub async fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<Server, BindError> {
        let endpoint = self.build()?;
        let given = format!("{address:?}").replace('"', "");
        let resolved = tokio::net::lookup_host(address).await;
        let addresses: Vec<SocketAddr> = match resolved {
            Ok(addresses) => addresses.collect(),
            Err(error) => return Err(BindError::Io { address: given, error }),
        };
        let listening = async {
            let listener = TcpListener::bind(addresses.as_slice()).await?;
            Server::new(endpoint, listener)
        };
        listening.await.map_err(|error| {
            let names: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
            BindError::Io { address: names.join(", "), error }
        })
    }

    /// Listens on a listener that the caller has made.
    ///
    /// # Errors
    /// Two services have a method of the same name, or the listener does not know its address.
    pub fn listen(self, listener: TcpListener) -> Result<Server, BindError> {
        let endpoint = self.build()?;
        Server::new(endpoint, listener)
            .map_err(|error| BindError::Io { address: "the given listener".to_owned(), error })
    }

    /// Everything but a listener: for streams that something else accepts.
    ///
    /// # Errors
    /// Two services have a method of the same name.
    pub fn build(self) -> Result<Endpoint, DuplicateMethod> {
        Ok(Endpoint::new(self.router.build()?, self.config, self.rules))
    }
}

/// A server that listens and waits to be run.
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
/// assert_eq!(running.await?, 0); // no handler had to be cut off
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a server accepts nobody until it is run"]
pub struct Server {
    endpoint: Endpoint,
    listener: TcpListener,
    local_addr: SocketAddr,
    /// For the URL.
    path: String,
}

impl Server {
    /// Builds a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    fn new(endpoint: Endpoint, listener: TcpListener) -> io::Result<Self> {
        let local_addr = listener.local_addr()?;
        let path = endpoint.rules().paths.first().cloned().unwrap_or_else(|| "/".to_owned());
        Ok(Server { endpoint, listener, local_addr, path })
    }

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// A URL that clients on this machine can connect to.
    pub fn url(&self) -> String {
        let mut address = self.local_addr;
        if address.ip().is_unspecified() {
            let v4 = address.is_ipv4();
            address.set_ip(if v4 {
                Ipv4Addr::LOCALHOST.into()
            } else {
                Ipv6Addr::LOCALHOST.into()
            });
        }
        format!("ws://{address}{}", self.path)
    }

    /// The server without its listener: for its connected peers, or to shut it down from
    /// elsewhere.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Accepts and serves until the future is dropped. Connections go on without it; see
    /// [`run_until`](Self::run_until) for an orderly end.
    pub async fn run(self) {
        self.run_until(std::future::pending()).await;
    }

    /// Accepts and serves until `shutdown` is ready (Ctrl-C, say). Then it accepts nobody any more
    /// and shuts the connections down as [`Endpoint::shutdown`] does.
    ///
    /// Returns how many handlers were still at work when
    /// [`Config::shutdown_timeout`](crate::Config::shutdown_timeout) was up.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> usize {
        let Server { endpoint, listener, .. } = self;
        let mut shutdown = pin!(shutdown);
        while let Some(accepted) = unless(shutdown.as_mut(), listener.accept()).await {
            match accepted {
                Ok((stream, address)) => {
                    tokio::spawn(serve(endpoint.clone(), stream, address));
                }
                // The client has gone before it was accepted; that is its own affair.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
                    ) => {}
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection");
                    let pause = tokio::time::sleep(ACCEPT_PAUSE);
                    if unless(shutdown.as_mut(), pause).await.is_none() {
                        break;
                    }
                }
            }
        }
        drop(listener);
        endpoint.shutdown().await
    }
}

async fn serve(endpoint: Endpoint, stream: TcpStream, address: SocketAddr) {
    let remote = Remote(Some(address));
    // Answers are collected before they are written, so waiting for more gains nothing.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%remote, %error, "can't set TCP_NODELAY");
    }
    match endpoint.serve_stream(Stream::tcp(stream), Some(address)).await {
        Ok(reason) => tracing::debug!(%remote, %reason, "connection ended"),
        Err(error) => tracing::debug!(%remote, %error, "no connection"),
    }
}

/// The future's output, unless the signal comes first.
async fn unless<T>(
    mut signal: Pin<&mut impl Future<Output = ()>>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if signal.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

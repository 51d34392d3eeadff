//! The side that accepts connections: its builder, and the loop around a listener.
//!
//! Must not know clients. What happens to an accepted stream is `endpoint`'s.

pub(crate) mod connections;
pub(crate) mod endpoint;
mod listener;
#[cfg(unix)]
mod unix;

pub use self::endpoint::Endpoint;
pub use crate::handshake::Handshake;
pub use crate::handshake::authorize::{Authorize, Grant};
pub use crate::handshake::refusal::Refusal;
pub use crate::incoming::methods::Fallback;

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, ToSocketAddrs};
use tokio::runtime::Handle;
use tokio::time::Instant;

use self::listener::Listener;
use crate::config::Config;
use crate::error::connect_error::BindError;
use crate::handshake::authorize::AuthorizeFn;
use crate::handshake::is_subprotocol;
use crate::handshake::origin::Origin;
use crate::handshake::percent::encoded_path;
use crate::handshake::rules::Rules;
#[cfg(feature = "tls")]
use crate::handshake::tls;
use crate::services::RouterBuilder;
use crate::services::{common_builder_methods, service_methods};
use crate::util::race::{Either, race};
use crate::util::runtime::{self, timer, within};

/// How long to wait before accepting again when the operating system refuses, as it does when
/// there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The default backlog of a listener: as many as may be connected, within this.
const MIN_BACKLOG: u32 = 128;
const MAX_BACKLOG: u32 = 4096;

/// Builds a [`Server`], or an [`Endpoint`] that has no listener; made by [`Server::builder`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    pub(crate) router: RouterBuilder,
    config: Config,
    rules: Rules,
    /// The first setting that can't be used; told when building.
    bad_setting: Option<String>,
    backlog: Option<u32>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<crate::rustls::ServerConfig>>,
}

impl ServerBuilder {
    common_builder_methods!();

    /// How many TCP connections the operating system keeps for this server until it accepts them (the
    /// backlog of `listen`). Clients over it wait for a second or more, until their network tries again.
    /// The operating system may have a lower limit: `net.core.somaxconn` on Linux. Of no effect on
    /// [`listen`](Self::listen) and on Unix sockets.
    ///
    /// Default: [`Config::max_connections`], at least 128 and at most 4096. Too low: clients that come
    /// in a burst, as after a restart, wait. Too high: a server that hangs leaves more clients without an
    /// answer.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Serves this URL path; others get HTTP status 404. May be called for several. Default: any.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.rules.paths.push(encoded_path(&path.into()));
        self
    }

    /// Answers a plain GET or HEAD of this path with HTTP status 200: a health check, as load
    /// balancers and Kubernetes make them. Default: none, and such a request gets 426 or 404.
    ///
    /// The path may be one where WebSockets are served, too. The check is answered by whatever
    /// accepts connections: neither the `Origin` nor the [`Authorize`] hook is
    /// asked, and a server that has no room for more connections answers it all the same, as
    /// restarting it would not help. HTTP/1.0 will do. In a web application
    /// ([`Endpoint::http_service`](crate::Endpoint::http_service)) a route of its own is the place
    /// for it.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server =
    ///     wsjsonrpc::Server::builder().path("/rpc").health_check("/healthz").bind("127.0.0.1:0").await?;
    /// // curl --fail http://127.0.0.1:8080/healthz
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn health_check(mut self, path: impl AsRef<str>) -> Self {
        self.rules.health_path = Some(encoded_path(path.as_ref()));
        self
    }

    /// Speaks this subprotocol if a client offers it. May be called for several, the most wanted
    /// first ([RFC 6455, section 1.9](https://www.rfc-editor.org/rfc/rfc6455#section-1.9)).
    /// Default: none. A client that offers none, or only others, is let in all the same.
    ///
    /// A name that RFC 6455 does not allow is an error of [`build`](Self::build).
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if is_subprotocol(&name) {
            self.rules.subprotocols.push(name);
        } else {
            self.is_bad(format!("`{name}` is no name for a subprotocol"));
        }
        self
    }

    /// Lets web pages of this origin connect, besides those of the server's own host. May be called
    /// for several.
    ///
    /// A browser sends a user's cookies with a WebSocket that any page opens, and says in the
    /// `Origin` header which page it is
    /// ([RFC 6455, section 10.2](https://www.rfc-editor.org/rfc/rfc6455#section-10.2)). So by
    /// default pages are let in only if their scheme, host and port are those of the request's own
    /// `Host`; others get HTTP status 403. Programs send no `Origin`, and are let in.
    ///
    /// Name your page's origin here if it is served by another host or port than the WebSocket is,
    /// or if a reverse proxy changes the `Host` header on the way. An origin is a scheme, a host
    /// and perhaps a port, in full; anything else is an error of [`build`](Self::build).
    ///
    /// The request's `Host` is what the page's address says. A page that has its own name point to
    /// this machine (DNS rebinding) is a page of the own host, without any cookies of yours: a
    /// server that serves whoever asks, on a developer's machine say, and must not serve pages, has
    /// to compare `Host` with its own names in its [`Authorize`] hook:
    ///
    /// ```
    /// use http::StatusCode;
    /// use wsjsonrpc::Server;
    /// use wsjsonrpc::server::{Grant, Refusal};
    ///
    /// let server = Server::builder().authorize_fn(|handshake| async move {
    ///     match handshake.header("host") {
    ///         Some("localhost:9000" | "127.0.0.1:9000") => Ok(Grant::new()),
    ///         _ => Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "no such host here")),
    ///     }
    /// });
    /// # drop(server);
    /// ```
    ///
    /// ```
    /// let server = wsjsonrpc::Server::builder()
    ///     .allow_origin("https://app.example.com")
    ///     .allow_origin("http://localhost:3000");
    /// # server.build().unwrap();
    /// ```
    pub fn allow_origin(mut self, origin: impl AsRef<str>) -> Self {
        let origin = origin.as_ref();
        match Origin::parse(origin) {
            Some(origin) => self.rules.origins.allowed.push(origin),
            None => self.is_bad(format!(
                "`{origin}` is no origin; expected a scheme, a host and perhaps a port, with \
                 nothing behind them: `https://app.example.com`"
            )),
        }
        self
    }

    /// Whether clients speak TLS with a proxy in front of this server. Then a page that came without TLS
    /// (`Origin: http://…`) is not one of the own host, as someone on the network may have changed it,
    /// and gets HTTP status 403. A server that speaks TLS itself needs no such setting. Neither
    /// `X-Forwarded-Proto` nor `Forwarded` is read.
    ///
    /// Default `false`: pages of the own host may come by HTTP and by HTTPS.
    ///
    /// ```
    /// // Behind nginx, Caddy or a load balancer that terminates TLS.
    /// let server = wsjsonrpc::Server::builder().secure(true);
    /// # drop(server);
    /// ```
    pub fn secure(mut self, secure: bool) -> Self {
        self.rules.behind_tls = secure;
        self
    }

    /// Lets web pages of all origins connect: for a public service, or one that takes nobody's
    /// cookie for a proof of who he is. With cookies, any page could act for its visitors.
    ///
    /// ```
    /// let server = wsjsonrpc::Server::builder().allow_any_origin();
    /// # drop(server);
    /// ```
    pub fn allow_any_origin(mut self) -> Self {
        self.rules.origins.any = true;
        self
    }

    /// Asks this before a client is let in; see [`Authorize`]. The last one counts. Default: nobody
    /// is asked.
    pub fn authorize(mut self, hook: impl Authorize) -> Self {
        self.rules.authorize = Some(Arc::new(hook));
        self
    }

    /// Asks a closure before a client is let in; see [`Authorize`].
    ///
    /// ```
    /// use wsjsonrpc::Server;
    /// use wsjsonrpc::server::{Grant, Refusal};
    ///
    /// struct User(String);
    ///
    /// let server = Server::builder().authorize_fn(|handshake| async move {
    ///     match handshake.header("authorization") {
    ///         Some("Bearer s3cr3t") => Ok(Grant::new().set(User("Ada".to_owned()))),
    ///         _ => Err(Refusal::unauthorized("a valid token is needed")),
    ///     }
    /// });
    /// # drop(server);
    /// ```
    pub fn authorize_fn<F>(self, hook: impl Fn(Handshake) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Grant, Refusal>> + Send + 'static,
    {
        self.authorize(AuthorizeFn(hook))
    }

    /// Speaks TLS, with this certificate chain (the server's own first) and its private key, both
    /// in PEM. What can't be used is an error of [`build`](Self::build). Needs the feature `tls`.
    ///
    /// A self-signed certificate needs the server's host among its subject alternative names (SAN),
    /// and must not be that of an authority (`CA:FALSE`); clients trust it with `tls_roots_pem`.
    /// `examples/self_signed.rs` makes one. So does OpenSSL 3:
    ///
    /// ```text
    /// openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 \
    ///     -subj /CN=localhost -keyout privkey.pem -out fullchain.pem \
    ///     -addext basicConstraints=critical,CA:FALSE \
    ///     -addext subjectAltName=DNS:localhost,IP:127.0.0.1
    /// ```
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let (chain, key) = (std::fs::read("fullchain.pem")?, std::fs::read("privkey.pem")?);
    /// let server = wsjsonrpc::Server::builder().tls_pem(chain, key).bind("0.0.0.0:443").await?;
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        match tls::server_config(chain.as_ref(), key.as_ref()) {
            Ok(config) => self.tls = Some(config),
            Err(words) => self.is_bad(words),
        }
        self
    }

    /// Speaks TLS with these settings, taken as they are: client certificates, certificates that
    /// are renewed while the server runs (`rustls::server::ResolvesServerCert`), another provider.
    /// If they name protocols (ALPN), `http/1.1` must be among them. Needs the feature `tls`.
    ///
    /// ```no_run
    /// use std::sync::Arc;
    /// use wsjsonrpc::rustls::{ServerConfig, crypto::ring, server::ResolvesServerCertUsingSni};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
    ///     .with_safe_default_protocol_versions()?
    ///     .with_no_client_auth()
    ///     .with_cert_resolver(Arc::new(ResolvesServerCertUsingSni::new()));
    /// let server = wsjsonrpc::Server::builder().tls_config(config);
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<Arc<crate::rustls::ServerConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    fn is_bad(&mut self, words: String) {
        self.bad_setting.get_or_insert(words);
    }

    /// Listens on an address; port 0 takes any that is free.
    ///
    /// # Errors
    /// As those of [`build`](Self::build), or the address can't be had.
    pub async fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<Server, BindError> {
        let most = u32::try_from(self.config.max_connections).unwrap_or(u32::MAX);
        let backlog = self.backlog.unwrap_or(most.clamp(MIN_BACKLOG, MAX_BACKLOG));
        let endpoint = self.build()?;
        Server::over(endpoint, listener::bind(address, backlog).await?)
    }

    /// Listens on a listener that the caller has made.
    ///
    /// # Errors
    /// As those of [`build`](Self::build), or the listener does not know its address.
    pub fn listen(self, listener: TcpListener) -> Result<Server, BindError> {
        Server::over(self.build()?, listener)
    }

    /// Everything but a listener: for streams that something else accepts.
    ///
    /// # Errors
    /// Two services have a method of the same name, or a setting can't be used.
    pub fn build(self) -> Result<Endpoint, BindError> {
        if let Some(words) = self.bad_setting {
            return Err(BindError::Setting(words));
        }
        let endpoint = Endpoint::new(self.router.build()?, self.config, self.rules);
        #[cfg(feature = "tls")]
        let endpoint = endpoint.with_tls(self.tls);
        Ok(endpoint)
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
///
/// `A` is what it listens on: the address of a TCP port, or with
/// [`bind_unix`](ServerBuilder::bind_unix) the path of a Unix socket.
#[derive(Debug)]
#[must_use = "a server accepts nobody until it is run"]
pub struct Server<A = SocketAddr> {
    pub(crate) endpoint: Endpoint,
    pub(crate) listener: Listener,
    pub(crate) address: A,
    pub(crate) url: String,
    pub(crate) runtime: Option<Handle>,
}

impl Server {
    /// Builds a server.
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

    /// The address it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }
}

impl<A> Server<A> {
    /// A URL that clients on this machine can connect to.
    pub fn url(&self) -> String {
        self.url.clone()
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

    /// Accepts and serves until `shutdown` is ready. Then the server accepts no more connections and shuts
    /// the open ones down as [`Endpoint::shutdown`] does.
    ///
    /// ```no_run
    /// # use wsjsonrpc::Server;
    /// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().bind("127.0.0.1:8080").await?;
    /// let ctrl_c = async {
    ///     if tokio::signal::ctrl_c().await.is_err() {
    ///         std::future::pending().await // no signal will come
    ///     }
    /// };
    /// server.run_until(ctrl_c).await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Returns how many handlers were still at work when
    /// [`Config::shutdown_timeout`](crate::Config::shutdown_timeout) was up.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> usize {
        use io::ErrorKind::{ConnectionAborted, ConnectionReset};
        let Server { endpoint, listener, runtime, .. } = self;
        let here = Handle::try_current().ok().filter(|_| runtime::check().is_ok());
        let Some(runtime) = here.or(runtime) else {
            tracing::error!("a server can't run without a tokio runtime");
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
                // The client has gone before it was accepted; that is its own affair.
                Err(error) if matches!(error.kind(), ConnectionAborted | ConnectionReset) => {}
                Err(error) => {
                    // Once for each series: whoever causes it must not fill the log.
                    if !failing {
                        tracing::warn!(%error, "can't accept connections; trying again and again");
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

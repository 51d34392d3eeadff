//! The builder of servers and endpoints: [`ServerBuilder`].

use std::fmt;
use std::future::Future;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, ToSocketAddrs};

use crate::config::Config;
use crate::error::CloseReason;
use crate::error::connect_error::BindError;
use crate::handshake::authorize::{Authorize, AuthorizeFn, Grant};
use crate::handshake::origin::Origin;
use crate::handshake::percent::encoded_path;
use crate::handshake::refusal::Refusal;
use crate::handshake::rules::Rules;
#[cfg(feature = "tls")]
use crate::handshake::tls;
use crate::handshake::{Handshake, is_subprotocol};
use crate::link::pending_calls::Side;
use crate::server::hooks::Hooks;
#[cfg(unix)]
use crate::server::listener::Listener;
#[cfg(unix)]
use crate::server::socket_file;
use crate::server::{Connection, Endpoint, Rejection, Server, listener};
use crate::services::{RouterBuilder, common_builder_methods, service_methods};
#[cfg(unix)]
use crate::util::runtime::{self, with_io};

/// The default backlog of a listener is the connection limit, within these bounds.
const MIN_BACKLOG: u32 = 128;
const MAX_BACKLOG: u32 = 4096;

/// Builds a [`Server`], or an [`Endpoint`], which has no listener. Created by [`Server::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::{Context, Result, Server, rpc};
///
/// #[rpc]
/// trait Math {
///     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
/// }
///
/// struct Calculator;
///
/// impl Math for Calculator {
///     async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
///         Ok(x + y)
///     }
/// }
///
/// let server = Server::builder()
///     .service(Calculator.into_service())
///     .path("/rpc")
///     .allow_origin("https://app.example.com")
///     .bind("127.0.0.1:0")
///     .await?;
/// assert!(server.url().ends_with("/rpc"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    pub(crate) router: RouterBuilder,
    config: Config,
    rules: Rules,
    hooks: Hooks,
    /// The first setting that cannot be used; reported when building.
    bad_setting: Option<String>,
    backlog: Option<u32>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<crate::rustls::ServerConfig>>,
}

impl ServerBuilder {
    common_builder_methods!();

    /// The backlog of the listener: how many TCP connections the operating system keeps until the
    /// server accepts them. Clients beyond the backlog wait for a second or more, until their TCP
    /// retries. The operating system may have a lower limit (`net.core.somaxconn` on Linux). No
    /// effect on [`listen`](Self::listen) and on Unix sockets.
    ///
    /// Default: [`Config::max_connections`], but at least 128 and at most 4096. Too low: clients
    /// that connect in a burst, for example after a restart, wait. Too high: a server that hangs
    /// keeps more clients waiting.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.backlog = Some(connections);
        self
    }

    /// Serves this URL path. Requests for other paths get HTTP status 404. May be called for
    /// several paths. Default: all paths.
    ///
    /// ```
    /// let server = wsjsonrpc::Server::builder().path("/rpc").path("/rpc/v2");
    /// # server.build().unwrap();
    /// ```
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.rules.paths.push(encoded_path(&path.into()));
        self
    }

    /// Answers plain GET and HEAD requests for this path with HTTP status 200: a health check for
    /// load balancers and Kubernetes. Default: none; such requests get 426 or 404.
    ///
    /// The path may also be one that serves WebSockets. A health check passes neither the `Origin`
    /// check nor the [`Authorize`] hook. A server at its connection limit answers health checks as
    /// well, because restarting it would not help. HTTP/1.0 requests are accepted. In a web
    /// application ([`Endpoint::http_service`](crate::Endpoint::http_service)), use a separate
    /// route instead.
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

    /// Accepts this subprotocol if a client offers it ([RFC 6455, section
    /// 1.9](https://www.rfc-editor.org/rfc/rfc6455#section-1.9)). May be called for several, in
    /// order of preference. Default: none. Clients that offer no subprotocol, or only others, are
    /// accepted as well.
    ///
    /// [`build`](Self::build) fails if RFC 6455 does not allow the name.
    ///
    /// ```
    /// let server = wsjsonrpc::Server::builder().subprotocol("chat.v2").subprotocol("chat.v1");
    /// # server.build().unwrap();
    /// ```
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        if is_subprotocol(&name) {
            self.rules.subprotocols.push(name);
        } else {
            self.is_bad(format!("invalid subprotocol name `{name}`"));
        }
        self
    }

    /// Allows web pages of this origin to connect, in addition to pages of the server's own host.
    /// May be called for several origins.
    ///
    /// A browser lets any page open a WebSocket, sends the user's cookies with it, and names the
    /// page in the `Origin` header ([RFC 6455, section
    /// 10.2](https://www.rfc-editor.org/rfc/rfc6455#section-10.2)). So by default the server
    /// accepts a page only if its scheme, host and port match the request's own `Host`. Other pages
    /// get HTTP status 403. Programs that are not browsers send no `Origin`, and are accepted.
    ///
    /// Add the origin of your page if another host or port serves it than serves the WebSocket, or
    /// if a reverse proxy changes the `Host` header. An origin is a scheme, a host and optionally a
    /// port; [`build`](Self::build) fails for anything else.
    ///
    /// The `Host` header is what the page's address says. With DNS rebinding, an attacker's host
    /// name resolves to this machine, and the attacker's page counts as a page of the own host,
    /// though without your cookies. A server that serves unauthenticated clients but must not serve
    /// web pages, for example on a developer's machine, has to compare `Host` with its own names in
    /// its [`Authorize`] hook:
    ///
    /// ```
    /// use http::StatusCode;
    /// use wsjsonrpc::Server;
    /// use wsjsonrpc::server::{Grant, Refusal};
    ///
    /// let server = Server::builder().authorize_fn(|handshake| async move {
    ///     match handshake.header("host") {
    ///         Some("localhost:9000" | "127.0.0.1:9000") => Ok(Grant::new()),
    ///         _ => Err(Refusal::new(StatusCode::MISDIRECTED_REQUEST, "unknown host")),
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
                "invalid origin `{origin}`: expected a scheme, a host and optionally a port, such \
                 as `https://app.example.com`"
            )),
        }
        self
    }

    /// Whether a proxy in front of this server terminates TLS. If `true`, a page that was loaded
    /// without TLS (`Origin: http://…`) is not accepted as a page of the own host and gets HTTP
    /// status 403, because somebody on the network may have changed it. Not needed for a server
    /// that does TLS itself. The server reads neither `X-Forwarded-Proto` nor `Forwarded`.
    ///
    /// Default `false`: pages of the own host are accepted with `http` and with `https`.
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

    /// Allows web pages of all origins to connect. Use this only for a public service, or for one
    /// that does not authenticate by cookies: with cookies, any page could act on behalf of its
    /// visitors.
    ///
    /// ```
    /// let server = wsjsonrpc::Server::builder().allow_any_origin();
    /// # drop(server);
    /// ```
    pub fn allow_any_origin(mut self) -> Self {
        self.rules.origins.any = true;
        self
    }

    /// Calls this hook before a client is accepted; see [`Authorize`]. The last call wins. Default:
    /// none, every client is accepted.
    ///
    /// ```
    /// use wsjsonrpc::server::{Authorize, Grant, Handshake, Refusal};
    /// use wsjsonrpc::{Server, async_trait};
    ///
    /// struct Token(String);
    ///
    /// #[async_trait]
    /// impl Authorize for Token {
    ///     async fn authorize(&self, handshake: Handshake) -> Result<Grant, Refusal> {
    ///         match handshake.header("authorization") {
    ///             Some(token) if token == self.0 => Ok(Grant::new()),
    ///             _ => Err(Refusal::unauthorized("send a valid token")),
    ///         }
    ///     }
    /// }
    ///
    /// let server = Server::builder().authorize(Token("Bearer s3cr3t".to_owned()));
    /// # drop(server);
    /// ```
    pub fn authorize(mut self, hook: impl Authorize) -> Self {
        self.rules.authorize = Some(Arc::new(hook));
        self
    }

    /// Calls a closure before a client is accepted; see [`Authorize`].
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

    /// Runs this hook for each new connection, before any call of the client is handled. The hook may
    /// store values, call the client and await its response, or refuse the connection. The last call
    /// wins. Default: none.
    ///
    /// The hook runs after the opening handshake and after [`Authorize`], in a separate task on the
    /// runtime of the connections. Requests and notifications that arrive meanwhile wait, and are
    /// handled in the order in which they arrived when the hook has returned `Ok`. Responses,
    /// progress and items of subscriptions are processed at once, so the hook can wait for them. The
    /// waiting messages may take as much memory as
    /// [`Config::max_send_queue`](crate::Config::max_send_queue). When they take more, the server
    /// stops reading. If calls of the hook are pending then, it continues to read, and answers
    /// further requests with [`ErrorCode::SERVER_BUSY`](crate::ErrorCode::SERVER_BUSY).
    ///
    /// | the hook | the connection |
    /// |---|---|
    /// | returns `Ok(())` | continues |
    /// | returns `Err(Rejection::new(4003, "banned"))` | is closed with this code and reason |
    /// | returns another error with `?` | is closed with 1008 or 1011; see [`Rejection`] |
    /// | panics | is closed with 1011; the panic is logged |
    /// | takes longer than [`Config::hook_timeout`](crate::Config::hook_timeout) | is closed with 1013, and the hook is dropped |
    ///
    /// What the hook has sent before arrives before the close frame. The messages that waited are
    /// dropped if the connection is closed.
    ///
    /// If the connection ends while the hook runs, the hook runs on, within the same time limit. Its
    /// calls to the client fail with [`Error::Closed`](crate::Error::Closed). If it returns `Ok`,
    /// requests and notifications that arrived before a close frame of the client are still handled,
    /// provided that the hook returns within
    /// [`Config::close_timeout`](crate::Config::close_timeout), and
    /// [`on_disconnect`](Self::on_disconnect) runs.
    ///
    /// The hook also runs in web applications (`Endpoint::http_service`), for
    /// [`Endpoint::serve_upgraded`] and for [`memory::pair`](crate::memory::pair). It does not run
    /// for HTTP POST, which has no connection. Graceful shutdown waits for hooks as it does for
    /// handlers, and refuses the requests that wait for them.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::server::Rejection;
    /// use wsjsonrpc::{Client, Context, Result, Server, rpc};
    ///
    /// struct Version(String);
    ///
    /// /// What the server calls on each client.
    /// #[rpc]
    /// trait App {
    ///     async fn version(&self, ctx: &Context) -> Result<String>;
    /// }
    ///
    /// let server = Server::builder()
    ///     .on_connect(|connection| async move {
    ///         let version = connection.client::<AppClient>().version().await?;
    ///         if version.starts_with("1.") {
    ///             return Err(Rejection::new(4000, "update the app"));
    ///         }
    ///         connection.set(Version(version)); // handlers: ctx.get::<Version>()
    ///         Ok(())
    ///     })
    ///     .bind("127.0.0.1:0")
    ///     .await?;
    /// let url = server.url();
    /// tokio::spawn(server.run());
    ///
    /// struct Old;
    ///
    /// impl App for Old {
    ///     async fn version(&self, _: &Context) -> Result<String> {
    ///         Ok("1.7".to_owned())
    ///     }
    /// }
    ///
    /// let client = Client::builder().service(Old.into_service()).connect(&url).await?;
    /// let reason = client.closed().await;
    /// assert_eq!(reason.to_string(), "connection closed by the peer with code 4000: update the app");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// The hook's future is dropped after `hook_timeout`, and when the runtime shuts down.
    pub fn on_connect<F>(mut self, hook: impl Fn(Connection) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        self.hooks.on_connect(hook);
        self
    }

    /// Runs this hook for each connection that has ended, with the reason. The values of the
    /// connection are still there ([`Connection::get`]). The last call wins. Default: none.
    ///
    /// The hook runs exactly once for each connection for which
    /// [`on_connect`](Self::on_connect) returned `Ok`, or for each one if there is no `on_connect`
    /// hook: after a close by either side, a network failure, a timeout, a shutdown, and also if the
    /// future that serves the connection is dropped or its task is aborted
    /// ([`CloseReason::Aborted`]). It does not run for a connection that was refused, and not once
    /// the runtime of the connections is shutting down, because nothing can be spawned there any
    /// more.
    ///
    /// It starts when the connection has ended and is no longer in
    /// [`Endpoint::connections`](crate::Endpoint::connections). Handlers of the connection may still
    /// be running then, because handlers run to completion
    /// ([`Config::cancel_on_close`](crate::Config::cancel_on_close)). It runs in a separate task
    /// on the runtime of the connections, and is dropped after
    /// [`Config::hook_timeout`](crate::Config::hook_timeout). A panic is logged. Graceful shutdown
    /// waits for it. Hooks of several connections run concurrently.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// use wsjsonrpc::Server;
    ///
    /// let online = Arc::new(AtomicUsize::new(0));
    /// let (joined, left) = (Arc::clone(&online), online);
    /// let server = Server::builder()
    ///     .on_connect(move |_| {
    ///         joined.fetch_add(1, Ordering::Relaxed);
    ///         async { Ok(()) }
    ///     })
    ///     .on_disconnect(move |connection, reason| {
    ///         left.fetch_sub(1, Ordering::Relaxed);
    ///         async move { println!("{} has left: {reason}", connection.id()) }
    ///     });
    /// # drop(server);
    /// ```
    pub fn on_disconnect<F>(
        mut self,
        hook: impl Fn(Connection, CloseReason) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.hooks.on_disconnect(hook);
        self
    }

    /// Accepts TLS connections with this certificate chain (the server's own certificate first) and
    /// its private key, both in PEM. [`build`](Self::build) fails if they cannot be used. Needs the
    /// feature `tls`.
    ///
    /// A self-signed certificate must name the server's host among its subject alternative names
    /// (SAN), and must not be a certificate of an authority (`CA:FALSE`). Clients trust it with
    /// `tls_roots_pem`. `examples/tls` makes one, and so does OpenSSL 3:
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

    /// Accepts TLS connections with these rustls settings, unchanged: client certificates,
    /// certificates that are renewed while the server runs (`rustls::server::ResolvesServerCert`),
    /// another crypto provider. If the settings name ALPN protocols, `http/1.1` must be among them.
    /// Needs the feature `tls`.
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

    /// Listens on an address. Port 0 selects a free port; see [`Server::local_addr`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = wsjsonrpc::Server::builder().bind("127.0.0.1:0").await?;
    /// println!("listening on {}", server.local_addr());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`build`](Self::build), and [`BindError::Io`] if the address is invalid, in
    /// use or not permitted.
    pub async fn bind(self, address: impl ToSocketAddrs + fmt::Debug) -> Result<Server, BindError> {
        let most = u32::try_from(self.config.max_connections).unwrap_or(u32::MAX);
        let backlog = self.backlog.unwrap_or(most.clamp(MIN_BACKLOG, MAX_BACKLOG));
        let endpoint = self.build()?;
        Server::over(endpoint, listener::bind(address, backlog).await?)
    }

    /// Uses a listener that the application created.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// let server = wsjsonrpc::Server::builder().listen(listener)?;
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`build`](Self::build), and [`BindError::Io`] if the listener has no local
    /// address.
    pub fn listen(self, listener: TcpListener) -> Result<Server, BindError> {
        Server::over(self.build()?, listener)
    }

    /// Listens on a Unix socket, for programs on the same machine. They connect to [`Server::url`],
    /// for example `ws+unix:///run/app.sock:/`. Only on Unix.
    ///
    /// The server replaces a stale socket file, that is, one that no process listens on. It removes
    /// the file when it ends, unless another server has replaced it. Two servers that start at the
    /// same moment can replace each other's file, so start only one.
    ///
    /// The permissions of the file decide who may connect; they come from the process's umask. To
    /// admit only your own user or group, put the file into a directory that only they can enter.
    /// Handlers read the client's identity with `ctx.get::<UCred>()` ([`tokio::net::unix::UCred`]),
    /// the [`Authorize`](crate::server::Authorize) hook from
    /// [`Handshake::extensions`](field@crate::server::Handshake::extensions).
    /// [`Config::max_connections_per_address`](crate::Config::max_connections_per_address) does not
    /// apply, because clients have no address.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("wsjsonrpc-doc-{}.sock", std::process::id()));
    /// let server = Server::builder()
    ///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
    ///     .bind_unix(&path)
    ///     .await?;
    /// let url = server.url();
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::connect(&url).await?;
    /// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`build`](Self::build), and [`BindError::Io`] if a server already listens on
    /// the socket, if the path exists and is not a socket (the file stays unchanged), if the operating
    /// system refuses, or if the builder has a certificate: TLS is not supported on Unix sockets.
    #[cfg(unix)]
    pub async fn bind_unix(self, path: impl AsRef<Path>) -> Result<Server<PathBuf>, BindError> {
        let path = path.as_ref();
        let endpoint = self.build_plain()?;
        let listening = async {
            runtime::check()?;
            with_io(socket_file::listen(path)).await
        };
        match listening.await {
            Ok((file, listener)) => {
                let path = file.path().to_owned();
                Ok(Server::on_socket(
                    endpoint,
                    Listener::Unix { _file: Some(file), listener },
                    path,
                ))
            }
            Err(error) => Err(BindError::Io { address: path.display().to_string(), error }),
        }
    }

    /// Uses a Unix socket that the application created or inherited from the process that started
    /// it. The server does not remove its file. Only on Unix.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = std::env::temp_dir().join(format!("wsjsonrpc-listen-{}.sock", std::process::id()));
    /// # drop(std::fs::remove_file(&path));
    /// let listener = tokio::net::UnixListener::bind(&path)?;
    /// let server = wsjsonrpc::Server::builder().listen_unix(listener)?;
    /// assert_eq!(server.socket_path(), path);
    /// # drop(server);
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The errors of [`build`](Self::build), and [`BindError::Io`] if the socket has no path, or
    /// the builder has a certificate.
    #[cfg(unix)]
    pub fn listen_unix(self, listener: UnixListener) -> Result<Server<PathBuf>, BindError> {
        let endpoint = self.build_plain()?;
        let path = listener.local_addr().and_then(|address| {
            let words = "the socket has no path; accept streams yourself and pass them to \
                         `Endpoint::serve`";
            let nameless = || io::Error::new(io::ErrorKind::InvalidInput, words);
            std::path::absolute(address.as_pathname().ok_or_else(nameless)?)
        });
        match path {
            Ok(path) => {
                Ok(Server::on_socket(endpoint, Listener::Unix { _file: None, listener }, path))
            }
            Err(error) => Err(BindError::Io { address: "the given Unix socket".to_owned(), error }),
        }
    }

    /// Builds an endpoint for a listener that does not support TLS.
    #[cfg(unix)]
    fn build_plain(self) -> Result<Endpoint, BindError> {
        let endpoint = self.build()?;
        if endpoint.is_secure() {
            let words = "TLS is not supported on a Unix socket; remove the certificate";
            return Err(BindError::Setting(words.to_owned()));
        }
        Ok(endpoint)
    }

    /// Builds an endpoint without a listener, for streams that something else accepts.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = wsjsonrpc::Server::builder().build()?;
    /// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    /// tokio::spawn(async move {
    ///     while let Ok((stream, address)) = listener.accept().await {
    ///         let endpoint = endpoint.clone();
    ///         tokio::spawn(async move { endpoint.serve(stream, Some(address)).await });
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`BindError::DuplicateMethod`] if two services have a method of the same name, and
    /// [`BindError::Setting`] if a setting cannot be used.
    pub fn build(self) -> Result<Endpoint, BindError> {
        if let Some(words) = self.bad_setting {
            return Err(BindError::Setting(words));
        }
        let endpoint =
            Endpoint::new(self.router.build(Side::Server)?, self.config, self.rules, self.hooks);
        #[cfg(feature = "tls")]
        let endpoint = endpoint.with_tls(self.tls);
        Ok(endpoint)
    }
}

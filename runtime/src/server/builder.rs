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
use crate::error::connect_error::BindError;
use crate::handshake::authorize::{Authorize, AuthorizeFn, Grant};
use crate::handshake::origin::Origin;
use crate::handshake::percent::encoded_path;
use crate::handshake::refusal::Refusal;
use crate::handshake::rules::Rules;
#[cfg(feature = "tls")]
use crate::handshake::tls;
use crate::handshake::{Handshake, is_subprotocol};
#[cfg(unix)]
use crate::server::listener::Listener;
#[cfg(unix)]
use crate::server::socket_file;
use crate::server::{Endpoint, Server, listener};
use crate::services::{RouterBuilder, common_builder_methods, service_methods};
#[cfg(unix)]
use crate::util::runtime::{self, with_io};

/// The default backlog of a listener is the connection limit, within these bounds.
const MIN_BACKLOG: u32 = 128;
const MAX_BACKLOG: u32 = 4096;

/// Builds a [`Server`], or an [`Endpoint`] that has no listener; made by [`Server::builder`].
#[derive(Debug, Default)]
#[must_use = "a builder does nothing until it is bound"]
pub struct ServerBuilder {
    pub(crate) router: RouterBuilder,
    config: Config,
    rules: Rules,
    /// The first setting that can't be used; reported when building.
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

    /// Listens on a Unix socket: for programs of the same machine, which connect to
    /// [`Server::url`], `ws+unix:///run/app.sock:/`. Only on Unix.
    ///
    /// A socket that nobody listens on any more is replaced. The file is removed when the server
    /// ends, unless another one has taken its place. Two servers that begin at the same moment can
    /// replace each other's: see to it that there is one.
    ///
    /// Who may connect is what the file's permissions say, and they come from the process's umask.
    /// To let in nobody but your own user or group, put it into a directory that only they can
    /// enter. Who the client is, handlers find out by `ctx.get::<UCred>()`
    /// ([`tokio::net::unix::UCred`]), and the [`Authorize`](crate::server::Authorize) hook by
    /// [`Handshake::extensions`](field@crate::server::Handshake::extensions).
    /// [`Config::max_connections_per_address`](crate::Config::max_connections_per_address) does not
    /// apply, as there are no addresses.
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
    /// As those of [`build`](Self::build); somebody listens on the socket; something is there that
    /// is no socket, and is left alone; the operating system does not allow it; or the server has a
    /// certificate: TLS is not offered here.
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

    /// Listens on a Unix socket that the caller has made, or was given by the program that started
    /// this one. Its file stays where it is when the server ends. Only on Unix.
    ///
    /// # Errors
    /// As those of [`build`](Self::build); the socket has no path, or the server has a certificate.
    #[cfg(unix)]
    pub fn listen_unix(self, listener: UnixListener) -> Result<Server<PathBuf>, BindError> {
        let endpoint = self.build_plain()?;
        let path = listener.local_addr().and_then(|address| {
            let words = "it has no path; serve what it accepts with `Endpoint::serve`";
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

    /// Builds an endpoint for a listener that can't use TLS.
    #[cfg(unix)]
    fn build_plain(self) -> Result<Endpoint, BindError> {
        let endpoint = self.build()?;
        if endpoint.is_secure() {
            let words = "TLS is not offered on a Unix socket: leave the certificate out";
            return Err(BindError::Setting(words.to_owned()));
        }
        Ok(endpoint)
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

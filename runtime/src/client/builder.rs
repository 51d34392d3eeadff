//! The builder of clients ([`ClientBuilder`]). It checks all settings before it connects.

use std::fmt;
use std::future::Future;
use std::io;
use std::result::Result as StdResult;
use std::sync::Arc;

use http::header::SEC_WEBSOCKET_PROTOCOL;
use http::{HeaderMap, HeaderValue};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::client::Client;
use crate::client::backoff::Reconnect;
use crate::client::dial::{Connector, Dialer, Hooks, Source, add_header};
use crate::client::reconnect;
use crate::client::session::ConnectionState;
use crate::config::Config;
use crate::error::connect_error::ConnectError;
use crate::handshake::is_subprotocol;
#[cfg(feature = "tls")]
use crate::handshake::tls::Trust;
use crate::handshake::url::{Target, parse};
use crate::link::pending_calls::Side;
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorCode, ErrorObject, Result};
use crate::services::RouterBuilder;
use crate::services::{common_builder_methods, service_methods};
use crate::util::BoxFuture;
use crate::websocket::stream::Stream;

/// Builds a [`Client`]. Created by [`Client::builder`].
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use wsjsonrpc::{Client, Server};
///
/// # let server = Server::builder()
/// #     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
/// #     .bind("127.0.0.1:0")
/// #     .await?;
/// # let url = server.url();
/// # tokio::spawn(server.run());
/// let client = Client::builder()
///     .header("authorization", "Bearer s3cr3t")
///     .call_timeout(Duration::from_secs(5))
///     .method("notice", |_, (text,): (String,)| async move { Ok(println!("{text}")) })
///     .connect(&url)
///     .await?;
/// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    router: RouterBuilder,
    config: Config,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    /// The first header that cannot be sent; reported when connecting.
    bad_header: Option<String>,
    hooks: Hooks,
    reconnect: Option<Reconnect>,
    #[cfg(feature = "tls")]
    trust: Trust,
}

impl ClientBuilder {
    common_builder_methods!();

    /// Sends an HTTP header with the opening handshake: a cookie, a token, an origin. May be called
    /// for several headers.
    ///
    /// [`connect`](Self::connect) fails with [`ConnectError::Header`] if the header is not valid,
    /// if the handshake sets it itself, or if it describes a body (`Content-Length`,
    /// `Transfer-Encoding`).
    ///
    /// ```
    /// use wsjsonrpc::Client;
    ///
    /// let client = Client::builder()
    ///     .header("authorization", "Bearer s3cr3t")
    ///     .header("cookie", "session=xyz");
    /// # drop(client);
    /// ```
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(words) = add_header(&mut self.headers, name.as_ref(), value.as_ref()) {
            self.bad_header.get_or_insert(words);
        }
        self
    }

    /// Calls the closure for headers before each opening handshake, for values that expire, such as
    /// a token. They replace headers of the same name.
    ///
    /// The time of the closure is part of
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout). If the closure fails or
    /// panics, or returns an invalid header, the attempt to connect fails with
    /// [`ConnectError::Hook`](crate::error::ConnectError::Hook).
    ///
    /// ```
    /// # async fn token() -> std::io::Result<String> { Ok(String::new()) }
    /// let client = wsjsonrpc::Client::builder()
    ///     .headers_with(|| async { Ok([("authorization", format!("Bearer {}", token().await?))]) });
    /// # drop(client);
    /// ```
    pub fn headers_with<F, I, N, V>(
        mut self,
        headers: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<I>> + Send + 'static,
        I: IntoIterator<Item = (N, V)>,
        N: AsRef<str>,
        V: AsRef<str>,
    {
        self.hooks.headers = Some(Box::new(move |()| {
            let making = headers();
            Box::pin(async move {
                let mut map = HeaderMap::new();
                for (name, value) in making.await? {
                    add_header(&mut map, name.as_ref(), value.as_ref())
                        .map_err(|words| ErrorObject::new(ErrorCode::INTERNAL_ERROR, words))?;
                }
                Ok(map)
            })
        }));
        self
    }

    /// Runs the closure on each new connection, the first one included, before anything else is
    /// sent on it: to log in, or to subscribe.
    ///
    /// The closure gets a handle to that one connection; the handle ends with the connection. Calls
    /// through the client's own handles wait until the closure has finished. If the closure fails
    /// or panics, the client closes the connection, and the attempt to connect fails with
    /// [`ConnectError::Hook`](crate::error::ConnectError::Hook). The server may call this side
    /// while the closure runs.
    ///
    /// The closure has no time limit except the timeouts of its calls.
    ///
    /// ```
    /// # use wsjsonrpc::{rpc, Context, Result};
    /// # #[rpc]
    /// # trait Account { async fn login(&self, ctx: &Context, name: &str) -> Result<()>; }
    /// let client = wsjsonrpc::Client::builder().on_connect(|peer| async move {
    ///     AccountClient::new(peer).login("ada").await?;
    ///     Ok(())
    /// });
    /// # drop(client);
    /// ```
    pub fn on_connect<F>(mut self, hook: impl Fn(Peer) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        self.hooks.on_connect = Some(Box::new(move |peer| Box::pin(hook(peer))));
        self
    }

    /// Calls the closure with each state of a [reconnecting](Self::reconnect) client, in order:
    /// connected, down (with the reason and the delay before the next attempt), closed.
    ///
    /// Only this closure sees failed attempts before the first connection
    /// ([`Reconnect::retry_first`]). After the first connection, [`Client::states`] reports the
    /// same states. The client waits for the closure, so it must not block.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server};
    /// # use wsjsonrpc::client::{ConnectionState, Reconnect};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().bind("127.0.0.1:0").await?;
    /// # let url = server.url();
    /// # tokio::spawn(server.run());
    /// let client = Client::builder()
    ///     .reconnect(Reconnect { retry_first: true, ..Reconnect::default() })
    ///     .on_state(|state| {
    ///         if let ConnectionState::Down { reason, attempt, retry_in, .. } = state {
    ///             eprintln!("attempt {attempt} in {retry_in:?}: {reason}");
    ///         }
    ///     })
    ///     .connect(&url)
    ///     .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_state(mut self, hook: impl Fn(&ConnectionState) + Send + Sync + 'static) -> Self {
        self.hooks.on_state = Some(Box::new(hook));
        self
    }

    /// Reconnects whenever the connection is lost. [`Reconnect`] sets the delays, and the close
    /// codes after which the client stays closed ([`Reconnect::final_codes`]).
    ///
    /// The client ends for good when it is closed or dropped, when no attempts are left, when the
    /// server closes the connection with one of those codes, and when the server responds with HTTP
    /// status 401 or 403, unless [`headers_with`](Self::headers_with) provides new headers.
    ///
    /// - The client's [`Peer`]s and stubs use the new connection. Its services stay registered.
    ///   Each connection has its own [`Context`](crate::Context); results of handlers that a lost
    ///   connection started are dropped.
    /// - Calls, batches and notifications made while the client is not connected wait or fail:
    ///   [`Reconnect::while_down`].
    /// - Calls in flight when the connection breaks fail with
    ///   [`Error::Closed`](crate::Error::Closed), because the server may or may not have handled
    ///   them. [Idempotent](crate::Call::idempotent) calls are sent again instead, after each lost
    ///   connection ([`Reconnect::max_sends`]). Their timeouts still count from the first attempt.
    ///   An idempotent call of a batch is sent again alone.
    /// - A notification is sent at most once. The client cannot know whether it arrived.
    /// - [`Client::states`] reports what happens.
    ///
    /// ```
    /// # use wsjsonrpc::{rpc, Client, Context, Result, Server};
    /// # use wsjsonrpc::client::Reconnect;
    /// #[rpc]
    /// trait Prices {
    ///     #[method(idempotent)]
    ///     async fn price(&self, ctx: &Context, article: &str) -> Result<f64>;
    /// }
    /// # struct Shop;
    /// # impl Prices for Shop {
    /// #     async fn price(&self, _: &Context, _: &str) -> Result<f64> { Ok(9.99) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().service(Shop.into_service()).bind("127.0.0.1:0").await?;
    /// # let url = server.url();
    /// # tokio::spawn(server.run());
    ///
    /// let client = Client::builder().reconnect(Reconnect::default()).connect(&url).await?;
    /// assert_eq!(PricesClient::new(client.peer()).price("apple").await?, 9.99);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reconnect(mut self, settings: Reconnect) -> Self {
        self.reconnect = Some(settings);
        self
    }

    /// Offers a subprotocol ([RFC 6455, section
    /// 1.9](https://www.rfc-editor.org/rfc/rfc6455#section-1.9)). May be called for several, in
    /// order of preference. Connecting fails if the server supports none of them. Default: none.
    ///
    /// ```
    /// let client = wsjsonrpc::Client::builder().subprotocol("chat.v2").subprotocol("chat.v1");
    /// # drop(client);
    /// ```
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Trusts the certificate authorities in this PEM text for `wss://`, and no others. Default:
    /// the authorities that the operating system trusts. Needs the feature `tls`.
    ///
    /// The text may contain a server's self-signed certificate, if it is not a certificate of an
    /// authority (`CA:FALSE`) and has the host of the URL among its subject alternative names.
    /// `ServerBuilder::tls_pem` shows how to make one. [`connect`](Self::connect) fails if the text
    /// cannot be used.
    ///
    /// ```
    /// # let authority = "";
    /// let client = wsjsonrpc::Client::builder().tls_roots_pem(authority);
    /// # drop(client);
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_roots_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.trust = Trust::Pem(pem.into());
        self
    }

    /// Trusts the certificate authorities that Mozilla trusts for `wss://`, from a list that is
    /// compiled in. For systems without such a list, for example minimal containers. Needs the
    /// feature `webpki-roots`.
    ///
    /// ```
    /// let client = wsjsonrpc::Client::builder().tls_webpki_roots();
    /// # drop(client);
    /// ```
    #[cfg(feature = "webpki-roots")]
    pub fn tls_webpki_roots(mut self) -> Self {
        self.trust = Trust::Mozilla;
        self
    }

    /// Uses these rustls settings unchanged for `wss://`: client certificates, your own roots,
    /// another crypto provider. Needs the feature `tls`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use wsjsonrpc::rustls::{ClientConfig, RootCertStore, crypto::ring};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
    ///     .with_safe_default_protocol_versions()?
    ///     .with_root_certificates(RootCertStore::empty()) // trusts no server
    ///     .with_no_client_auth();
    /// let client = wsjsonrpc::Client::builder().tls_config(config);
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls_config(mut self, config: impl Into<Arc<crate::rustls::ClientConfig>>) -> Self {
        self.trust = Trust::Config(config.into());
        self
    }

    /// Connects to a `ws://` URL, with the feature `tls` also to a `wss://` URL, and on Unix to a
    /// Unix socket: `ws+unix:///run/app.sock:/path?query`. The part before the second colon is the
    /// path of the socket file, percent-encoded where necessary; the part after it is the request
    /// target. The `Host` header is then `localhost`.
    ///
    /// The URL is parsed as browsers do: spaces, quotes and non-ASCII characters in the path and
    /// the query are percent-encoded, the host is converted to lower case, and the fragment is not
    /// sent. Control characters are an error. A host name with non-ASCII characters must be given
    /// in its ASCII form (`xn--…`). The zone of an IPv6 address (`ws://[fe80::1%25eth0]:8080/`)
    /// selects the interface and is not sent.
    ///
    /// A user name and a password in the URL (`wss://user:password@host/`) are sent as Basic
    /// authorization ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)), unless
    /// [`header`](Self::header) or [`headers_with`](Self::headers_with) sets `Authorization`. They
    /// never appear in errors or log lines. Over `ws://` they are sent unencrypted.
    ///
    /// The client does not follow redirects: [`ConnectError::Refused`] contains the headers of the
    /// response.
    ///
    /// Dropping the last handle closes the connection: keep the [`Client`], a [`Peer`] or a stub.
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
    /// let client = Client::builder().header("cookie", "session=xyz").connect(&url).await?;
    /// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError`] says whether the cause is the URL, the network, the server or this client's
    /// own services.
    ///
    /// # Cancel safety
    /// Dropping the future drops the unfinished connection.
    pub async fn connect(self, url: &str) -> StdResult<Client, ConnectError> {
        let mut target = parse(url)?;
        let source = match target.socket.take() {
            #[cfg(unix)]
            Some(path) => Source::Unix(path),
            _ => Source::Tcp,
        };
        self.dial(target, source).await
    }

    /// Like [`connect`](Self::connect), over streams that the closure opens: a tunnel, a serial
    /// line. The URL is used as in [`connect_over`](Self::connect_over).
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server};
    /// # use wsjsonrpc::client::Reconnect;
    /// # use tokio::net::TcpStream;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().bind("127.0.0.1:0").await?;
    /// # let tunnel = server.local_addr();
    /// # tokio::spawn(server.run());
    /// let client = Client::builder()
    ///     .reconnect(Reconnect::default())
    ///     .connect_with("ws://inside/", move || TcpStream::connect(tunnel))
    ///     .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`connect`](Self::connect). An error of the closure becomes [`ConnectError::Io`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the unfinished connection.
    pub async fn connect_with<F, S>(
        self,
        url: &str,
        open: impl Fn() -> F + Send + Sync + 'static,
    ) -> StdResult<Client, ConnectError>
    where
        F: Future<Output = io::Result<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let open = move |()| -> BoxFuture<io::Result<Stream>> {
            let opening = open();
            Box::pin(async move { opening.await.map(Stream::other) })
        };
        self.dial(parse(url)?, Source::Other(Box::new(open))).await
    }

    async fn dial(mut self, target: Target, source: Source) -> StdResult<Client, ConnectError> {
        let reconnect = self.reconnect.take();
        let dialer = Dialer { ready: self.prepare()?, target, source };
        if let Some(settings) = reconnect {
            return Ok(Client::reconnecting(reconnect::start(dialer, settings).await?));
        }
        let opened = dialer.dial().await?;
        dialer.ready.run_on_connect(&opened).await?;
        Ok(Client::of(opened))
    }

    /// Performs the opening handshake over an existing stream: a tunnel, an inherited socket, a TLS
    /// session. The URL provides the path and the `Host` header. With a `wss://` URL, the client
    /// first performs a TLS handshake on the stream; use `ws://` if the stream already is a TLS
    /// session.
    ///
    /// There is only this one stream, so [`reconnect`](Self::reconnect) has no effect. Use
    /// [`connect_with`](Self::connect_with) to reconnect.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server};
    /// # let server = Server::builder()
    /// #     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
    /// #     .bind("127.0.0.1:0")
    /// #     .await?;
    /// # let address = server.local_addr();
    /// # tokio::spawn(server.run());
    /// let stream = tokio::net::TcpStream::connect(address).await?;
    /// let client = Client::builder().connect_over("ws://inside/", stream).await?;
    /// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As for [`connect`](Self::connect).
    ///
    /// # Cancel safety
    /// Dropping the future drops the stream.
    pub async fn connect_over(
        self,
        url: &str,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> StdResult<Client, ConnectError> {
        let target = parse(url)?;
        let ready = self.prepare()?;
        let opened = ready.open_in_time(&target, Stream::other(stream)).await?;
        ready.run_on_connect(&opened).await?;
        Ok(Client::of(opened))
    }

    /// Checks all settings before anything is sent.
    pub(crate) fn prepare(self) -> StdResult<Connector, ConnectError> {
        let router = self.router.build(Side::Client)?;
        if let Some(words) = self.bad_header {
            return Err(ConnectError::Header(words));
        }
        let mut headers = self.headers;
        let mut names = self.subprotocols.iter();
        if let Some(name) = names.find(|name| !is_subprotocol(name)) {
            return Err(ConnectError::Header(format!("invalid subprotocol name `{name}`")));
        }
        if !self.subprotocols.is_empty() {
            let offer = HeaderValue::try_from(self.subprotocols.join(", "))
                .map_err(|error| ConnectError::Header(error.to_string()))?;
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        Ok(Connector {
            router: Arc::new(router),
            config: Arc::new(self.config),
            headers,
            hooks: self.hooks,
            #[cfg(feature = "tls")]
            trust: self.trust,
        })
    }
}

/// Leaves out the values of headers, which may be secret.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("router", &self.router)
            .field("headers", &self.headers.keys())
            .field("subprotocols", &self.subprotocols)
            .field("config", &self.config)
            .field("hooks", &self.hooks)
            .field("reconnect", &self.reconnect)
            .finish_non_exhaustive()
    }
}

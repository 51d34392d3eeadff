//! The builder of clients: [`ClientBuilder`] checks all settings before it connects, once or with
//! reconnecting.

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
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorCode, ErrorObject, Result};
use crate::services::RouterBuilder;
use crate::services::{common_builder_methods, service_methods};
use crate::util::BoxFuture;
use crate::websocket::stream::Stream;

/// Builds a [`Client`]; made by [`Client::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    router: RouterBuilder,
    config: Config,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    /// The first header that can't be sent; reported when connecting.
    bad_header: Option<String>,
    hooks: Hooks,
    reconnect: Option<Reconnect>,
    #[cfg(feature = "tls")]
    trust: Trust,
}

impl ClientBuilder {
    common_builder_methods!();

    /// Sends an HTTP header with the opening handshake: a cookie, a token, an origin. One that is
    /// no valid header is an error of [`connect`](Self::connect), and so is one that the handshake
    /// sets itself, or that describes a body (`Content-Length`, `Transfer-Encoding`).
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if let Err(words) = add_header(&mut self.headers, name.as_ref(), value.as_ref()) {
            self.bad_header.get_or_insert(words);
        }
        self
    }

    /// Asks the closure for headers before each opening handshake, for what does not last, such as a
    /// token. They take the place of those of the same name. Its time is part of
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout); if it fails or panics, or a
    /// header is not valid, that attempt fails with
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

    /// Runs the closure on each new connection, the first one included, before anything else is sent
    /// on it: to log in, or to subscribe. It gets a handle to that very connection, which ends with
    /// it; calls by the client's own handles go out when the closure is done. If it fails or panics,
    /// the connection is closed, and the attempt has failed with
    /// [`ConnectError::Hook`](crate::error::ConnectError::Hook). The server may call this side meanwhile.
    ///
    /// It has no time limit but that of its calls.
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

    /// Runs the closure on each state of a [reconnecting](Self::reconnect) client, in order: connected,
    /// down with the reason and the time of the next attempt, closed. It is the way to see failed attempts
    /// before the first connection ([`Reconnect::retry_first`]); later, [`Client::states`] tells the same.
    /// The client waits for it, so it must not block.
    ///
    /// ```no_run
    /// # use wsjsonrpc::Client;
    /// # use wsjsonrpc::client::{ConnectionState, Reconnect};
    /// # async fn show() -> Result<(), wsjsonrpc::error::ConnectError> {
    /// let client = Client::builder()
    ///     .reconnect(Reconnect { retry_first: true, ..Reconnect::default() })
    ///     .on_state(|state| {
    ///         if let ConnectionState::Down { reason, attempt, retry_in, .. } = state {
    ///             eprintln!("attempt {attempt} in {retry_in:?}: {reason}");
    ///         }
    ///     })
    ///     .connect("ws://localhost:8080/").await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_state(mut self, hook: impl Fn(&ConnectionState) + Send + Sync + 'static) -> Self {
        self.hooks.on_state = Some(Box::new(hook));
        self
    }

    /// Connects again whenever the connection is lost. [`Reconnect`] has the delays, and the close codes
    /// after which the client stays closed ([`Reconnect::final_codes`]). The client ends for good when it is
    /// closed or dropped, when attempts are used up, when the server closes the connection with one of those
    /// codes, and when the server answers with HTTP status 401 or 403, unless
    /// [`headers_with`](Self::headers_with) makes new headers.
    ///
    /// - The client's [`Peer`]s and stubs go on with the new connection. Its services stay
    ///   registered; each connection has a [`Context`](crate::Context) of its own, and what handlers
    ///   of an old one still answer goes nowhere.
    /// - Calls, batches and notifications made meanwhile wait or fail: [`Reconnect::while_down`].
    /// - Calls under way when it broke fail with [`Error::Closed`](crate::Error::Closed), as nobody
    ///   knows whether they were carried out; unless they are
    ///   [idempotent](crate::Call::idempotent): those are sent again, as often as connections break
    ///   ([`Reconnect::max_sends`]). Their timeouts count from their beginning. An idempotent call of a batch goes on by itself, without the batch.
    /// - Of a notification nobody knows whether it arrived: it is sent once or never.
    /// - [`Client::states`] tells what happens.
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

    /// Offers a subprotocol. May be called for several, the most wanted first; connecting fails
    /// if the server speaks none of them. Default: none.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Trusts the certificate authorities in this PEM text for `wss://`, and no others. A server's own
    /// self-signed certificate may be among them, if it is not that of an authority (`CA:FALSE`) and
    /// has the host of the URL among its subject alternative names; `ServerBuilder::tls_pem` shows how
    /// to make one. Default: the authorities that the operating system trusts. Text that can't be used is an error of [`connect`](Self::connect). Needs the feature
    /// `tls`.
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
    /// compiled in: for systems without one, such as bare containers. Needs the feature
    /// `webpki-roots`.
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

    /// Opens `wss://` with these settings, taken as they are: client certificates, roots of one's
    /// own, another provider. Needs the feature `tls`.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use wsjsonrpc::rustls::{ClientConfig, RootCertStore, crypto::ring};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
    ///     .with_safe_default_protocol_versions()?
    ///     .with_root_certificates(RootCertStore::empty()) // trusts nobody
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

    /// Connects to a `ws://` URL, or with the feature `tls` to a `wss://` URL; on Unix also to a Unix
    /// socket: `ws+unix:///run/app.sock:/path?query` is the path of its file, percent-encoded where
    /// need be, and behind a colon what is asked for. Its `Host` is `localhost`.
    ///
    /// The URL is read as browsers read it: spaces, quotes and letters beyond ASCII in the path and
    /// the query are percent-encoded, the host is in small letters, and a fragment is not sent.
    /// Control characters are an error. A host name beyond ASCII must be given in its ASCII form
    /// (`xn--…`). The zone of an IPv6 address (`ws://[fe80::1%25eth0]:8080/`) chooses the interface
    /// and is not sent.
    ///
    /// A user name and a password in the URL (`wss://user:password@host/`) are sent as Basic
    /// authorization ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)), unless
    /// [`header`](Self::header) or [`headers_with`](Self::headers_with) sets `Authorization`. They
    /// are in no error and no log line. Over `ws://` everyone on the way can read them.
    ///
    /// Redirects are not followed: a [`ConnectError::Refused`] has the headers of the response.
    ///
    /// Dropping the last handle closes the connection: keep the [`Client`], a [`Peer`] or a stub of it.
    ///
    /// # Errors
    /// [`ConnectError`] says whether the URL, the network, the server or this client's own
    /// services are to blame.
    ///
    /// # Cancel safety
    /// Dropping the future drops the half-made connection.
    pub async fn connect(self, url: &str) -> StdResult<Client, ConnectError> {
        let mut target = parse(url)?;
        let source = match target.socket.take() {
            #[cfg(unix)]
            Some(path) => Source::Unix(path),
            _ => Source::Tcp,
        };
        self.dial(target, source).await
    }

    /// As [`connect`](Self::connect), over the streams that the closure opens: a tunnel, a serial
    /// line. The URL is used as by [`connect_over`](Self::connect_over).
    ///
    /// ```no_run
    /// # use wsjsonrpc::Client;
    /// # use wsjsonrpc::client::Reconnect;
    /// # use tokio::net::TcpStream;
    /// # async fn show() -> Result<(), Box<dyn std::error::Error>> {
    /// let client = Client::builder()
    ///     .reconnect(Reconnect::default())
    ///     .connect_with("ws://inside/", || TcpStream::connect("tunnel.example.com:4000"))
    ///     .await?;
    /// # drop(client);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`connect`](Self::connect); what the closure fails with is a [`ConnectError::Io`].
    ///
    /// # Cancel safety
    /// Dropping the future drops the half-made connection.
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

    /// Does the opening handshake over a stream that is there already: a tunnel, a socket that was
    /// inherited, a TLS session. The URL gives the path and the `Host` header; if it is a `wss://` URL, a TLS
    /// session is opened on the stream first (so give the URL of a stream that is one already as
    /// `ws://`).
    ///
    /// There is just this one stream, so [`reconnect`](Self::reconnect) has no effect; see
    /// [`connect_with`](Self::connect_with).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
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
        let router = self.router.build()?;
        if let Some(words) = self.bad_header {
            return Err(ConnectError::Header(words));
        }
        let mut headers = self.headers;
        let mut names = self.subprotocols.iter();
        if let Some(name) = names.find(|name| !is_subprotocol(name)) {
            return Err(ConnectError::Header(format!("`{name}` is no name for a subprotocol")));
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

//! The side that opens a connection.
//!
//! Must not know servers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HeaderName, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::builder::common_builder_methods;
use crate::config::Config;
use crate::connection::{Connection, Setup};
use crate::error::{CloseReason, ConnectError};
use crate::handshake::{Handshake, is_subprotocol};
use crate::open::{RESERVED, open};
use crate::peer::Peer;
use crate::pending::Side;
use crate::router::{Router, RouterBuilder};
use crate::stream::Stream;
#[cfg(feature = "tls")]
use crate::tls::{self, Trust};
use crate::transport::Transport;
use crate::url::{host, is_secure, parse};

/// Builds a [`Client`]; made by [`Client::builder`].
#[derive(Default)]
#[must_use = "a builder does nothing until it connects"]
pub struct ClientBuilder {
    router: RouterBuilder,
    config: Config,
    headers: HeaderMap,
    subprotocols: Vec<String>,
    /// The first header that can't be sent; told when connecting.
    bad_header: Option<String>,
    #[cfg(feature = "tls")]
    trust: Trust,
}

impl ClientBuilder {
    common_builder_methods!();

    /// Sends an HTTP header with the opening handshake: a cookie, a token, an origin. One that is
    /// no valid header is an error of [`connect`](Self::connect).
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let name = name.as_ref();
        let header =
            HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value.as_ref()).ok());
        match header {
            Some((known, _)) if RESERVED.contains(&known) => {
                let words = format!("the header `{name}` is set by the handshake itself");
                self.bad_header.get_or_insert(words);
            }
            Some((name, value)) => {
                self.headers.append(name, value);
            }
            // The value stays out of the message: it may be a secret.
            None => {
                let words =
                    format!("the header `{name}` has a name or a value that HTTP does not allow");
                self.bad_header.get_or_insert(words);
            }
        }
        self
    }

    /// Offers a subprotocol. May be called for several, the most wanted first; connecting fails
    /// if the server speaks none of them. Default: none.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Trusts the certificate authorities in this PEM text for `wss://`, and no others: for a
    /// server with a certificate of one's own making. Default: those that the operating system
    /// trusts. Text that can't be used is an error of [`connect`](Self::connect). Needs the feature
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

    /// Connects to a `ws://` URL, or with the feature `tls` to a `wss://` URL.
    ///
    /// # Errors
    /// [`ConnectError`] says whether the URL, the network, the server or this client's own
    /// services are to blame.
    ///
    /// # Cancel safety
    /// Dropping the future drops the half-made connection.
    pub async fn connect(self, url: &str) -> Result<Client, ConnectError> {
        let uri: Uri = parse(url)?;
        let ready = self.prepare()?;
        let port = if is_secure(&uri) { 443 } else { 80 };
        let address = (host(&uri).to_owned(), uri.port_u16().unwrap_or(port));
        let limit = ready.config.handshake_timeout;
        let connecting = async {
            let stream = TcpStream::connect(address).await.map_err(ConnectError::Io)?;
            stream.set_nodelay(true).map_err(ConnectError::Io)?;
            let remote_addr = stream.peer_addr().ok();
            ready.open(uri, Stream::tcp(stream), remote_addr).await
        };
        tokio::time::timeout(limit, connecting).await.unwrap_or(Err(ConnectError::Timeout))
    }

    /// Does the opening handshake over a stream that is there already: a tunnel, a Unix socket, a
    /// TLS session. The URL gives the path and the `Host` header; if it is a `wss://` URL, a TLS
    /// session is opened on the stream first (so give the URL of a stream that is one already as
    /// `ws://`).
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_over(
        self,
        url: &str,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Client, ConnectError> {
        let uri = parse(url)?;
        let ready = self.prepare()?;
        let limit = ready.config.handshake_timeout;
        let opening = ready.open(uri, Stream::other(stream), None);
        tokio::time::timeout(limit, opening).await.unwrap_or(Err(ConnectError::Timeout))
    }

    /// Finds all that is wrong with it before anybody is bothered.
    pub(crate) fn prepare(self) -> Result<Ready, ConnectError> {
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
        Ok(Ready {
            router: Arc::new(router),
            config: Arc::new(self.config),
            headers,
            #[cfg(feature = "tls")]
            trust: self.trust,
        })
    }
}

/// A client that only lacks a stream.
pub(crate) struct Ready {
    router: Arc<Router>,
    pub(crate) config: Arc<Config>,
    pub(crate) headers: HeaderMap,
    #[cfg(feature = "tls")]
    trust: Trust,
}

impl Ready {
    #[cfg_attr(not(feature = "tls"), allow(unused_mut))]
    async fn open(
        mut self,
        uri: Uri,
        mut stream: Stream,
        remote_addr: Option<SocketAddr>,
    ) -> Result<Client, ConnectError> {
        #[cfg(feature = "tls")]
        if is_secure(&uri) {
            let trust = std::mem::take(&mut self.trust);
            stream = tls::connect(stream, host(&uri), trust).await?;
        }
        let max_head = self.config.max_handshake_size;
        let (headers, subprotocol, part) = open(&mut stream, &uri, &self.headers, max_head).await?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let handshake = Handshake { target, subprotocol, headers, remote_addr };
        let transport = Transport::new(stream, part, Role::Client, &self.config);
        Ok(self.start(transport, handshake))
    }

    /// Puts the connection into a task of its own.
    pub(crate) fn start(self, transport: Transport, handshake: Handshake) -> Client {
        let setup = Setup {
            side: Side::Client,
            config: self.config,
            router: self.router,
            handshake: handshake.clone(),
            tracker: None,
        };
        let connection = Connection::new(transport, setup);
        let peer = Peer::keeping(Arc::clone(connection.link()));
        tokio::spawn(connection);
        Client { peer, handshake: Arc::new(handshake) }
    }
}

/// Without the values of headers, which may be secret.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("router", &self.router)
            .field("headers", &self.headers.keys())
            .field("subprotocols", &self.subprotocols)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// An open connection, seen from the side that opened it.
///
/// It closes when this and all handles from [`peer`](Self::peer) are gone: what is queued is sent,
/// then a close frame. Handles that its own services get ([`Context::peer`](crate::Context::peer))
/// do not keep it open.
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
/// # async fn main() -> Result<()> {
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
pub struct Client {
    peer: Peer,
    handshake: Arc<Handshake>,
}

impl Client {
    /// Connects to a `ws://` URL with default settings, or with the feature `tls` to a `wss://` URL.
    ///
    /// # Errors
    /// As [`ClientBuilder::connect`].
    pub async fn connect(url: &str) -> Result<Client, ConnectError> {
        Self::builder().connect(url).await
    }

    /// Connects with headers, services or limits of one's own.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// A handle to the server that keeps the connection open.
    pub fn peer(&self) -> Peer {
        self.peer.clone()
    }

    /// What the opening handshake told of the server.
    pub fn handshake(&self) -> &Handshake {
        &self.handshake
    }

    /// Sends what is queued, closes the connection with code 1000 and waits until it has ended.
    /// Calls that have no response by then fail with [`Error::Closed`](crate::Error::Closed).
    ///
    /// # Cancel safety
    /// The closing goes on when the future is dropped.
    pub async fn close(&self) -> CloseReason {
        self.peer.close(1000, "");
        self.closed().await
    }

    /// Waits until the connection has ended, for whatever reason, and says why.
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
            .field("remote_addr", &self.handshake.remote_addr)
            .finish()
    }
}

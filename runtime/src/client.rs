//! The side that opens a connection.
//!
//! Must not know servers.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, HeaderValue, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::builder::common_builder_methods;
use crate::config::Config;
use crate::connection::{Connection, Setup};
use crate::error::{CloseReason, ConnectError};
use crate::handshake::Handshake;
use crate::peer::Peer;
use crate::pending::Side;
use crate::router::{Router, RouterBuilder};
use crate::stream::Stream;
use crate::transport::{Transport, limits};

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

    /// Connects to a `ws://` URL.
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
        let host = uri.host().unwrap_or_default();
        // An IPv6 address stands in brackets in a URL, and without them everywhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let address = (host, uri.port_u16().unwrap_or(80));
        let limit = ready.config.handshake_timeout;
        let connecting = async {
            let stream = TcpStream::connect(address).await.map_err(ConnectError::Io)?;
            stream.set_nodelay(true).map_err(ConnectError::Io)?;
            let remote_addr = stream.peer_addr().ok();
            ready.open(uri, Stream::tcp(stream), remote_addr).await
        };
        tokio::time::timeout(limit, connecting).await.unwrap_or(Err(ConnectError::Timeout))
    }

    /// Does the opening handshake over a stream that is there already: a tunnel, a TLS session, a
    /// Unix socket. The URL gives the path and the `Host` header.
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
        if !self.subprotocols.is_empty() {
            let offer = self.subprotocols.join(", ");
            let offer = HeaderValue::try_from(offer.as_str()).map_err(|_| {
                ConnectError::Header(format!("`{offer}` is no list of subprotocol names"))
            })?;
            headers.insert(SEC_WEBSOCKET_PROTOCOL, offer);
        }
        Ok(Ready { router: Arc::new(router), config: Arc::new(self.config), headers })
    }
}

/// A client that only lacks a stream.
pub(crate) struct Ready {
    router: Arc<Router>,
    pub(crate) config: Arc<Config>,
    pub(crate) headers: HeaderMap,
}

impl Ready {
    async fn open(
        self,
        uri: Uri,
        mut stream: Stream,
        remote_addr: Option<SocketAddr>,
    ) -> Result<Client, ConnectError> {
        let target = uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
        let mut request = uri.into_client_request().map_err(connect_error)?;
        // A `host` of the application's own takes the place of the URL's.
        for name in self.headers.keys() {
            request.headers_mut().remove(name);
        }
        for (name, value) in &self.headers {
            request.headers_mut().append(name, value.clone());
        }
        // What the server sends right behind its answer is not for the handshake.
        stream.stop_behind_head();
        let opening = tokio_tungstenite::client_async_with_config(
            request,
            stream,
            Some(limits(&self.config)),
        );
        let (socket, response) = opening.await.map_err(connect_error)?;
        let headers = response.into_parts().0.headers;
        let agreed = headers.get(SEC_WEBSOCKET_PROTOCOL).and_then(|name| name.to_str().ok());
        let subprotocol = agreed.map(str::to_owned);
        let handshake = Handshake { target, subprotocol, headers, remote_addr };
        let transport = Transport::new(socket.into_inner(), Vec::new(), Role::Client, &self.config);
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

/// Headers that are the handshake's own business.
const RESERVED: [HeaderName; 5] =
    [CONNECTION, UPGRADE, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, SEC_WEBSOCKET_PROTOCOL];

/// Without the values of headers, which may be secret.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("router", &self.router)
            .field("headers", &self.headers.keys())
            .field("subprotocols", &self.subprotocols)
            .field("config", &self.config)
            .finish()
    }
}

fn parse(url: &str) -> Result<Uri, ConnectError> {
    let uri: Uri =
        url.parse().map_err(|error| ConnectError::Url(format!("`{url}` is no URL: {error}")))?;
    // The parser takes any digits for a port.
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let behind_host = authority.rsplit([']', '@']).next().unwrap_or_default();
    let port = behind_host.rsplit_once(':').map_or("", |(_, port)| port);
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return Err(ConnectError::Url(format!("`{url}` is no URL: its port is above 65535")));
    }
    match uri.scheme_str() {
        Some("ws") if uri.host().is_some_and(|host| !host.is_empty()) => Ok(uri),
        Some("wss") => Err(ConnectError::Url(format!(
            "`{url}` asks for TLS: open the TLS session yourself and use `connect_over`"
        ))),
        _ => Err(ConnectError::Url(format!(
            "`{url}` is no WebSocket URL; expected `ws://host:port/path`"
        ))),
    }
}

fn connect_error(error: WsError) -> ConnectError {
    match error {
        WsError::Io(error) => ConnectError::Io(error),
        WsError::Http(response) => {
            let (head, body) = response.into_parts();
            let body = body.map(|body| String::from_utf8_lossy(&body).trim().to_owned());
            ConnectError::Refused { status: head.status, body: body.unwrap_or_default() }
        }
        WsError::Url(_) | WsError::HttpFormat(_) => ConnectError::Url(error.to_string()),
        WsError::Tls(_) => ConnectError::Io(io::Error::other(error)),
        other => ConnectError::Handshake(other.to_string()),
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
    /// Connects to a `ws://` URL with default settings.
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

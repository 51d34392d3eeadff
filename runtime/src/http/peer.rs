//! [`HttpPeer`]: a handle to a server that is called over HTTP POST, and its builder. Only with the
//! feature `http-client`.

use std::fmt;
use std::io;
use std::result::Result as StdResult;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;

use crate::config::Config;
use crate::error::connect_error::ConnectError;
use crate::handshake::url::without_secrets;
use crate::http::post::Post;
use crate::link::outgoing_middleware::{Chain, OutgoingMiddleware};
use crate::outgoing::peer::Peer;

/// A JSON-RPC server that is called over HTTP POST, for callers that need no WebSocket. Each call is
/// one HTTP request, and the server cannot call back. An `HttpPeer` converts into a [`Peer`], and
/// so into every stub: `MathClient::new(HttpPeer::new("http://127.0.0.1:8080/rpc")?)`. Nothing is
/// sent before the first call. Needs the feature `http-client`.
///
/// Differences from a [`Peer`] with a WebSocket:
///
/// - A call is one POST. The body of the response may have [`Config::max_incoming_message`] bytes;
///   a larger one is an [`Error::InvalidResponse`]. A response that is not JSON-RPC is an
///   [`Error::Http`], and so is a network failure. If the body contains the call's response, the
///   HTTP status does not matter.
/// - A notification is ready when the server responds with status 2xx, or when
///   [`Config::call_timeout`] has passed.
/// - A [batch](Peer::batch) is one POST. [`Batch::send`](crate::Batch::send) waits for the
///   response. Failures after sending are errors of each call, for example [`Error::Http`]. If the
///   future of `send` is dropped meanwhile, the calls fail with [`Error::Closed`].
/// - Dropping a call aborts its HTTP request; the server gets no other cancellation. No call is
///   sent twice, not even an [idempotent](crate::Call::idempotent) one.
/// - [Progress](crate::Call::on_progress) is not supported, and a subscription fails with
///   [`Error::Http`] before it is sent.
/// - [`Peer::close`] ends all handles: calls in flight and later calls fail with [`Error::Closed`];
///   close code and reason are not sent. [`Peer::closed`] waits only for that, because there is no
///   connection that could break. [`Peer::pending_calls`] counts calls without a response.
///   [`Peer::is_same`] is true for clones of one handle.
///
/// The default [`reqwest::Client`] does not follow redirects (a POST could become a GET), uses the
/// proxies of the environment (`HTTP_PROXY`), and keeps connections open for later calls. For other
/// proxies, trusted certificates, cookies or headers, pass your own with
/// [`with_client`](Self::with_client).
///
/// `https://` needs one of reqwest's TLS features, which the application enables in its Cargo.toml:
/// `reqwest = { version = "0.13", features = ["rustls"] }`.
///
/// [`Error::Http`]: crate::Error::Http
/// [`Error::Closed`]: crate::Error::Closed
/// [`Error::InvalidResponse`]: crate::Error::InvalidResponse
///
/// ```no_run
/// # use wsjsonrpc::{rpc, Context, Result};
/// # use wsjsonrpc::http::HttpPeer;
/// #[rpc]
/// trait Math {
///     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
/// }
///
/// # async fn show() -> Result<()> {
/// let math = MathClient::new(HttpPeer::new("http://127.0.0.1:8080/rpc")?);
/// assert_eq!(math.sum(1, 2).await?, 3);
/// # Ok(())
/// # }
/// ```
#[must_use = "an `HttpPeer` does nothing until it is converted into a peer or a stub"]
pub struct HttpPeer {
    client: reqwest::Client,
    url: Url,
    config: Config,
    outgoing: Vec<Arc<dyn OutgoingMiddleware>>,
}

impl HttpPeer {
    /// The server at this `http://` or `https://` URL.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::http::HttpPeer;
    ///
    /// let peer = HttpPeer::new("http://127.0.0.1:8080/rpc")?.peer(); // nothing is sent yet
    /// assert!(HttpPeer::new("ws://127.0.0.1:8080/").is_err());
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError::Url`] if the URL cannot be used, and [`ConnectError::Io`] if this system
    /// cannot provide an HTTP client.
    pub fn new(url: &str) -> StdResult<Self, ConnectError> {
        let url = parse(url)?;
        let client = reqwest::Client::builder().redirect(Policy::none()).build();
        let client = client.map_err(|error| ConnectError::Io(io::Error::other(error)))?;
        Ok(Self::of(client, url))
    }

    /// The server at this URL, called through the application's own HTTP client with its headers,
    /// cookies, proxies, trusted certificates, timeouts and redirect policy.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::reqwest;
    /// use wsjsonrpc::http::HttpPeer;
    ///
    /// let client = reqwest::Client::builder()
    ///     .user_agent("shop/1.0")
    ///     .redirect(reqwest::redirect::Policy::none())
    ///     .build()?;
    /// let peer = HttpPeer::with_client(client, "http://127.0.0.1:8080/rpc")?.peer();
    /// # drop(peer);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ConnectError::Url`] if the URL cannot be used.
    pub fn with_client(client: reqwest::Client, url: &str) -> StdResult<Self, ConnectError> {
        Ok(Self::of(client, parse(url)?))
    }

    fn of(client: reqwest::Client, url: Url) -> Self {
        HttpPeer { client, url, config: Config::default(), outgoing: Vec::new() }
    }

    /// Wraps every call in this middleware; see [`OutgoingMiddleware`]. The first one is the
    /// outermost.
    pub fn outgoing_middleware(mut self, middleware: impl OutgoingMiddleware) -> Self {
        self.outgoing.push(Arc::new(middleware));
        self
    }

    /// Sets limits and timeouts. Used are `call_timeout`, `max_incoming_message` and
    /// `max_outgoing_message`, and `send_timeout` and `send_trace`, for which the server counts as
    /// one that has not announced support.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How long calls wait for a response; `None` for no limit. Default 30 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.call_timeout = timeout.into();
        self
    }

    /// Converts into the handle that makes the calls.
    #[must_use]
    pub fn peer(self) -> Peer {
        Peer::on(Arc::new(Post::new(self.client, self.url, self.config, Chain::of(self.outgoing))))
    }
}

fn parse(url: &str) -> StdResult<Url, ConnectError> {
    let shown = without_secrets(url);
    match Url::parse(url) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        Ok(_) => Err(ConnectError::Url(format!(
            "`{shown}` is not an HTTP URL; expected `http://host:port/path` or `https://host/path`"
        ))),
        Err(error) => Err(ConnectError::Url(format!("`{shown}` is not a URL: {error}"))),
    }
}

impl From<HttpPeer> for Peer {
    fn from(peer: HttpPeer) -> Self {
        peer.peer()
    }
}

/// Leaves out the parts of the URL that may be secret.
impl fmt::Debug for HttpPeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpPeer")
            .field("url", &without_secrets(self.url.as_str()))
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

//! [`HttpPeer`]: a handle to a server that is called by HTTP POST, and its builder. Only with the
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

/// A JSON-RPC server that is called by HTTP POST, for callers that need no WebSocket: each call is a
/// request of its own, and nothing comes but its response. It becomes a [`Peer`], and so whatever is
/// made of one: `MathClient::new(HttpPeer::new("http://127.0.0.1:8080/rpc")?)`. Nothing is sent before
/// the first call. Needs the feature `http-client`.
///
/// What is different from a [`Peer`] with a WebSocket:
///
/// - A call is one POST, and its response's body is read within
///   [`Config::max_incoming_message`]; a larger one is an [`Error::InvalidResponse`]. What is no
///   JSON-RPC response is an [`Error::Http`], and so is a network that fails. A status other than 2xx
///   with the call's own response in its body is taken for what that says.
/// - A notification is ready when the server has taken it with a status of 2xx, or
///   [`Config::call_timeout`] is over.
/// - A [batch](Peer::batch) is one POST. [`Batch::send`](crate::Batch::send) waits for its answer; what
///   goes wrong once it is under way is an error of each call, [`Error::Http`] for one. Dropped
///   amid that, its calls fail with [`Error::Closed`].
/// - Dropping a call aborts its request; the server is not told in any other way. No call is sent a
///   second time, not even an [idempotent](crate::Call::idempotent) one.
/// - [Progress](crate::Call::on_progress) never comes, and a subscription fails with
///   [`Error::Http`] before it is sent.
/// - [`Peer::close`] ends all its handles: calls under way and later ones fail with
///   [`Error::Closed`]; code and words go nowhere. [`Peer::closed`] waits for that and for nothing
///   else: there is no connection that could break. [`Peer::pending_calls`] are those whose answer
///   has not come; [`Peer::is_same`] is true for clones of one handle.
///
/// The [`reqwest::Client`] that it makes follows no redirects, as a POST might become a GET, heeds
/// the environment's proxies (`HTTP_PROXY`), and keeps connections for further calls. For other
/// proxies, trusted certificates, cookies or headers, bring your own:
/// [`with_client`](Self::with_client).
///
/// `https://` needs one of reqwest's own features for TLS, which an application enables in its
/// Cargo.toml: `reqwest = { version = "0.13", features = ["rustls"] }`.
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
#[must_use = "nothing is called before it has become a peer"]
pub struct HttpPeer {
    client: reqwest::Client,
    url: Url,
    config: Config,
    outgoing: Vec<Arc<dyn OutgoingMiddleware>>,
}

impl HttpPeer {
    /// The server at this `http://` or `https://` URL.
    ///
    /// # Errors
    /// The URL can't be used, or there can be no HTTP client on this system.
    pub fn new(url: &str) -> StdResult<Self, ConnectError> {
        let url = parse(url)?;
        let client = reqwest::Client::builder().redirect(Policy::none()).build();
        let client = client.map_err(|error| ConnectError::Io(io::Error::other(error)))?;
        Ok(Self::of(client, url))
    }

    /// The server at this URL, by an HTTP client of the application's: with its headers, cookies,
    /// proxies, trusted certificates and timeouts, and redirects if it follows them.
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
    /// The URL can't be used.
    pub fn with_client(client: reqwest::Client, url: &str) -> StdResult<Self, ConnectError> {
        Ok(Self::of(client, parse(url)?))
    }

    fn of(client: reqwest::Client, url: Url) -> Self {
        HttpPeer { client, url, config: Config::default(), outgoing: Vec::new() }
    }

    /// Puts this around every call; see [`OutgoingMiddleware`]. The first one is the outermost.
    pub fn outgoing_middleware(mut self, middleware: impl OutgoingMiddleware) -> Self {
        self.outgoing.push(Arc::new(middleware));
        self
    }

    /// Sets limits and timeouts. Those that count here are `call_timeout`, `max_incoming_message`,
    /// `max_outgoing_message`, and for what JSON-RPC itself does not know `send_timeout` and
    /// `send_trace`, where the server counts as one that does not know it.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How long calls wait for a response; `None` for as long as it takes. Default 30 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.call_timeout = timeout.into();
        self
    }

    /// The handle that makes the calls.
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
            "`{shown}` is no URL for HTTP; expected `http://host:port/path` or `https://host/path`"
        ))),
        Err(error) => Err(ConnectError::Url(format!("`{shown}` is no URL: {error}"))),
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

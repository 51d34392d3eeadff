//! Which clients a server accepts, decided from the head of their request ([`Rules`]). `accept`
//! uses the rules for sockets, `http` for requests of an HTTP server.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{
    ALLOW, CONNECTION, HOST, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::handshake::authorize::{Authorize, Grant, ask};
use crate::handshake::origin::Origins;
use crate::handshake::percent::encoded_path;
use crate::handshake::refusal::Refusal;
use crate::handshake::{Handshake, names};
use crate::protocol::escape::Shown;
use crate::protocol::request_extensions::{HEADER, VERSION};
use crate::util::catch_unwind::drop_contained;

/// How many characters of an unknown path the refusal shows.
const MAX_SHOWN_PATH: usize = 100;

/// Which clients are accepted, and with which subprotocol.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// The served paths; empty for all paths.
    pub(crate) paths: Vec<String>,
    /// The supported subprotocols in order of preference.
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origins: Origins,
    pub(crate) authorize: Option<Arc<dyn Authorize>>,
    /// The path at which a plain GET is a health check.
    pub(crate) health_path: Option<String>,
    /// Whether clients connect through a proxy that does TLS.
    pub(crate) behind_tls: bool,
}

/// What is known of a client before its request.
pub(crate) struct Arrival {
    pub(crate) remote_addr: Option<SocketAddr>,
    /// Whether the client speaks TLS, with this side or with a proxy in front of it.
    pub(crate) secure: bool,
    /// The deadline of the handshake.
    pub(crate) deadline: Instant,
    /// Set if the client is refused whatever it requests.
    pub(crate) refusal: Option<Refusal>,
}

/// A client that is accepted once the response is sent.
pub(crate) struct Welcome {
    /// The response, with the headers of the grant.
    pub(crate) response: Response<()>,
    pub(crate) handshake: Handshake,
    pub(crate) grant: Grant,
}

impl Drop for Rules {
    fn drop(&mut self) {
        drop_contained(self.authorize.take(), "the `Authorize` hook");
    }
}

impl Rules {
    /// Accepts or refuses a WebSocket request.
    pub(crate) async fn decide(
        &self,
        request: Request<()>,
        arrival: Arrival,
    ) -> Result<Welcome, Refusal> {
        if let Some(refusal) = arrival.refusal {
            return Err(refusal);
        }
        let mut response = self.check(&request, arrival.secure)?;
        let mut handshake = handshake(request.into_parts().0, arrival.remote_addr);
        let agreed = self.agree(handshake.offered_subprotocols());
        if let Some(Ok(name)) = agreed.map(HeaderValue::from_str) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        handshake.subprotocol = agreed.map(str::to_owned);
        if handshake.is_extended() {
            let version = HeaderValue::from_static(VERSION);
            response.headers_mut().insert(HeaderName::from_static(HEADER), version);
        }
        let mut grant = self.authorize(&handshake, arrival.deadline).await?;
        // The response has none of these headers yet.
        response.headers_mut().extend(std::mem::take(&mut grant.headers));
        Ok(Welcome { response, handshake, grant })
    }

    /// Accepts or refuses an HTTP POST from the head of its request. `check` validates the headers
    /// of the message, right before the application's hook is called.
    #[cfg(feature = "tower")]
    pub(crate) async fn decide_message(
        &self,
        request: Parts,
        arrival: Arrival,
        check: impl FnOnce(&HeaderMap) -> Result<(), Refusal>,
    ) -> Result<(Handshake, Grant), Refusal> {
        if let Some(refusal) = arrival.refusal {
            return Err(refusal);
        }
        self.check_path(&request.uri)?;
        check_host(&request.headers)?;
        self.origins.check(&request.headers, arrival.secure)?;
        check(&request.headers)?;
        let handshake = handshake(request, arrival.remote_addr);
        let grant = self.authorize(&handshake, arrival.deadline).await?;
        Ok((handshake, grant))
    }

    /// One of the served paths.
    pub(crate) fn first_path(&self) -> &str {
        self.paths.first().map_or("/", String::as_str)
    }

    /// Checks that this is a WebSocket request (RFC 6455, section 4.2.1) of an accepted origin.
    /// Returns the response that accepts it.
    fn check(&self, request: &Request<()>, secure: bool) -> Result<Response<()>, Refusal> {
        self.check_path(request.uri())?;
        let headers = request.headers();
        if request.method() != Method::GET {
            let words = "a WebSocket request must use the method GET";
            return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words)
                .header(ALLOW, HeaderValue::from_static("GET")));
        }
        if request.version() < Version::HTTP_11 {
            let words = "the request is HTTP/1.0, but WebSocket requires HTTP/1.1; behind nginx, \
                         set `proxy_http_version 1.1;`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
        }
        let upgrades =
            names(headers, CONNECTION, "upgrade") && names(headers, UPGRADE, "websocket");
        let version = headers.get(SEC_WEBSOCKET_VERSION);
        if !upgrades || version.is_none_or(|version| version != "13") {
            return Err(no_upgrade());
        }
        let Some(key) = headers.get(SEC_WEBSOCKET_KEY).filter(|key| is_key(key.as_bytes())) else {
            let words = "malformed WebSocket request: its `Sec-WebSocket-Key` must be 16 bytes in \
                         base64";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
        };
        check_host(headers)?;
        // RFC 6455, sections 11.3.1 and 11.3.5.
        if !is_single(headers, SEC_WEBSOCKET_KEY) || !is_single(headers, SEC_WEBSOCKET_VERSION) {
            let words = "malformed WebSocket request: its key or version is given twice";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
        }
        self.origins.check(headers, secure)?;
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let answer = response.headers_mut();
        answer.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        answer.insert(UPGRADE, HeaderValue::from_static("websocket"));
        // Base64 is always a valid header value.
        let accept = HeaderValue::try_from(derive_accept_key(key.as_bytes()));
        answer.extend(accept.ok().map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
        Ok(response)
    }

    /// Whether the request is a health check and not a WebSocket request. An offer of another
    /// protocol is ignored: curl offers HTTP/2.
    pub(crate) fn is_health_check(&self, request: &Request<()>) -> bool {
        let asks = [Method::GET, Method::HEAD].contains(request.method());
        let path = self.health_path.as_deref();
        asks && path == Some(request.uri().path())
            && !names(request.headers(), UPGRADE, "websocket")
    }

    /// Checks that the path is served.
    fn check_path(&self, uri: &Uri) -> Result<(), Refusal> {
        let serves = |path: &str| self.paths.iter().any(|served| served == path);
        // Some clients send non-ASCII characters unencoded.
        if self.paths.is_empty() || serves(uri.path()) || serves(&encoded_path(uri.path())) {
            return Ok(());
        }
        // The path may contain anything, so the text is kept on one line and short.
        let mut path: String = uri.path().chars().take(MAX_SHOWN_PATH).collect();
        if path.len() < uri.path().len() {
            path.push_str("...");
        }
        let words = format!("unknown path `{}`", Shown(&path));
        Err(Refusal::new(StatusCode::NOT_FOUND, words))
    }

    /// The preferred subprotocol among those that the client offers.
    pub(crate) fn agree<'a>(&self, offers: impl Iterator<Item = &'a str>) -> Option<&str> {
        let offers: Vec<&str> = offers.collect();
        self.subprotocols.iter().map(String::as_str).find(|name| offers.contains(name))
    }

    /// Calls the application's hook, if there is one.
    pub(crate) async fn authorize(
        &self,
        handshake: &Handshake,
        deadline: Instant,
    ) -> Result<Grant, Refusal> {
        match &self.authorize {
            Some(hook) => ask(&**hook, handshake, deadline).await,
            None => Ok(Grant::new()),
        }
    }
}

/// The handshake data of a request.
fn handshake(request: Parts, remote_addr: Option<SocketAddr>) -> Handshake {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let Parts { headers, extensions, .. } = request;
    Handshake { target, headers, remote_addr, subprotocol: None, extensions }
}

fn is_single(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get_all(name).iter().count() == 1
}

/// Requires a single `Host` header: RFC 9112, section 3.2.
fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_single(headers, HOST) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::BAD_REQUEST, "the request must have exactly one `Host` header"))
}

/// Whether this is the base64 of 16 bytes.
fn is_key(key: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let letters = key.strip_suffix(b"==").unwrap_or_default();
    letters.len() == 22 && letters.iter().all(is_letter)
}

/// RFC 9110, section 15.5.22: a 426 response names the protocol to upgrade to.
fn no_upgrade() -> Refusal {
    let words = "this is a WebSocket endpoint; connect with ws:// or wss:// (a proxy in between must \
                 pass on the headers `Upgrade` and `Connection`)";
    Refusal::new(StatusCode::UPGRADE_REQUIRED, words)
        .header(UPGRADE, HeaderValue::from_static("websocket"))
        .header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("paths", &self.paths)
            .field("subprotocols", &self.subprotocols)
            .field("origins", &self.origins)
            .field("authorize", &self.authorize.is_some())
            .field("health_path", &self.health_path)
            .finish()
    }
}

//! What the opening handshake told about the other side: target, headers, cookies, address.
//!
//! Must not know how a handshake is done (that is `accept` for servers, `client` for clients).

use std::fmt;
use std::net::SocketAddr;

use http::header::{COOKIE, SEC_WEBSOCKET_PROTOCOL};
use http::{Extensions, HeaderMap};

use crate::protocol::extra;

/// What is known of a connection from its opening handshake
/// ([RFC 6455, section 4](https://www.rfc-editor.org/rfc/rfc6455#section-4)).
///
/// On a server it tells of the client's HTTP request, on a client of the server's response.
///
/// ```
/// use http::HeaderValue;
/// use wsjsonrpc::Handshake;
///
/// let mut handshake = Handshake::new("/chat?room=7");
/// handshake.headers.insert("cookie", HeaderValue::from_static("a=1; session=xyz"));
/// assert_eq!(handshake.path(), "/chat");
/// assert_eq!(handshake.query(), Some("room=7"));
/// assert_eq!(handshake.cookie("session"), Some("xyz"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Handshake {
    /// What the client asked for: path and query, as sent.
    pub target: String,
    /// The HTTP headers that the other side sent.
    pub headers: HeaderMap,
    /// The network address of the other side, where there is one.
    pub remote_addr: Option<SocketAddr>,
    /// The subprotocol that both agreed on.
    pub subprotocol: Option<String>,
    /// What else is known of the other side: what layers around the endpoint have left on the HTTP
    /// request, a session or a user say; on a Unix socket its [`UCred`](tokio::net::unix::UCred), the
    /// process, its user and its group. Handlers find it with
    /// [`Context::get`](crate::Context::get), too.
    pub extensions: Extensions,
}

impl Handshake {
    /// One with this target and nothing else: for a stream that something else has upgraded, and
    /// for tests.
    pub fn new(target: impl Into<String>) -> Self {
        Handshake { target: target.into(), ..Handshake::default() }
    }

    /// Whether the other side has said that it knows what this crate sends beside JSON-RPC.
    pub(crate) fn is_extended(&self) -> bool {
        self.headers.get(extra::HEADER).is_some_and(|version| version == extra::VERSION)
    }

    /// The target up to the question mark.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target after the question mark.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// A header's value; `None` if it is absent or not text. Upper and lower case are the same.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a cookie in the `Cookie` headers
    /// ([RFC 6265, section 4.2](https://www.rfc-editor.org/rfc/rfc6265#section-4.2)), without the
    /// quotes it may have. The first one, if there are several of the name.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let headers = self.headers.get_all(COOKIE).into_iter().filter_map(|h| h.to_str().ok());
        let mut pairs =
            headers.flat_map(|header| header.split(';')).filter_map(|c| c.split_once('='));
        let (_, value) = pairs.find(|(key, _)| key.trim() == name)?;
        let value = value.trim();
        Some(value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value))
    }

    /// On a server: all subprotocols that the client offered, in its order; `subprotocol` is the one
    /// that was chosen.
    ///
    /// ```
    /// # let mut handshake = wsjsonrpc::Handshake::new("/");
    /// # let value = http::HeaderValue::from_static("chat.v2, token.s3cr3t");
    /// # handshake.headers.insert("sec-websocket-protocol", value);
    /// // A page can't send headers of its own with a WebSocket, so some send a token this way.
    /// let mut offered = handshake.offered_subprotocols();
    /// assert_eq!(offered.find_map(|name| name.strip_prefix("token.")), Some("s3cr3t"));
    /// ```
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        offered_subprotocols(&self.headers)
    }
}

/// What stands in the comma-separated lists of a client's headers.
pub(crate) fn offered_subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lists = headers.get_all(SEC_WEBSOCKET_PROTOCOL).into_iter();
    let lists = lists.filter_map(|list| list.to_str().ok());
    lists.flat_map(|list| list.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

/// Whether a subprotocol may be named so: RFC 6455, section 4.1, item 10 of the request.
pub(crate) fn is_subprotocol(name: &str) -> bool {
    let separators = b"()<>@,;:\\\"/[]?={} \t";
    let is_allowed = |byte: u8| (0x21..=0x7e).contains(&byte) && !separators.contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// Without the values of headers, which may be secret.
impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("path", &self.path())
            .field("headers", &self.headers.keys())
            .field("remote_addr", &self.remote_addr)
            .field("subprotocol", &self.subprotocol)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn cookies() {
        let mut handshake = Handshake::new("/");
        for header in ["a=1; b=\"two\"", "session=x=y;empty=; c = 3", "a=late"] {
            handshake.headers.append(COOKIE, HeaderValue::from_static(header));
        }
        handshake.headers.append(COOKIE, HeaderValue::from_bytes(b"d=\xff").unwrap());
        let expected = [
            ("a", Some("1")),
            ("b", Some("two")),
            ("session", Some("x=y")),
            ("empty", Some("")),
            ("c", Some("3")),
            ("d", None),
            ("A", None),
        ];
        for (name, value) in expected {
            assert_eq!(handshake.cookie(name), value, "{name}");
        }
    }
}

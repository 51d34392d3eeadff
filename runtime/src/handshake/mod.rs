//! The opening handshake, and what it reveals about the other side ([`Handshake`]): target,
//! headers, cookies and address.
//!
//! In reading order: `head` reads the head of an HTTP message. On the server, `accept` performs the
//! handshake by the `rules`, with `origin`, `authorize`, `refusal` and `connection_limit`. On the
//! client, `open` performs it for a `url`. Both use `tls`; `percent` encodes.

pub(crate) mod accept;
pub(crate) mod authorize;
pub(crate) mod connection_limit;
mod head;
pub(crate) mod open;
pub(crate) mod origin;
pub(crate) mod percent;
pub(crate) mod refusal;
pub(crate) mod rules;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod url;

use std::fmt;
use std::net::SocketAddr;

use http::header::{COOKIE, HeaderName, SEC_WEBSOCKET_PROTOCOL};
use http::{Extensions, HeaderMap};

use crate::protocol::request_extensions;

/// What a connection knows from its opening handshake ([RFC 6455, section
/// 4](https://www.rfc-editor.org/rfc/rfc6455#section-4)).
///
/// On a server it describes the client's HTTP request, on a client the server's response.
///
/// ```
/// use http::HeaderValue;
/// use wsjsonrpc::server::Handshake;
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
    /// The request target: path and query, as sent.
    pub target: String,
    /// The HTTP headers that the other side sent.
    pub headers: HeaderMap,
    /// The network address of the other side, if it has one.
    pub remote_addr: Option<SocketAddr>,
    /// The subprotocol that both sides agreed on.
    pub subprotocol: Option<String>,
    /// Further values about the other side: what tower layers in front of the endpoint stored on
    /// the HTTP request, for example a session or a user, and on a Unix socket its
    /// [`UCred`](tokio::net::unix::UCred) (process, user and group). Handlers also read these
    /// values with [`Context::get`](crate::Context::get).
    pub extensions: Extensions,
}

impl Handshake {
    /// A handshake with only a target, for a stream that was upgraded elsewhere, and for tests.
    pub fn new(target: impl Into<String>) -> Self {
        Handshake { target: target.into(), ..Handshake::default() }
    }

    /// Whether the other side announced support for this crate's extensions.
    pub(crate) fn is_extended(&self) -> bool {
        self.headers
            .get(request_extensions::HEADER)
            .is_some_and(|version| version == request_extensions::VERSION)
    }

    /// The target up to the question mark.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target after the question mark.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The value of a header; `None` if it is absent or not UTF-8. Ignores upper and lower case in
    /// the name.
    pub fn header(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.headers.get(name)?.as_bytes()).ok()
    }

    /// The value of a cookie in the `Cookie` headers ([RFC 6265, section
    /// 4.2](https://www.rfc-editor.org/rfc/rfc6265#section-4.2)), without surrounding quotes. If
    /// several cookies have this name, the first one. `None` if the value is not UTF-8.
    ///
    /// ```
    /// use http::HeaderValue;
    /// use wsjsonrpc::server::Handshake;
    ///
    /// let mut handshake = Handshake::new("/");
    /// handshake.headers.insert("cookie", HeaderValue::from_static("theme=\"dark\"; session=xyz"));
    /// assert_eq!(handshake.cookie("theme"), Some("dark"));
    /// assert_eq!(handshake.cookie("user"), None);
    /// ```
    pub fn cookie(&self, name: &str) -> Option<&str> {
        // Searched as bytes, because another cookie may have any encoding.
        let headers = self.headers.get_all(COOKIE).into_iter();
        let mut pairs = headers.flat_map(|header| header.as_bytes().split(|byte| *byte == b';'));
        let value = pairs.find_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (key, value) = pair.split_at_checked(equals)?;
            (key.trim_ascii() == name.as_bytes()).then(|| value.get(1..))?
        })?;
        let value = std::str::from_utf8(value).ok()?.trim();
        Some(value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value))
    }

    /// On a server, all subprotocols that the client offered, in its order.
    /// [`subprotocol`](field@Self::subprotocol) is the one that was chosen.
    ///
    /// ```
    /// # let mut handshake = wsjsonrpc::server::Handshake::new("/");
    /// # let value = http::HeaderValue::from_static("chat.v2, token.s3cr3t");
    /// # handshake.headers.insert("sec-websocket-protocol", value);
    /// // A web page cannot set headers on a WebSocket, so some pages send a token this way.
    /// let mut offered = handshake.offered_subprotocols();
    /// assert_eq!(offered.find_map(|name| name.strip_prefix("token.")), Some("s3cr3t"));
    /// ```
    pub fn offered_subprotocols(&self) -> impl Iterator<Item = &str> {
        offered_subprotocols(&self.headers)
    }
}

/// The elements of a comma-separated list. Several headers with one name form one list (RFC 9110,
/// section 5.3). As bytes, so that an element that is not UTF-8 does not affect the others.
pub(crate) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    let elements = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// Whether a list contains this word, ignoring case.
pub(crate) fn names(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    list(headers, name).any(|element| element.eq_ignore_ascii_case(word.as_bytes()))
}

/// The subprotocols that a client offers in its headers.
pub(crate) fn offered_subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    list(headers, SEC_WEBSOCKET_PROTOCOL).filter_map(|name| std::str::from_utf8(name).ok())
}

/// Whether this is a valid name of a subprotocol: RFC 6455, section 4.1, item 10 of the request.
pub(crate) fn is_subprotocol(name: &str) -> bool {
    let separators = b"()<>@,;:\\\"/[]?={} \t";
    let is_allowed = |byte: u8| (0x21..=0x7e).contains(&byte) && !separators.contains(&byte);
    !name.is_empty() && name.bytes().all(is_allowed)
}

/// Leaves out the values of headers, which may be secret.
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
    fn lists() {
        let mut headers = HeaderMap::new();
        for line in [&b"keep-alive"[..], b", ,\xff, \tUpgrade ,", b"", b"x y,close"] {
            headers.append("connection", HeaderValue::from_bytes(line).unwrap());
        }
        let connection = HeaderName::from_static("connection");
        let all: Vec<&[u8]> = list(&headers, connection.clone()).collect();
        assert_eq!(all, [&b"keep-alive"[..], b"\xff", b"Upgrade", b"x y", b"close"]);
        assert!(names(&headers, connection.clone(), "upgrade"));
        assert!(!names(&headers, connection, "x"));
        assert!(!names(&headers, COOKIE, "upgrade"));
    }

    #[test]
    fn cookies() {
        let mut handshake = Handshake::new("/");
        for header in ["a=1; b=\"two\"", "session=x=y;empty=; c = 3", "a=late"] {
            handshake.headers.append(COOKIE, HeaderValue::from_static(header));
        }
        handshake.headers.append(COOKIE, HeaderValue::from_bytes(b"d=\xff; e=5").unwrap());
        let utf8 = HeaderValue::from_bytes("name=J\u{fc}rgen; f=6".as_bytes()).unwrap();
        handshake.headers.append(COOKIE, utf8);
        let expected = [
            ("a", Some("1")),
            ("b", Some("two")),
            ("session", Some("x=y")),
            ("empty", Some("")),
            ("c", Some("3")),
            ("d", None),
            ("e", Some("5")),
            ("name", Some("J\u{fc}rgen")),
            ("f", Some("6")),
            ("A", None),
        ];
        for (name, value) in expected {
            assert_eq!(handshake.cookie(name), value, "{name}");
        }
    }
}

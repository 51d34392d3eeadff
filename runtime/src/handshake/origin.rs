//! Which web pages may connect: checks the `Origin` header that browsers send.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue};

use crate::handshake::refusal::Refusal;

/// The origin of a web page ([RFC 6454, section
/// 6.2](https://www.rfc-editor.org/rfc/rfc6454#section-6.2)), in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: String,
    host: String,
    /// The given port, or the scheme's default port.
    port: Option<u16>,
}

impl Origin {
    /// `None` if the text is not a scheme, a host and optionally a port.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let mut letters = scheme.bytes();
        let is_scheme = letters.next().is_some_and(|first| first.is_ascii_alphabetic())
            && letters.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        if !is_scheme {
            return None;
        }
        let scheme = scheme.to_ascii_lowercase();
        let (host, port) = host_and_port(authority)?;
        let port = port.or_else(|| default_port(&scheme));
        Some(Origin { scheme, host, port })
    }

    /// Whether the page comes from the host to which the request was sent. A `Host` without a port
    /// means the default port of the scheme that the client used: `https` if this side does TLS. If
    /// this side does not, a proxy in front of it may, so the page's own scheme decides.
    fn is_host(&self, host: &str, secure: bool) -> bool {
        let same_scheme = self.scheme == "https" || (self.scheme == "http" && !secure);
        let Some((host, port)) = host_and_port(host) else { return false };
        same_scheme && host == self.host && port.or(default_port(&self.scheme)) == self.port
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

/// The host in normal form, and the port if one is given.
fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inside) => {
            let (address, rest) = inside.split_once(']')?;
            (format!("[{}]", address.parse::<Ipv6Addr>().ok()?), rest)
        }
        None => {
            let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if host.is_empty() || !host.bytes().all(is_name) {
                return None;
            }
            (host.to_ascii_lowercase(), rest)
        }
    };
    if rest.is_empty() {
        return Some((host, None));
    }
    let port = rest.strip_prefix(':')?;
    // The parser would accept a plus sign as well.
    let digits = port.bytes().all(|byte| byte.is_ascii_digit());
    Some((host, Some(port.parse().ok().filter(|_| digits)?)))
}

/// The origins that are accepted in addition to the server's own host.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origins {
    pub(crate) any: bool,
    pub(crate) allowed: Vec<Origin>,
    /// Whether the warning about a refused origin was logged.
    warned: Arc<AtomicBool>,
}

impl Origins {
    /// Checks the origin. A client that is not a browser sends no `Origin`, and does not send a user's
    /// cookies without the user's knowledge.
    ///
    /// # Errors
    /// The page may not connect. The text is for the developer of the server.
    pub(crate) fn check(&self, headers: &HeaderMap, secure: bool) -> Result<(), Refusal> {
        let mut origins = headers.get_all(ORIGIN).iter();
        let Some(value) = origins.next() else { return Ok(()) };
        if self.any {
            return Ok(());
        }
        if origins.next().is_some() {
            return Err(Refusal::forbidden("the request has more than one `Origin` header"));
        }
        if value == "null" {
            return Err(Refusal::forbidden(
                "origin `null` is not allowed: the page is sandboxed or a local file; only \
                 `ServerBuilder::allow_any_origin` accepts such pages",
            ));
        }
        let origin = std::str::from_utf8(value.as_bytes()).ok().and_then(Origin::parse);
        let Some(origin) = origin else {
            return Err(Refusal::forbidden(
                "malformed `Origin` header; expected a scheme and a host, such as \
                 `https://example.com`",
            ));
        };
        let mut hosts = headers.get_all(HOST).iter().map(HeaderValue::as_bytes);
        let host = hosts.next().and_then(|host| std::str::from_utf8(host).ok());
        let own = host.is_some_and(|host| origin.is_host(host, secure));
        if (own && hosts.next().is_none()) || self.allowed.contains(&origin) {
            return Ok(());
        }
        if secure && host.is_some_and(|host| origin.is_host(host, false)) {
            return Err(Refusal::forbidden(
                "the page was loaded by http://; this server accepts only pages loaded by https://",
            ));
        }
        if !self.warned.swap(true, Ordering::Relaxed) {
            // A browser shows its developer neither the status nor the body. The origin is not
            // logged, because the client may send anything.
            tracing::warn!(
                "refused a web page of another origin; allow its origin with \
                 `ServerBuilder::allow_origin` (further refusals are logged at debug level)"
            );
        }
        Err(Refusal::forbidden(
            "origin not allowed: it is neither the host of this request nor on the server's list; \
             add it with `ServerBuilder::allow_origin`",
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_origins() {
        let good = [
            ("https://example.com", "https://EXAMPLE.com:443"),
            ("http://example.com", "HTTP://example.com:80"),
            ("https://[::1]:8443", "https://[0:0:0:0:0:0:0:1]:8443"),
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("chrome-extension://abc", "chrome-extension://ABC"),
        ];
        for (one, other) in good {
            let origin = Origin::parse(one).unwrap_or_else(|| panic!("{one}"));
            assert_eq!(Some(origin), Origin::parse(other), "{one} {other}");
        }
        let different = [
            ("https://example.com", "http://example.com"),
            ("https://example.com", "https://example.com:8443"),
            ("https://example.com", "https://example.com."),
            ("https://example.com", "https://www.example.com"),
            ("http://[::1]", "http://[::2]"),
        ];
        for (one, other) in different {
            assert_ne!(Origin::parse(one).unwrap(), Origin::parse(other).unwrap());
        }
        for bad in [
            "",
            "null",
            "*",
            "example.com",
            "//example.com",
            "https:example.com",
            "https://",
            "https://*.example.com",
            "https://example.com/",
            "https://example.com?",
            "https://example.com#",
            "https://user@example.com",
            "https://example.com:",
            "https://example.com:+80",
            "https://example.com:65536",
            "https://example.com:80:80",
            "https://example.com https://example.org",
            "https://exämple.com",
            "https://[::1",
            "https://[::1]8",
            "https://[fe80::1%25eth0]",
            "1https://example.com",
            "://example.com",
        ] {
            assert_eq!(Origin::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_same_host() {
        // Origin, Host, whether a server without TLS accepts the origin as its own, whether one
        // with TLS does.
        let cases = [
            ("http://example.com", "example.com", true, false),
            ("http://example.com", "EXAMPLE.com:80", true, false),
            ("http://example.com:80", "example.com", true, false),
            ("https://example.com", "example.com", true, true),
            ("https://example.com", "example.com:443", true, true),
            ("https://example.com:443", "example.com", true, true),
            ("https://example.com:8443", "example.com:8443", true, true),
            ("http://[::1]:8080", "[0::1]:8080", true, false),
            ("http://example.com", "example.com:443", false, false),
            ("https://example.com", "example.com:80", false, false),
            ("http://example.com:8080", "example.com", false, false),
            ("http://example.com", "example.com:8080", false, false),
            ("http://example.com.evil.example", "example.com", false, false),
            ("http://evilexample.com", "example.com", false, false),
            ("http://evil.example", "example.com", false, false),
            ("ftp://example.com", "example.com", false, false),
            ("http://example.com", "", false, false),
            ("http://example.com", "user@example.com", false, false),
        ];
        for (origin, host, plain, tls) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
            headers.insert(HOST, HeaderValue::from_static(host));
            let origins = Origins::default();
            assert_eq!(origins.check(&headers, false).is_ok(), plain, "{origin} {host}");
            assert_eq!(origins.check(&headers, true).is_ok(), tls, "{origin} {host} with TLS");
        }
    }
}

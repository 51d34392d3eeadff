//! The URL that a client connects to: parses it into a [`Target`], and removes secrets from URLs
//! that are shown. Also writes the URL of a server's Unix socket.

use std::net::Ipv6Addr;
use std::path::PathBuf;

use http::{HeaderValue, Uri};

use crate::error::connect_error::ConnectError;
use crate::handshake::percent::{NOT_IN_QUERY, base64, decode, encode, encoded_path};
use crate::protocol::escape::Shown;

/// The form of a URL, for errors.
const EXPECTED: &str =
    "is not a WebSocket URL; expected `ws://host:port/path` or `wss://host:port/path`";

/// A parsed URL.
pub(crate) struct Target {
    /// Scheme, host, port, path and query, all valid in HTTP: the path has a leading slash, and
    /// nothing needs encoding. Without user information, zone and fragment.
    pub(crate) uri: Uri,
    /// The zone of an IPv6 address (RFC 6874), decoded. It has a meaning only on this machine, so
    /// it is not sent.
    pub(crate) zone: Option<String>,
    /// The `Authorization` header from the URL's user information.
    pub(crate) credentials: Option<HeaderValue>,
    /// The Unix socket to connect to instead of a TCP port.
    pub(crate) socket: Option<PathBuf>,
}

impl Target {
    /// The host in the form for a resolver: an IPv6 address without brackets, with its zone.
    pub(crate) fn lookup_name(&self) -> String {
        let host = host(&self.uri);
        self.zone.as_ref().map_or(host.to_owned(), |zone| format!("{host}%{zone}"))
    }

    pub(crate) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if is_secure(&self.uri) { 443 } else { 80 })
    }
}

/// Parses a URL as browsers do, with four exceptions. Control characters inside the URL are an
/// error. Non-ASCII characters and percent-encoding in the host are an error. A backslash is no
/// slash. `/../` stays in the path.
pub(crate) fn parse(url: &str) -> Result<Target, ConnectError> {
    let url = url.trim_matches(|character| character <= ' ');
    read(url).map_err(|what| {
        let shown = without_secrets(url);
        ConnectError::Url(format!("`{}` {what}", Shown(&shown)))
    })
}

/// The error continues a sentence that starts with the URL.
fn read(url: &str) -> Result<Target, String> {
    if url.is_empty() {
        return Err("is not a URL: it is empty".to_owned());
    }
    if url.contains(|character: char| character.is_ascii_control()) {
        return Err(
            "is not a URL: it contains a control character, such as a line break".to_owned()
        );
    }
    let (scheme, rest) = url.split_once(':').ok_or(EXPECTED)?;
    let scheme = scheme.to_ascii_lowercase();
    let rest = rest.split('#').next().unwrap_or_default();
    match scheme.as_str() {
        "ws" | "wss" => {}
        "ws+unix" => return socket(rest),
        "wss+unix" => {
            let words = "asks for TLS over a Unix socket, which is not supported; use `ws+unix:`";
            return Err(words.to_owned());
        }
        _ => return Err(EXPECTED.to_owned()),
    }
    let rest = rest.strip_prefix("//").ok_or(EXPECTED)?;
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, authority) = match authority.rsplit_once('@') {
        Some((user, authority)) => (Some(user), authority),
        None => (None, authority),
    };
    let Authority { host, port, zone } = Authority::parse(authority)?;
    if scheme == "wss" && !cfg!(feature = "tls") {
        let words = "needs TLS; enable the feature `tls` of the crate wsjsonrpc, or open the TLS \
                     session yourself and use `connect_over` with a `ws://` URL";
        return Err(words.to_owned());
    }
    let credentials = user.map_or(Ok(None), credentials)?;
    let uri = uri(&scheme, &format!("{host}{port}"), target)?;
    Ok(Target { uri, zone, credentials, socket: None })
}

/// Builds a URI. Encodes characters that the path and the query must not contain.
fn uri(scheme: &str, authority: &str, target: &str) -> Result<Uri, String> {
    let (path, query) = match target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (target, None),
    };
    let mut target = encoded_path(path);
    if let Some(query) = query {
        target.push('?');
        encode(&mut target, query.as_bytes(), |byte| !NOT_IN_QUERY.contains(&byte));
    }
    let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query(target);
    uri.build().map_err(|error| format!("is not a URL: {error}"))
}

/// The address of a TCP connection.
struct Authority {
    /// In lower case; an IPv6 address in brackets, without its zone.
    host: String,
    /// With the leading colon, or empty.
    port: String,
    zone: Option<String>,
}

impl Authority {
    fn parse(text: &str) -> Result<Self, String> {
        let (host, zone, port) = match text.strip_prefix('[') {
            Some(inside) => {
                let (address, port) = inside
                    .split_once(']')
                    .ok_or("is not a URL: a `]` is missing after the host")?;
                let (address, zone) = match address.split_once('%') {
                    Some((address, zone)) => (address, Some(self::zone(zone)?)),
                    None => (address, None),
                };
                if address.parse::<Ipv6Addr>().is_err() {
                    return Err(
                        "is not a URL: the text in brackets is not an IPv6 address".to_owned()
                    );
                }
                (format!("[{}]", address.to_ascii_lowercase()), zone, port)
            }
            None => {
                let (host, port) = text.split_at(text.find(':').unwrap_or(text.len()));
                check_name(host)?;
                (host.to_ascii_lowercase(), None, port)
            }
        };
        let digits = match port.strip_prefix(':') {
            Some(digits) => digits,
            None if port.is_empty() => "",
            None => return Err("is not a URL: only a port may follow the `]`".to_owned()),
        };
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let words = "is not a URL: its port is not a number (in a password, `/`, `?`, `#` and `@` \
                         must be percent-encoded)";
            return Err(words.to_owned());
        }
        if !digits.is_empty() && digits.parse::<u16>().is_err() {
            return Err("is not a URL: its port is above 65535".to_owned());
        }
        let port = if digits.is_empty() { String::new() } else { format!(":{digits}") };
        Ok(Authority { host, port, zone })
    }
}

fn check_name(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("is not a URL: it has no host".to_owned());
    }
    if !host.is_ascii() {
        let words = "has non-ASCII characters in its host; write the host in its ASCII form, which \
                     starts with `xn--`";
        return Err(words.to_owned());
    }
    // RFC 3986, section 3.2.2, without percent-encoding, which no resolver supports.
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte);
    match host.bytes().find(|byte| !is_allowed(*byte)) {
        Some(byte) => Err(format!("is not a URL: its host contains `{}`", char::from(byte))),
        None => Ok(()),
    }
}

/// The part after the `%` in an IPv6 address. In a URL the `%` itself is encoded as `%25` (RFC
/// 6874); a plain `%` is common and also accepted.
fn zone(text: &str) -> Result<String, String> {
    let zone = match text.strip_prefix("25") {
        Some(encoded) if !encoded.is_empty() => String::from_utf8(decode(encoded).0).ok(),
        _ => Some(text.to_owned()),
    };
    let zone = zone.filter(|zone| !zone.is_empty() && !zone.contains(char::is_control));
    zone.ok_or_else(|| "is not a URL: the zone of its IPv6 address is invalid".to_owned())
}

/// Basic authorization ([RFC 7617](https://www.rfc-editor.org/rfc/rfc7617)) from the URL's user
/// information; `None` if that is empty.
fn credentials(user_info: &str) -> Result<Option<HeaderValue>, String> {
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    let (mut pair, password) = (decode(user).0, decode(password).0);
    if pair.contains(&b':') {
        return Err(
            "has a user name with a colon, which Basic authorization cannot send".to_owned()
        );
    }
    pair.push(b':');
    pair.extend_from_slice(&password);
    let value = HeaderValue::try_from(format!("Basic {}", base64(&pair)));
    let mut value = value.map_err(|_| "has a user name that cannot be sent")?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Parses the part after `ws+unix:`, in the form of the npm package `ws`: the absolute path of a
/// socket, then optionally a colon and the request target. In the path, characters with a meaning
/// in a URL are percent-encoded.
fn socket(rest: &str) -> Result<Target, String> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            let words = "names a host; the path of a socket is absolute, so write three slashes: \
                         `ws+unix:///run/app.sock:/path`";
            return Err(words.to_owned());
        }
    };
    let (path, target) = path.split_at(path.find([':', '?']).unwrap_or(path.len()));
    let path = file(path)?;
    let target = target.strip_prefix(':').unwrap_or(target);
    if !matches!(target.as_bytes().first(), None | Some(b'/' | b'?')) {
        return Err("has no `/` after the colon that ends the socket's path".to_owned());
    }
    let uri = uri("ws", "localhost", target)?;
    Ok(Target { uri, zone: None, credentials: None, socket: Some(path) })
}

/// Decodes a socket's path from a URL.
#[cfg(unix)]
fn file(encoded: &str) -> Result<PathBuf, String> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let (path, is_whole) = decode(encoded);
    if !is_whole {
        return Err("is not a URL: two hexadecimal digits must follow a `%`".to_owned());
    }
    if path.first() != Some(&b'/') || path.contains(&0) {
        let words = "has no absolute socket path; expected `ws+unix:///run/app.sock:/path`";
        return Err(words.to_owned());
    }
    Ok(OsString::from_vec(path).into())
}

#[cfg(not(unix))]
fn file(_encoded: &str) -> Result<PathBuf, String> {
    Err("names a Unix socket, which this platform does not support".to_owned())
}

/// The URL of a Unix socket, with this request target.
#[cfg(unix)]
pub(crate) fn of_socket(path: &std::path::Path, target: &str) -> String {
    use std::os::unix::ffi::OsStrExt;

    let mut url = "ws+unix://".to_owned();
    let stays = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=@".contains(&byte);
    encode(&mut url, path.as_os_str().as_bytes(), stays);
    url.push(':');
    url.push_str(target);
    url
}

/// The URL without query and user information, which may contain tokens and passwords, so that
/// errors and logs may show it. Works for invalid URLs as well, because a slash in a password makes
/// a URL invalid.
pub(crate) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_at(behind_slashes(url));
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, behind) = match authority.rsplit_once('@') {
        Some((_, host)) => (host, behind),
        None if has_port(authority) => (authority, behind),
        // No port, so this may be the start of a password.
        None => behind.rsplit_once('@').map_or((authority, behind), |(_, rest)| ("", rest)),
    };
    let path = behind.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}

/// The start of the authority, after any number of slashes.
fn behind_slashes(url: &str) -> usize {
    let colon = url.find([':', '/', '?', '#', '@']).unwrap_or_default();
    match url.get(colon..).and_then(|rest| rest.strip_prefix(':')) {
        Some(rest) if rest.starts_with('/') => url.len() - rest.trim_start_matches('/').len(),
        _ => 0,
    }
}

/// Whether the part after a host's colon, if there is one, is a port.
fn has_port(authority: &str) -> bool {
    let port = authority.rsplit(']').next().unwrap_or_default().split_once(':');
    port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn is_secure(uri: &Uri) -> bool {
    uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss"))
}

/// The host of a URI without the brackets of an IPv6 address.
pub(crate) fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "tls"))]
    #[test]
    fn a_wss_url_without_the_feature_tls_is_an_error() {
        let error = parse("wss://example.org/rpc?token=s3cr3t").err().unwrap();
        assert!(matches!(error, ConnectError::Url(_)), "{error:?}");
        let words = "`wss://example.org/rpc` needs TLS; enable the feature `tls` of the crate \
                     wsjsonrpc, or open the TLS session yourself and use `connect_over` with a \
                     `ws://` URL";
        assert_eq!(error.to_string(), words);
    }

    #[test]
    fn secrets_are_removed_from_urls() {
        let cases = [
            ("ws://host:80/path?token=x", "ws://host:80/path"),
            ("ws://user:password@host/a@b", "ws://host/a@b"),
            ("ws://user:pass:word@a@host", "ws://host"),
            ("wss://host#x", "wss://host"),
            ("user:password@host/path", "host/path"),
            ("ws://[::1]:80", "ws://[::1]:80"),
            ("ws://[::1]:80/a@b?c@d", "ws://[::1]:80/a@b"),
            ("ws://user:pass/word@host/path", "ws://host/path"),
            ("ws://user:pass?word@host/path?token=x", "ws://host/path"),
            ("ws://user:pass#word@host", "ws://host"),
            ("ws:/user:password@host/path", "ws:/host/path"),
            ("ws:///user:password@host/path", "ws:///host/path"),
            ("ws:user:password@host/path", "host/path"),
            ("host/path?token=a:/b", "host/path"),
            ("", ""),
            ("ws+unix:///run/a.sock:/rpc?token=x", "ws+unix:///run/a.sock:/rpc"),
            ("ws+unix:///a.sock:/rpc?token=x@y", "ws+unix:///a.sock:/rpc"),
            ("ws+unix:/run/a.sock?token=x", "ws+unix:/run/a.sock"),
            ("ws+unix://user:password@host/a.sock", "ws+unix://host/a.sock"),
        ];
        for (url, shown) in cases {
            assert_eq!(without_secrets(url), shown);
        }
    }

    #[cfg(unix)]
    #[test]
    fn urls_of_unix_sockets() {
        for (url, path, asked) in [
            ("ws+unix:///run/app.sock:/rpc?a=b:c", "/run/app.sock", "/rpc?a=b:c"),
            ("WS+UNIX:/run/app.sock:/", "/run/app.sock", "/"),
            ("ws+unix:///run/app.sock", "/run/app.sock", "/"),
            ("ws+unix:///run/app.sock:", "/run/app.sock", "/"),
            ("ws+unix:///run/app.sock?a=b:c#d", "/run/app.sock", "/?a=b:c"),
            ("ws+unix:///run/100%25%3a%20x:/%20", "/run/100%: x", "/%20"),
            ("ws+unix:///run/café.sock:/café ü", "/run/café.sock", "/caf%C3%A9%20%C3%BC"),
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.socket.as_deref(), Some(std::path::Path::new(path)), "{url}");
            assert_eq!(target.uri.path_and_query().unwrap().as_str(), asked, "{url}");
            assert_eq!(target.uri.authority().unwrap(), "localhost", "{url}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_url_round_trips() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        for path in [&b"/run/app.sock"[..], b"/a:b?c#d%e f/\xff\n", "/run/é.sock".as_bytes()] {
            let path = std::path::Path::new(OsStr::from_bytes(path));
            let url = of_socket(path, "/rpc");
            assert_eq!(parse(&url).unwrap().socket.as_deref(), Some(path), "{url}");
        }
        let plain = of_socket(std::path::Path::new("/run/app.sock"), "/rpc");
        assert_eq!(plain, "ws+unix:///run/app.sock:/rpc");
    }

    #[test]
    fn invalid_urls_of_unix_sockets() {
        for url in [
            "ws+unix://run/app.sock",
            "ws+unix:app.sock",
            "ws+unix:",
            "ws+unix:///run/app.sock:rpc",
            "ws+unix:///run/%zz",
            "ws+unix:///run/%e",
            "ws+unix:///run/%00",
            "wss+unix:///run/app.sock",
        ] {
            assert!(matches!(parse(url), Err(ConnectError::Url(_))), "{url}");
        }
    }
}

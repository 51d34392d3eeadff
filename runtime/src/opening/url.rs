//! The URL that a client connects to: what can be used, and what of it may be shown. How a server
//! writes that of its Unix socket.
//!
//! Must not know how to connect.

use std::path::PathBuf;

use http::Uri;

use crate::unopened::ConnectError;

/// A URL that can be connected to.
pub(crate) struct Target {
    /// What the handshake asks for, and of whom.
    pub(crate) uri: Uri,
    /// The Unix socket that leads there, if it is no TCP port.
    pub(crate) socket: Option<PathBuf>,
}

pub(crate) fn parse(url: &str) -> Result<Target, ConnectError> {
    let shown = without_secrets(url);
    let wrong = |what: &str| Err(ConnectError::Url(format!("`{shown}` {what}")));
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    if scheme.eq_ignore_ascii_case("ws+unix") {
        return socket(rest).or_else(|what| wrong(&what));
    }
    if scheme.eq_ignore_ascii_case("wss+unix") {
        return wrong("asks for TLS over a Unix socket, which is not offered; use `ws+unix:`");
    }
    let uri: Uri = match url.parse() {
        Ok(uri) => uri,
        Err(error) => return wrong(&format!("is no URL: {error}")),
    };
    // The parser takes any digits for a port.
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let behind_host = authority.rsplit([']', '@']).next().unwrap_or_default();
    let port = behind_host.rsplit_once(':').map_or("", |(_, port)| port);
    if !port.is_empty() && port.parse::<u16>().is_err() {
        return wrong("is no URL: its port is above 65535");
    }
    let has_host = uri.host().is_some_and(|host| !host.is_empty());
    let scheme = uri.scheme_str().map(str::to_ascii_lowercase);
    match scheme.as_deref() {
        Some("ws") if has_host => Ok(Target { uri, socket: None }),
        Some("wss") if has_host && cfg!(feature = "tls") => Ok(Target { uri, socket: None }),
        Some("wss") if has_host => wrong(
            "asks for TLS: enable the feature `tls` of the crate wsjsonrpc, or open the TLS \
             session yourself and use `connect_over` with a `ws://` URL",
        ),
        _ => wrong("is no WebSocket URL; expected `ws://host:port/path` or `wss://host:port/path`"),
    }
}

/// What is behind `ws+unix:`, in the form that the npm package `ws` has made known: a socket's
/// absolute path, then perhaps a colon and what the handshake asks for. What means something in a
/// URL is percent-encoded in the path.
fn socket(rest: &str) -> Result<Target, String> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            let words = "names a host; a socket's path is absolute, so there are three slashes: \
                         `ws+unix:///run/app.sock:/path`";
            return Err(words.to_owned());
        }
    };
    let rest = path.split('#').next().unwrap_or_default();
    let (path, target) = rest.split_at(rest.find([':', '?']).unwrap_or(rest.len()));
    let path = file(path)?;
    let target = target.strip_prefix(':').unwrap_or(target);
    let uri = match target.as_bytes().first() {
        None | Some(b'?') => format!("ws://localhost/{target}").parse(),
        Some(b'/') => format!("ws://localhost{target}").parse(),
        Some(_) => return Err("has no `/` behind the colon that ends the socket's path".to_owned()),
    };
    uri.map(|uri| Target { uri, socket: Some(path) }).map_err(|error| format!("is no URL: {error}"))
}

/// A socket's path, as a URL has it.
#[cfg(unix)]
fn file(encoded: &str) -> Result<PathBuf, String> {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    let mut parts = encoded.split('%');
    let mut path = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let byte = part.get(..2).filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let byte = byte.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        path.push(byte.ok_or("is no URL: two hexadecimal digits must follow a `%`")?);
        path.extend_from_slice(part.get(2..).unwrap_or_default().as_bytes());
    }
    if path.first() != Some(&b'/') || path.contains(&0) {
        let words = "has no absolute path of a socket; expected `ws+unix:///run/app.sock:/path`";
        return Err(words.to_owned());
    }
    Ok(OsString::from_vec(path).into())
}

#[cfg(not(unix))]
fn file(_encoded: &str) -> Result<PathBuf, String> {
    Err("asks for a Unix socket, and there are none on this platform".to_owned())
}

/// The URL of a Unix socket for what a handshake asks for.
#[cfg(unix)]
pub(crate) fn of_socket(path: &std::path::Path, target: &str) -> String {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;

    let mut url = "ws+unix://".to_owned();
    for byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=@".contains(byte) {
            url.push(char::from(*byte));
        } else {
            // A string takes it.
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url.push(':');
    url.push_str(target);
    url
}

/// The URL as it may stand in an error, and so in a log: queries and user names are where tokens
/// and passwords are. Also of what is no URL, as a slash in a password makes it.
pub(crate) fn without_secrets(url: &str) -> String {
    let (scheme, rest) = url.split_at(behind_slashes(url));
    let (authority, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, behind) = match authority.rsplit_once('@') {
        Some((_, host)) => (host, behind),
        None if has_port(authority) => (authority, behind),
        // No port, so it may be the beginning of a password.
        None => behind.rsplit_once('@').map_or((authority, behind), |(_, rest)| ("", rest)),
    };
    let path = behind.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}{host}{path}")
}

/// Where the authority begins, after however many slashes.
fn behind_slashes(url: &str) -> usize {
    let colon = url.find([':', '/', '?', '#', '@']).unwrap_or_default();
    match url.get(colon..).and_then(|rest| rest.strip_prefix(':')) {
        Some(rest) if rest.starts_with('/') => url.len() - rest.trim_start_matches('/').len(),
        _ => 0,
    }
}

/// Whether what is behind a host's colon, if there is one, is a port.
fn has_port(authority: &str) -> bool {
    let port = authority.rsplit(']').next().unwrap_or_default().split_once(':');
    port.is_none_or(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn is_secure(uri: &Uri) -> bool {
    uri.scheme_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("wss"))
}

/// An IPv6 address stands in brackets in a URL, and without them everywhere else.
pub(crate) fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(not(feature = "tls"))]
    #[test]
    fn without_the_feature_a_url_with_tls_is_an_error_that_names_it() {
        let error = parse("wss://example.org/rpc?token=s3cr3t").err().unwrap();
        assert!(matches!(error, ConnectError::Url(_)), "{error:?}");
        let words = "`wss://example.org/rpc` asks for TLS: enable the feature `tls` of the crate \
                     wsjsonrpc, or open the TLS session yourself and use `connect_over` with a \
                     `ws://` URL";
        assert_eq!(error.to_string(), words);
    }

    #[test]
    fn what_a_log_may_show_of_a_url() {
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
        ] {
            let target = parse(url).unwrap();
            assert_eq!(target.socket.as_deref(), Some(std::path::Path::new(path)), "{url}");
            assert_eq!(target.uri.path_and_query().unwrap().as_str(), asked, "{url}");
            assert_eq!(target.uri.authority().unwrap(), "localhost", "{url}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_a_server_writes_is_read_back() {
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
    fn urls_that_lead_to_no_socket() {
        for url in [
            "ws+unix://run/app.sock",
            "ws+unix:app.sock",
            "ws+unix:",
            "ws+unix:///run/app.sock:rpc",
            "ws+unix:///run/%zz",
            "ws+unix:///run/%e",
            "ws+unix:///run/%00",
            "ws+unix:///run/app.sock:/a b",
            "wss+unix:///run/app.sock",
        ] {
            assert!(matches!(parse(url), Err(ConnectError::Url(_))), "{url}");
        }
    }
}

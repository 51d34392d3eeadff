//! The URL that a client connects to: what can be used, and what of it may be shown.
//!
//! Must not know how to connect.

use http::Uri;

use crate::unopened::ConnectError;

pub(crate) fn parse(url: &str) -> Result<Uri, ConnectError> {
    let shown = without_secrets(url);
    let wrong = |what: &str| Err(ConnectError::Url(format!("`{shown}` {what}")));
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
        Some("ws") if has_host => Ok(uri),
        Some("wss") if has_host && cfg!(feature = "tls") => Ok(uri),
        Some("wss") if has_host => wrong(
            "asks for TLS: enable the feature `tls` of the crate wsjsonrpc, or open the TLS \
             session yourself and use `connect_over` with a `ws://` URL",
        ),
        _ => wrong("is no WebSocket URL; expected `ws://host:port/path` or `wss://host:port/path`"),
    }
}

/// The URL as it may stand in an error, and so in a log: queries and user names are where tokens
/// and passwords are.
fn without_secrets(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let colon = if scheme.is_empty() { "" } else { "://" };
    format!("{scheme}{colon}{host}{path}")
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
        let error = parse("wss://example.org/rpc?token=s3cr3t").unwrap_err();
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
        ];
        for (url, shown) in cases {
            assert_eq!(without_secrets(url), shown);
        }
    }
}

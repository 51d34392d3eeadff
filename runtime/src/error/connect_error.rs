//! Errors before a connection or a server exists: [`ConnectError`] and [`BindError`].

use std::fmt;
use std::io;
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};

use crate::protocol::error::ErrorObject;
use crate::protocol::escape::Shown;

/// Two services answer to the same method name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuplicateMethod {
    pub(crate) name: String,
}

impl DuplicateMethod {
    /// The name that was registered twice.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for DuplicateMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(
            f,
            "the method `{name}` is registered twice; give one of the traits a namespace, or rename one of the methods"
        )
    }
}

impl std::error::Error for DuplicateMethod {}

/// Why [`ClientBuilder::connect`](crate::client::ClientBuilder::connect) brought no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL can't be used; it says why.
    Url(String),
    /// A header or a subprotocol's name can't be sent; it says which.
    Header(String),
    /// Two of the client's own services have a method of the same name.
    DuplicateMethod(DuplicateMethod),
    /// The network connection failed; the error names the host and the address.
    Io(io::Error),
    /// The TLS handshake failed: the server's certificate is not trusted, not for this host or out
    /// of date, or what answers does not speak TLS; it says which.
    Tls(io::Error),
    /// The server answered the handshake with an HTTP status other than 101.
    ///
    /// ```no_run
    /// # use wsjsonrpc::Client;
    /// # use wsjsonrpc::error::ConnectError;
    /// # async fn show() {
    /// // Redirects are not followed; the application may do so, if it trusts where they lead.
    /// if let Err(ConnectError::Refused { headers, .. }) = Client::connect("ws://old.example").await {
    ///     println!("the server has moved to {:?}", headers.get("location"));
    /// }
    /// # }
    /// ```
    #[non_exhaustive]
    Refused {
        /// The status.
        status: StatusCode,
        /// The body, at most 4 KiB of it, as text, as it came.
        body: String,
        /// When to come again, if the server says it in seconds: its `Retry-After`
        /// ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). A
        /// date in its place is not read.
        retry_after: Option<Duration>,
        /// The response's headers, `Location` of a redirect and `WWW-Authenticate` among them. They
        /// are marked as sensitive, so `Debug` does not show their values.
        headers: Box<HeaderMap>,
    },
    /// What answered does not speak WebSocket as it should; it says what is wrong.
    Handshake(String),
    /// Connecting took longer than
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    #[non_exhaustive]
    Timeout {
        /// What the client waited for when the time was up, for a person to read.
        waiting_for: String,
    },
    /// The hook of [`on_connect`](crate::client::ClientBuilder::on_connect) or of
    /// [`headers_with`](crate::client::ClientBuilder::headers_with) has failed or panicked.
    Hook(ErrorObject),
}

impl ConnectError {
    /// The server's `Retry-After`, or zero.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            ConnectError::Refused { retry_after, .. } => retry_after.unwrap_or_default(),
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // It may quote the application's own URL or header.
            ConnectError::Url(what) | ConnectError::Header(what) => Shown(what).fmt(f),
            ConnectError::DuplicateMethod(error) => error.fmt(f),
            // The error says what failed, and where.
            ConnectError::Io(error) => {
                write!(f, "connection failed: {}", Shown(&error.to_string()))
            }
            ConnectError::Tls(error) => write!(f, "TLS handshake failed: {error}"),
            ConnectError::Refused { status, body, headers, .. } => {
                write!(f, "the server refused the connection with HTTP status {status}")?;
                // The new location may contain a secret.
                if status.is_redirection() && headers.contains_key(LOCATION) {
                    f.write_str("; connect to the URL in its `Location` header")?;
                }
                if body.is_empty() { Ok(()) } else { write!(f, ": {}", Shown(body)) }
            }
            ConnectError::Handshake(what) => {
                write!(f, "the WebSocket handshake failed: {}", Shown(what))
            }
            ConnectError::Timeout { waiting_for } => {
                write!(f, "connecting timed out while waiting for {}", Shown(waiting_for))
            }
            ConnectError::Hook(error) => match error.source() {
                Some(source) => write!(f, "the client's own hook failed: {source}"),
                None => write!(f, "the client's own hook failed: {error}"),
            },
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ConnectError::Io(error) | ConnectError::Tls(error) => error.source(),
            ConnectError::Hook(error) => error.source().and_then(|source| source.source()),
            _ => None,
        }
    }
}

impl From<DuplicateMethod> for ConnectError {
    fn from(error: DuplicateMethod) -> Self {
        ConnectError::DuplicateMethod(error)
    }
}

/// Why a server could not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// Two of its services have a method of the same name.
    DuplicateMethod(DuplicateMethod),
    /// The builder was given something that can't be used; it says what.
    Setting(String),
    /// It can't listen on the address.
    Io {
        /// The address as it was given.
        address: String,
        /// What the operating system says.
        error: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::DuplicateMethod(error) => error.fmt(f),
            BindError::Setting(what) => Shown(what).fmt(f),
            BindError::Io { address, error } => {
                write!(f, "can't listen on {}: {}", Shown(address), Shown(&error.to_string()))
            }
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BindError::DuplicateMethod(_) | BindError::Setting(_) => None,
            BindError::Io { error, .. } => error.source(),
        }
    }
}

impl From<DuplicateMethod> for BindError {
    fn from(error: DuplicateMethod) -> Self {
        BindError::DuplicateMethod(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_of_a_path_are_escaped() {
        let error = || io::Error::other("the Unix socket /no/su\r\nch\u{1b}[31m.sock: not found");
        for shown in [
            ConnectError::Io(error()).to_string(),
            BindError::Io { address: "/no/su\r\nch\u{1b}".to_owned(), error: error() }.to_string(),
        ] {
            assert!(!shown.contains(char::is_control), "{shown:?}");
            assert!(shown.contains("not found"), "{shown}");
        }
    }
}

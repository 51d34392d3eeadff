//! Errors from before a connection or a server exists: [`ConnectError`] and [`BindError`].

use std::fmt;
use std::io;
use std::time::Duration;

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};

use crate::error::Elapsed;
use crate::protocol::error::ErrorObject;
use crate::protocol::escape::Shown;

/// Two methods were registered under the same name.
///
/// [`ConnectError`] and [`BindError`] contain it.
///
/// ```
/// use wsjsonrpc::Server;
/// use wsjsonrpc::error::BindError;
///
/// let server = Server::builder()
///     .method("sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) })
///     .method("sum", |_, (x, y): (i64, i64)| async move { Ok(y + x) });
/// let Err(BindError::DuplicateMethod(error)) = server.build() else { panic!() };
/// assert_eq!(error.name(), "sum");
/// ```
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
            "method `{name}` is registered twice; rename one of the methods, or give one of the \
             traits a namespace"
        )
    }
}

impl std::error::Error for DuplicateMethod {}

/// Why [`ClientBuilder::connect`](crate::client::ClientBuilder::connect) failed.
///
/// The message contains the texts of all causes. Match on the variant to reach the cause itself.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use wsjsonrpc::Client;
/// use wsjsonrpc::error::ConnectError;
///
/// match Client::connect("http://localhost/").await {
///     Ok(_) => println!("connected"),
///     Err(ConnectError::Refused { status, body, .. }) => println!("refused: {status} {body}"),
///     Err(ConnectError::Url(reason)) => assert!(reason.contains("is not a WebSocket URL")),
///     Err(other) => println!("{other}"),
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL cannot be used. The text quotes the URL, without its secrets, and gives the reason.
    Url(String),
    /// A header or the name of a subprotocol cannot be sent. The text names it.
    Header(String),
    /// Two of the client's own services have a method of the same name.
    DuplicateMethod(DuplicateMethod),
    /// The network connection failed. The error names the host and the address.
    Io(io::Error),
    /// The TLS handshake failed. The error gives the cause: the server's certificate is not
    /// trusted, is not valid for this host or is out of date, or the server does not speak TLS.
    Tls(io::Error),
    /// The server answered the handshake with an HTTP status other than 101.
    ///
    /// ```no_run
    /// # use wsjsonrpc::Client;
    /// # use wsjsonrpc::error::ConnectError;
    /// # async fn show() {
    /// // The client does not follow redirects. Do so yourself if you trust the new location.
    /// if let Err(ConnectError::Refused { headers, .. }) = Client::connect("ws://old.example").await {
    ///     println!("the server has moved to {:?}", headers.get("location"));
    /// }
    /// # }
    /// ```
    #[non_exhaustive]
    Refused {
        /// The status.
        status: StatusCode,
        /// The body as text, unchanged, cut off after 4 KiB.
        body: String,
        /// How long the server asks the client to wait before it tries again: `Retry-After` in
        /// seconds ([RFC 9110, section
        /// 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). `None` without that
        /// header, and also if the header has a date.
        retry_after: Option<Duration>,
        /// The headers of the response, among them the `Location` of a redirect and
        /// `WWW-Authenticate`. They are marked as sensitive, so `Debug` does not show their values.
        headers: Box<HeaderMap>,
    },
    /// The server does not speak WebSocket, or not correctly. The text says what is wrong.
    Handshake(String),
    /// Connecting took longer than [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    #[non_exhaustive]
    Timeout {
        /// What the client was waiting for when the time ran out, as text for people.
        waiting_for: String,
        /// How long connecting took: the timeout.
        after: Duration,
    },
    /// The closure of [`on_connect`](crate::client::ClientBuilder::on_connect) or of
    /// [`headers_with`](crate::client::ClientBuilder::headers_with) failed or panicked.
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
            // The text may quote the application's own URL or header.
            ConnectError::Url(what) | ConnectError::Header(what) => Shown(what).fmt(f),
            ConnectError::DuplicateMethod(error) => error.fmt(f),
            // The error itself names the operation and the address.
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
                write!(f, "WebSocket handshake failed: {}", Shown(what))
            }
            ConnectError::Timeout { waiting_for, after } => {
                let (after, waiting_for) = (Elapsed(*after), Shown(waiting_for));
                write!(f, "connecting timed out after {after} while waiting for {waiting_for}")
            }
            ConnectError::Hook(error) => match error.source() {
                Some(source) => write!(f, "client hook failed: {source}"),
                None => write!(f, "client hook failed: {error}"),
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
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use wsjsonrpc::Server;
/// use wsjsonrpc::error::BindError;
///
/// let Err(error) = Server::builder().bind("127.0.0.1").await else { panic!() };
/// assert!(matches!(error, BindError::Io { .. }));
/// assert_eq!(
///     error.to_string(),
///     "cannot listen on 127.0.0.1: expected host:port, such as 127.0.0.1:8080",
/// );
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum BindError {
    /// Two of the server's services have a method of the same name.
    DuplicateMethod(DuplicateMethod),
    /// A setting of the builder cannot be used. The text names the setting and the reason.
    Setting(String),
    /// The server cannot listen on the address.
    Io {
        /// The address as the application wrote it, or the addresses that it resolved to.
        address: String,
        /// The error of the operating system.
        error: io::Error,
    },
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BindError::DuplicateMethod(error) => error.fmt(f),
            BindError::Setting(what) => Shown(what).fmt(f),
            BindError::Io { address, error } => {
                write!(f, "cannot listen on {}: {}", Shown(address), Shown(&error.to_string()))
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

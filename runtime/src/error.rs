//! What goes wrong on this side: of a call, of a connection, of getting one.
//!
//! Where a text of the other side is shown, its control characters are escaped; the fields have it as
//! it came. Must not know the wire's error objects beyond carrying one (that is `protocol::error`).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use crate::protocol::error::{ErrorObject, RpcError};
use crate::protocol::shown::Shown;

/// Why a call brought no result.
///
/// `E` is the method's own error type; for most it is [`ErrorObject`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E = ErrorObject> {
    /// The peer answered with an error of the method. The connection is fine.
    Call(E),

    /// The peer answered with an error object that is none of the method's error type: -32601
    /// because it has no such method, for example. The connection is fine.
    Other(ErrorObject),

    /// No response came in time. The peer may still be working on it; a late response is dropped.
    /// The connection is fine. Wait longer with [`Call::timeout`](crate::Call::timeout).
    Timeout,

    /// The connection has ended, and with it every call on it. Whether the peer did what was asked
    /// is unknown. Connect again.
    Closed(CloseReason),

    /// The arguments do not serialize to JSON params; nothing was sent. The connection is fine.
    Encode(io::Error),

    /// The call is larger than [`Config::max_outgoing_message`](crate::Config::max_outgoing_message);
    /// nothing was sent. The connection is fine.
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// The peer's result is not of the method's type. The connection is fine; the two sides
    /// disagree about the method.
    Decode(serde_json::Error),

    /// The peer's answer is no JSON-RPC response: it has both a result and an error, or neither,
    /// or an error that is no error object. The connection is fine.
    InvalidResponse(&'static str),

    /// A batch without entries; it was not sent, as the specification forbids it.
    EmptyBatch,

    /// The batch of this call was dropped before it was sent.
    NotSent,
}

impl<E> Error<E> {
    /// The same error for a method with another error type. `convert` gets what is in
    /// [`Error::Call`].
    pub(crate) fn map_call<F>(self, convert: impl FnOnce(E) -> Error<F>) -> Error<F> {
        match self {
            Error::Call(error) => convert(error),
            Error::Other(object) => Error::Other(object),
            Error::Timeout => Error::Timeout,
            Error::Closed(reason) => Error::Closed(reason),
            Error::Encode(error) => Error::Encode(error),
            Error::TooLarge { size, limit } => Error::TooLarge { size, limit },
            Error::Decode(error) => Error::Decode(error),
            Error::InvalidResponse(what) => Error::InvalidResponse(what),
            Error::EmptyBatch => Error::EmptyBatch,
            Error::NotSent => Error::NotSent,
        }
    }
}

impl<E: RpcError> Error<E> {
    /// The error object, to pass on another server's error to one's own caller: as it came if the
    /// peer answered with one, else -32603 with this error as its source.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Error, Peer, Result};
    /// async fn relay(backend: &Peer) -> Result<u64> {
    ///     backend.call("stock", ["apple"]).await.map_err(Error::into_object)
    /// }
    /// ```
    pub fn into_object(self) -> ErrorObject
    where
        E: fmt::Debug + Sync,
    {
        match self {
            Error::Call(error) => error.to_object(),
            Error::Other(object) => object,
            other => ErrorObject::from(other),
        }
    }
}

/// An error of the peer's is shown as its error object is: message and code.
impl<E: RpcError> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Call(error) => error.to_object().fmt(f),
            Error::Other(object) => object.fmt(f),
            Error::Timeout => f.write_str("no response in time"),
            Error::Closed(reason) => write!(f, "the connection is closed: {reason}"),
            Error::Encode(error) => write!(f, "the arguments can't be sent: {error}"),
            Error::TooLarge { size, limit } => {
                write!(f, "the call has {size} bytes, the limit is {limit}; nothing was sent")
            }
            Error::Decode(error) => {
                // It may quote the result.
                let error = error.to_string();
                write!(f, "the result is not of the expected type: {}", Shown(&error))
            }
            Error::InvalidResponse(what) => write!(f, "the peer's answer is no response: {what}"),
            Error::EmptyBatch => f.write_str("a batch without entries can't be sent"),
            Error::NotSent => f.write_str("the batch was dropped before it was sent"),
        }
    }
}

impl<E: RpcError + fmt::Debug> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Encode(error) => Some(error),
            Error::Decode(error) => Some(error),
            _ => None,
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed it.
    Local,
    /// The peer closed it, with the code and words of its close frame
    /// ([RFC 6455, section 7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4); 1005 if it
    /// gave no code).
    Remote {
        /// The close code.
        code: u16,
        /// The peer's words as they came, mostly none.
        reason: String,
    },
    /// The network connection broke, or ended without a close frame.
    Lost(Arc<io::Error>),
    /// The peer broke the WebSocket protocol, or sent a message over the limit.
    Protocol(String),
    /// The peer took nothing for [`Config::write_timeout`](crate::Config::write_timeout).
    Stalled,
    /// Nothing came from the peer for [`Config::ping_interval`](crate::Config::ping_interval), nor
    /// an answer to the ping that it was sent then: it hangs, or the network in between is cut.
    Unresponsive,
    /// The task of the connection was dropped, as happens when its runtime shuts down.
    Aborted,
    /// A [reconnecting client](crate::ClientBuilder::reconnect) has lost its connection, and this is
    /// what its last attempt to connect again failed with.
    Reconnect(Arc<ConnectError>),
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Local => f.write_str("closed by this side"),
            CloseReason::Remote { code, reason } if reason.is_empty() => {
                write!(f, "closed by the peer with code {code}")
            }
            CloseReason::Remote { code, reason } => {
                write!(f, "closed by the peer with code {code}: {}", Shown(reason))
            }
            CloseReason::Lost(error) => write!(f, "lost: {error}"),
            CloseReason::Protocol(what) => write!(f, "the peer broke the protocol: {what}"),
            CloseReason::Stalled => f.write_str("the peer has stopped reading"),
            CloseReason::Unresponsive => {
                f.write_str("the peer says nothing any more and answers no ping")
            }
            CloseReason::Aborted => f.write_str("its task was dropped"),
            CloseReason::Reconnect(error) => {
                write!(f, "it was lost, and there is no new one: {error}")
            }
        }
    }
}

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

/// Why [`ClientBuilder::connect`](crate::ClientBuilder::connect) brought no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL can't be used; it says why.
    Url(String),
    /// A header or a subprotocol's name can't be sent; it says which.
    Header(String),
    /// Two of the client's own services have a method of the same name.
    DuplicateMethod(DuplicateMethod),
    /// The network connection failed.
    Io(io::Error),
    /// There is no TLS session: the server's certificate is not trusted, not for this host or out
    /// of date, or what answers does not speak TLS; it says which.
    Tls(io::Error),
    /// The server answered the handshake with an HTTP status other than 101.
    Refused {
        /// The status.
        status: StatusCode,
        /// The body, at most 4 KiB of it, as text, as it came.
        body: String,
        /// When to come again, if the server says it in seconds: its `Retry-After`
        /// ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)). A
        /// date in its place is not read.
        retry_after: Option<Duration>,
    },
    /// What answered does not speak WebSocket as it should; it says what is wrong.
    Handshake(String),
    /// It took longer than [`Config::handshake_timeout`](crate::Config::handshake_timeout).
    Timeout,
    /// The hook of [`on_connect`](crate::ClientBuilder::on_connect) or of
    /// [`headers_with`](crate::ClientBuilder::headers_with) has failed or panicked.
    Hook(ErrorObject),
}

impl ConnectError {
    /// How long the server wants to be left alone.
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
            ConnectError::Url(what) | ConnectError::Header(what) => f.write_str(what),
            ConnectError::DuplicateMethod(error) => error.fmt(f),
            ConnectError::Io(error) => write!(f, "can't connect: {error}"),
            ConnectError::Tls(error) => write!(f, "there is no TLS session: {error}"),
            ConnectError::Refused { status, body, .. } if body.is_empty() => {
                write!(f, "the server refused the connection with HTTP status {status}")
            }
            ConnectError::Refused { status, body, .. } => {
                let body = Shown(body);
                write!(f, "the server refused the connection with HTTP status {status}: {body}")
            }
            ConnectError::Handshake(what) => write!(f, "the WebSocket handshake failed: {what}"),
            ConnectError::Timeout => f.write_str("the server did not answer in time"),
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
            ConnectError::DuplicateMethod(error) => Some(error),
            ConnectError::Io(error) | ConnectError::Tls(error) => Some(error),
            ConnectError::Hook(error) => error.source().map(|source| source as _),
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
            BindError::Setting(what) => f.write_str(what),
            BindError::Io { address, error } => write!(f, "can't listen on {address}: {error}"),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BindError::DuplicateMethod(error) => Some(error),
            BindError::Setting(_) => None,
            BindError::Io { error, .. } => Some(error),
        }
    }
}

impl From<DuplicateMethod> for BindError {
    fn from(error: DuplicateMethod) -> Self {
        BindError::DuplicateMethod(error)
    }
}

/// What an error of the application's says, and what led to it, in one line of the log. It may quote
/// what a peer has sent.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        // As many as a person reads: nobody says that there is an end to them.
        for cause in std::iter::successors(self.0.source(), |error| error.source()).take(8) {
            let words = cause.to_string();
            // Some errors say it all themselves.
            if !said.contains(&words) {
                said = format!("{said}: {words}");
            }
        }
        Shown(&said).fmt(f)
    }
}

/// For a server's log, which has nothing that a client has said: without its words.
pub(crate) struct Wordless<'a>(pub(crate) &'a CloseReason);

impl fmt::Display for Wordless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CloseReason::Remote { code, .. } => write!(f, "closed by the peer with code {code}"),
            other => other.fmt(f),
        }
    }
}

/// For the log line of a connection.
pub(crate) struct Remote(pub(crate) Option<SocketAddr>);

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown address"),
        }
    }
}

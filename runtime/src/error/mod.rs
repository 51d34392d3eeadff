//! What goes wrong on this side: errors of calls ([`Error`]), and of connections ([`CloseReason`],
//! [`ConnectError`]).
//!
//! In texts, control characters that the other side sent are escaped; fields have them unchanged.

pub(crate) mod connect_error;
pub(crate) mod http_error;

pub use self::connect_error::{BindError, ConnectError, DuplicateMethod};
pub use self::http_error::HttpError;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::protocol::error::ErrorObject;
use crate::protocol::escape::Shown;
use crate::protocol::typed::RpcError;

/// Why a call brought no result.
///
/// Its text contains that of its cause, so `{}` is enough to print it.
/// [`source`](std::error::Error::source) goes on behind the cause, so a report of the whole chain, as
/// anyhow prints it, says nothing twice. This holds for every error type of the crate. To get at the
/// cause itself, match on the variant.
///
/// `E` is the method's own error type; for most it is [`ErrorObject`]. With a type of the
/// application's ([`RpcError`](trait@crate::RpcError)), the caller matches on what the handler
/// returned:
///
/// ```
/// # use wsjsonrpc::{Context, Error, Result, RpcError, rpc};
/// #[derive(Debug, RpcError)]
/// enum BankError {
///     #[rpc_error(code = 1001)]
///     Insufficient { missing: u64 },
/// }
/// # #[rpc]
/// # trait Bank {
/// #     async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
/// # }
///
/// # async fn show(bank: BankClient) -> String {
/// match bank.withdraw(50).await {
///     Ok(left) => format!("{left} left"),
///     Err(Error::Call(BankError::Insufficient { missing })) => format!("{missing} are missing"),
///     Err(Error::Timeout(_)) => "the bank takes its time".to_owned(),
///     Err(other) => format!("something else: {other}"),
/// }
/// # }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<E = ErrorObject> {
    /// The peer answered with an error of the method. The connection is fine.
    Call(E),

    /// The peer answered with an error object that is none of the method's error type: -32601
    /// because it has no such method, for example, or one of the type's codes with data that does
    /// not fit. It is as it came. The connection is fine.
    Other(ErrorObject),

    /// No response came in time. The peer may still be working on it; a late response is dropped.
    /// The connection is fine. Wait longer with [`Call::timeout`](crate::Call::timeout).
    Timeout(Timeout),

    /// The deadline of the call that is being handled had passed before this call could be sent
    /// ([`Context::deadline`](crate::Context::deadline)); nothing was sent. The connection is fine. A call
    /// that was sent before that fails with [`Error::Timeout`]: the peer did not answer in the time that was
    /// left.
    DeadlinePassed,

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

    /// The peer's answer is no JSON-RPC response: it has both a result and an error, or neither. By
    /// HTTP also: it is not JSON, is too large, or has another id. The connection is fine.
    ///
    /// An error that is no error object (a string, an object without a code) is an [`Error::Call`]
    /// with the code -32603 and what the peer sent as its [`data`](ErrorObject::data).
    InvalidResponse(&'static str),

    /// The call went by HTTP ([`HttpError`]) and brought no JSON-RPC response: the server answered
    /// with a status other than 2xx, or the network failed. Whether the server did what was asked is
    /// unknown in general. Never with a WebSocket.
    Http(HttpError),

    /// More items of a subscription have come than there was room for
    /// ([`Config::subscription_window`](crate::Config::subscription_window)), or its producer ends
    /// those whose consumers are too slow. The subscription is over; the connection is fine.
    Lagged,

    /// A batch without entries; it was not sent, as the specification forbids it.
    EmptyBatch,

    /// The batch has more entries than
    /// [`Config::max_outgoing_batch`](crate::Config::max_outgoing_batch); nothing was sent. The
    /// connection is fine.
    LargeBatch {
        /// How many calls and notifications it has.
        entries: usize,
        /// The limit.
        limit: usize,
    },

    /// The batch of this call was dropped before it was sent.
    NotSent,
}

impl<E> Error<E> {
    /// Converts the error for a method with another error type. `convert` gets the content of
    /// [`Error::Call`].
    pub(crate) fn map_call<F>(self, convert: impl FnOnce(E) -> Error<F>) -> Error<F> {
        match self {
            Error::Call(error) => convert(error),
            Error::Other(object) => Error::Other(object),
            Error::Timeout(timeout) => Error::Timeout(timeout),
            Error::DeadlinePassed => Error::DeadlinePassed,
            Error::Closed(reason) => Error::Closed(reason),
            Error::Encode(error) => Error::Encode(error),
            Error::TooLarge { size, limit } => Error::TooLarge { size, limit },
            Error::Decode(error) => Error::Decode(error),
            Error::InvalidResponse(what) => Error::InvalidResponse(what),
            Error::Http(error) => Error::Http(error),
            Error::Lagged => Error::Lagged,
            Error::EmptyBatch => Error::EmptyBatch,
            Error::LargeBatch { entries, limit } => Error::LargeBatch { entries, limit },
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

/// An error of the peer is shown as its error object: message and code.
impl<E: RpcError> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Call(error) => error.to_object().fmt(f),
            Error::Other(object) => object.fmt(f),
            Error::Timeout(timeout) => timeout.fmt(f),
            Error::DeadlinePassed => {
                f.write_str("the deadline of the call being handled has passed; nothing was sent")
            }
            Error::Closed(CloseReason::NoSocket) => {
                f.write_str("the caller can't be called back, as it has no WebSocket")
            }
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
            Error::Http(error) => error.fmt(f),
            Error::Lagged => f.write_str("the items of the subscription were not taken in time"),
            Error::EmptyBatch => f.write_str("a batch without entries can't be sent"),
            Error::LargeBatch { entries, limit } => write!(
                f,
                "the batch has {entries} entries, the limit is {limit}; nothing was sent; split it, or \
                 raise Config::max_outgoing_batch"
            ),
            Error::NotSent => f.write_str("the batch was dropped before it was sent"),
        }
    }
}

impl<E: RpcError + fmt::Debug> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // A handler that fails with this is recognized by it, inside an error of any type.
            Error::Closed(reason @ CloseReason::NoSocket) => Some(reason),
            Error::Closed(reason) => reason.source(),
            Error::Encode(error) => error.source(),
            Error::Decode(error) => error.source(),
            Error::Http(error) => error.source(),
            _ => None,
        }
    }
}

/// The call that got no response in time, and how long it waited: what is in [`Error::Timeout`].
///
/// ```
/// # use std::time::Duration;
/// # use wsjsonrpc::Error;
/// # use wsjsonrpc::error::Timeout;
/// let error: Error = Error::Timeout(Timeout::new("math.sum", Duration::from_secs(30)));
/// assert_eq!(error.to_string(), "no response to \"math.sum\" within 30 s");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeout(Box<Unanswered>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Unanswered {
    method: Box<str>,
    calls: usize,
    after: Duration,
    /// Why the client had no connection at the timeout.
    no_connection: Option<Box<str>>,
}

impl Timeout {
    /// The timeout of one call, for tests and for middleware with a timeout of its own.
    pub fn new(method: &str, after: Duration) -> Self {
        Self::of_batch(method, 1, after)
    }

    /// The timeout of a batch with this many entries.
    #[cold]
    #[inline(never)]
    pub(crate) fn of_batch(first: &str, calls: usize, after: Duration) -> Self {
        let method = first.into();
        Timeout(Box::new(Unanswered { method, calls, after, no_connection: None }))
    }

    /// Adds the reason why the client had no connection.
    pub(crate) fn without_connection(mut self, reason: &CloseReason) -> Self {
        self.0.no_connection = Some(reason.to_string().into());
        self
    }

    /// The wire name of the method; of a batch as a whole, that of its first entry.
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// How long the call waited: its timeout.
    pub fn after(&self) -> Duration {
        self.0.after
    }

    /// Whether a [reconnecting client](crate::client::ClientBuilder::reconnect) had no connection when the time was
    /// over. Then the message says why the latest attempt to connect failed.
    pub fn had_no_connection(&self) -> bool {
        self.0.no_connection.is_some()
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Unanswered { method, calls, after, no_connection } = &*self.0;
        f.write_str(if no_connection.is_none() {
            "no response to "
        } else {
            "no connection for "
        })?;
        let method = Shown(method);
        match calls {
            0 | 1 => write!(f, "\"{method}\" within ")?,
            _ => write!(f, "a batch of {calls} (\"{method}\", …) within ")?,
        }
        match after.as_secs_f64() {
            seconds if seconds >= 1.0 => write!(f, "{} s", (seconds * 10.0).round() / 10.0)?,
            seconds => write!(f, "{} ms", (seconds * 1e4).round() / 10.0)?,
        }
        match no_connection {
            Some(reason) => write!(f, "; the client is reconnecting: {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Timeout {}

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
    /// A [reconnecting client](crate::client::ClientBuilder::reconnect) has lost its connection, and this is
    /// what its last attempt to connect again failed with.
    Reconnect(Arc<ConnectError>),
    /// There never was one: the caller came by HTTP POST, and can't be called back. A handler that
    /// passes this on with `?` answers -32006
    /// ([`ErrorCode::NEEDS_WEBSOCKET`](crate::ErrorCode::NEEDS_WEBSOCKET)).
    NoSocket,
}

impl CloseReason {
    /// Whether the connection ended because of one of its messages, for example one that was too
    /// large.
    pub(crate) fn blames_a_message(&self) -> bool {
        use CloseCode::{Invalid, Protocol, Size, Unsupported};
        match self {
            CloseReason::Protocol(_) => true,
            CloseReason::Remote { code, .. } => {
                matches!((*code).into(), Invalid | Protocol | Size | Unsupported)
            }
            _ => false,
        }
    }
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
            CloseReason::NoSocket => f.write_str("the caller came by HTTP POST"),
        }
    }
}

impl std::error::Error for CloseReason {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CloseReason::Lost(error) => error.source(),
            CloseReason::Reconnect(error) => error.source(),
            _ => None,
        }
    }
}

/// An error of the application and its causes in one line for the log. The text may quote the peer.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        // Limited, as a chain of causes may be endless.
        for cause in std::iter::successors(self.0.source(), |error| error.source()).take(8) {
            let words = cause.to_string();
            // Some errors include their causes.
            if !said.contains(&words) {
                said = format!("{said}: {words}");
            }
        }
        Shown(&said).fmt(f)
    }
}

/// The close reason without the peer's text, for a server's log.
pub(crate) struct Wordless<'a>(pub(crate) &'a CloseReason);

impl fmt::Display for Wordless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CloseReason::Remote { code, .. } => write!(f, "closed by the peer with code {code}"),
            other => other.fmt(f),
        }
    }
}

/// The remote address, for log lines.
pub(crate) struct Remote(pub(crate) Option<SocketAddr>);

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown address"),
        }
    }
}

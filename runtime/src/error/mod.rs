//! Errors that this side reports: errors of calls ([`Error`]), the end of a connection
//! ([`CloseReason`]), and failures to connect or to listen ([`ConnectError`], [`BindError`]).
//!
//! Messages (`Display`) escape control characters that the peer sent. Fields contain the peer's
//! text unchanged.

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

/// Why a call returned no result.
///
/// The message contains the texts of all causes, so `{}` prints everything.
/// [`source`](std::error::Error::source) skips the cause that the message already contains and
/// returns the next one, so printing the whole chain, as anyhow does, repeats nothing. This holds for
/// every error type of this crate. Match on the variant to reach the cause itself.
///
/// `E` is the error type of the method, by default [`ErrorObject`]. If the method has an error type
/// of the application ([`RpcError`](trait@crate::RpcError)), the caller matches on the value that
/// the handler returned:
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
    /// The peer responded with an error of the method's error type. The connection stays open.
    Call(E),

    /// The peer responded with an error object that does not belong to the method's error type, for
    /// example -32601 because it has no such method, or a code of that type with data that does not
    /// decode. The object is unchanged. The connection stays open.
    Other(ErrorObject),

    /// No response arrived in time. The peer may still be handling the call; a late response is
    /// ignored. The connection stays open. Set a longer timeout with
    /// [`Call::timeout`](crate::Call::timeout).
    Timeout(Timeout),

    /// The deadline of the call that is being handled
    /// ([`Context::deadline`](crate::Context::deadline)) had passed before this call could be sent.
    /// Nothing was sent. The connection stays open.
    ///
    /// A call that was sent before the deadline fails with [`Error::Timeout`] instead: the peer did
    /// not respond in the remaining time.
    DeadlinePassed,

    /// The connection ended before the response arrived. The peer may or may not have handled the
    /// call. Connect again.
    Closed(CloseReason),

    /// The arguments cannot be serialized to JSON. Nothing was sent. The connection stays open.
    Encode(io::Error),

    /// The call is larger than
    /// [`Config::max_outgoing_message`](crate::Config::max_outgoing_message). Nothing was sent. The
    /// connection stays open.
    TooLarge {
        /// The size of the call in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// The result cannot be deserialized into the method's return type: the two sides disagree
    /// about the method. The connection stays open.
    Decode(serde_json::Error),

    /// The peer's response is not a valid JSON-RPC response: it has both a result and an error, or
    /// neither. With HTTP also if the response is not JSON, is too large, or has another id. The
    /// connection stays open.
    ///
    /// An `error` member that is not an error object (a string, or an object without a code) is an
    /// [`Error::Call`] with code -32603, whose [`data`](ErrorObject::data) is what the peer sent.
    InvalidResponse(&'static str),

    /// The call was sent over HTTP POST and returned no JSON-RPC response: the server responded with a
    /// status other than 2xx, or the network failed. See [`HttpError`]. The server may or may not
    /// have handled the call. Never happens on a WebSocket.
    Http(HttpError),

    /// The subscription ended because its items were consumed too slowly: more arrived than
    /// [`Config::subscription_window`](crate::Config::subscription_window) allows, or the producer
    /// ends subscriptions of slow consumers. The connection stays open.
    Lagged,

    /// Items of a resumed subscription may be missing here. The subscription continues, and so does
    /// the connection; the next item follows. Only subscriptions that
    /// [`resume`](crate::subscription::Subscribe::resume) or
    /// [`resubscribe`](crate::subscription::Subscribe::resubscribe) have gaps.
    Gap(Gap),

    /// The batch has no entries. It was not sent, because the specification forbids empty batches.
    EmptyBatch,

    /// The batch has more entries than
    /// [`Config::max_outgoing_batch`](crate::Config::max_outgoing_batch). Nothing was sent. The
    /// connection stays open.
    LargeBatch {
        /// The number of calls and notifications in the batch.
        entries: usize,
        /// The limit.
        limit: usize,
    },

    /// The batch that contains this call was dropped before it was sent.
    NotSent,

    /// The call was made on a [`Group`](crate::Group) that has no member, or none that accepts
    /// calls. Nothing was sent.
    NoMember,
}

impl<E> Error<E> {
    /// Converts the error to that of a method with another error type. `convert` gets the content
    /// of [`Error::Call`].
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
            Error::Gap(gap) => Error::Gap(gap),
            Error::EmptyBatch => Error::EmptyBatch,
            Error::LargeBatch { entries, limit } => Error::LargeBatch { entries, limit },
            Error::NotSent => Error::NotSent,
            Error::NoMember => Error::NoMember,
        }
    }
}

impl<E: RpcError> Error<E> {
    /// Converts into an error object, for handlers that pass the error of another server on to
    /// their own caller.
    ///
    /// An error object from the peer stays unchanged. Every other error becomes -32603 with this
    /// error as its [`source`](ErrorObject::source).
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

/// Shows an error of the peer as its error object: message and code.
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
                f.write_str("cannot call back: only WebSocket callers can be called back")
            }
            Error::Closed(reason) => reason.fmt(f),
            Error::Encode(error) => write!(f, "cannot serialize the arguments: {error}"),
            Error::TooLarge { size, limit } => {
                write!(
                    f,
                    "call of {size} bytes is larger than Config::max_outgoing_message ({limit} \
                     bytes); nothing was sent"
                )
            }
            Error::Decode(error) => {
                // The error may quote the result.
                let error = error.to_string();
                write!(f, "cannot deserialize the result: {}", Shown(&error))
            }
            Error::InvalidResponse(what) => write!(f, "invalid response: {what}"),
            Error::Http(error) => error.fmt(f),
            Error::Lagged => f.write_str(
                "subscription ended: its items were consumed too slowly; consume faster, or raise \
                 Config::subscription_window",
            ),
            Error::Gap(gap) => gap.fmt(f),
            Error::EmptyBatch => f.write_str("cannot send an empty batch; add at least one call"),
            Error::LargeBatch { entries, limit } => write!(
                f,
                "batch of {entries} entries is larger than Config::max_outgoing_batch ({limit}); \
                 nothing was sent; split the batch, or raise the limit"
            ),
            Error::NotSent => f.write_str("batch was dropped before it was sent"),
            Error::NoMember => f.write_str(
                "the group has no member that accepts calls; insert a connected peer, or check \
                 Group::is_empty",
            ),
        }
    }
}

impl<E: RpcError + fmt::Debug> std::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // A handler that fails with this error is recognized by its source, whatever error type
            // wraps it.
            Error::Closed(reason @ CloseReason::NoSocket) => Some(reason),
            Error::Closed(reason) => reason.source(),
            Error::Encode(error) => error.source(),
            Error::Decode(error) => error.source(),
            Error::Http(error) => error.source(),
            _ => None,
        }
    }
}

/// Why items of a resumed subscription may be missing: the content of [`Error::Gap`]. The consumer
/// of the subscription decides what to do, for example load the current state in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gap {
    /// The producer has a different log, usually because its process has restarted.
    /// Nothing is known about the items between the last one that was consumed and the next one.
    Restarted,
    /// The producer no longer has the items after the last one that was consumed.
    #[non_exhaustive]
    Expired {
        /// The number of missing items. If the producer filters its items for each subscriber, this
        /// includes items that the subscriber would not have got.
        missed: u64,
    },
    /// The consumer was too slow, and the producer dropped items.
    #[non_exhaustive]
    Dropped {
        /// The number of missing items, counted as in [`Expired`](Self::Expired).
        missed: u64,
    },
    /// The client has subscribed again at a server that does not support resuming, or with
    /// [`resubscribe`](crate::subscription::Subscribe::resubscribe). Nothing is known about the
    /// items in between.
    Resubscribed,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gap::Restarted => f.write_str(
                "gap in the subscription: the server has lost its log, for example by a restart",
            ),
            Gap::Expired { missed } => {
                write!(f, "gap in the subscription: the server no longer has {missed} items")
            }
            Gap::Dropped { missed } => write!(
                f,
                "gap in the subscription: the server dropped {missed} items, because they were \
                 consumed too slowly"
            ),
            Gap::Resubscribed => f.write_str(
                "gap in the subscription: the client has reconnected and subscribed again",
            ),
        }
    }
}

/// A call that timed out, and how long it waited: the content of [`Error::Timeout`].
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
    /// Why the client was not connected when the time ran out.
    no_connection: Option<Box<str>>,
}

impl Timeout {
    /// The timeout of one call. For tests, and for middleware that has its own timeout.
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

    /// Adds the reason why the client is not connected.
    pub(crate) fn without_connection(mut self, reason: &CloseReason) -> Self {
        self.0.no_connection = Some(reason.to_string().into());
        self
    }

    /// The method's name on the wire. For a batch as a whole, the name of its first entry.
    pub fn method(&self) -> &str {
        &self.0.method
    }

    /// How long the call waited, that is, its timeout.
    pub fn after(&self) -> Duration {
        self.0.after
    }

    /// Whether a [reconnecting client](crate::client::ClientBuilder::reconnect) was not connected
    /// when the time ran out. If so, the message contains the error of the latest attempt to
    /// connect.
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
        Elapsed(*after).fmt(f)?;
        match no_connection {
            Some(reason) => write!(f, "; the client is reconnecting: {reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Timeout {}

/// A time for error messages: `30 s`, `1.5 s`, `250 ms`.
pub(crate) struct Elapsed(pub(crate) Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            seconds if seconds >= 1.0 => write!(f, "{} s", (seconds * 10.0).round() / 10.0),
            seconds => write!(f, "{} ms", (seconds * 1e4).round() / 10.0),
        }
    }
}

/// Why a connection ended.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::error::CloseReason;
/// use wsjsonrpc::{Client, Server, memory};
///
/// let (client, caller) = memory::pair(Client::builder(), Server::builder())?;
/// caller.close(4000, "logged in elsewhere");
/// let reason = client.peer().closed().await;
/// assert!(matches!(reason, CloseReason::Remote { code: 4000, .. }));
/// assert_eq!(
///     reason.to_string(),
///     "connection closed by the peer with code 4000: logged in elsewhere",
/// );
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// This side closed the connection.
    Local,
    /// The peer closed the connection with a close frame ([RFC 6455, section
    /// 7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)).
    Remote {
        /// The close code. 1005 if the close frame had none.
        code: u16,
        /// The reason in the close frame, unchanged. Usually empty.
        reason: String,
    },
    /// The network connection broke, or ended without a close frame.
    Lost(Arc<io::Error>),
    /// The peer violated the WebSocket protocol, or sent a message larger than the limit.
    Protocol(String),
    /// The peer read nothing for [`Config::write_timeout`](crate::Config::write_timeout) while data
    /// was waiting to be sent.
    Stalled,
    /// Keep-alive timed out: the peer sent nothing for
    /// [`Config::ping_interval`](crate::Config::ping_interval), and did not answer the ping that
    /// followed. The peer hangs, or the network is interrupted.
    Unresponsive,
    /// The connection's task was dropped, for example because its tokio runtime shut down.
    Aborted,
    /// A [reconnecting client](crate::client::ClientBuilder::reconnect) lost its connection, and
    /// its latest attempt to connect failed with this error.
    Reconnect(Arc<ConnectError>),
    /// There is no connection: the caller used HTTP POST and cannot be called back. A handler that
    /// returns this error with `?` responds with -32006
    /// ([`ErrorCode::NEEDS_WEBSOCKET`](crate::ErrorCode::NEEDS_WEBSOCKET)).
    NoSocket,
}

impl CloseReason {
    /// Whether the connection ended because of one of its messages, for example because it was too
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
            CloseReason::Local => f.write_str("connection closed by this side"),
            CloseReason::Remote { code, reason } if reason.is_empty() => {
                write!(f, "connection closed by the peer with code {code}")
            }
            CloseReason::Remote { code, reason } => {
                write!(f, "connection closed by the peer with code {code}: {}", Shown(reason))
            }
            CloseReason::Lost(error) => write!(f, "connection lost: {error}"),
            CloseReason::Protocol(what) => write!(f, "the peer violated the protocol: {what}"),
            CloseReason::Stalled => {
                f.write_str("write timed out: the peer stopped reading (Config::write_timeout)")
            }
            CloseReason::Unresponsive => f.write_str(
                "keep-alive timed out: nothing received, and a ping was not answered \
                     (Config::ping_interval)",
            ),
            CloseReason::Aborted => f.write_str(
                "the connection's task was dropped; the tokio runtime may have shut down",
            ),
            CloseReason::Reconnect(error) => {
                write!(f, "connection lost and reconnecting failed: {error}")
            }
            CloseReason::NoSocket => f.write_str("the caller used HTTP POST"),
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

/// An application error with its causes in one line, for the log. The text may quote the peer.
pub(crate) struct Causes<'a>(pub(crate) &'a (dyn std::error::Error + 'static));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        // Limited, because a chain of causes may be endless.
        for cause in std::iter::successors(self.0.source(), |error| error.source()).take(8) {
            let words = cause.to_string();
            // Some errors include the texts of their causes.
            if !said.contains(&words) {
                said = format!("{said}: {words}");
            }
        }
        Shown(&said).fmt(f)
    }
}

/// A close reason without the peer's text, for a server's log.
pub(crate) struct Wordless<'a>(pub(crate) &'a CloseReason);

impl fmt::Display for Wordless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            CloseReason::Remote { code, .. } => {
                write!(f, "connection closed by the peer with code {code}")
            }
            other => other.fmt(f),
        }
    }
}

/// A remote address, for log lines.
pub(crate) struct Remote(pub(crate) Option<SocketAddr>);

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("unknown address"),
        }
    }
}

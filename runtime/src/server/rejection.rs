//! [`Rejection`]: with which code and reason an `on_connect` hook closes a connection.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::protocol::error::{AnyError, ErrorObject};

/// The only code that may be sent and that `CloseCode` does not allow.
const BAD_GATEWAY: u16 = 1014;

/// Why an [`on_connect`](crate::server::ServerBuilder::on_connect) hook refuses a connection: a close
/// code and a reason for the client.
///
/// `?` converts other errors:
///
/// | error | code | the client reads |
/// |---|---|---|
/// | an [`ErrorObject`] of the application, such as that of [`Connection::require`](crate::server::Connection::require) | 1008 | its message |
/// | any other error: of a call to the client, `anyhow::Error`, `Box<dyn Error + Send + Sync>`, `String` | 1011 | "the server failed to accept this connection" |
///
/// The server logs errors of the second kind; their text never reaches the client. A reconnecting
/// client stays away after 1008 and 4000 to 4999, and reconnects after other codes.
///
/// ```
/// use wsjsonrpc::server::Rejection;
///
/// let rejection = Rejection::new(4003, "banned");
/// assert_eq!(rejection.code(), 4003);
/// assert_eq!(rejection.to_string(), "close code 4003: banned");
/// ```
pub struct Rejection {
    code: u16,
    reason: Cow<'static, str>,
    /// What the hook returned, if it did not choose the code.
    cause: Option<ErrorObject>,
}

impl Rejection {
    /// Closes the connection with this code and reason. The reason is cut to 123 bytes. A code that
    /// may not be sent ([RFC 6455, section
    /// 7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)) is replaced by 1008.
    ///
    /// ```
    /// use wsjsonrpc::server::Rejection;
    ///
    /// assert_eq!(Rejection::new(1013, "too many rooms").code(), 1013);
    /// assert_eq!(Rejection::new(1006, "must not be sent").code(), 1008);
    /// ```
    pub fn new(code: u16, reason: impl Into<Cow<'static, str>>) -> Self {
        let may_be_sent = code == BAD_GATEWAY || CloseCode::from(code).is_allowed();
        let code = if may_be_sent { code } else { CloseCode::Policy.into() };
        Rejection { code, reason: reason.into(), cause: None }
    }

    /// The rejection for a failure of the hook itself.
    pub(crate) fn internal() -> Self {
        Self::new(CloseCode::Error.into(), "the server failed to accept this connection")
    }

    /// The close code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The reason for the client.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The error that caused the rejection, for the log.
    pub(crate) fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.cause.as_ref()?.source()
    }
}

impl<E: AnyError> From<E> for Rejection {
    fn from(error: E) -> Self {
        Rejection { cause: Some(error.into()), ..Self::internal() }
    }
}

impl From<ErrorObject> for Rejection {
    fn from(object: ErrorObject) -> Self {
        if object.source().is_some() {
            return Rejection { cause: Some(object), ..Self::internal() };
        }
        Self::new(CloseCode::Policy.into(), object.message().to_owned())
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "close code {}: {}", self.code, self.reason)
    }
}

impl fmt::Debug for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rejection")
            .field("code", &self.code)
            .field("reason", &self.reason)
            .field("source", &self.source())
            .finish()
    }
}

//! [`Refusal`]: why a client is not accepted, as an HTTP status, a text and headers.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, RETRY_AFTER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::protocol::error::AnyError;

/// How many seconds a client should wait that was refused because of a limit.
const RETRY_SECONDS: &str = "5";

/// Why a client is refused: an HTTP status, a text and headers.
///
/// Returned by an [`Authorize`](crate::server::Authorize) hook. `?` converts any
/// [`std::error::Error`], `anyhow::Error` and `Box<dyn Error + Send + Sync>`: the client gets
/// status 500 without a reason, and the server logs the error.
///
/// ```
/// use http::{HeaderValue, StatusCode, header::WWW_AUTHENTICATE};
/// use wsjsonrpc::server::Refusal;
///
/// let refusal = Refusal::unauthorized("log in first")
///     .header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
/// assert_eq!(refusal.status(), StatusCode::UNAUTHORIZED);
///
/// let refusal = Refusal::new(402, "the trial is over");
/// assert_eq!(refusal.to_string(), "402 Payment Required: the trial is over");
/// ```
pub struct Refusal(Box<Parts>);

struct Parts {
    status: StatusCode,
    message: Cow<'static, str>,
    headers: HeaderMap,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Refusal {
    /// A refusal with this HTTP status (a number or a [`StatusCode`]) and this text as the body of
    /// the response. A status outside 400 to 599 is replaced by 500.
    ///
    /// ```
    /// use wsjsonrpc::server::Refusal;
    ///
    /// assert_eq!(Refusal::new(402, "the trial is over").status(), 402);
    /// assert_eq!(Refusal::new(200, "not an error status").status(), 500);
    /// ```
    pub fn new(status: impl TryInto<StatusCode>, message: impl Into<Cow<'static, str>>) -> Self {
        let status = status.try_into().ok();
        let status = status.filter(|status| status.is_client_error() || status.is_server_error());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let message = message.into();
        Refusal(Box::new(Parts { status, message, headers: HeaderMap::new(), source: None }))
    }

    /// 401: the client has not identified itself.
    ///
    /// ```
    /// use wsjsonrpc::server::Refusal;
    ///
    /// assert_eq!(Refusal::unauthorized("log in first").status(), 401);
    /// ```
    pub fn unauthorized(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403: the client may not connect, even if it logs in again.
    ///
    /// ```
    /// use wsjsonrpc::server::Refusal;
    ///
    /// assert_eq!(Refusal::forbidden("your account is locked").status(), 403);
    /// ```
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    pub(crate) fn internal() -> Self {
        let message = "the server failed to authorize this connection";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    /// The refusal of a server that has reached a limit; the client may try again.
    pub(crate) fn full(status: StatusCode, message: &'static str) -> Self {
        Self::new(status, message).header(RETRY_AFTER, HeaderValue::from_static(RETRY_SECONDS))
    }

    /// Adds a header to the response, such as the `WWW-Authenticate` that a 401 should have ([RFC
    /// 9110, section 15.5.2](https://www.rfc-editor.org/rfc/rfc9110#section-15.5.2)). Headers that
    /// describe the body and the connection are ignored.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        if ![CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING].contains(&name) {
            self.0.headers.append(name, value);
        }
        self
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The error that caused the refusal, for the log.
    pub(crate) fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.0.source.as_deref()
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    /// Whether the refusal has an `Upgrade` header, which must then be a connection option as well
    /// (RFC 9110, section 7.8).
    pub(crate) fn names_upgrade(&self) -> bool {
        self.0.headers.contains_key(UPGRADE)
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.0.headers
    }
}

impl<E: AnyError> From<E> for Refusal {
    fn from(error: E) -> Self {
        let mut refusal = Self::internal();
        refusal.0.source = Some(error.into_source());
        refusal
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.status, self.0.message)
    }
}

/// Leaves out the values of headers, which may be secret.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("status", &self.0.status)
            .field("message", &self.0.message)
            .field("headers", &self.0.headers.keys())
            .field("source", &self.0.source)
            .finish()
    }
}

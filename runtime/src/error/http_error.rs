//! [`HttpError`]: why a call over HTTP POST has no JSON-RPC response. It exists without the feature
//! `http-client` as well, so that [`Error`](crate::Error) has the same variants in every program.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::protocol::escape::Shown;

/// Why a call over HTTP POST returned no JSON-RPC response: the content of
/// [`Error::Http`](crate::Error::Http). Cheap to clone.
///
/// The server responded with an HTTP error, the request failed, or the call was a subscription,
/// which HTTP does not support.
///
/// ```
/// use wsjsonrpc::Error;
///
/// fn should_retry(error: &Error) -> bool {
///     match error {
///         Error::Http(error) => error.status().is_some_and(|status| status == 503),
///         _ => false,
///     }
/// }
/// # assert!(!should_retry(&Error::EmptyBatch));
/// ```
#[derive(Clone, Debug)]
pub struct HttpError(Arc<What>);

#[derive(Debug)]
enum What {
    Status { status: StatusCode, body: String },
    Broken { status: Option<StatusCode>, words: String, cause: Box<dyn StdError + Send + Sync> },
    Subscription,
}

#[cfg_attr(not(feature = "http-client"), allow(dead_code))]
impl HttpError {
    /// A response that is not JSON-RPC.
    pub(crate) fn status_of(status: StatusCode, body: String) -> Self {
        HttpError(Arc::new(What::Status { status, body }))
    }

    /// No response, or an incomplete one. `words` is the whole text of the error, in one line.
    pub(crate) fn broken(
        status: Option<StatusCode>,
        words: String,
        cause: impl StdError + Send + Sync + 'static,
    ) -> Self {
        HttpError(Arc::new(What::Broken { status, words, cause: Box::new(cause) }))
    }

    /// A subscription was requested, which HTTP does not support.
    pub(crate) fn subscription() -> Self {
        HttpError(Arc::new(What::Subscription))
    }

    /// The HTTP status, if the server sent one.
    pub fn status(&self) -> Option<StatusCode> {
        match &*self.0 {
            What::Status { status, .. } => Some(*status),
            What::Broken { status, .. } => *status,
            What::Subscription => None,
        }
    }

    /// The error of the HTTP client, if it reported one.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &*self.0 {
            What::Broken { cause, .. } => Some(&**cause),
            What::Status { .. } | What::Subscription => None,
        }
    }

    /// The body of the response as text, unchanged, cut off after 4 KiB. Empty if there was none.
    pub fn body(&self) -> &str {
        match &*self.0 {
            What::Status { body, .. } => body,
            What::Broken { .. } | What::Subscription => "",
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            What::Status { status, body } if body.is_empty() => {
                write!(f, "server responded with HTTP status {status}")
            }
            What::Status { status, body } => {
                write!(f, "server responded with HTTP status {status}: {}", Shown(body))
            }
            What::Broken { status: Some(status), words, .. } => {
                write!(f, "response with HTTP status {status} was cut short: {}", Shown(words))
            }
            What::Broken { status: None, words, .. } => {
                write!(f, "HTTP request failed: {}", Shown(words))
            }
            What::Subscription => f.write_str(
                "a subscription needs a WebSocket: HTTP POST returns one response for each call; \
                 nothing was sent",
            ),
        }
    }
}

/// Has no [`source`](StdError::source), because the text already contains the texts of all causes.
impl StdError for HttpError {}

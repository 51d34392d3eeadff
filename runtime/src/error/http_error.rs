//! [`HttpError`]: why a call by HTTP POST has no JSON-RPC response. It exists without the feature
//! `http-client`, too, so that errors have the same variants in every program.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::protocol::escape::Shown;

/// What an HTTP server said in place of a JSON-RPC response, or why it said nothing: what is in
/// [`Error::Http`](crate::Error::Http). Cheap to clone.
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

    /// No response, or one that broke off. `words` is everything that the error says, in one line.
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

    /// The status of the answer, if there was one.
    pub fn status(&self) -> Option<StatusCode> {
        match &*self.0 {
            What::Status { status, .. } => Some(*status),
            What::Broken { status, .. } => *status,
            What::Subscription => None,
        }
    }

    /// The error of the HTTP client, if that is what it is about.
    pub fn cause(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        match &*self.0 {
            What::Broken { cause, .. } => Some(&**cause),
            What::Status { .. } | What::Subscription => None,
        }
    }

    /// The body of the answer, at most 4 KiB of it, as text, as it came.
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
                write!(f, "the server answered with HTTP status {status}")
            }
            What::Status { status, body } => {
                write!(f, "the server answered with HTTP status {status}: {}", Shown(body))
            }
            What::Broken { status: Some(status), words, .. } => {
                write!(f, "the answer with HTTP status {status} broke off: {}", Shown(words))
            }
            What::Broken { status: None, words, .. } => {
                write!(f, "the HTTP request has failed: {}", Shown(words))
            }
            What::Subscription => f.write_str(
                "a subscription needs a WebSocket, as HTTP has one response for each call; nothing \
                 was sent",
            ),
        }
    }
}

/// Has no [`source`](StdError::source): the text contains the texts of all causes.
impl StdError for HttpError {}

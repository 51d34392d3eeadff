//! [`Recorded`]: what a recorder has seen of one call.

use serde::Deserialize;
use serde_json::Value;

use crate::incoming::service::{Params, Request};
use crate::protocol::error::Result;

/// A call or a notification that a [`Recorder`](crate::testing::Recorder) has received.
#[derive(Clone, Debug)]
pub struct Recorded {
    method: Box<str>,
    json: Option<Box<str>>,
    params: Value,
    notification: bool,
    batch: bool,
}

impl Recorded {
    pub(super) fn of(request: &Request) -> Self {
        let json = request.params().json();
        Recorded {
            method: request.method().into(),
            json: json.map(Into::into),
            // Invalid JSON never gets here.
            params: json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default(),
            notification: request.is_notification(),
            batch: request.in_batch(),
        }
    }

    /// The method's name on the wire.
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The list or object that was sent; null if there were no params.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// The params as the text that was sent; `None` if there were none.
    pub fn json(&self) -> Option<&str> {
        self.json.as_deref()
    }

    /// All params as one value: a list as a tuple or `Vec`, an object as a struct or map.
    ///
    /// # Errors
    /// -32602 that says what does not fit.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        Params::of(self.json()).decode()
    }

    /// Whether nobody waits for an answer.
    pub fn is_notification(&self) -> bool {
        self.notification
    }

    /// Whether it came in a batch.
    pub fn in_batch(&self) -> bool {
        self.batch
    }
}

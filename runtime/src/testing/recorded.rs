//! [`Recorded`]: one call that a recorder received.

use serde::Deserialize;
use serde_json::Value;

use crate::incoming::service::{Params, Request};
use crate::protocol::error::Result;

/// A call or a notification that a [`Recorder`](crate::testing::Recorder) received.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::testing::Recorder;
///
/// let recorder = Recorder::new().answer("math.sum", 3);
/// recorder.peer().call::<i64>("math.sum", (1, 2)).await?;
///
/// let call = &recorder.calls()[0];
/// assert_eq!(call.method(), "math.sum");
/// assert_eq!(call.json(), Some("[1,2]"));
/// let (x, y): (i64, i64) = call.decode().unwrap();
/// assert_eq!((x, y), (1, 2));
/// assert!(!call.is_notification());
/// # Ok(())
/// # }
/// ```
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

    /// The list or object that was sent; null without params.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// The params as the text that was sent; `None` without params.
    pub fn json(&self) -> Option<&str> {
        self.json.as_deref()
    }

    /// Decodes all params into one value: a list into a tuple or `Vec`, an object into a struct or
    /// map.
    ///
    /// # Errors
    /// -32602 with the reason.
    pub fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        Params::of(self.json()).decode()
    }

    /// Whether it is a notification, which gets no response.
    pub fn is_notification(&self) -> bool {
        self.notification
    }

    /// Whether it was part of a batch.
    pub fn in_batch(&self) -> bool {
        self.batch
    }
}

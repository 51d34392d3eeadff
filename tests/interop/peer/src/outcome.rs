//! Results of calls as JSON, to be compared and printed.
//!
//! Must not know any scenario.

use serde_json::{Value, json};
use wsjsonrpc::{Error, ErrorObject};

/// What one scenario brought, and what it should have brought.
pub struct Outcome {
    pub got: Value,
    pub expected: Value,
}

/// `{"result": …}`, `{"error": {code, message, data}}`, or the kind of failure as a text.
pub fn of<T: Into<Value>>(result: Result<T, Error>) -> Value {
    match result {
        Ok(value) => json!({ "result": value.into() }),
        Err(Error::Call(object)) => {
            let mut error = json!({"code": object.code().0, "message": object.message()});
            if let Some(data) = object.data_as::<Value>() {
                error["data"] = data;
            }
            json!({ "error": error })
        }
        Err(Error::Timeout(_)) => json!("timeout"),
        Err(Error::Closed(_)) => json!("closed"),
        Err(Error::Decode(_)) => json!("not the expected type"),
        Err(Error::InvalidResponse(_)) => json!("no valid response"),
        Err(other) => json!(other.to_string()),
    }
}

/// Like [`of`], without the error's message: servers say the same in different words.
pub fn code_of<T: Into<Value>>(result: Result<T, Error>) -> Value {
    match result {
        Err(Error::Call(object)) => error(object.code().0),
        other => of(other),
    }
}

/// What [`of`] gives for a success.
pub fn success(value: impl Into<Value>) -> Value {
    json!({ "result": value.into() })
}

/// What [`code_of`] gives for an error object.
pub fn error(code: i64) -> Value {
    json!({ "error": code })
}

/// The peer's error object becomes the answer; any other failure is an inner one.
pub fn pass_on(error: Error) -> ErrorObject {
    match error {
        Error::Call(object) => object,
        other => other.into(),
    }
}

//! Outcomes of calls as JSON, to be compared and printed. Does not depend on the scenarios.

use serde_json::{Value, json};
use wsjsonrpc::{Error, ErrorObject};

/// The actual and the expected outcome of a scenario.
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

/// Like [`of`], without the error's message, because servers use different texts.
pub fn code_of<T: Into<Value>>(result: Result<T, Error>) -> Value {
    match result {
        Err(Error::Call(object)) => error(object.code().0),
        other => of(other),
    }
}

/// The value that [`of`] returns for a success.
pub fn success(value: impl Into<Value>) -> Value {
    json!({ "result": value.into() })
}

/// The value that [`code_of`] returns for an error object.
pub fn error(code: i64) -> Value {
    json!({ "error": code })
}

/// The peer's error object is passed on; any other failure becomes an internal error.
pub fn pass_on(error: Error) -> ErrorObject {
    match error {
        Error::Call(object) => object,
        other => other.into(),
    }
}

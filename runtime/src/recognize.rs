//! The application's error types that keep their own code, and what becomes of other errors.
//!
//! Runs the application's own code: its conversions, what its errors say of themselves in the log, and
//! what they do when they are dropped. Must not know calls.

use std::error::Error as StdError;

use crate::error::Causes;
use crate::guard::{Panicked, guard};
use crate::protocol::error::ErrorObject;
use crate::protocol::typed::RpcError;

type Recognize = fn(&(dyn StdError + Send + Sync + 'static)) -> Option<ErrorObject>;

/// The types that are known.
#[derive(Default)]
pub(crate) struct Recognized(Vec<Recognize>);

impl Recognized {
    pub(crate) fn add<E: RpcError + StdError + Send + Sync>(&mut self) {
        self.0.push(|source| source.downcast_ref::<E>().map(E::to_object));
    }

    /// An error of a type that is known as its own object; others as they are, their inside included.
    pub(crate) fn known(&self, error: ErrorObject, method: &str) -> ErrorObject {
        self.translated(error, method, |error| error)
    }

    /// What the peer may see. The inside of an error that no type is known for stays here.
    pub(crate) fn outward(&self, error: ErrorObject, method: &str) -> ErrorObject {
        self.translated(error, method, |mut error| {
            if let Some(source) = error.source() {
                tracing::error!(
                    method,
                    error = %Causes(source),
                    "handler failed; the caller gets {}",
                    error.code()
                );
            }
            error.forget_source();
            error
        })
    }

    fn translated(
        &self,
        error: ErrorObject,
        method: &str,
        unknown: impl FnOnce(ErrorObject) -> ErrorObject,
    ) -> ErrorObject {
        let translated = guard(|| {
            let Some(source) = error.source() else { return error };
            match self.0.iter().find_map(|recognize| recognize(source)) {
                Some(mut known) => {
                    known.forget_source();
                    known
                }
                None => unknown(error),
            }
        });
        translated.unwrap_or_else(|Panicked| {
            tracing::error!(method, "an error's own code panicked; the caller gets -32603");
            ErrorObject::internal()
        })
    }
}

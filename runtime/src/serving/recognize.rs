//! The application's error types that keep their own code, and what becomes of other errors.
//!
//! Runs the application's own code: its conversions, what its errors say of themselves in the log, and
//! what they do when they are dropped. Must not know calls.

use std::error::Error as StdError;

use crate::error::{Causes, CloseReason};
use crate::guard::{Panicked, guard};
use crate::protocol::error::{ErrorCode, ErrorObject};
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
    /// `no_socket`: the caller has none, and is told so if that is what it failed for.
    pub(crate) fn known(&self, error: ErrorObject, method: &str, no_socket: bool) -> ErrorObject {
        self.translated(error, method, no_socket, |error| error)
    }

    /// What the peer may see. The inside of an error that no type is known for stays here.
    pub(crate) fn outward(&self, error: ErrorObject, method: &str, no_socket: bool) -> ErrorObject {
        self.translated(error, method, no_socket, |mut error| {
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
        no_socket: bool,
        unknown: impl FnOnce(ErrorObject) -> ErrorObject,
    ) -> ErrorObject {
        let translated = guard(|| {
            let Some(source) = error.source() else { return error };
            match self.0.iter().find_map(|recognize| recognize(source)) {
                Some(mut known) => {
                    known.forget_source();
                    known
                }
                None if no_socket && is_for_want_of_socket(source) => {
                    ErrorObject::of(ErrorCode::NEEDS_WEBSOCKET)
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

/// Whether this is, or comes from, a call to a caller that has no socket.
fn is_for_want_of_socket(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    // Nobody says that there is an end to them.
    for _ in 0..32 {
        let Some(error) = next else { return false };
        if let Some(CloseReason::NoSocket) = error.downcast_ref() {
            return true;
        }
        next = error.source();
    }
    false
}

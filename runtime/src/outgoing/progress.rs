//! How far a call is, as its caller sees it: decodes the values that came, and runs the caller's
//! closure on them.
//!
//! The closure runs where the call is awaited, never in the connection's task. Must not know how the
//! values come.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::protocol::progress_queue::ProgressQueue;

/// Decodes a value, and gives it to the caller's closure.
type Run = Box<dyn FnMut(&str) + Send>;

/// A caller that wants to know.
pub(crate) struct Listener {
    steps: Arc<ProgressQueue>,
    /// Never locked: it is what makes a call under way `Sync` whatever the closure is.
    run: Mutex<Run>,
}

impl Listener {
    pub(crate) fn new<P>(mut closure: impl FnMut(P) + Send + 'static) -> Self
    where
        P: DeserializeOwned + 'static,
    {
        let run = move |json: &str| match serde_json::from_str(json) {
            Ok(value) => closure(value),
            Err(error) => {
                let expected = std::any::type_name::<P>();
                // Not what came: it may be secret.
                let (category, column) = (error.classify(), error.column());
                tracing::debug!(
                    expected,
                    ?category,
                    column,
                    "progress of another type was skipped"
                );
            }
        };
        Listener { steps: Arc::default(), run: Mutex::new(Box::new(run)) }
    }

    /// Where the values come in.
    pub(crate) fn steps(&self) -> Arc<ProgressQueue> {
        Arc::clone(&self.steps)
    }

    /// Runs the closure on all that has come.
    pub(crate) fn run(&mut self) {
        let run = self.run.get_mut().unwrap_or_else(PoisonError::into_inner);
        for value in self.steps.take() {
            run(&value);
        }
    }
}

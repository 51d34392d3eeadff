//! Progress of an outgoing call on the caller's side: decodes the values and runs the caller's
//! closure, where the call is awaited and never in the connection's task.

use std::sync::{Arc, Mutex, PoisonError};

use serde::de::DeserializeOwned;

use crate::protocol::progress_queue::ProgressQueue;

/// Decodes a value and passes it to the caller's closure.
type Run = Box<dyn FnMut(&str) + Send>;

/// The progress closure of a call, with the queue of values.
pub(crate) struct Listener {
    progress: Arc<ProgressQueue>,
    /// Never locked: the mutex makes the call's future `Sync`, whatever the closure is.
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
                // The value is not logged, because it may be secret.
                let (category, column) = (error.classify(), error.column());
                tracing::debug!(
                    expected,
                    ?category,
                    column,
                    "skipped a progress value that is not of the `on_progress` closure's type"
                );
            }
        };
        Listener { progress: Arc::default(), run: Mutex::new(Box::new(run)) }
    }

    /// The queue in which values arrive.
    pub(crate) fn progress(&self) -> Arc<ProgressQueue> {
        Arc::clone(&self.progress)
    }

    /// Runs the closure on all values that have arrived.
    pub(crate) fn run(&mut self) {
        let run = self.run.get_mut().unwrap_or_else(PoisonError::into_inner);
        for value in self.progress.take() {
            run(&value);
        }
    }
}

//! Yielding for a task that has more to do: [`wake_after_others`].

use std::future::Future;
use std::pin::pin;
use std::task::Context;

/// Wakes this task, but only after the runtime has polled for socket events. A task that wakes
/// itself goes to the end of the run queue. Then tokio would never find the queue empty, and would
/// poll for events only after dozens of tasks, for which all other peers would have to wait.
pub(crate) fn wake_after_others(cx: &mut Context<'_>) {
    // The first poll registers the task's waker, and nothing else of the future is needed.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

//! Yielding for a task that has more to do: [`wake_after_others`].

use std::future::Future;
use std::pin::pin;
use std::task::Context;

/// Wakes this task, but only after the runtime has polled for socket events. A task that wakes
/// itself goes to the end of the run queue, so tokio would never find the queue empty and would
/// poll for events only after dozens of tasks: peers that have sent something meanwhile would wait
/// for all of them.
pub(crate) fn wake_after_others(cx: &mut Context<'_>) {
    // The first poll registers the task's waker; nothing else is needed of the future.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

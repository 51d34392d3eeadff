//! How a task that has more to do lets others have their turn.
//!
//! Must not know what it does.

use std::future::Future;
use std::pin::pin;
use std::task::Context;

/// Wakes this task, but only when the runtime has looked for what has happened on sockets. A task that
/// wakes itself goes to the end of the queue, so tokio would find the queue never empty, and look only
/// after dozens of turns: whoever has sent something meanwhile would wait for all of them.
pub(crate) fn wake_after_others(cx: &mut Context<'_>) {
    // It takes the task's waker when it is polled, and is done with that.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

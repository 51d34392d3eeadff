//! Runs code that is not ours: a panic in it is its outcome and goes no further.
//!
//! Must not know what the code is for.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

/// The code has panicked. What it said of it is on standard error, by Rust's own hook.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Runs a user's code. What it leaves half done is its own: nothing of ours is borrowed.
#[inline]
pub(crate) fn guard<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        // What was thrown is the user's, too, and may throw when it is dropped. Where that ends is
        // nowhere, so the second one is not.
        if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Panicked
    })
}

/// Runs a user's future to its end. After a panic it is not polled again.
pub(crate) async fn guarded<T, F>(begin: impl FnOnce() -> Pin<Box<F>>) -> Result<T, Panicked>
where
    F: Future<Output = T> + ?Sized,
{
    let mut future = guard(begin)?;
    poll_fn(|cx| match guard(|| future.as_mut().poll(cx)) {
        Ok(outcome) => outcome.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    })
    .await
}

//! Runs code that is not ours: a panic in it is its outcome and goes no further.
//!
//! Must not know what the code is for.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

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

/// Drops a user's value. `what` names it in the log, should it panic.
pub(crate) fn let_go<T>(value: T, what: &str) {
    if guard(|| drop(value)).is_err() {
        tracing::error!("{what} panicked when it was dropped");
    }
}

/// Values of the user's that are dropped one by one. A panic in one of them is no matter of the others,
/// and two at once would end the process.
pub(crate) struct Each<T>(Vec<T>);

impl<T> Each<T> {
    pub(crate) fn push(&mut self, value: T) {
        self.0.push(value);
    }

    /// Takes over what another has.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl<T> Default for Each<T> {
    fn default() -> Self {
        Each(Vec::new())
    }
}

impl<T> From<Vec<T>> for Each<T> {
    fn from(values: Vec<T>) -> Self {
        Each(values)
    }
}

impl<T> Deref for Each<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for Each<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Drop for Each<T> {
    fn drop(&mut self) {
        for value in std::mem::take(&mut self.0) {
            let_go(value, "a service, a closure or a middleware");
        }
    }
}

/// A user's future. A panic in it is its outcome; so is one in what it leaves behind.
pub(crate) struct Guarded<'a, T>(Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>);

impl<'a, T> Guarded<'a, T> {
    pub(crate) fn new(future: Pin<Box<dyn Future<Output = T> + Send + 'a>>) -> Self {
        Guarded(Some(future))
    }

    /// Drops the future where it stands. Nothing comes of it any more.
    pub(crate) fn clear(&mut self) {
        let Some(future) = self.0.take() else { return };
        if guard(|| drop(future)).is_err() {
            tracing::error!("a handler or a hook panicked when it was dropped");
        }
    }
}

impl<T> Future for Guarded<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Ready(Err(Panicked)) };
        match guard(|| future.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl<T> Drop for Guarded<'_, T> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Runs a user's future to its end. After a panic it is not polled again.
pub(crate) async fn guarded<'a, T>(
    begin: impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send + 'a>>,
) -> Result<T, Panicked> {
    Guarded::new(guard(begin)?).await
}

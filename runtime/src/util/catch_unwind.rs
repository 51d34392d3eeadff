//! Runs user code and contains its panics: [`catch_unwind`] for a function, [`CatchUnwind`] for a
//! future, [`UserValues`] and [`drop_contained`] for values that are dropped.

use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The code has panicked. The panic hook has already printed the message to standard error.
#[derive(Debug)]
pub(crate) struct Panicked;

/// Runs user code. Asserting unwind safety is fine for this crate, because the code borrows nothing
/// from it.
#[inline]
pub(crate) fn catch_unwind<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    panic::catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
        // The payload is also a user value, whose drop may panic with another payload. The second
        // payload is leaked, because its drop could panic again.
        if let Err(second) = panic::catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(second);
        }
        Panicked
    })
}

/// Drops a user value. If its drop panics, `what` names the value in the log.
pub(crate) fn drop_contained<T>(value: T, what: &str) {
    if catch_unwind(|| drop(value)).is_err() {
        tracing::error!("panic while dropping {what}");
    }
}

/// User values that are dropped one by one. A panic in one drop must not affect the others, and two
/// simultaneous panics would abort the process.
pub(crate) struct UserValues<T>(Vec<T>);

impl<T> UserValues<T> {
    pub(crate) fn push(&mut self, value: T) {
        self.0.push(value);
    }

    /// Moves all values of another collection into this one.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.0.append(&mut other.0);
    }
}

impl<T> Default for UserValues<T> {
    fn default() -> Self {
        UserValues(Vec::new())
    }
}

impl<T> From<Vec<T>> for UserValues<T> {
    fn from(values: Vec<T>) -> Self {
        UserValues(values)
    }
}

impl<T> Deref for UserValues<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> DerefMut for UserValues<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.0
    }
}

impl<T> Drop for UserValues<T> {
    fn drop(&mut self) {
        for value in std::mem::take(&mut self.0) {
            drop_contained(value, "a service, a closure or a middleware");
        }
    }
}

/// A user's future. A panic while it is polled becomes its output, and a panic while it is dropped
/// is logged.
pub(crate) struct CatchUnwind<'a, T>(Option<Pin<Box<dyn Future<Output = T> + Send + 'a>>>);

impl<'a, T> CatchUnwind<'a, T> {
    pub(crate) fn new(future: Pin<Box<dyn Future<Output = T> + Send + 'a>>) -> Self {
        CatchUnwind(Some(future))
    }

    /// Drops the future in place. It has no output any more.
    pub(crate) fn clear(&mut self) {
        let Some(future) = self.0.take() else { return };
        if catch_unwind(|| drop(future)).is_err() {
            tracing::error!("panic while dropping the future of a handler or a hook");
        }
    }
}

impl<T> Future for CatchUnwind<'_, T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(future) = &mut self.0 else { return Poll::Ready(Err(Panicked)) };
        match catch_unwind(|| future.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl<T> Drop for CatchUnwind<'_, T> {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Runs a user's future to completion. After a panic, it is not polled again.
pub(crate) async fn catch_unwind_async<'a, T>(
    begin: impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send + 'a>>,
) -> Result<T, Panicked> {
    CatchUnwind::new(catch_unwind(begin)?).await
}

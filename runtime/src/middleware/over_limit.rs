//! Notifications that were over a limit of middleware: one line in the log when it begins, and one at
//! the end of the connection with their number.
//!
//! Nobody is answered, so whoever runs this side is told; but the peer decides how many there are, so a
//! line for each would let it fill a disk. Must not know the limits.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::incoming::context::Context;

/// How many there were on one connection.
#[derive(Default)]
struct OverLimit(AtomicU64);

/// One more. `method`: as it was registered; `limit`: what kind it is.
pub(crate) fn count_dropped(ctx: &Context, method: Option<&str>, limit: &str) {
    if ctx.get_or_set(OverLimit::default()).0.fetch_add(1, Ordering::Relaxed) == 0 {
        let method = method.unwrap_or("unknown");
        tracing::warn!(method, "dropped a notification: over the {limit} limit");
    }
}

impl Drop for OverLimit {
    fn drop(&mut self) {
        let count = *self.0.get_mut();
        if count > 1 {
            tracing::warn!(count, "so many notifications of a connection were over a limit");
        }
    }
}

//! Runs code that is not ours: a panic in it is its outcome and goes no further.
//!
//! Must not know what the code is for.

use std::panic::{AssertUnwindSafe, catch_unwind};

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

//! Notifications that were not handled: one line in the log when it begins, and one at the end of
//! the connection with their number.
//!
//! The peer decides how many there are, so a line for each would let it fill a disk. Must not know
//! why they were not handled.

use std::cell::Cell;

/// How many there were on one connection.
#[derive(Debug, Default)]
pub(crate) struct Dropped(Cell<u64>);

impl Dropped {
    /// One more. `true`: it is the first, so whoever runs this side should be told why.
    pub(crate) fn is_first(&self) -> bool {
        let before = self.0.get();
        self.0.set(before.saturating_add(1));
        before == 0
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let count = self.0.get();
        if count > 1 {
            tracing::warn!(count, "so many notifications of a connection were dropped in all");
        }
    }
}

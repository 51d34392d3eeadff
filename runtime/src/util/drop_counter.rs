//! What a connection's peer has sent and was dropped: one line in the log when it begins, and one at
//! the end of the connection with the number.
//!
//! The peer decides how much it is, so a line for each would let it fill a disk. Must not know why it
//! was dropped.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many there were on one connection.
#[derive(Debug)]
pub(crate) struct DropCounter {
    count: AtomicU64,
    what: &'static str,
}

impl DropCounter {
    pub(crate) fn notifications() -> Self {
        let what = "so many notifications of a connection were dropped in all";
        DropCounter { count: AtomicU64::new(0), what }
    }

    pub(crate) fn over_limit() -> Self {
        let what = "so many notifications of a connection were over a limit";
        DropCounter { count: AtomicU64::new(0), what }
    }

    pub(crate) fn errors() -> Self {
        let what = "the peer has sent so many errors in all that belong to no call";
        DropCounter { count: AtomicU64::new(0), what }
    }

    /// One more. `true`: it is the first, so whoever runs this side should be told why.
    pub(crate) fn is_first(&self) -> bool {
        self.count.fetch_add(1, Ordering::Relaxed) == 0
    }
}

impl Default for DropCounter {
    fn default() -> Self {
        Self::notifications()
    }
}

impl Drop for DropCounter {
    fn drop(&mut self) {
        let (count, what) = (*self.count.get_mut(), self.what);
        if count > 1 {
            tracing::warn!(count, "{what}");
        }
    }
}

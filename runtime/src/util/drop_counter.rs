//! Counts what a connection's peer has sent and was dropped: the first one is logged with its
//! reason, and their number at the end of the connection. The peer decides how many there are, so a
//! log line for each could fill a disk.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of drops on one connection.
#[derive(Debug)]
pub(crate) struct DropCounter {
    count: AtomicU64,
    what: &'static str,
}

impl DropCounter {
    pub(crate) fn notifications() -> Self {
        Self::of("so many notifications of a connection were dropped in all")
    }

    pub(crate) fn over_limit() -> Self {
        Self::of("so many notifications of a connection were over a limit")
    }

    pub(crate) fn errors() -> Self {
        Self::of("the peer has sent so many errors in all that belong to no call")
    }

    fn of(what: &'static str) -> Self {
        DropCounter { count: AtomicU64::new(0), what }
    }

    /// Counts one more. `true`: it is the first, and the caller logs the reason.
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

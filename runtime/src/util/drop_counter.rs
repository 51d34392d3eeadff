//! Counts messages that a connection drops. The caller logs the first one with its reason, and the
//! total number is logged when the connection ends. The peer decides how many there are, so a log
//! line for each could fill a disk.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of drops on one connection.
#[derive(Debug)]
pub(crate) struct DropCounter {
    count: AtomicU64,
    what: &'static str,
}

impl DropCounter {
    pub(crate) fn notifications() -> Self {
        Self::of("connection ended: total number of dropped notifications")
    }

    pub(crate) fn over_limit() -> Self {
        Self::of("connection ended: total number of notifications over a limit")
    }

    pub(crate) fn errors() -> Self {
        Self::of("connection ended: total number of errors from the peer that match no call")
    }

    pub(crate) fn slow_member() -> Self {
        Self::of("member left its group: total number of messages dropped for it")
    }

    fn of(what: &'static str) -> Self {
        DropCounter { count: AtomicU64::new(0), what }
    }

    /// Counts one more. Returns whether it is the first, for which the caller logs the reason.
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

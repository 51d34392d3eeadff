//! [`Gate`]: keeps the calls of a connection from being handled until the server's `on_connect` hook
//! has accepted the connection.

use std::sync::atomic::{AtomicU8, Ordering};

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;
const ENDED: u8 = 4;

/// Shared by a connection and the hook that decides about it. The hook decides, and the connection
/// ends, in either order.
#[derive(Debug, Default)]
pub(crate) struct Gate(AtomicU8);

/// What the hook has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted,
    Refused,
}

impl Gate {
    /// Accepts the connection. Returns `false` if the connection has ended before: exactly one of
    /// this method and [`end`](Self::end) finds the other one done.
    pub(crate) fn accept(&self) -> bool {
        self.0.fetch_or(ACCEPTED, Ordering::AcqRel) & ENDED == 0
    }

    pub(crate) fn refuse(&self) {
        self.0.fetch_or(REFUSED, Ordering::AcqRel);
    }

    /// Called when the connection has ended. Returns whether it was accepted before.
    pub(crate) fn end(&self) -> bool {
        self.0.fetch_or(ENDED, Ordering::AcqRel) & ACCEPTED != 0
    }

    /// What the hook has decided, if it has ended.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let state = self.0.load(Ordering::Acquire);
        if state & ACCEPTED != 0 {
            Some(Verdict::Accepted)
        } else if state & REFUSED != 0 {
            Some(Verdict::Refused)
        } else {
            None
        }
    }
}

//! Which batch a call that waits is a part of, and how far it had got when it was given up.
//!
//! Must not know what else is known of the call.

/// Which batch a call is a part of, and how far that is: in one number, as there are many calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part(u64);

impl Part {
    /// Of none.
    pub(crate) const ALONE: Part = Part(0);
    /// The batch is about to be sent: it may be answered.
    pub(crate) const QUEUED: u64 = 1;
    /// The batch was sent. Who makes a call of its own knows that by itself.
    pub(crate) const SENT: u64 = 2;

    /// That of the batch whose first call has this id.
    pub(crate) fn of(first: u64) -> Self {
        Part(first << 2)
    }

    pub(crate) fn with(self, state: u64) -> Self {
        Part(self.0 | state)
    }

    pub(crate) fn has(self, state: u64) -> bool {
        self.0 & state != 0
    }

    pub(crate) fn first(self) -> Option<u64> {
        Some(self.0 >> 2).filter(|first| *first > 0)
    }
}

/// How far a call had got that was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GivenUp {
    /// Its batch was sent, and no response came.
    Sent,
    /// No response came; whether it was sent is for the caller to know.
    Waiting,
    Over,
}

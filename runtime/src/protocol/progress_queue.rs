//! What a caller was told of the progress of its call and has not looked at yet: a queue that is
//! bounded, as the peer decides how much it tells.
//!
//! Must not know who fills it, or who looks.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many values may wait.
const MAX_VALUES: usize = 64;
/// How many bytes they may have together.
const MAX_BYTES: usize = 1 << 20;

/// Values as JSON, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct ProgressQueue(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    values: VecDeque<Box<str>>,
    bytes: usize,
}

impl ProgressQueue {
    /// Adds a value. Where there is no room for it, the oldest ones go. It is copied, as its message
    /// may be much larger. `false`: something was dropped.
    pub(crate) fn push(&self, value: &str) -> bool {
        if value.len() > MAX_BYTES {
            return false;
        }
        let mut queue = self.lock();
        let mut dropped = false;
        while queue.values.len() >= MAX_VALUES || queue.bytes + value.len() > MAX_BYTES {
            let Some(oldest) = queue.values.pop_front() else { break };
            queue.bytes -= oldest.len();
            dropped = true;
        }
        queue.bytes += value.len();
        queue.values.push_back(value.into());
        !dropped
    }

    /// All that wait.
    pub(crate) fn take(&self) -> VecDeque<Box<str>> {
        take(&mut *self.lock()).values
    }

    /// Nothing of the user's is in it, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let steps = ProgressQueue::default();
        for number in 0..64 {
            assert!(steps.push(&number.to_string()), "{number}");
        }
        assert!(!steps.push("64"));
        let values = steps.take();
        assert_eq!((values.len(), &*values[0], &*values[63]), (64, "1", "64"));
        assert!(steps.take().is_empty());

        let half = "x".repeat(MAX_BYTES / 2);
        assert!(steps.push("small") && steps.push(&half));
        assert!(!steps.push(&half), "the small one has to go");
        assert!(!steps.push(&"x".repeat(MAX_BYTES + 1)), "it never fits");
        assert_eq!(steps.take().len(), 2);
        assert!(steps.push(&"x".repeat(MAX_BYTES)), "all room is free again");
    }
}

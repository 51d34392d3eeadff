//! Progress values that a caller has not consumed yet ([`ProgressQueue`]). The queue is bounded,
//! because the peer decides how many values it sends.

use std::collections::VecDeque;
use std::mem::take;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The maximum number of values.
const MAX_VALUES: usize = 64;
/// The maximum total size of the values in bytes.
const MAX_BYTES: usize = 1 << 20;

/// Values as JSON, in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct ProgressQueue(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    values: VecDeque<Box<str>>,
    bytes: usize,
}

impl ProgressQueue {
    /// Adds a copy of a value, because its message may be much larger. If the queue is full, drops
    /// the oldest values. Returns `false` if a value was dropped.
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

    /// Takes all values.
    pub(crate) fn take(&self) -> VecDeque<Box<str>> {
        take(&mut *self.lock()).values
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
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

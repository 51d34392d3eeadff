//! When calls are to be given up: what the one timer of a connection has to be set to.
//!
//! Most calls are answered long before, so a new one only has its deadline compared with the time
//! that the timer is set to. When the timer fires, those that still wait are put in order, each
//! once in its life; so one timer and O(log n) for a call that waits long are enough. Must not
//! know timers, nor what waits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use tokio::time::Instant;

/// How much room is not worth giving back, and how many dead entries are not worth a look.
const KEPT: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Those of calls below `young`, the soonest on top.
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    /// How many of them belong to calls that wait no more.
    dead: usize,
    /// From this id on, deadlines are in no order.
    young: u64,
    /// No call that waits has an earlier deadline.
    alarm: Option<Instant>,
}

impl Deadlines {
    /// The first id whose deadline is in no order.
    pub(crate) fn young(&self) -> u64 {
        self.young
    }

    pub(crate) fn alarm(&self) -> Option<Instant> {
        self.alarm
    }

    /// A call begins to wait. `true`: the timer is set to a later time, or to none.
    pub(crate) fn watch(&mut self, id: u64, at: Instant) -> bool {
        if id < self.young {
            self.heap.push(Reverse((at, id)));
        }
        let earlier = self.alarm.is_none_or(|alarm| at < alarm);
        if earlier {
            self.alarm = Some(at);
        }
        earlier
    }

    /// All calls below this id are in order now, or not there.
    pub(crate) fn grow_up(&mut self, young: u64) {
        self.young = self.young.max(young);
    }

    /// Puts a call in order.
    pub(crate) fn order(&mut self, id: u64, at: Instant) {
        self.heap.push(Reverse((at, id)));
    }

    /// A call with a deadline waits no more. Once those are the greater part, they are thrown out.
    pub(crate) fn forget(&mut self, id: u64, waits: impl Fn(u64) -> bool) {
        if id < self.young {
            self.dead += 1;
            if self.dead > self.heap.len() / 2 + KEPT {
                self.heap.retain(|Reverse((_, id))| waits(*id));
                self.dead = 0;
                self.trim();
            }
        }
    }

    /// The next call whose time is over. When there is none, the alarm is that of the first which
    /// waits.
    pub(crate) fn expired(&mut self, now: Instant, waits: impl Fn(u64) -> bool) -> Option<u64> {
        self.alarm = None;
        while let Some(Reverse((at, id))) = self.heap.peek() {
            let (at, id) = (*at, *id);
            let waits = waits(id);
            if waits && at > now {
                self.alarm = Some(at);
                break;
            }
            self.heap.pop();
            if waits {
                return Some(id);
            }
            self.dead = self.dead.saturating_sub(1);
        }
        self.trim();
        None
    }

    fn trim(&mut self) {
        if self.heap.is_empty() {
            self.heap = BinaryHeap::new();
        }
        let (len, capacity) = (self.heap.len(), self.heap.capacity());
        if capacity > KEPT && len < capacity / 8 {
            self.heap.shrink_to(2 * len);
        }
    }
}

#[cfg(test)]
impl Deadlines {
    pub(crate) fn room(&self) -> usize {
        self.heap.capacity()
    }

    /// How many deadlines are in order, and how many of them are nobody's.
    pub(crate) fn tally(&self) -> (usize, usize) {
        (self.heap.len(), self.dead)
    }
}

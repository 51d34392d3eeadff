//! The table of calls that wait for a response: an entry for each, from before its message is sent
//! until its caller has what came of it.
//!
//! An entry ends in exactly one of response, timeout, closed or dropped. Must not know locks, tasks
//! or how ids look on the wire; it gives wakers to whoever may wake them.

use std::ops::Range;
use std::task::Waker;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::deadlines::Deadlines;
use crate::error::CloseReason;
use crate::protocol::error::ErrorObject;
use crate::slots::Slots;

/// What came back for a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The result is this part of the message.
    Result(Utf8Bytes, Range<usize>),
    Error(ErrorObject),
    /// An answer that is no response; it says what is wrong.
    Invalid(&'static str),
    /// Nothing, for too long.
    Timeout,
    /// The batch of the call was dropped before it was sent.
    NotSent,
}

#[derive(Debug)]
enum Slot {
    Waiting { waker: Option<Waker>, deadline: Option<Instant> },
    Done(Reply),
}

/// What was taken out of the table. Holds what may not be dropped under a lock.
#[derive(Debug)]
pub(crate) struct Removed(Slot);

#[derive(Debug)]
pub(crate) struct Table {
    /// Ids count up and are never used again: a late response must not meet a new call.
    slots: Slots<Slot>,
    deadlines: Deadlines,
    closed: Option<CloseReason>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table { slots: Slots::new(), deadlines: Deadlines::default(), closed: None }
    }

    /// How many calls have not been told how they ended.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// What the timer has to be set to.
    pub(crate) fn alarm(&self) -> Option<Instant> {
        self.deadlines.alarm()
    }

    /// A new call; gives its id, and whether the timer has to be set to an earlier time. The waker
    /// is left where it is if there is no such call.
    pub(crate) fn insert(
        &mut self,
        waker: &mut Option<Waker>,
        deadline: Option<Instant>,
    ) -> Result<(u64, bool), CloseReason> {
        if let Some(reason) = &self.closed {
            return Err(reason.clone());
        }
        let id = self.slots.push(Slot::Waiting { waker: waker.take(), deadline });
        self.tidy();
        Ok((id, deadline.is_some_and(|at| self.deadlines.watch(id, at))))
    }

    /// A call that waits gets a deadline. `true`: the timer has to be set to an earlier time.
    pub(crate) fn start(&mut self, id: u64, at: Instant) -> bool {
        let Some(Slot::Waiting { deadline, .. }) = self.slots.get_mut(id) else { return false };
        *deadline = Some(at);
        self.deadlines.watch(id, at)
    }

    /// Where the waker of a call is; `None` if the call has ended.
    pub(crate) fn waker(&mut self, id: u64) -> Option<&mut Option<Waker>> {
        match self.slots.get_mut(id) {
            Some(Slot::Waiting { waker, .. }) if self.closed.is_none() => Some(waker),
            _ => None,
        }
    }

    /// Takes out a call that has ended.
    pub(crate) fn take(&mut self, id: u64) -> Result<Reply, CloseReason> {
        match self.remove(id) {
            Some(Removed(Slot::Done(reply))) => Ok(reply),
            _ => Err(self.closed.clone().unwrap_or(CloseReason::Aborted)),
        }
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Removed> {
        let slot = self.slots.remove(id)?;
        if let Slot::Waiting { deadline, .. } = slot {
            self.forget(id, deadline);
        }
        self.tidy();
        Some(Removed(slot))
    }

    /// Ends a call that waits; gives its waker. `None`: it does not wait.
    pub(crate) fn end(&mut self, id: u64, reply: Reply) -> Option<Option<Waker>> {
        let slot = self.slots.get_mut(id)?;
        let Slot::Waiting { waker, deadline } = slot else { return None };
        let (waker, deadline) = (waker.take(), *deadline);
        *slot = Slot::Done(reply);
        self.forget(id, deadline);
        Some(waker)
    }

    /// Ends all calls whose deadline is not after `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Waker> {
        self.grow_up();
        let mut wakers = Vec::new();
        while let Some(id) = self.next_expired(now) {
            // Not by `end`: its deadline is out of the heap already.
            let slot = self.slots.get_mut(id);
            let ended = slot.map(|slot| std::mem::replace(slot, Slot::Done(Reply::Timeout)));
            if let Some(Slot::Waiting { waker, .. }) = ended {
                wakers.extend(waker);
            }
        }
        self.slots.release();
        wakers
    }

    /// Ends all calls that have no reply yet, and takes no new ones.
    pub(crate) fn close(&mut self, reason: &CloseReason) -> Vec<Waker> {
        self.closed.get_or_insert_with(|| reason.clone());
        let waker = |slot: &mut Slot| match slot {
            Slot::Waiting { waker, .. } => waker.take(),
            Slot::Done(_) => None,
        };
        self.slots.values_mut().filter_map(waker).collect()
    }

    fn forget(&mut self, id: u64, deadline: Option<Instant>) {
        if deadline.is_some() {
            let slots = &self.slots;
            self.deadlines.forget(id, |id| waits(slots, id));
        }
    }

    /// Moves old calls out of the way of the new ones.
    fn tidy(&mut self) {
        while let Some((id, slot)) = self.slots.retire() {
            // Only those in the window are looked at when the timer fires.
            if id >= self.deadlines.young() {
                if let Slot::Waiting { deadline: Some(at), .. } = slot {
                    self.deadlines.order(id, *at);
                }
                self.deadlines.grow_up(id + 1);
            }
        }
    }

    /// Puts the deadlines of all calls in order.
    fn grow_up(&mut self) {
        for (id, slot) in self.slots.since(self.deadlines.young()) {
            if let Slot::Waiting { deadline: Some(at), .. } = slot {
                self.deadlines.order(id, *at);
            }
        }
        self.deadlines.grow_up(self.slots.next_id());
    }

    fn next_expired(&mut self, now: Instant) -> Option<u64> {
        let slots = &self.slots;
        self.deadlines.expired(now, |id| waits(slots, id))
    }
}

fn waits(slots: &Slots<Slot>, id: u64) -> bool {
    matches!(slots.get(id), Some(Slot::Waiting { .. }))
}

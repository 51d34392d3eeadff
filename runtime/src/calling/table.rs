//! The table of calls that wait for a response: an entry for each, from before its message is sent
//! until its caller has what came of it.
//!
//! An entry ends in exactly one of response, timeout, closed or dropped. Must not know locks, tasks
//! or how ids look on the wire; it gives wakers to whoever may wake them.

use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::calling::deadlines::Deadlines;
use crate::calling::part::{GivenUp, Part};
use crate::calling::reply::Reply;
use crate::calling::slots::Slots;
use crate::error::CloseReason;
use crate::protocol::steps::Steps;

#[derive(Debug)]
enum Slot {
    Waiting {
        waker: Option<Waker>,
        deadline: Option<Instant>,
        batch: Part,
        /// Who made the call wants to know how far it is.
        steps: Option<Arc<Steps>>,
    },
    Done(Reply),
}

/// What was taken out of the table. Holds what may not be dropped under a lock.
#[derive(Debug)]
pub(crate) struct Removed(Slot);

impl Removed {
    pub(crate) fn given_up(&self) -> GivenUp {
        match self.0 {
            Slot::Waiting { batch, .. } if batch.has(Part::SENT) => GivenUp::Sent,
            Slot::Waiting { .. } => GivenUp::Waiting,
            Slot::Done(_) => GivenUp::Over,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    /// Ids count up and are never used again: a late response must not meet a new call.
    slots: Slots<Slot>,
    deadlines: Deadlines,
    /// The id of the first call behind the last notification; 0 if there was none.
    notified: u64,
    closed: Option<CloseReason>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table { slots: Slots::new(), deadlines: Deadlines::default(), notified: 0, closed: None }
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
        let id = self.slots.push(Slot::Waiting {
            waker: waker.take(),
            deadline,
            batch: Part::ALONE,
            steps: None,
        });
        self.tidy();
        Ok((id, deadline.is_some_and(|at| self.deadlines.watch(id, at))))
    }

    /// A call of a batch, whose first call is this one if there is any; gives its id.
    pub(crate) fn insert_in_batch(&mut self, first: Option<u64>) -> Result<u64, CloseReason> {
        let (id, _) = self.insert(&mut None, None)?;
        if let Some(Slot::Waiting { batch, .. }) = self.slots.get_mut(id) {
            *batch = Part::of(first.unwrap_or(id));
        }
        Ok(id)
    }

    /// The batch of this call may be answered from now on.
    pub(crate) fn queue(&mut self, id: u64) {
        if let Some(Slot::Waiting { batch, .. }) = self.slots.get_mut(id) {
            *batch = batch.with(Part::QUEUED);
        }
    }

    /// A notification is about to be sent.
    pub(crate) fn notify(&mut self) {
        self.notified = self.slots.next_id();
    }

    /// The calls that wait, if all of them are one call, or belong to one batch. `surely`: not if an
    /// answer without an id may be one to a notification, because no other call was made between the
    /// last notification and the one that waits.
    pub(crate) fn only(&self, surely: bool) -> Option<Vec<u64>> {
        let (mut ids, mut only) = (vec![], None);
        for (id, slot) in self.slots.entries() {
            let Slot::Waiting { batch, .. } = slot else { continue };
            if *batch != Part::ALONE && !batch.has(Part::QUEUED) {
                continue;
            }
            let message = batch.first().unwrap_or(id);
            if *only.get_or_insert(message) != message {
                return None;
            }
            ids.push(id);
        }
        only.filter(|message| !surely || *message > self.notified).map(|_| ids)
    }

    /// The calls that wait and belong to the batch whose first call is this one. That one may have been
    /// given up; if it has its reply, the batch is answered call by call.
    pub(crate) fn batch(&self, first: u64) -> Option<Vec<u64>> {
        let is_answered = |slot: &Slot| !waits_in_batch(slot, first);
        if first >= self.slots.next_id() || self.slots.get(first).is_some_and(is_answered) {
            return None;
        }
        self.rest(first)
    }

    /// The calls that wait and belong to the batch whose first call was this one.
    pub(crate) fn rest(&self, first: u64) -> Option<Vec<u64>> {
        let calls = self.slots.entries().filter(|(_, slot)| waits_in_batch(slot, first));
        let ids: Vec<u64> = calls.map(|(id, _)| id).collect();
        (!ids.is_empty()).then_some(ids)
    }

    /// The first call of the batch that this call waits in.
    pub(crate) fn batch_of(&self, id: u64) -> Option<u64> {
        match self.slots.get(id)? {
            Slot::Waiting { batch, .. } => batch.first(),
            Slot::Done(_) => None,
        }
    }

    /// A call that waits was sent, and may have got a deadline. `true`: the timer has to be set to an
    /// earlier time.
    pub(crate) fn start(&mut self, id: u64, at: Option<Instant>) -> bool {
        let Some(Slot::Waiting { deadline, batch, .. }) = self.slots.get_mut(id) else {
            return false;
        };
        (*deadline, *batch) = (at, batch.with(Part::SENT));
        at.is_some_and(|at| self.deadlines.watch(id, at))
    }

    /// A call that waits wants to know how far it is.
    pub(crate) fn listen(&mut self, id: u64, to: Arc<Steps>) {
        if let Some(Slot::Waiting { steps, .. }) = self.slots.get_mut(id) {
            *steps = Some(to);
        }
    }

    /// Where a call that waits wants to be told how far it is.
    pub(crate) fn listener(&self, id: u64) -> Option<Arc<Steps>> {
        match self.slots.get(id)? {
            Slot::Waiting { steps, .. } => steps.clone(),
            Slot::Done(_) => None,
        }
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

    #[inline]
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
        let Slot::Waiting { waker, deadline, .. } = slot else { return None };
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

/// Whether the call waits in the batch with this first call, and that may have been answered.
fn waits_in_batch(slot: &Slot, first: u64) -> bool {
    match slot {
        Slot::Waiting { batch, .. } => batch.first() == Some(first) && batch.has(Part::QUEUED),
        Slot::Done(_) => false,
    }
}

fn waits(slots: &Slots<Slot>, id: u64) -> bool {
    matches!(slots.get(id), Some(Slot::Waiting { .. }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_call_that_waits_takes_no_more_room_than_its_reply_will() {
        assert_eq!(size_of::<Slot>(), size_of::<Reply>());
    }

    fn take(table: &mut Table, id: u64) -> &'static str {
        match table.take(id) {
            Ok(Reply::Timeout) => "timeout",
            Ok(Reply::Invalid(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    /// How many deadlines in order belong to calls that wait.
    fn check_deadlines(table: &Table) {
        let (ordered, dead) = table.deadlines.tally();
        assert!(dead <= ordered / 2 + 64, "{dead} of {ordered} are dead");
        let waiting = table.slots.len();
        assert!(ordered - dead <= waiting, "{ordered} - {dead} for {waiting} calls");
        let room = table.deadlines.room();
        assert!(room <= 16 * ordered + 256, "room for {room} deadlines, {ordered} are there");
    }

    /// Random calls with and without deadlines, against a plain list of those that wait: what
    /// times out is what the list says, at the time that the table asks to be looked at.
    #[test]
    fn calls_time_out_when_they_should() {
        let begin = Instant::now();
        for seed in 1..=12_u64 {
            let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let mut random = |limit: u64| {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % limit
            };
            let mut table = Table::new();
            let mut waiting: BTreeMap<u64, Option<Instant>> = BTreeMap::new();
            let mut now = begin;
            let (rush, spread) = (1 + random(8), 1 << random(16));
            for _ in 0..5_000 {
                now += Duration::from_micros(random(1000));
                let at = now + Duration::from_millis(random(spread));
                let some = waiting.keys().copied().nth(random(1 + waiting.len() as u64) as usize);
                match (random(10 + rush), some) {
                    (0..4, Some(id)) => {
                        assert!(table.end(id, Reply::Invalid("answered")).is_some());
                        assert_eq!(take(&mut table, id), "answered");
                        waiting.remove(&id);
                    }
                    (4, Some(id)) => {
                        assert!(table.remove(id).is_some());
                        assert!(table.end(id, Reply::Invalid("late")).is_none());
                        waiting.remove(&id);
                    }
                    // A batch is sent.
                    (5, Some(id)) if waiting[&id].is_none() => {
                        let earlier = table.alarm().is_none_or(|alarm| at < alarm);
                        assert_eq!(table.start(id, Some(at)), earlier);
                        waiting.insert(id, Some(at));
                    }
                    (6, _) => {
                        let (id, early) = table.insert(&mut None, None).unwrap();
                        assert!(!early);
                        waiting.insert(id, None);
                    }
                    _ => {
                        let earlier = table.alarm().is_none_or(|alarm| at < alarm);
                        let (id, early) = table.insert(&mut None, Some(at)).unwrap();
                        assert_eq!(early, earlier);
                        waiting.insert(id, Some(at));
                    }
                }
                let next = waiting.values().flatten().min().copied();
                assert!(table.alarm() <= next || next.is_none(), "the timer is set too late");
                assert!(next.is_none() || table.alarm().is_some());
                if table.alarm().is_some_and(|alarm| alarm <= now) {
                    table.expire(now);
                    let over = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
                    let ids: Vec<u64> =
                        waiting.iter().filter(|(_, at)| over(at)).map(|(id, _)| *id).collect();
                    for id in ids {
                        assert_eq!(take(&mut table, id), "timeout");
                        waiting.remove(&id);
                    }
                    assert_eq!(table.alarm(), waiting.values().flatten().min().copied());
                }
                assert_eq!(table.len(), waiting.len());
                check_deadlines(&table);
            }
        }
    }

    /// One call that is never answered, a million others, and a timer that fires now and then.
    #[test]
    fn a_million_calls_leave_nothing_behind() {
        let begin = Instant::now();
        let mut table = Table::new();
        let hour = begin + Duration::from_secs(3600);
        let (stuck, _) = table.insert(&mut None, Some(hour)).unwrap();
        for number in 0..1_000_000_u64 {
            let now = begin + Duration::from_millis(number);
            let (id, _) = table.insert(&mut None, Some(now + Duration::from_secs(1))).unwrap();
            if table.alarm().is_some_and(|alarm| alarm <= now) {
                table.expire(now);
            }
            assert!(table.end(id, Reply::Invalid("answered")).is_some());
            assert_eq!(take(&mut table, id), "answered");
            assert!(table.deadlines.room() <= 256, "{}", table.deadlines.room());
        }
        assert_eq!(table.len(), 1);
        table.expire(hour);
        assert_eq!(take(&mut table, stuck), "timeout");
        table.expire(hour);
        assert_eq!((table.len(), table.alarm(), table.deadlines.room()), (0, None, 0));
    }

    /// All wait long enough to be put in order, and are answered after that.
    #[test]
    fn deadlines_of_answered_calls_are_thrown_out() {
        let begin = Instant::now();
        let mut table = Table::new();
        table.insert(&mut None, Some(begin)).unwrap();
        for number in 0..100_000 {
            let at = begin + Duration::from_millis(1 + number % 1000);
            table.insert(&mut None, Some(at)).unwrap();
        }
        table.expire(begin);
        assert_eq!(table.deadlines.tally(), (100_000, 0));
        for id in 2..=100_001 {
            assert!(table.remove(id).is_some());
            check_deadlines(&table);
        }
        assert_eq!(table.len(), 1);
    }
}

//! The table of pending calls, which `pending_calls` puts behind a lock. A call has an entry from
//! before its message is sent until its caller has the outcome. An entry ends in exactly one of
//! response, timeout, closed or dropped. Nothing here locks or wakes: wakers are returned to the
//! caller.
//!
//! [`Slots`] holds entries under increasing numbers that are never reused, without hashing. Recent
//! entries are in a window with one slot for each number. An old entry would keep the window from
//! shrinking, so it moves to a map:
//!
//! - Every number enters the window once at the back and leaves it once at the front. So all
//!   operations are amortized O(1).
//! - The window has at most four slots for each entry in it, and [`SPARE`] more. So memory is
//!   proportional to the number of entries, in whatever order they are removed.
//!
//! [`Deadlines`] computes the time for the connection's one timer. Most calls are answered long
//! before their deadline, so a new deadline is only compared with the timer's time. When the timer
//! fires, the deadlines of all pending calls are put into a heap, each at most once. So one timer
//! is enough, and only a call that waits long costs O(log n).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::error::CloseReason;
use crate::link::pending_calls::{Abandoned, CallOutcome, Part};
use crate::protocol::progress_queue::ProgressQueue;

#[derive(Debug)]
enum Slot {
    Waiting {
        waker: Option<Waker>,
        deadline: Option<Instant>,
        batch: Part,
        /// The queue for the call's progress values, if the caller wants them.
        progress: Option<Arc<ProgressQueue>>,
    },
    Done(CallOutcome),
}

/// An entry that was removed from the table. It may hold a waker, so it must not be dropped under a
/// lock.
#[derive(Debug)]
pub(crate) struct Removed(Slot);

impl Removed {
    pub(crate) fn abandoned(&self) -> Abandoned {
        match self.0 {
            Slot::Waiting { batch, .. } if batch.has(Part::SENT) => Abandoned::Sent,
            Slot::Waiting { .. } => Abandoned::Waiting,
            Slot::Done(_) => Abandoned::Over,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Table {
    /// Ids are never reused, so that a late response cannot match a new call.
    slots: Slots<Slot>,
    deadlines: Deadlines,
    /// The id of the first call after the last notification; 0 if there was none.
    notified: u64,
    closed: Option<CloseReason>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Table { slots: Slots::new(), deadlines: Deadlines::default(), notified: 0, closed: None }
    }

    /// The number of calls that have no outcome yet.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The time to which the timer must be set.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next_deadline()
    }

    /// Adds a call. Returns its id, and whether the timer must be set to an earlier time. On error,
    /// the waker is not taken.
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
            progress: None,
        });
        self.tidy();
        Ok((id, deadline.is_some_and(|at| self.deadlines.watch(id, at))))
    }

    /// Adds a call of a batch and returns its id. `first` is the batch's first call, or `None` if
    /// this is the first.
    pub(crate) fn insert_in_batch(&mut self, first: Option<u64>) -> Result<u64, CloseReason> {
        let (id, _) = self.insert(&mut None, None)?;
        if let Some(Slot::Waiting { batch, .. }) = self.slots.get_mut(id) {
            *batch = Part::of(first.unwrap_or(id));
        }
        Ok(id)
    }

    /// Records that the batch of this call is about to be sent.
    pub(crate) fn queue(&mut self, id: u64) {
        if let Some(Slot::Waiting { batch, .. }) = self.slots.get_mut(id) {
            *batch = batch.with(Part::QUEUED);
        }
    }

    /// Records that a notification is about to be sent.
    pub(crate) fn notify(&mut self) {
        self.notified = self.slots.next_id();
    }

    /// The pending calls, if there is only one, or if all belong to one batch. With `surely`, also
    /// returns `None` if an error without an id may be the answer to a notification, because a
    /// notification was sent after the pending call or right before it.
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

    /// The pending calls of the batch with this first call. The first call may have been dropped.
    /// If it has a response, the peer answers the calls of the batch separately, and this returns
    /// `None`.
    pub(crate) fn batch(&self, first: u64) -> Option<Vec<u64>> {
        let is_answered = |slot: &Slot| !waits_in_batch(slot, first);
        if first >= self.slots.next_id() || self.slots.get(first).is_some_and(is_answered) {
            return None;
        }
        self.rest(first)
    }

    /// The pending calls of the batch with this first call, whatever its outcome.
    pub(crate) fn rest(&self, first: u64) -> Option<Vec<u64>> {
        let calls = self.slots.entries().filter(|(_, slot)| waits_in_batch(slot, first));
        let ids: Vec<u64> = calls.map(|(id, _)| id).collect();
        (!ids.is_empty()).then_some(ids)
    }

    /// The first call of the batch that this pending call is part of.
    pub(crate) fn batch_of(&self, id: u64) -> Option<u64> {
        match self.slots.get(id)? {
            Slot::Waiting { batch, .. } => batch.first(),
            Slot::Done(_) => None,
        }
    }

    /// Records that a pending call was sent, and its deadline. Returns whether the timer must be
    /// set to an earlier time.
    pub(crate) fn start(&mut self, id: u64, at: Option<Instant>) -> bool {
        let Some(Slot::Waiting { deadline, batch, .. }) = self.slots.get_mut(id) else {
            return false;
        };
        (*deadline, *batch) = (at, batch.with(Part::SENT));
        at.is_some_and(|at| self.deadlines.watch(id, at))
    }

    /// Sets the queue for the progress values of a pending call.
    pub(crate) fn listen(&mut self, id: u64, to: Arc<ProgressQueue>) {
        if let Some(Slot::Waiting { progress, .. }) = self.slots.get_mut(id) {
            *progress = Some(to);
        }
    }

    /// The queue for the progress values of a pending call.
    pub(crate) fn listener(&self, id: u64) -> Option<Arc<ProgressQueue>> {
        match self.slots.get(id)? {
            Slot::Waiting { progress, .. } => progress.clone(),
            Slot::Done(_) => None,
        }
    }

    /// A call's waker. The outer `None` means that the call has ended.
    pub(crate) fn waker(&mut self, id: u64) -> Option<&mut Option<Waker>> {
        match self.slots.get_mut(id) {
            Some(Slot::Waiting { waker, .. }) if self.closed.is_none() => Some(waker),
            _ => None,
        }
    }

    /// Removes a call that has ended.
    #[inline]
    pub(crate) fn take(&mut self, id: u64) -> Result<CallOutcome, CloseReason> {
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

    /// Ends a pending call and returns its waker. The outer `None` means that the call is not
    /// pending.
    pub(crate) fn end(&mut self, id: u64, reply: CallOutcome) -> Option<Option<Waker>> {
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
            // `end` would remove the deadline from the heap, where it is no longer.
            let slot = self.slots.get_mut(id);
            let ended = slot.map(|slot| std::mem::replace(slot, Slot::Done(CallOutcome::Timeout)));
            if let Some(Slot::Waiting { waker, .. }) = ended {
                wakers.extend(waker);
            }
        }
        self.slots.release();
        wakers
    }

    /// Ends all pending calls and refuses new ones.
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

    /// Moves old entries out of the window.
    fn tidy(&mut self) {
        while let Some((id, slot)) = self.slots.retire() {
            // When the timer fires, only entries in the window are checked.
            if id >= self.deadlines.young() {
                if let Slot::Waiting { deadline: Some(at), .. } = slot {
                    self.deadlines.order(id, *at);
                }
                self.deadlines.grow_up(id + 1);
            }
        }
    }

    /// Puts the deadlines of all calls into the heap.
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

/// Whether the call is pending in the batch with this first call, and the batch was sent.
fn waits_in_batch(slot: &Slot, first: u64) -> bool {
    match slot {
        Slot::Waiting { batch, .. } => batch.first() == Some(first) && batch.has(Part::QUEUED),
        Slot::Done(_) => false,
    }
}

fn waits(slots: &Slots<Slot>, id: u64) -> bool {
    matches!(slots.get(id), Some(Slot::Waiting { .. }))
}

/// A window of up to this length never counts as sparse.
const SPARE: usize = 64;
/// Capacity up to this is not freed.
const KEPT: usize = 128;

#[derive(Debug)]
pub(crate) struct Slots<T> {
    /// The entry `first + i` is at index `i`. The front entry is present, or the window is empty.
    window: VecDeque<Option<T>>,
    first: u64,
    /// The number of entries in the window.
    recent: usize,
    /// All entries older than the window.
    stragglers: HashMap<u64, T, BuildHasherDefault<IdHasher>>,
}

impl<T> Slots<T> {
    /// The first number is 1.
    pub(crate) fn new() -> Self {
        Slots { window: VecDeque::new(), first: 1, recent: 0, stragglers: HashMap::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.recent + self.stragglers.len()
    }

    /// The number that the next entry gets.
    pub(crate) fn next_id(&self) -> u64 {
        self.first + self.window.len() as u64
    }

    /// Adds an entry and returns its number. The caller calls [`retire`](Self::retire) afterwards.
    pub(crate) fn push(&mut self, entry: T) -> u64 {
        let id = self.next_id();
        self.window.push_back(Some(entry));
        self.recent += 1;
        id
    }

    pub(crate) fn get(&self, id: u64) -> Option<&T> {
        match self.place(id) {
            Some(place) => self.window.get(place)?.as_ref(),
            None => self.stragglers.get(&id),
        }
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut T> {
        match self.place(id) {
            Some(place) => self.window.get_mut(place)?.as_mut(),
            None => self.stragglers.get_mut(&id),
        }
    }

    /// Removes an entry. The caller calls [`retire`](Self::retire) afterwards.
    #[inline]
    pub(crate) fn remove(&mut self, id: u64) -> Option<T> {
        let Some(place) = self.place(id) else {
            let entry = self.stragglers.remove(&id)?;
            let (len, capacity) = (self.stragglers.len(), self.stragglers.capacity());
            if capacity > KEPT && len < capacity / 8 {
                self.stragglers.shrink_to(2 * len);
            }
            return Some(entry);
        };
        let entry = self.window.get_mut(place)?.take()?;
        self.recent -= 1;
        self.trim();
        Some(entry)
    }

    /// If the window is sparse, moves its oldest entry to the stragglers and returns it.
    pub(crate) fn retire(&mut self) -> Option<(u64, &T)> {
        if self.window.len() <= 4 * self.recent + SPARE {
            return None;
        }
        let id = self.first;
        let entry = self.window.pop_front()??;
        self.first += 1;
        self.recent -= 1;
        self.trim();
        Some((id, self.stragglers.entry(id).insert_entry(entry).into_mut()))
    }

    /// The entries of the window with at least this number.
    pub(crate) fn since(&self, id: u64) -> impl Iterator<Item = (u64, &T)> {
        let skipped = self.place(id).unwrap_or(0).min(self.window.len());
        let first = self.first + skipped as u64;
        let slots = self.window.range(skipped..);
        (first..).zip(slots).filter_map(|(id, slot)| slot.as_ref().map(|entry| (id, entry)))
    }

    /// All entries, in no particular order.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (u64, &T)> {
        let stragglers = self.stragglers.iter().map(|(id, entry)| (*id, entry));
        self.since(self.first).chain(stragglers)
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.window.iter_mut().flatten().chain(self.stragglers.values_mut())
    }

    /// Frees all memory if there are no entries. Numbers continue to increase.
    pub(crate) fn release(&mut self) {
        if self.len() == 0 {
            (self.window, self.stragglers) = Default::default();
        }
    }

    /// The index of an entry in the window; `None` if the entry is older than the window.
    fn place(&self, id: u64) -> Option<usize> {
        usize::try_from(id.checked_sub(self.first)?).ok()
    }

    /// Removes empty slots at the front, and frees capacity that is not needed.
    fn trim(&mut self) {
        while let Some(None) = self.window.front() {
            self.window.pop_front();
            self.first += 1;
        }
        let (len, capacity) = (self.window.len(), self.window.capacity());
        if capacity > KEPT && len < capacity / 8 {
            self.window.shrink_to(2 * len);
        }
    }
}

/// A hasher for ids. This side chooses the ids, so a multiplication is enough.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

/// Capacity up to this is not freed, and up to this number of stale entries is not removed.
const KEPT_DEADLINES: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Deadlines of calls with ids below `young`, the earliest first.
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    /// The number of deadlines in the heap whose calls are no longer pending.
    dead: usize,
    /// Deadlines of calls from this id on are not in the heap.
    young: u64,
    /// No pending call has an earlier deadline.
    next_deadline: Option<Instant>,
}

impl Deadlines {
    /// The first id whose deadline is not in the heap.
    pub(crate) fn young(&self) -> u64 {
        self.young
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.next_deadline
    }

    /// Records the deadline of a call. Returns `true` if the timer is set to a later time, or not
    /// set.
    pub(crate) fn watch(&mut self, id: u64, at: Instant) -> bool {
        if id < self.young {
            self.heap.push(Reverse((at, id)));
        }
        let earlier = self.next_deadline.is_none_or(|next_deadline| at < next_deadline);
        if earlier {
            self.next_deadline = Some(at);
        }
        earlier
    }

    /// Records that the deadlines of all calls below this id are in the heap.
    pub(crate) fn grow_up(&mut self, young: u64) {
        self.young = self.young.max(young);
    }

    /// Puts a deadline into the heap.
    pub(crate) fn order(&mut self, id: u64, at: Instant) {
        self.heap.push(Reverse((at, id)));
    }

    /// Records that a call with a deadline is no longer pending. When most entries of the heap are
    /// stale, they are removed.
    pub(crate) fn forget(&mut self, id: u64, waits: impl Fn(u64) -> bool) {
        if id < self.young {
            self.dead += 1;
            if self.dead > self.heap.len() / 2 + KEPT_DEADLINES {
                self.heap.retain(|Reverse((_, id))| waits(*id));
                self.dead = 0;
                self.trim();
            }
        }
    }

    /// The next call whose deadline has passed. If there is none, the timer's time becomes that of
    /// the first pending call.
    pub(crate) fn expired(&mut self, now: Instant, waits: impl Fn(u64) -> bool) -> Option<u64> {
        self.next_deadline = None;
        while let Some(Reverse((at, id))) = self.heap.peek() {
            let (at, id) = (*at, *id);
            let waits = waits(id);
            if waits && at > now {
                self.next_deadline = Some(at);
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
        if capacity > KEPT_DEADLINES && len < capacity / 8 {
            self.heap.shrink_to(2 * len);
        }
    }
}

#[cfg(test)]
impl Deadlines {
    pub(crate) fn room(&self) -> usize {
        self.heap.capacity()
    }

    /// The number of deadlines in the heap, and how many of them are stale.
    pub(crate) fn tally(&self) -> (usize, usize) {
        (self.heap.len(), self.dead)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_call_that_waits_takes_no_more_room_than_its_reply_will() {
        assert_eq!(size_of::<Slot>(), size_of::<CallOutcome>());
    }

    fn take(table: &mut Table, id: u64) -> &'static str {
        match table.take(id) {
            Ok(CallOutcome::Timeout) => "timeout",
            Ok(CallOutcome::Invalid(words)) => words,
            other => panic!("{other:?}"),
        }
    }

    /// Checks the numbers of deadlines in the heap.
    fn check_deadlines(table: &Table) {
        let (ordered, dead) = table.deadlines.tally();
        assert!(dead <= ordered / 2 + 64, "{dead} of {ordered} are dead");
        let waiting = table.slots.len();
        assert!(ordered - dead <= waiting, "{ordered} - {dead} for {waiting} calls");
        let room = table.deadlines.room();
        assert!(room <= 16 * ordered + 256, "room for {room} deadlines, {ordered} are there");
    }

    /// Random calls with and without deadlines, compared with a plain list of the pending ones: the
    /// same calls expire, at the time that the table requests.
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
                        assert!(table.end(id, CallOutcome::Invalid("answered")).is_some());
                        assert_eq!(take(&mut table, id), "answered");
                        waiting.remove(&id);
                    }
                    (4, Some(id)) => {
                        assert!(table.remove(id).is_some());
                        assert!(table.end(id, CallOutcome::Invalid("late")).is_none());
                        waiting.remove(&id);
                    }
                    // A batch is sent.
                    (5, Some(id)) if waiting[&id].is_none() => {
                        let earlier =
                            table.next_deadline().is_none_or(|next_deadline| at < next_deadline);
                        assert_eq!(table.start(id, Some(at)), earlier);
                        waiting.insert(id, Some(at));
                    }
                    (6, _) => {
                        let (id, early) = table.insert(&mut None, None).unwrap();
                        assert!(!early);
                        waiting.insert(id, None);
                    }
                    _ => {
                        let earlier =
                            table.next_deadline().is_none_or(|next_deadline| at < next_deadline);
                        let (id, early) = table.insert(&mut None, Some(at)).unwrap();
                        assert_eq!(early, earlier);
                        waiting.insert(id, Some(at));
                    }
                }
                let next = waiting.values().flatten().min().copied();
                assert!(
                    table.next_deadline() <= next || next.is_none(),
                    "the timer is set too late"
                );
                assert!(next.is_none() || table.next_deadline().is_some());
                if table.next_deadline().is_some_and(|next_deadline| next_deadline <= now) {
                    table.expire(now);
                    let over = |at: &Option<Instant>| at.is_some_and(|at| at <= now);
                    let ids: Vec<u64> =
                        waiting.iter().filter(|(_, at)| over(at)).map(|(id, _)| *id).collect();
                    for id in ids {
                        assert_eq!(take(&mut table, id), "timeout");
                        waiting.remove(&id);
                    }
                    assert_eq!(table.next_deadline(), waiting.values().flatten().min().copied());
                }
                assert_eq!(table.len(), waiting.len());
                check_deadlines(&table);
            }
        }
    }

    /// One call that is never answered, a million others, and a timer that fires sometimes.
    #[test]
    fn a_million_calls_leave_nothing_behind() {
        let begin = Instant::now();
        let mut table = Table::new();
        let hour = begin + Duration::from_secs(3600);
        let (stuck, _) = table.insert(&mut None, Some(hour)).unwrap();
        for number in 0..1_000_000_u64 {
            let now = begin + Duration::from_millis(number);
            let (id, _) = table.insert(&mut None, Some(now + Duration::from_secs(1))).unwrap();
            if table.next_deadline().is_some_and(|next_deadline| next_deadline <= now) {
                table.expire(now);
            }
            assert!(table.end(id, CallOutcome::Invalid("answered")).is_some());
            assert_eq!(take(&mut table, id), "answered");
            assert!(table.deadlines.room() <= 256, "{}", table.deadlines.room());
        }
        assert_eq!(table.len(), 1);
        table.expire(hour);
        assert_eq!(take(&mut table, stuck), "timeout");
        table.expire(hour);
        assert_eq!((table.len(), table.next_deadline(), table.deadlines.room()), (0, None, 0));
    }

    /// All calls stay pending long enough to be put into the heap, and are answered after that.
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

#[cfg(test)]
mod slots_tests {
    use super::*;

    /// Pseudo-random numbers, the same in each run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % limit
        }
    }

    fn tidy<T>(slots: &mut Slots<T>) {
        while slots.retire().is_some() {}
    }

    fn capacity<T>(slots: &Slots<T>) -> usize {
        slots.window.capacity() + slots.stragglers.capacity()
    }

    /// Ten thousand random steps for each pattern of use, compared with a map.
    #[test]
    fn they_hold_what_a_map_holds() {
        for seed in 1..=40 {
            let mut random = Random(seed * 0x9E37_79B9);
            let mut slots = Slots::new();
            let mut model: HashMap<u64, u64> = HashMap::new();
            // The maximum number of entries, whether old ones stay, and how often a new one is
            // added.
            let (limit, stay, rush) = (1 << random.below(11), random.below(2), random.below(4) + 1);
            for step in 0..10_000 {
                let next = slots.next_id();
                if model.len() < limit && random.below(5) < rush {
                    assert_eq!(slots.push(step), next);
                    model.insert(next, step);
                } else {
                    let reach = if stay == 1 { limit as u64 } else { next };
                    let id = next - random.below(reach.min(next));
                    assert_eq!(slots.remove(id), model.remove(&id), "seed {seed}, step {step}");
                }
                let mut retired = None;
                while let Some((id, entry)) = slots.retire() {
                    assert_eq!(model.get(&id), Some(entry));
                    assert!(retired.replace(id) < Some(id), "the oldest first");
                }
                assert_eq!(slots.len(), model.len());
                let id = random.below(next + 2);
                assert_eq!(slots.get(id), model.get(&id));
                assert_eq!(slots.get_mut(id), model.get_mut(&id));
                let span = slots.window.len();
                assert!(span <= 4 * slots.recent + SPARE, "{span} slots for {}", slots.recent);
                assert!(!matches!(slots.window.front(), Some(None)));
            }
            let mut all: Vec<_> = slots.values_mut().map(|entry| *entry).collect();
            let mut expected: Vec<_> = model.values().copied().collect();
            all.sort_unstable();
            expected.sort_unstable();
            assert_eq!(all, expected);
        }
    }

    #[test]
    fn those_since_a_number_come_in_order() {
        let mut slots = Slots::new();
        assert_eq!(slots.since(0).count(), 0);
        (1..=10).for_each(|number| assert_eq!(slots.push(number), number));
        assert_eq!([1, 2, 5, 10].map(|id| slots.remove(id)), [1, 2, 5, 10].map(Some));
        let valid = |(id, entry): (u64, &u64)| (id == *entry).then_some(id);
        let since = |id| slots.since(id).map(valid).collect::<Vec<_>>();
        let all: Vec<_> = [3, 4, 6, 7, 8, 9].map(Some).into();
        assert_eq!([0, 1, 3].map(since), [all.clone(), all.clone(), all]);
        assert_eq!([6, 9].map(since), [vec![Some(6), Some(7), Some(8), Some(9)], vec![Some(9)]]);
        assert_eq!([10, 11, 12, u64::MAX].map(since), [vec![], vec![], vec![], vec![]]);
    }

    #[test]
    fn one_that_stays_costs_the_others_nothing() {
        let mut slots = Slots::new();
        let stuck = slots.push(0);
        for number in 1..1_000_000 {
            let id = slots.push(number);
            tidy(&mut slots);
            assert_eq!(slots.remove(id), Some(number));
            tidy(&mut slots);
            assert!(capacity(&slots) <= 2 * KEPT, "{}", capacity(&slots));
        }
        assert_eq!(slots.stragglers.len(), 1);
        assert_eq!((slots.remove(stuck), slots.len()), (Some(0), 0));
    }

    #[test]
    fn memory_follows_what_is_there() {
        const MANY: u64 = 100_000;
        // Removed in order of insertion, in reverse, and all but every hundredth.
        type Ids = Vec<u64>;
        let straight: Ids = (1..=MANY).collect();
        let reverse: Ids = (1..=MANY).rev().collect();
        let (rare, usual): (Ids, Ids) = straight.iter().partition(|id| **id % 100 == 0);
        for order in [straight, reverse, [usual, rare].concat()] {
            let mut slots = Slots::new();
            for id in 1..=MANY {
                slots.push(id);
                tidy(&mut slots);
            }
            for id in order {
                assert_eq!(slots.remove(id), Some(id));
                tidy(&mut slots);
                let (len, room) = (slots.len(), capacity(&slots));
                assert!(room <= 40 * len + 4 * KEPT, "room for {room} with {len} entries");
            }
            assert_eq!(slots.len(), 0);
            slots.release();
            assert_eq!(capacity(&slots), 0);
        }
    }

    /// Many entries that stay, and far more that do not.
    #[test]
    fn those_that_stay_move_once() {
        let mut slots = Slots::new();
        (0..1000).for_each(|number| assert_eq!(slots.push(number), number + 1));
        let mut moved = 0;
        for number in 1000..20_000 {
            let id = slots.push(number);
            slots.remove(id);
            while slots.retire().is_some() {
                moved += 1;
            }
        }
        assert_eq!((moved, slots.stragglers.len(), slots.len()), (1000, 1000, 1000));
        assert!(slots.window.len() <= SPARE);
        (1..=1000).for_each(|id| assert_eq!(slots.remove(id), Some(id - 1)));
    }
}

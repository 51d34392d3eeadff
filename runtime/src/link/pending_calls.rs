//! Pending calls of this side: [`PendingCalls`] is the table that callers share with the
//! connection's task, [`CallOutcome`] is the outcome of a call, and [`Part`] is the batch that it
//! belongs to.
//!
//! An entry is inserted before its message is sent, so a response cannot arrive too early. The table
//! is behind one lock. Wakers are foreign code, so they are cloned, woken and dropped outside of
//! the lock.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::{CloseReason, Error};
use crate::link::pending_table::Table;
use crate::protocol::decode::{ResponseOutcome, range};
use crate::protocol::error::ErrorObject;
use crate::protocol::id::counted;
use crate::protocol::peer_error::of_peer;
use crate::protocol::progress_queue::ProgressQueue;
use crate::protocol::text;

/// Which side opened the connection. It determines the form of this side's ids: a client uses
/// numbers, and a server uses strings, because some clients (npm's rpc-websockets) mistake a
/// request for a response if its id equals one of their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    #[default]
    Server,
}

/// The pending calls of one connection.
#[derive(Debug)]
pub(crate) struct PendingCalls {
    table: Mutex<Table>,
    side: Side,
    /// Whether it was logged that the peer sends ids back as strings.
    quoted: AtomicBool,
    /// Whether the timer must be set again. It is changed only under the table's lock, and is read
    /// without the lock in each poll of the connection's task.
    deadline_changed: AtomicBool,
}

/// A new entry.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) id: u64,
    /// Whether the connection's task must be woken, because its timer is set to a later time than
    /// this call's deadline.
    pub(crate) early: bool,
}

impl PendingCalls {
    pub(crate) fn new(side: Side) -> Self {
        PendingCalls {
            table: Mutex::new(Table::new()),
            side,
            quoted: AtomicBool::new(false),
            deadline_changed: AtomicBool::new(false),
        }
    }

    /// Inserts an entry for a new call. The caller removes it with [`poll`](Self::poll) or
    /// [`remove`](Self::remove).
    pub(crate) fn insert(
        &self,
        mut waker: Option<Waker>,
        deadline: Option<Instant>,
    ) -> Result<Entry, CloseReason> {
        let mut table = self.lock();
        let (id, early) = table.insert(&mut waker, deadline)?;
        Ok(Entry { id, early: self.change_deadline_if(early) })
    }

    /// Inserts an entry for a call of a batch and returns its id. `first` is the id of the batch's
    /// first call, or `None` if this is the first.
    pub(crate) fn insert_in_batch(&self, first: Option<u64>) -> Result<u64, CloseReason> {
        self.lock().insert_in_batch(first)
    }

    /// Records that the batch of these calls is about to be sent, so that responses are accepted.
    pub(crate) fn queue(&self, ids: impl Iterator<Item = u64>) {
        let mut table = self.lock();
        ids.for_each(|id| table.queue(id));
    }

    /// Records that a notification is about to be sent.
    pub(crate) fn notify(&self) {
        self.lock().notify();
    }

    /// Handles an error without an id. If only one call or one batch is pending, ends it and
    /// returns the ids of its calls. An error that is not about a whole message may be the answer
    /// to a notification.
    pub(crate) fn refuse_only(&self, error: &ErrorObject) -> Option<Vec<u64>> {
        let surely = !error.code().is_about_a_message();
        self.refuse(|table| table.only(surely), error)
    }

    /// Handles an error about a batch. If the id, given as JSON, is that of the batch's first call,
    /// ends all calls of the batch and returns their ids.
    pub(crate) fn refuse_batch(&self, id: &str, error: &ErrorObject) -> Option<Vec<u64>> {
        self.parse(id).and_then(|first| self.refuse(|table| table.batch(first), error))
    }

    /// The first call of the batch to which the pending call with this id, given as JSON, belongs.
    pub(crate) fn batch_of(&self, id: &str) -> Option<u64> {
        self.parse(id).and_then(|id| self.lock().batch_of(id))
    }

    /// Ends the pending calls of the batch with this first call. Returns their ids, or `None` if
    /// there are none.
    pub(crate) fn refuse_rest(&self, first: u64, error: &ErrorObject) -> Option<Vec<u64>> {
        self.refuse(|table| table.rest(first), error)
    }

    fn refuse(
        &self,
        find: impl FnOnce(&Table) -> Option<Vec<u64>>,
        error: &ErrorObject,
    ) -> Option<Vec<u64>> {
        let mut table = self.lock();
        let ids = find(&table)?;
        let end = |id: &u64| table.end(*id, CallOutcome::Error(error.clone())).flatten();
        let wakers: Vec<Waker> = ids.iter().filter_map(end).collect();
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
        Some(ids)
    }

    /// Appends an id as JSON.
    pub(crate) fn write_id(&self, id: u64, out: &mut Vec<u8>) {
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(id).as_bytes();
        match self.side {
            Side::Client => out.extend_from_slice(digits),
            Side::Server => {
                out.extend_from_slice(b"\"s");
                out.extend_from_slice(digits);
                out.push(b'"');
            }
        }
    }

    /// Removes the entry if the call has ended, and otherwise registers the task's waker. Must not
    /// be called again after it was ready.
    pub(crate) fn poll(
        &self,
        id: u64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<CallOutcome, CloseReason>> {
        let mut fresh = None;
        loop {
            let mut table = self.lock();
            let Some(waker) = table.waker(id) else {
                let outcome = table.take(id);
                drop(table);
                return Poll::Ready(outcome);
            };
            if waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // Wakers are cloned and dropped outside the lock: they are foreign code.
            if fresh.is_some() {
                std::mem::swap(waker, &mut fresh);
                return Poll::Pending;
            }
            drop(table);
            fresh = Some(cx.waker().clone());
        }
    }

    /// Removes the entry of a call that its caller has dropped.
    pub(crate) fn remove(&self, id: u64) -> Abandoned {
        let removed = self.lock().remove(id);
        // Dropped outside the lock, because it may hold a waker, whose drop is foreign code.
        removed.map_or(Abandoned::Over, |removed| removed.abandoned())
    }

    /// Passes a response to the pending call with this id, given as JSON. Returns `false` if there
    /// is no such call.
    pub(crate) fn resolve(&self, id: &str, reply: CallOutcome) -> bool {
        let Some(id) = self.parse(id) else { return false };
        let mut table = self.lock();
        let Some(waker) = table.end(id, reply) else { return false };
        drop(table);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Sets the queue for a call's progress values.
    pub(crate) fn listen(&self, id: u64, to: Arc<ProgressQueue>) {
        self.lock().listen(id, to);
    }

    /// Passes a progress value, given as JSON, to the pending call with this id, given as JSON.
    /// Returns `false` if no pending call wants it.
    pub(crate) fn report_progress(&self, id: &str, value: &str) -> bool {
        let Some(id) = self.parse(id) else { return false };
        let Some(progress) = self.lock().listener(id) else { return false };
        if !progress.push(value) {
            tracing::debug!(
                "dropped a progress value: it is too large, or the caller consumes values too slowly"
            );
        }
        // The waker is taken only after the value was queued, because a caller that registered it
        // before has not seen the value. A response right after this finds no waker and needs none,
        // because the caller is already woken.
        let waker = self.lock().waker(id).and_then(Option::take);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Records that these calls of a batch were sent, each with its deadline. The result is that of
    /// [`Entry::early`].
    pub(crate) fn start(&self, calls: impl Iterator<Item = (u64, Option<Instant>)>) -> bool {
        let mut table = self.lock();
        let mut early = false;
        for (id, at) in calls {
            early |= table.start(id, at);
        }
        self.change_deadline_if(early)
    }

    /// Ends calls that are never sent.
    pub(crate) fn fail_unsent(&self, ids: impl Iterator<Item = u64>) {
        let mut table = self.lock();
        let end = |id| table.end(id, CallOutcome::NotSent).flatten();
        let wakers: Vec<Waker> = ids.filter_map(end).collect();
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The time to which the timer must be set, if it has changed. The inner `None` means no timer.
    pub(crate) fn take_deadline(&self) -> Option<Option<Instant>> {
        if !self.deadline_changed.load(Ordering::Acquire) {
            return None;
        }
        let table = self.lock();
        self.deadline_changed.store(false, Ordering::Release);
        Some(table.next_deadline())
    }

    /// Whether [`take_deadline`](Self::take_deadline) would return a new deadline.
    pub(crate) fn has_new_deadline(&self) -> bool {
        self.deadline_changed.load(Ordering::Acquire)
    }

    /// Ends all calls whose deadline is not after `now`.
    pub(crate) fn expire(&self, now: Instant) {
        let mut table = self.lock();
        let wakers = table.expire(now);
        self.deadline_changed.store(true, Ordering::Release);
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends every call that has no response yet, and refuses new calls.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut table = self.lock();
        let wakers = table.close(reason);
        drop(table);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The number of pending calls.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Must be called under the table's lock.
    fn change_deadline_if(&self, early: bool) -> bool {
        if early {
            self.deadline_changed.store(true, Ordering::Release);
        }
        early
    }

    /// The number in one of this side's ids, given as JSON.
    pub(crate) fn parse(&self, json: &str) -> Option<u64> {
        match self.side {
            Side::Client => counted(json, || {
                if !self.quoted.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        "the peer sends numeric ids back as strings; such responses are still accepted"
                    );
                }
            }),
            Side::Server => text::content(json)?.strip_prefix('s')?.parse().ok(),
        }
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The number of bytes of a message that may stay in memory besides the result, until the caller
/// takes the result.
const MAX_BESIDE: usize = 16 * 1024;

/// The outcome of a call.
#[derive(Debug)]
pub(crate) enum CallOutcome {
    /// The result is this part of the message.
    Result(Utf8Bytes, Range<usize>),
    Error(ErrorObject),
    /// An invalid response, with a description of the error.
    Invalid(&'static str),
    /// No response before the deadline.
    Timeout,
    /// The batch of the call was dropped before it was sent.
    NotSent,
}

impl CallOutcome {
    /// Converts the outcome of a response in this message.
    #[inline]
    pub(crate) fn of(message: &Utf8Bytes, outcome: ResponseOutcome<'_>) -> Self {
        match outcome {
            ResponseOutcome::Result(json) if message.len() - json.len() > MAX_BESIDE => {
                CallOutcome::Result(json.into(), 0..json.len())
            }
            ResponseOutcome::Result(json) => {
                CallOutcome::Result(message.clone(), range(message, json))
            }
            ResponseOutcome::Error(json) => CallOutcome::Error(of_peer(json)),
            ResponseOutcome::Both => CallOutcome::Invalid("it has both a result and an error"),
            ResponseOutcome::Empty | ResponseOutcome::Neither => {
                CallOutcome::Invalid("it has neither a result nor an error")
            }
        }
    }

    /// Converts the outcome for the caller. A result is a range of a message. `late` creates the
    /// error of a timeout.
    #[inline]
    pub(crate) fn into_result(
        self,
        late: impl FnOnce() -> Error,
    ) -> Result<(Utf8Bytes, Range<usize>), Error> {
        match self {
            CallOutcome::Result(message, range) => Ok((message, range)),
            CallOutcome::Error(object) => Err(Error::Call(object)),
            CallOutcome::Invalid(what) => Err(Error::InvalidResponse(what)),
            CallOutcome::Timeout => Err(late()),
            CallOutcome::NotSent => Err(Error::NotSent),
        }
    }
}

/// The batch that a call belongs to, and the state of that batch, packed into one number to save
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part(u64);

impl Part {
    /// The call is not part of a batch.
    pub(crate) const ALONE: Part = Part(0);
    /// The batch is about to be sent, so responses are accepted.
    pub(crate) const QUEUED: u64 = 1;
    /// The batch was sent. (Single calls record this elsewhere.)
    pub(crate) const SENT: u64 = 2;

    /// The call is part of the batch whose first call has this id.
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

/// The state of a call when its caller dropped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// Its batch was sent, and no response has arrived.
    Sent,
    /// No response has arrived. The caller knows whether the call was sent.
    Waiting,
    Over,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn insert(pending: &PendingCalls) -> u64 {
        pending.insert(None, None).unwrap().id
    }

    fn poll(pending: &PendingCalls, id: u64) -> Poll<Result<CallOutcome, CloseReason>> {
        pending.poll(id, &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn ids_by_side_and_what_peers_make_of_them() {
        for (side, written, accepted, refused) in [
            (
                Side::Client,
                "1",
                &["1", "1.0", "1e0", "\"1\""][..],
                &["\"s1\"", "\"01\"", "0", "2", "null", "-1", "1.5", "[1]"][..],
            ),
            (
                Side::Server,
                "\"s1\"",
                &["\"s1\"", "\"\\u00731\""],
                &["1", "\"1\"", "\"s2\"", "null", "\"s\""],
            ),
        ] {
            let pending = PendingCalls::new(side);
            let mut id = Vec::new();
            pending.write_id(insert(&pending), &mut id);
            assert_eq!(String::from_utf8(id).unwrap(), written);
            for id in refused {
                assert!(!pending.resolve(id, CallOutcome::NotSent), "{side:?} {id}");
            }
            for id in accepted {
                assert_eq!(pending.parse(id), Some(1), "{side:?} {id}");
            }
            assert!(pending.resolve(written, CallOutcome::NotSent), "{side:?}");
        }
    }

    #[test]
    fn an_entry_ends_once() {
        let pending = PendingCalls::new(Side::Client);
        let id = insert(&pending);
        assert!(poll(&pending, id).is_pending());
        assert!(pending.resolve("1", CallOutcome::Invalid("a")));
        assert!(
            !pending.resolve("1", CallOutcome::Invalid("b")),
            "a second response matches no call"
        );
        pending.expire(Instant::now());
        pending.fail_unsent([id].into_iter());
        assert!(matches!(poll(&pending, id), Poll::Ready(Ok(CallOutcome::Invalid("a")))));
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn a_call_out_of_time_takes_no_response() {
        let pending = PendingCalls::new(Side::Client);
        let now = Instant::now();
        let entry = pending.insert(None, Some(now)).unwrap();
        assert!(entry.early);
        pending.expire(now);
        assert!(!pending.resolve("1", CallOutcome::Invalid("late")));
        assert!(matches!(poll(&pending, entry.id), Poll::Ready(Ok(CallOutcome::Timeout))));
        assert_eq!(pending.len(), 0);
    }

    #[test]
    fn removing_leaves_nothing_and_no_id_is_used_again() {
        let pending = PendingCalls::new(Side::Client);
        pending.remove(insert(&pending));
        assert_eq!(pending.len(), 0);
        assert!(!pending.resolve("1", CallOutcome::NotSent), "a late response");
        assert_eq!(insert(&pending), 2);
    }

    #[test]
    fn closing_ends_what_has_no_reply() {
        let pending = PendingCalls::new(Side::Client);
        let (answered, waiting) = (insert(&pending), insert(&pending));
        pending.resolve("1", CallOutcome::Invalid("a"));
        pending.close(&CloseReason::Local);
        pending.close(&CloseReason::Stalled);
        assert!(matches!(poll(&pending, answered), Poll::Ready(Ok(_))));
        assert!(matches!(poll(&pending, waiting), Poll::Ready(Err(CloseReason::Local))));
        assert!(matches!(pending.insert(None, None), Err(CloseReason::Local)));
        assert_eq!(pending.len(), 0);
    }

    /// The time to which the timer must be set now.
    fn next_deadline(pending: &PendingCalls) -> Option<Option<Instant>> {
        let next_deadline = pending.take_deadline();
        assert!(!pending.has_new_deadline());
        next_deadline
    }

    #[test]
    fn only_an_earlier_deadline_sets_the_timer_anew() {
        let pending = PendingCalls::new(Side::Client);
        let second = |seconds| Instant::now() + Duration::from_secs(seconds);
        let (one, two, three) = (second(1), second(2), second(3));
        assert_eq!(next_deadline(&pending), None);
        assert!(!pending.insert(None, None).unwrap().early);
        assert!(pending.insert(None, Some(two)).unwrap().early);
        assert!(!pending.insert(None, Some(two)).unwrap().early);
        assert!(!pending.insert(None, Some(three)).unwrap().early);
        assert_eq!(next_deadline(&pending), Some(Some(two)));
        assert!(pending.insert(None, Some(one)).unwrap().early);
        assert_eq!((next_deadline(&pending), next_deadline(&pending)), (Some(Some(one)), None));

        pending.expire(one);
        assert_eq!(next_deadline(&pending), Some(Some(two)));
        // A call of a batch gets its deadline after its entry.
        assert!(pending.start([(1, Some(one)), (99, Some(one))].into_iter()));
        assert_eq!(next_deadline(&pending), Some(Some(one)));
        pending.remove(2);
        pending.remove(3);
        pending.expire(one);
        assert_eq!(next_deadline(&pending), Some(Some(three)));
        pending.expire(three);
        assert_eq!(next_deadline(&pending), Some(None), "no call is pending");
        for id in [1, 4, 5] {
            assert!(matches!(poll(&pending, id), Poll::Ready(Ok(CallOutcome::Timeout))), "{id}");
        }
        assert_eq!(pending.len(), 0);
    }
}

//! Subscriptions that this side produces for the peer: the stage of each, and how much it may send
//! (its credit). [`ProducedSubscriptions`] is the table of a connection, and
//! [`ProducedSubscription`] is an entry in it. [`AcceptedSubscription`] notifies the peer of the
//! end and removes the entry.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;

use crate::link::Link;
use crate::protocol::error::ErrorObject;
use crate::protocol::item::{head, write_end};
use crate::protocol::text;

/// The subscriptions that one connection produces. Most connections have none, so the inner part is
/// allocated with the first one.
#[derive(Debug, Default)]
pub(crate) struct ProducedSubscriptions(OnceLock<Box<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    table: Mutex<Table>,
    /// The number of subscriptions, including those that are not accepted yet.
    count: AtomicUsize,
    /// The total number of bytes of items that subscriptions buffer whose streams do not wait.
    kept: AtomicUsize,
}

#[derive(Debug, Default)]
struct Table {
    last: u64,
    produced: BTreeMap<u64, Arc<ProducedSubscription>>,
    /// Whether new subscriptions end at once.
    draining: bool,
}

/// One subscription, which is shared by the handler that produces its items and the connection.
#[derive(Debug)]
pub(crate) struct ProducedSubscription {
    number: u64,
    /// The only method that ends this subscription.
    unsubscribe: Cow<'static, str>,
    /// The number of bytes that may be sent. Ignored if the peer sends no credit.
    credit: AtomicI64,
    counts: bool,
    /// A [`StopReason`], or 0. It is read for each item, and therefore without the lock.
    stop: AtomicU8,
    /// The number of items dropped after the last one that was sent, once the stream has ended.
    pub(crate) dropped_at_end: AtomicU64,
    state: Mutex<ProducedState>,
}

#[derive(Debug)]
struct ProducedState {
    stage: Stage,
    /// Wakes the handler's task, which produces the items.
    waker: Option<Waker>,
}

/// The stage of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The handler may still refuse it.
    Requested,
    /// The handler has accepted it, and the response with its id is not queued yet.
    Accepted,
    /// The response is queued; items may follow.
    Open,
}

/// Which side ends the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StopReason {
    /// The peer has unsubscribed.
    Peer = 1,
    /// This side shuts down.
    Shutdown = 2,
}

impl ProducedSubscriptions {
    /// Adds a subscription, unless the limit is reached. `unsubscribe` is the method that ends it.
    /// `window` is the number of bytes that may be sent before the first credit, if the peer sends
    /// credit.
    pub(crate) fn insert(
        &self,
        unsubscribe: Cow<'static, str>,
        window: Option<u64>,
        limit: usize,
    ) -> Option<Arc<ProducedSubscription>> {
        let mut table = self.lock();
        if table.produced.len() >= limit {
            return None;
        }
        table.last += 1;
        let stop = if table.draining { StopReason::Shutdown as u8 } else { 0 };
        let subscription = Arc::new(ProducedSubscription {
            number: table.last,
            unsubscribe,
            credit: AtomicI64::new(to_signed(window.unwrap_or(0))),
            counts: window.is_some(),
            stop: AtomicU8::new(stop),
            dropped_at_end: AtomicU64::new(0),
            state: Mutex::new(ProducedState { stage: Stage::Requested, waker: None }),
        });
        table.produced.insert(subscription.number, Arc::clone(&subscription));
        self.inner().count.store(table.produced.len(), Ordering::Release);
        Some(subscription)
    }

    /// Removes a subscription that has ended. Returns whether it was the last one.
    pub(crate) fn remove(&self, subscription: &ProducedSubscription) -> bool {
        let mut table = self.lock();
        let removed = table.produced.remove(&subscription.number);
        let last = removed.is_some() && table.produced.is_empty();
        self.inner().count.store(table.produced.len(), Ordering::Release);
        drop(table);
        last
    }

    /// Handles the peer's call of an unsubscribe method with this id. Returns `false` if the method
    /// does not end such a subscription.
    pub(crate) fn unsubscribe(&self, method: &str, id: &str) -> bool {
        let Some(subscription) =
            self.find(id).filter(|subscription| subscription.unsubscribe == method)
        else {
            return false;
        };
        // A peer that unsubscribes before the id is sent has guessed it.
        subscription.stage() == Stage::Open && subscription.stop(StopReason::Peer)
    }

    /// Adds credit to the subscription with this id, given as JSON.
    pub(crate) fn add_credit(&self, id: &str, bytes: u64) {
        if let Some(subscription) = text::content(id).and_then(|id| self.find(&id)) {
            subscription.add_credit(bytes);
        }
    }

    /// Ends all subscriptions, and every new one as soon as it starts.
    pub(crate) fn drain(&self) {
        let mut table = self.lock();
        table.draining = true;
        let produced: Vec<Arc<ProducedSubscription>> = table.produced.values().cloned().collect();
        drop(table);
        for subscription in produced {
            subscription.stop(StopReason::Shutdown);
        }
    }

    /// Reserves bytes for a buffered item, unless this would exceed `limit`.
    pub(crate) fn reserve_buffer(&self, bytes: usize, limit: usize) -> bool {
        let more = |kept: usize| kept.checked_add(bytes).filter(|sum| *sum <= limit);
        self.inner().kept.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    pub(crate) fn release_buffer(&self, bytes: usize) {
        self.inner().kept.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.get().is_none_or(|inner| inner.count.load(Ordering::Acquire) == 0)
    }

    fn find(&self, id: &str) -> Option<Arc<ProducedSubscription>> {
        let number = u64::from_str_radix(id.strip_prefix("0x")?, 16).ok()?;
        // A peer's message must not allocate the table.
        self.0.get()?;
        self.lock().produced.get(&number).filter(|subscription| subscription.name() == id).cloned()
    }

    /// No waker runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.inner().table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> &Inner {
        self.0.get_or_init(Box::default)
    }
}

impl ProducedSubscription {
    /// The id as JSON. It has the form that Ethereum nodes use, and is unique on its connection.
    pub(crate) fn id(&self) -> String {
        format!("\"{}\"", self.name())
    }

    pub(crate) fn name(&self) -> String {
        format!("{:#x}", self.number)
    }

    pub(crate) fn stage(&self) -> Stage {
        self.lock().stage
    }

    pub(crate) fn stopped(&self) -> Option<StopReason> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            stop if stop == StopReason::Peer as u8 => Some(StopReason::Peer),
            _ => Some(StopReason::Shutdown),
        }
    }

    pub(crate) fn enter(&self, stage: Stage) {
        self.lock().stage = stage;
        self.wake();
    }

    /// Stops the subscription. Returns `false` if it was stopped before.
    pub(crate) fn stop(&self, stop: StopReason) -> bool {
        let first =
            self.stop.compare_exchange(0, stop as u8, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.wake();
        }
        first
    }

    /// Whether an item may be sent. One item may exceed the window.
    pub(crate) fn has_credit(&self) -> bool {
        !self.counts || self.credit.load(Ordering::Acquire) > 0
    }

    /// Subtracts a sent item from the credit.
    pub(crate) fn spend(&self, bytes: u64) {
        if self.counts {
            self.credit.fetch_sub(to_signed(bytes), Ordering::AcqRel);
        }
    }

    fn add_credit(&self, bytes: u64) {
        let add = |credit: i64| Some(credit.saturating_add(to_signed(bytes)));
        // The peer chooses the amount, so the sum must not overflow.
        let before = self.credit.fetch_update(Ordering::AcqRel, Ordering::Acquire, add);
        if before.is_ok_and(|before| before <= 0) {
            self.wake();
        }
    }

    fn wake(&self) {
        let waker = self.lock().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Registers the task to be woken at the next change. The caller must check the state again
    /// before it sleeps.
    pub(crate) fn register(&self, waker: &Waker) {
        if self.lock().waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
            return;
        }
        // Cloned and dropped outside the lock: wakers are foreign code.
        let mut fresh = Some(waker.clone());
        std::mem::swap(&mut self.lock().waker, &mut fresh);
    }

    fn lock(&self) -> MutexGuard<'_, ProducedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn to_signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A produced subscription, from its request to the end of its stream.
pub(crate) struct AcceptedSubscription {
    pub(crate) link: Arc<Link>,
    pub(crate) subscription: Arc<ProducedSubscription>,
    pub(crate) notification: Cow<'static, str>,
    /// Whether the peer is notified of an end without an error.
    pub(crate) tell_end: bool,
}

impl AcceptedSubscription {
    /// Notifies the peer that the subscription has ended, and with which error, unless the peer has
    /// ended it.
    pub(crate) fn end(&self, error: Option<&ErrorObject>) {
        let unwanted = self.subscription.stopped() == Some(StopReason::Peer);
        if !unwanted && (error.is_some() || self.tell_end) {
            let dropped = self.subscription.dropped_at_end.load(Ordering::Relaxed);
            let head = head(&self.notification, &self.subscription.id());
            // There is at most one such message for each subscription, so it need not wait for
            // space in the send queue.
            self.link.send_queue.send_anyway(write_end(&head, error, dropped));
        }
    }
}

impl Drop for AcceptedSubscription {
    fn drop(&mut self) {
        if self.link.produced.remove(&self.subscription) {
            // A draining connection may be waiting for this subscription.
            self.link.send_queue.wake();
        }
    }
}

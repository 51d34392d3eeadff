//! Subscriptions that this side consumes: the buffer of each, and the table that finds the buffer
//! for a message.
//!
//! The connection's task adds items to a [`SubscriptionBuffer`]. The consumer takes all of them at
//! once and then iterates without a lock ([`TakenItems`]).
//!
//! [`SubscriptionBuffers`] expects a subscription from before its call is sent. The subscription
//! begins when the response is read. Items that arrive before the response are kept until then.
//! Memory is bounded: a peer that supports credit learns how much more it may send, and a
//! subscription whose buffer overflows ends.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::CloseReason;
use crate::link::early_items::{EarlyItems, Kept};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::item::{Item, Marks, Position, cost};
use crate::protocol::request_extensions::Resume;
use crate::protocol::text;
use crate::util::hasher::QuickHash;
use crate::websocket::inbox::detach;

/// The number of bytes of a message that may stay in memory besides the item. An item in a longer
/// message is copied.
const MAX_BESIDE: usize = 256;

/// Capacity up to this is kept while the buffer is empty.
const KEPT: usize = 64;

/// The number of buffered items that may share the memory of the read. If more items are buffered,
/// the consumer is slow, and further items are copied.
const SHARED: usize = 64;

/// An item in the message that it arrived in. Small, because small items may be many.
#[derive(Debug)]
pub(crate) struct RawItem {
    message: Utf8Bytes,
    /// The numbers of bytes before and after the item, at most [`MAX_BESIDE`] together.
    before: u16,
    after: u16,
    has_offset: bool,
    offset: u64,
    dropped: u64,
}

impl RawItem {
    fn new(message: Utf8Bytes, range: Range<usize>, marks: Marks) -> Self {
        let beside = |bytes: usize| u16::try_from(bytes).unwrap_or_default();
        let (before, after) =
            (beside(range.start), beside(message.len().saturating_sub(range.end)));
        let Marks { dropped, offset } = marks;
        let (has_offset, offset) = (offset.is_some(), offset.unwrap_or_default());
        RawItem { message, before, after, has_offset, offset, dropped }
    }

    fn range(&self) -> Range<usize> {
        let end = self.message.len().saturating_sub(usize::from(self.after));
        usize::from(self.before)..end
    }

    /// The item as JSON.
    pub(crate) fn json(&self) -> &str {
        self.message.get(self.range()).unwrap_or_default()
    }

    pub(crate) fn marks(&self) -> Marks {
        Marks { dropped: self.dropped, offset: self.has_offset.then_some(self.offset) }
    }
}

/// The buffer of one subscription. `L` is the handle of the connection.
#[derive(Debug)]
pub(crate) struct SubscriptionBuffer<L> {
    pub(crate) names: SubscriptionNames,
    /// The number of bytes that may be buffered.
    pub(crate) window: u64,
    /// Where the items should start, if their positions are wanted.
    pub(crate) resume: Option<Resume>,
    /// The subscription's id as JSON, once it is known.
    id: OnceLock<Arc<str>>,
    /// Whether the subscription has begun and not ended. It is changed together with the table, and
    /// is read for each item.
    live: AtomicBool,
    state: Mutex<BufferState<L>>,
}

/// The method names of a subscription's messages.
#[derive(Clone, Debug)]
pub(crate) struct SubscriptionNames {
    pub(crate) notification: Arc<str>,
    pub(crate) unsubscribe: Arc<str>,
}

#[derive(Debug)]
struct BufferState<L> {
    home: Weak<L>,
    items: VecDeque<RawItem>,
    /// The bytes of the buffered items and of those that the consumer has taken and not consumed.
    bytes: u64,
    /// Whether the peer expects credit.
    counts: bool,
    dropped: u64,
    /// The number of items dropped after the last one.
    dropped_at_end: u64,
    /// The position after which the items start, until the consumer takes it.
    start: Option<Position>,
    end: Option<End>,
    waker: Option<Waker>,
    /// Whether the consumer is gone.
    abandoned: bool,
}

/// Items that the consumer has taken from the buffer.
#[derive(Debug, Default)]
pub(crate) struct TakenItems {
    items: VecDeque<RawItem>,
    /// Bytes consumed since the buffer's byte count was last updated.
    consumed: u64,
    /// Bytes consumed since the last credit was sent to the peer.
    owed: u64,
}

impl TakenItems {
    /// The next item, which is not removed until it is consumed.
    pub(crate) fn first(&self) -> Option<&RawItem> {
        self.items.front()
    }
}

/// The reason why no more items arrive.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Finished,
    Error(ErrorObject),
    /// More items arrived than the window allows.
    Lagged,
    Closed(CloseReason),
}

impl<L> SubscriptionBuffer<L> {
    pub(crate) fn new(names: SubscriptionNames, window: u64, resume: Option<Resume>) -> Self {
        let state = BufferState {
            home: Weak::new(),
            items: VecDeque::new(),
            bytes: 0,
            counts: false,
            dropped: 0,
            dropped_at_end: 0,
            start: None,
            end: None,
            waker: None,
            abandoned: false,
        };
        let (id, live, state) = (OnceLock::new(), AtomicBool::new(false), Mutex::new(state));
        SubscriptionBuffer { names, window: window.max(1), resume, id, live, state }
    }

    /// Called before the subscription is requested on this connection. `counts` is whether the peer
    /// expects credit.
    pub(crate) fn prepare(&self, home: Weak<L>, counts: bool) {
        let mut state = self.lock();
        (state.home, state.counts) = (home, counts);
    }

    /// The connection that the subscription comes from.
    pub(crate) fn home(&self) -> Option<Arc<L>> {
        self.lock().home.upgrade()
    }

    /// The id as JSON; `None` until the subscription has begun.
    pub(crate) fn id(&self) -> Option<&Arc<str>> {
        self.id.get()
    }

    /// Sets the id. Returns `false` if the consumer is already gone.
    pub(crate) fn set_id(&self, id: &Arc<str>) -> bool {
        let _ = self.id.set(Arc::clone(id));
        !self.lock().abandoned
    }

    /// Sets whether the subscription is in the table of those that have begun.
    pub(crate) fn set_live(&self, live: bool) {
        self.live.store(live, Ordering::Release);
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Whether a notification with this name and this id belongs to this subscription.
    pub(crate) fn is(&self, notification: &str, id: &str) -> bool {
        *self.names.notification == *notification
            && self.id.get().is_some_and(|known| **known == *id)
    }

    /// Called when the consumer is dropped. Drops the buffered items.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        let unwanted = (std::mem::take(&mut state.items), state.waker.take());
        drop(state);
        drop(unwanted);
    }

    pub(crate) fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// The number of items that the producer has dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    fn add_dropped_at_end(&self, dropped: u64) {
        let mut state = self.lock();
        state.dropped = state.dropped.saturating_add(dropped);
        state.dropped_at_end = dropped;
    }

    /// The number of items that were dropped before the end. 0 after the first call.
    pub(crate) fn take_end_gap(&self) -> u64 {
        std::mem::take(&mut self.lock().dropped_at_end)
    }

    /// Sets the position after which the items start, given as JSON, and wakes the consumer.
    /// Ignored if it is invalid.
    pub(crate) fn set_start(&self, json: &str) {
        let Some(start) = Position::read(json) else {
            return tracing::debug!("ignored the position of a subscription: it is invalid");
        };
        let mut state = self.lock();
        state.start = Some(start);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes the position after which the items start if it has arrived, otherwise the buffered
    /// items, or returns why no more items arrive. All items taken before must be consumed.
    pub(crate) fn poll(
        &self,
        cx: &mut Context<'_>,
        taken: &mut TakenItems,
    ) -> Poll<Result<Option<Position>, End>> {
        let mut fresh = None;
        loop {
            let mut state = self.lock();
            state.settle(taken);
            if let Some(start) = state.start.take() {
                return Poll::Ready(Ok(Some(start)));
            }
            if !state.items.is_empty() {
                std::mem::swap(&mut state.items, &mut taken.items);
                if state.items.capacity() > KEPT {
                    state.items = VecDeque::new();
                }
                return Poll::Ready(Ok(None));
            }
            if let Some(end) = &state.end {
                return Poll::Ready(Err(end.clone()));
            }
            if state.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                break;
            }
            // Wakers are cloned and dropped outside the lock: they are foreign code.
            if fresh.is_some() {
                std::mem::swap(&mut state.waker, &mut fresh);
                break;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
        if taken.items.capacity() > KEPT {
            taken.items = VecDeque::new();
        }
        Poll::Pending
    }

    /// Records that the first item was consumed. Returns the credit to be sent to the peer, if any
    /// is due. The byte count and the credit are not updated for each single item.
    pub(crate) fn consumed(&self, taken: &mut TakenItems) -> Option<u64> {
        let bytes = cost(taken.items.pop_front()?.range().len());
        taken.consumed = taken.consumed.saturating_add(bytes);
        taken.owed = taken.owed.saturating_add(bytes);
        let is_much = taken.owed >= self.window.div_ceil(2);
        if !is_much && taken.consumed < self.window / 8 {
            return None;
        }
        let mut state = self.lock();
        state.settle(taken);
        let credit = is_much && state.counts && state.end.is_none();
        credit.then(|| std::mem::take(&mut taken.owed))
    }

    /// Adds an item and returns the consumer's waker. Also returns whether the buffer has
    /// overflowed, which ends the subscription.
    pub(crate) fn push(
        &self,
        message: Utf8Bytes,
        range: Range<usize>,
        marks: Marks,
    ) -> (Option<Waker>, bool) {
        let item = if message.len() - range.len().min(message.len()) > MAX_BESIDE {
            let json = message.get(range).unwrap_or_default();
            (Utf8Bytes::from(json), 0..json.len())
        } else {
            (message, range)
        };
        let mut state = self.lock();
        if state.end.is_some() || state.abandoned {
            return (None, false);
        }
        state.dropped = state.dropped.saturating_add(marks.dropped);
        // One item may exceed the window, with or without credit.
        let lagged = state.bytes >= self.window;
        if lagged {
            state.end = Some(End::Lagged);
        } else {
            state.bytes = state.bytes.saturating_add(cost(item.1.len()));
            let (message, range) = item;
            let is_slow = state.items.len() >= SHARED;
            let message = if is_slow { detach(message) } else { message };
            state.items.push_back(RawItem::new(message, range, marks));
        }
        (state.waker.take(), lagged)
    }

    /// Ends the subscription. Items that have arrived can still be consumed.
    pub(crate) fn end(&self, end: End) -> Option<Waker> {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        state.waker.take()
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, BufferState<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L> BufferState<L> {
    /// Subtracts consumed items from the byte count.
    fn settle(&mut self, taken: &mut TakenItems) {
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut taken.consumed));
    }
}

/// The number of dropped subscribe calls whose responses are awaited. If the response to an older
/// one arrives later, its subscription is not unsubscribed.
const MAX_GIVEN_UP: usize = 1024;

/// The subscriptions that one connection consumes. `L` is the handle of the connection. Most
/// connections have none, so the inner part is allocated with the first one.
#[derive(Debug)]
pub(crate) struct SubscriptionBuffers<L>(OnceLock<Box<Inner<L>>>);

#[derive(Debug)]
struct Inner<L> {
    table: Mutex<Table<L>>,
    /// The number of subscriptions, including expected ones. It is read without the lock for each
    /// incoming message.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Table<L> {
    /// Expected subscriptions, by the ids of the calls that request them.
    expected: BTreeMap<u64, Arc<SubscriptionBuffer<L>>>,
    /// Subscriptions that have begun, by the names of their notifications and by their ids as JSON.
    /// There are few names.
    begun: Vec<(Arc<str>, ById<L>)>,
    /// Items of expected subscriptions whose ids are not known yet.
    early: EarlyItems,
}

/// The peer chooses the ids, but this side decides their number.
type ById<L> = HashMap<Box<str>, Arc<SubscriptionBuffer<L>>, QuickHash>;

impl<L> Default for SubscriptionBuffers<L> {
    fn default() -> Self {
        SubscriptionBuffers(OnceLock::new())
    }
}

impl<L> SubscriptionBuffers<L> {
    /// Whether there is any subscription. Otherwise, no message can be about one.
    pub(crate) fn any(&self) -> bool {
        self.0.get().is_some_and(|inner| inner.count.load(Ordering::Acquire) > 0)
    }

    /// Expects a subscription from the call with this id, which `home` is about to send.
    pub(crate) fn expect(
        &self,
        call: u64,
        buffer: &Arc<SubscriptionBuffer<L>>,
        home: Weak<L>,
        credit: bool,
    ) {
        buffer.prepare(home, credit);
        let mut table = self.lock();
        table.expected.insert(call, Arc::clone(buffer));
        while table.expected.len() > MAX_GIVEN_UP {
            let Some(oldest) = table.expected.first_entry() else { break };
            if !oldest.get().is_abandoned() {
                break;
            }
            oldest.remove();
        }
        self.tally(&table);
    }

    /// Called for a call that is never sent.
    pub(crate) fn forget(&self, call: u64) {
        if self.any() {
            self.answered(call, None);
        }
    }

    /// Handles the response to a call, with the id of the subscription if there is one. Returns the
    /// buffer if its consumer is gone and this side must unsubscribe.
    pub(crate) fn answered(
        &self,
        call: u64,
        id: Option<&str>,
    ) -> Option<Arc<SubscriptionBuffer<L>>> {
        let mut table = self.lock();
        let buffer = table.expected.remove(&call)?;
        let id = id.filter(|id| text::is_string_or_number(id));
        let kept = id.and_then(|id| table.early.take(&buffer.names.notification, id));
        let stray = table.tidy(&buffer.names.notification);
        let (mut replaced, mut wanted) = (None, false);
        if let Some(id) = id {
            let id: Arc<str> = id.into();
            wanted = buffer.set_id(&id);
            if wanted {
                buffer.set_live(true);
                replaced = table.insert(&id, &buffer);
            }
        }
        self.tally(&table);
        drop(table);
        log_stray(stray, &buffer);
        let error = || {
            ErrorObject::new(
                ErrorCode::INTERNAL_ERROR,
                "the peer has given the subscription's id to another subscription",
            )
        };
        if let Some(replaced) = replaced {
            replaced.set_live(false);
            if let Some(waker) = replaced.end(End::Error(error())) {
                waker.wake();
            }
        }
        let goes_on = match kept {
            Some(kept) if wanted => self.catch_up(&buffer, kept),
            _ => wanted,
        };
        (id.is_some() && !goes_on).then_some(buffer)
    }

    /// Passes the items that arrived before the response to their subscription. Returns `false` if
    /// the buffer has overflowed and the subscription has ended.
    #[cold]
    fn catch_up(&self, buffer: &Arc<SubscriptionBuffer<L>>, kept: Kept) -> bool {
        if let Some(start) = kept.start {
            buffer.set_start(&start);
        }
        for (json, marks) in kept.items {
            let range = 0..json.len();
            if !self.push(buffer, json, range, marks) {
                return false;
            }
        }
        if kept.overflowed {
            self.remove(buffer);
            if let Some(waker) = buffer.end(End::Lagged) {
                waker.wake();
            }
            return false;
        }
        if let Some(error) = kept.end {
            self.finish(buffer, &error, kept.dropped_at_end);
        }
        true
    }

    /// Whether notifications with this name belong, or may belong, to a subscription.
    pub(crate) fn has(&self, notification: &str) -> bool {
        let is_known = |table: &Table<L>| {
            table.begun.iter().any(|(name, _)| **name == *notification)
                || table.awaited(notification).next().is_some()
        };
        self.any() && is_known(&self.lock())
    }

    /// Whether the response to a pending call may name a subscription whose notifications have this
    /// name.
    pub(crate) fn awaits(&self, notification: &str) -> bool {
        self.lock().awaited(notification).next().is_some()
    }

    /// Keeps an item until such a response arrives.
    pub(crate) fn keep(&self, notification: &str, item: &Item<'_>) {
        let mut table = self.lock();
        let widest = table.awaited(notification).max_by_key(|buffer| buffer.window);
        let Some(buffer) = widest.filter(|_| text::is_string_or_number(item.subscription)) else {
            return;
        };
        let (name, window) = (Arc::clone(&buffer.names.notification), buffer.window);
        let first_dropped = table.early.keep(&name, item, window);
        drop(table);
        if first_dropped {
            // This side chose the name, so it is safe to log.
            tracing::warn!(
                notification = &*name,
                "dropped an item: too many items arrived before the response to their subscribe call"
            );
        }
    }

    /// The subscription whose notifications have this name and this id, given as JSON.
    pub(crate) fn find(&self, notification: &str, id: &str) -> Option<Arc<SubscriptionBuffer<L>>> {
        let table = self.lock();
        let (_, consumed) = table.begun.iter().find(|(name, _)| **name == *notification)?;
        consumed.get(id).cloned()
    }

    /// Adds an item, which is this range of the message. Returns `false` if the buffer has
    /// overflowed and the subscription has ended.
    pub(crate) fn push(
        &self,
        buffer: &Arc<SubscriptionBuffer<L>>,
        message: Utf8Bytes,
        range: Range<usize>,
        marks: Marks,
    ) -> bool {
        let (waker, lagged) = buffer.push(message, range, marks);
        if lagged {
            self.remove(buffer);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        !lagged
    }

    /// Handles the peer's notification that a subscription has ended, with its error as JSON and the
    /// number of items that were dropped before the end.
    pub(crate) fn finish(&self, buffer: &Arc<SubscriptionBuffer<L>>, error: &str, dropped: u64) {
        let end = if error == "null" { End::Finished } else { End::Error(last_word(error)) };
        self.remove(buffer);
        if dropped > 0 {
            buffer.add_dropped_at_end(dropped);
        }
        if let Some(waker) = buffer.end(end) {
            waker.wake();
        }
    }

    /// Called when the consumer is dropped. Returns the id if this side must unsubscribe.
    pub(crate) fn abandon(&self, buffer: &Arc<SubscriptionBuffer<L>>) -> Option<Arc<str>> {
        buffer.abandon();
        if buffer.id().is_none() && self.any() {
            let stray = self.lock().tidy(&buffer.names.notification);
            log_stray(stray, buffer);
        }
        if self.remove(buffer) { buffer.id().cloned() } else { None }
    }

    /// Removes a subscription from the table. Returns `false` if it was not in the table.
    fn remove(&self, buffer: &Arc<SubscriptionBuffer<L>>) -> bool {
        let Some(id) = buffer.id() else { return false };
        let mut table = self.lock();
        let name = &buffer.names.notification;
        let Some(place) = table.begun.iter().position(|(known, _)| known == name) else {
            return false;
        };
        let Some((_, consumed)) = table.begun.get_mut(place) else { return false };
        let found = consumed.get(&**id).is_some_and(|known| Arc::ptr_eq(known, buffer));
        let removed = if found { consumed.remove(&**id) } else { None };
        buffer.set_live(false);
        if consumed.is_empty() {
            table.begun.swap_remove(place);
        }
        self.tally(&table);
        removed.is_some()
    }

    /// Ends all subscriptions that have begun. Expected ones end with their calls.
    pub(crate) fn close(&self, reason: &CloseReason) {
        if !self.any() {
            return;
        }
        let mut table = self.lock();
        let expected = std::mem::take(&mut table.expected);
        let begun = std::mem::take(&mut table.begun);
        let early = std::mem::take(&mut table.early);
        self.tally(&table);
        drop(table);
        drop((expected, early));
        let consumed = begun.into_iter().flat_map(|(_, consumed)| consumed.into_values());
        let consumed = consumed.inspect(|buffer| buffer.set_live(false));
        let wakers: Vec<Waker> =
            consumed.filter_map(|buffer| buffer.end(End::Closed(reason.clone()))).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tally(&self, table: &Table<L>) {
        let begun: usize = table.begun.iter().map(|(_, consumed)| consumed.len()).sum();
        self.inner().count.store(table.expected.len() + begun, Ordering::Release);
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Table<L>> {
        self.inner().table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> &Inner<L> {
        self.0.get_or_init(|| {
            let (expected, begun, early) = (BTreeMap::new(), Vec::new(), EarlyItems::default());
            let table = Table { expected, begun, early };
            Box::new(Inner { table: Mutex::new(table), count: AtomicUsize::new(0) })
        })
    }
}

impl<L> Table<L> {
    /// Expected subscriptions whose consumer is not dropped and whose notifications have this name.
    fn awaited(&self, notification: &str) -> impl Iterator<Item = &Arc<SubscriptionBuffer<L>>> {
        let consumed = self.expected.values();
        consumed.filter(move |buffer| {
            *buffer.names.notification == *notification && !buffer.is_abandoned()
        })
    }

    /// Drops early items with this name if no pending call can name their subscription any more.
    /// Returns their number.
    fn tidy(&mut self, notification: &str) -> usize {
        if self.early.is_empty() || self.awaited(notification).next().is_some() {
            return 0;
        }
        self.early.clear(notification)
    }

    /// Adds a subscription under its id. Returns the subscription that had this id before.
    fn insert(
        &mut self,
        id: &Arc<str>,
        buffer: &Arc<SubscriptionBuffer<L>>,
    ) -> Option<Arc<SubscriptionBuffer<L>>> {
        let name = &buffer.names.notification;
        let place = self.begun.iter().position(|(known, _)| known == name);
        let place = place.unwrap_or_else(|| {
            self.begun.push((Arc::clone(name), HashMap::default()));
            self.begun.len() - 1
        });
        let (_, consumed) = self.begun.get_mut(place)?;
        consumed.insert(id.as_ref().into(), Arc::clone(buffer))
    }
}

/// Must not be called under a lock, because log subscribers are foreign code.
fn log_stray<L>(count: usize, buffer: &SubscriptionBuffer<L>) {
    if count > 0 {
        let notification = &*buffer.names.notification;
        tracing::debug!(count, notification, "dropped items: their ids match no subscription");
    }
}

/// The error that ends a subscription. Some servers send a string or another value in place of an
/// error object.
fn last_word(json: &str) -> ErrorObject {
    serde_json::from_str(json).unwrap_or_else(|_| {
        let words = text::content(json).map_or_else(|| json.to_owned(), Cow::into_owned);
        ErrorObject::new(ErrorCode::INTERNAL_ERROR, words)
    })
}

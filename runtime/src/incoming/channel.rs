//! One source for many subscriptions: [`Channel`] encodes each item once and keeps it in its log.
//! Each subscriber ([`ChannelStream`]) reads the log from its own position.
//!
//! The log keeps an item as long as a subscriber has to read it, within the limits of the buffer,
//! and as long as it may be replayed to subscribers that resume.

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker};

use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_tungstenite::tungstenite::Bytes;

use crate::incoming::context::Context;
use crate::incoming::topic::{Positioned, YieldedItem};
use crate::outgoing::deadline::HandledCall;
use crate::protocol::error::ErrorObject;
use crate::protocol::item::{Position, write_offset, write_rest};
use crate::util::catch_unwind::{catch_unwind, drop_contained};

/// The default limits of the buffer.
const BUFFER: usize = 256;
const BUFFER_BYTES: usize = 1 << 20;

/// The memory of an item in the log besides its text. Without it, many small items would count as
/// nothing.
const OVERHEAD: usize = 128;

/// How many items a filter may skip before other tasks run.
const BUDGET: usize = 64;

/// The space for the member `offset` in front of an item.
const OFFSET: usize = b"\"offset\":18446744073709551615,".len();

/// A source of items for any number of subscribers. [`publish`](Self::publish) encodes an item once
/// and never waits. [`subscribe`](Self::subscribe) returns the stream of a subscription. Cheap to
/// clone; all clones are the same channel.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::subscription::Positioned;
/// use wsjsonrpc::{Channel, Client, Context, Result, Server, Stream, memory, rpc};
///
/// #[rpc]
/// trait News {
///     #[subscription]
///     fn headlines(&self, ctx: &Context) -> impl Stream<Item = Positioned<String>>;
/// }
///
/// struct Paper {
///     headlines: Channel<String>,
/// }
///
/// impl News for Paper {
///     fn headlines(&self, ctx: &Context) -> impl Stream<Item = Positioned<String>> {
///         self.headlines.subscribe(ctx)
///     }
/// }
///
/// let headlines = Channel::builder().replay(1000).build();
/// let paper = Paper { headlines: headlines.clone() };
/// let server = Server::builder().service(paper.into_service());
/// let (client, _) = memory::pair(Client::builder(), server)?;
///
/// let mut news = NewsClient::new(client.peer()).headlines().await?;
/// headlines.publish(&"man bites dog".to_owned())?;
/// assert_eq!(news.next().await.transpose()?.as_deref(), Some("man bites dog"));
/// # Ok(())
/// # }
/// ```
///
/// # Slow subscribers
/// A slow subscriber delays neither the publisher nor other subscribers. Its items wait in the
/// channel, once for all subscribers, up to [`buffer`](ChannelBuilder::buffer) items and
/// [`buffer_bytes`](ChannelBuilder::buffer_bytes). A subscriber that is further behind skips the
/// items that are gone. Its consumer learns their number from
/// [`Subscription::dropped`](crate::Subscription::dropped), or gets an
/// [`Error::Gap`](crate::Error::Gap) if it resumes.
///
/// The `overflow` of `#[subscription]` ([`Overflow`](crate::subscription::Overflow)) applies
/// before that. With its default `block`, items wait only in the channel. With the others, the
/// stream does not wait: up to the subscription's own `buffer` items wait, and the rest is dropped
/// as the policy says.
///
/// # Resuming
/// A client with [`reconnect`](crate::client::ClientBuilder::reconnect) can ask to
/// [`resume`](crate::subscription::Subscribe::resume). After a reconnect it continues after the last
/// item that it consumed, if the channel still has the next one
/// ([`replay`](ChannelBuilder::replay)). Otherwise it gets an [`Error::Gap`](crate::Error::Gap) and
/// continues with the oldest item that the channel has.
///
/// The log is in memory. A new channel, for example after the process has restarted, has another
/// [`epoch`](Position::epoch), which is such a gap. A handler that must not lose items across
/// restarts needs its own storage; see [`Context::resume_position`].
pub struct Channel<T> {
    log: Arc<Log>,
    item: PhantomData<fn(T)>,
}

impl<T> Channel<T> {
    /// A channel with default settings, which replays nothing.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// Creates a builder.
    pub fn builder() -> ChannelBuilder<T> {
        ChannelBuilder {
            replay: 0,
            replay_bytes: BUFFER_BYTES,
            buffer: BUFFER,
            buffer_bytes: BUFFER_BYTES,
            hook: None,
            epoch: None,
            first: 1,
            item: PhantomData,
        }
    }

    /// Sends an item to all subscribers. Encodes the item once, and does not wait for anything.
    /// All subscribers get the items in the order in which they were published. Returns the item's
    /// offset, which is one more than the offset of the item before; the first one has 1.
    ///
    /// ```
    /// let channel = wsjsonrpc::Channel::<u32>::new();
    /// assert_eq!(channel.publish(&7).unwrap(), 1); // there need not be a subscriber
    /// ```
    ///
    /// # Errors
    /// [`PublishError::Encode`] if the item cannot be serialized to JSON, and
    /// [`PublishError::Closed`] after [`close`](Self::close).
    pub fn publish(&self, item: &T) -> Result<u64, PublishError>
    where
        T: Serialize,
    {
        let item = Encoded::of(item).map_err(PublishError::Encode)?;
        let published = self.log.publish(item).ok_or(PublishError::Closed)?;
        Ok(published.wake())
    }

    /// Publishes an item that is encoded already. The subscribers are woken later, when no lock is
    /// held. `None` if the channel is closed.
    pub(crate) fn publish_encoded(&self, item: Encoded) -> Option<Published> {
        self.log.publish(item)
    }

    /// The stream for a subscriber: what an `#[subscription]` method of [`#[rpc]`](macro@crate::rpc)
    /// returns. It starts with the next item that is published. For a client that resumes, it
    /// starts after the [position](Context::resume_position) of the client.
    ///
    /// A method can return the streams of several channels as one. Then its items have no positions,
    /// and a client that resumes gets an [`Error::Gap`](crate::Error::Gap) after each reconnect.
    pub fn subscribe(&self, ctx: &Context) -> ChannelStream<T> {
        let resuming = ctx.resuming().cloned();
        let asked = ctx.resume_position();
        let cursor = Cursor::new(&self.log, asked);
        let resumes = asked.is_some();
        let stream = ChannelStream { cursor, filter: None, resuming, resumes, item: PhantomData };
        stream.set_start();
        stream
    }

    /// How many subscribers the channel has at the moment.
    pub fn subscriber_count(&self) -> usize {
        self.log.lock().subscribers
    }

    /// How many items all subscribers together have skipped so far because they were too slow.
    pub fn dropped(&self) -> u64 {
        self.log.dropped.load(Ordering::Relaxed)
    }

    /// The position after the latest item.
    pub fn position(&self) -> Position {
        Position { epoch: self.log.epoch.clone(), offset: self.log.lock().next - 1 }
    }

    /// Ends the channel. Its subscriptions end without an error after the items that were
    /// published before, and so do later ones.
    pub fn close(&self) {
        self.log.close(None);
    }

    /// Ends the channel like [`close`](Self::close), and its subscriptions with this error.
    ///
    /// ```
    /// use wsjsonrpc::{Channel, ErrorObject};
    ///
    /// let channel = Channel::<u32>::new();
    /// channel.close_with(ErrorObject::new(1001, "the exchange has closed"));
    /// assert!(channel.publish(&7).is_err());
    /// ```
    pub fn close_with(&self, error: impl Into<ErrorObject>) {
        self.log.close(Some(error.into()));
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Channel { log: Arc::clone(&self.log), item: PhantomData }
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.log.lock();
        f.debug_struct("Channel")
            .field("epoch", &self.log.epoch)
            .field("next", &state.next)
            .field("items", &state.entries.len())
            .field("subscribers", &state.subscribers)
            .finish_non_exhaustive()
    }
}

/// Why [`Channel::publish`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// The item cannot be serialized to JSON.
    Encode(serde_json::Error),
    /// The channel was closed.
    Closed,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PublishError::Encode(error) => write!(f, "cannot serialize the item: {error}"),
            PublishError::Closed => f.write_str("the channel is closed"),
        }
    }
}

impl std::error::Error for PublishError {}

/// Called with `true` for the first subscriber, and with `false` after the last one.
type Hook = Box<dyn Fn(bool) + Send + Sync>;

/// Builds a [`Channel`]. Created by [`Channel::builder`].
#[must_use = "a builder does nothing until it is built"]
pub struct ChannelBuilder<T> {
    replay: usize,
    replay_bytes: usize,
    buffer: usize,
    buffer_bytes: usize,
    hook: Option<Hook>,
    /// The name of the log, unless it is a random one.
    epoch: Option<&'static str>,
    /// The offset of the first item.
    first: u64,
    item: PhantomData<fn(T)>,
}

impl<T> ChannelBuilder<T> {
    /// Sets the name of the log. Offsets of logs with the same name must only grow.
    pub(crate) fn epoch(mut self, epoch: &'static str) -> Self {
        self.epoch = Some(epoch);
        self
    }

    /// Sets the offset of the first item.
    pub(crate) fn first(mut self, offset: u64) -> Self {
        self.first = offset;
        self
    }

    /// How many of the latest items the channel keeps for subscribers that resume, or that want the
    /// [latest items](ChannelStream::last). Default 0: nothing is kept once all subscribers have
    /// read it. Slow subscribers can read these items, too, even beyond the [`buffer`](Self::buffer).
    pub fn replay(mut self, items: usize) -> Self {
        self.replay = items;
        self
    }

    /// How many bytes of items the channel keeps for [`replay`](Self::replay). An item counts as
    /// its JSON plus about 150 bytes. Default 1 MiB.
    pub fn replay_bytes(mut self, bytes: usize) -> Self {
        self.replay_bytes = bytes;
        self
    }

    /// How many items may wait for slow subscribers. Each item is kept once, however many
    /// subscribers wait for it. Default 256, minimum 1.
    pub fn buffer(mut self, items: usize) -> Self {
        self.buffer = items;
        self
    }

    /// How many bytes of items may wait for slow subscribers. The latest item is kept even if it is
    /// larger. Default 1 MiB.
    pub fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Calls this closure with `true` when the first subscriber comes, and with `false` when the
    /// last one is gone, for example to start and stop the source. The calls come one after another
    /// and in order. A closure that panics is logged.
    ///
    /// ```
    /// let channel = wsjsonrpc::Channel::<f64>::builder()
    ///     .on_active(|active| println!("{}", if active { "start the feed" } else { "stop the feed" }))
    ///     .build();
    /// # drop(channel);
    /// ```
    pub fn on_active(mut self, hook: impl Fn(bool) + Send + Sync + 'static) -> Self {
        self.hook = Some(Box::new(hook));
        self
    }

    /// Creates the channel.
    pub fn build(self) -> Channel<T> {
        let state = State {
            next: self.first,
            entries: VecDeque::new(),
            bytes: 0,
            closed: None,
            subscribers: 0,
            wakers: Vec::new(),
            free: Vec::new(),
            changes: VecDeque::new(),
            changing: false,
        };
        let log = Log {
            epoch: self.epoch.map_or_else(random_epoch, str::to_owned),
            replay: Limit { items: self.replay, bytes: self.replay_bytes },
            buffer: Limit { items: self.buffer.max(1), bytes: self.buffer_bytes },
            hook: self.hook,
            dropped: AtomicU64::new(0),
            state: Mutex::new(state),
        };
        Channel { log: Arc::new(log), item: PhantomData }
    }
}

impl<T> fmt::Debug for ChannelBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("replay", &self.replay)
            .field("replay_bytes", &self.replay_bytes)
            .field("buffer", &self.buffer)
            .field("buffer_bytes", &self.buffer_bytes)
            .finish_non_exhaustive()
    }
}

fn random_epoch() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// An item that is encoded, and has no offset yet.
pub(crate) struct Encoded {
    /// The rest of a notification, with space for the offset in front of it. The offset is known
    /// only under the lock.
    text: Vec<u8>,
    /// The size of the item in bytes.
    size: usize,
}

impl Encoded {
    pub(crate) fn of<T: Serialize + ?Sized>(item: &T) -> serde_json::Result<Self> {
        let mut text = vec![b' '; OFFSET];
        let size = write_rest(&mut text, item, None)?;
        text.shrink_to_fit();
        Ok(Encoded { text, size })
    }
}

/// What is left to do for an item after the lock of its channel is released.
#[must_use = "the subscribers are not woken yet"]
pub(crate) struct Published {
    offset: u64,
    removed: Removed,
    wakers: Vec<Waker>,
}

impl Published {
    /// Wakes the subscribers, and returns the offset of the item.
    pub(crate) fn wake(self) -> u64 {
        self.offset
    }
}

/// Also when a panic unwinds: a subscriber that is not woken would never continue.
impl Drop for Published {
    fn drop(&mut self) {
        self.wakers.drain(..).for_each(Waker::wake);
        discard(std::mem::take(&mut self.removed));
    }
}

/// Drops items without a lock. Their decoded values are the application's.
fn discard(removed: Removed) {
    for entry in removed {
        drop_contained(entry, "an item of a channel");
    }
}

/// An item in the log. All subscribers share it.
pub(crate) struct PublishedItem {
    pub(crate) offset: u64,
    /// The rest of a notification after the id of its subscription: `"offset":…,"result":…}}`.
    text: Bytes,
    /// Where the member `result` starts in the text.
    result: usize,
    /// The size of the item in bytes.
    pub(crate) size: usize,
    /// The value for filters. `None` if it cannot be decoded.
    decoded: OnceLock<Option<Box<dyn Any + Send + Sync>>>,
}

impl PublishedItem {
    fn new(item: Encoded, offset: u64) -> Self {
        let Encoded { mut text, size } = item;
        let mut member = Vec::with_capacity(OFFSET);
        write_offset(&mut member, Some(offset));
        let start = OFFSET - member.len();
        if let Some(space) = text.get_mut(start..OFFSET) {
            space.copy_from_slice(&member);
        }
        let text = Bytes::from(text).slice(start..);
        PublishedItem { offset, text, result: member.len(), size, decoded: OnceLock::new() }
    }

    /// The rest of a notification, with or without the item's offset.
    pub(crate) fn tail(&self, with_offset: bool) -> Bytes {
        if with_offset { self.text.clone() } else { self.text.slice(self.result..) }
    }

    /// The item as JSON.
    fn json(&self) -> &[u8] {
        let end = self.text.len() - b"}}".len();
        self.text.get(end - self.size..end).unwrap_or_default()
    }

    /// Whether the item passes a filter. An item that cannot be decoded does.
    fn passes<T>(&self, filter: &(dyn Fn(&T) -> bool + Send + Sync)) -> bool
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let decode = || match serde_json::from_slice::<T>(self.json()) {
            Ok(value) => Some(Box::new(value) as Box<dyn Any + Send + Sync>),
            Err(error) => {
                tracing::warn!(%error, "an item passes the filters of its channel: it cannot be deserialized");
                None
            }
        };
        let value = self.decoded.get_or_init(decode).as_ref();
        value.and_then(|value| value.downcast_ref()).is_none_or(filter)
    }

    /// How many bytes it counts.
    fn cost(&self) -> usize {
        self.text.len() + OVERHEAD
    }
}

impl fmt::Debug for PublishedItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublishedItem")
            .field("offset", &self.offset)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// The items of a channel, and its subscribers.
struct Log {
    epoch: String,
    replay: Limit,
    buffer: Limit,
    hook: Option<Hook>,
    /// The number of items that subscribers have skipped.
    dropped: AtomicU64,
    state: Mutex<State>,
}

#[derive(Clone, Copy)]
struct Limit {
    items: usize,
    bytes: usize,
}

struct State {
    /// The offset of the next item.
    next: u64,
    entries: VecDeque<Entry>,
    /// The sum of the entries' cost.
    bytes: usize,
    /// Set when the channel is closed: the last error.
    closed: Option<Option<ErrorObject>>,
    subscribers: usize,
    /// The waker of each subscriber that waits for the next item.
    wakers: Vec<Option<Waker>>,
    /// Unused places in `wakers`.
    free: Vec<usize>,
    /// Calls of the hook that are due, and whether one is running.
    changes: VecDeque<bool>,
    changing: bool,
}

struct Entry {
    item: Arc<PublishedItem>,
    /// How many subscribers have not read it.
    unread: usize,
}

/// Items that were removed from the log. They are dropped outside the lock, because they may
/// contain user values.
type Removed = Vec<Entry>;

impl State {
    /// The offset of the oldest item.
    fn first(&self) -> u64 {
        self.next - self.entries.len() as u64
    }

    /// The entries from this offset on.
    fn since(&mut self, offset: u64) -> impl Iterator<Item = &mut Entry> {
        let skipped = usize::try_from(offset.saturating_sub(self.first())).unwrap_or(usize::MAX);
        self.entries.iter_mut().skip(skipped)
    }

    fn exceeds(&self, limit: Limit) -> bool {
        self.entries.len() > limit.items || self.bytes > limit.bytes
    }

    /// Removes the items that are neither unread nor to be replayed, and those over the limits.
    fn trim(&mut self, log: &Log) -> Removed {
        let mut removed = Vec::new();
        while let Some(first) = self.entries.front() {
            let is_over = self.entries.len() > 1 && self.exceeds(log.buffer);
            if !self.exceeds(log.replay) || (first.unread > 0 && !is_over) {
                break;
            }
            let Some(first) = self.entries.pop_front() else { break };
            self.bytes -= first.item.cost();
            removed.push(first);
        }
        removed
    }

    fn take_wakers(&mut self) -> Vec<Waker> {
        self.wakers.iter_mut().filter_map(Option::take).collect()
    }
}

impl Log {
    /// `None` if the channel is closed.
    fn publish(&self, item: Encoded) -> Option<Published> {
        let mut state = self.lock();
        if state.closed.is_some() {
            return None;
        }
        let offset = state.next;
        state.next += 1;
        let item = Arc::new(PublishedItem::new(item, offset));
        state.bytes += item.cost();
        let unread = state.subscribers;
        state.entries.push_back(Entry { item, unread });
        let removed = state.trim(self);
        let wakers = state.take_wakers();
        drop(state);
        Some(Published { offset, removed, wakers })
    }

    fn close(&self, error: Option<ErrorObject>) {
        let mut state = self.lock();
        state.closed.get_or_insert(error);
        let wakers = state.take_wakers();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// All items, the oldest first.
    fn kept(&self) -> Vec<Arc<PublishedItem>> {
        self.lock().entries.iter().map(|entry| Arc::clone(&entry.item)).collect()
    }

    /// Records that the channel has got its first subscriber or lost its last one.
    fn change(&self, state: &mut State, active: bool) {
        if self.hook.is_some() {
            state.changes.push_back(active);
        }
    }

    /// Calls the hook for all recorded changes, unless another thread does so already.
    fn report_changes(&self) {
        let Some(hook) = &self.hook else { return };
        loop {
            let mut state = self.lock();
            if state.changing {
                return;
            }
            let Some(active) = state.changes.pop_front() else { return };
            state.changing = true;
            drop(state);
            if catch_unwind(|| hook(active)).is_err() {
                tracing::error!("the `on_active` closure of a channel panicked");
            }
            self.lock().changing = false;
        }
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A subscriber's place in the log.
struct Cursor {
    log: Arc<Log>,
    /// The offset of the next item to read.
    next: u64,
    /// Its place among the wakers.
    slot: usize,
    /// The number of items that were skipped before the next item.
    skipped: u64,
}

impl Cursor {
    /// A new subscriber that starts after the position that it asked for. If the log does not have
    /// the next item, it starts with the oldest one.
    fn new(log: &Arc<Log>, asked: Option<&Position>) -> Self {
        let mut state = log.lock();
        let next = match asked {
            None => state.next,
            Some(asked) => {
                let known = state.first().saturating_sub(1)..state.next;
                let is_known = asked.epoch == log.epoch && known.contains(&asked.offset);
                if is_known { asked.offset + 1 } else { state.first() }
            }
        };
        state.since(next).for_each(|entry| entry.unread += 1);
        let slot = state.free.pop().unwrap_or_else(|| {
            state.wakers.push(None);
            state.wakers.len() - 1
        });
        state.subscribers += 1;
        if state.subscribers == 1 {
            log.change(&mut state, true);
        }
        drop(state);
        log.report_changes();
        Cursor { log: Arc::clone(log), next, slot, skipped: 0 }
    }

    /// Identifies the log.
    fn source(&self) -> usize {
        Arc::as_ptr(&self.log).addr()
    }

    /// Moves to another offset of the log.
    fn move_to(&mut self, offset: impl FnOnce(&State) -> u64) {
        let mut state = self.log.lock();
        let offset = offset(&state);
        state.since(self.next).for_each(|entry| entry.unread -= 1);
        state.since(offset).for_each(|entry| entry.unread += 1);
        let removed = state.trim(&self.log);
        drop(state);
        self.next = offset;
        discard(removed);
    }

    /// Ready with the next item, or with the last error after the end.
    fn poll(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Arc<PublishedItem>, Option<ErrorObject>>> {
        let mut fresh = None;
        loop {
            let mut state = self.log.lock();
            let missed = state.first().saturating_sub(self.next);
            if missed > 0 {
                self.next += missed;
                self.skipped += missed;
                let before = self.log.dropped.fetch_add(missed, Ordering::Relaxed);
                drop(state);
                if before == 0 {
                    tracing::warn!(
                        items = missed,
                        "a slow subscriber of a channel skipped items (raise `ChannelBuilder::buffer`); \
                         further ones are counted in `Channel::dropped`"
                    );
                }
                continue;
            }
            let item = state.since(self.next).next().map(|entry| {
                entry.unread -= 1;
                Arc::clone(&entry.item)
            });
            if let Some(item) = item {
                self.next += 1;
                let removed = state.trim(&self.log);
                drop(state);
                discard(removed);
                return Poll::Ready(Ok(item));
            }
            if let Some(error) = &state.closed {
                return Poll::Ready(Err(error.clone()));
            }
            let Some(waker) = state.wakers.get_mut(self.slot) else { return Poll::Pending };
            if waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // Wakers are cloned and dropped outside the lock: they are foreign code.
            if fresh.is_some() {
                std::mem::swap(waker, &mut fresh);
                drop(state);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        let mut state = self.log.lock();
        state.since(self.next).for_each(|entry| entry.unread -= 1);
        let removed = state.trim(&self.log);
        let waker = state.wakers.get_mut(self.slot).and_then(Option::take);
        state.free.push(self.slot);
        state.subscribers -= 1;
        if state.subscribers == 0 {
            (state.wakers, state.free) = (Vec::new(), Vec::new());
            self.log.change(&mut state, false);
        }
        drop(state);
        drop(waker);
        discard(removed);
        self.log.report_changes();
    }
}

/// Applies a filter. Type-erased, so that only filtered streams need a `T` that can be decoded.
type Passes = Box<dyn Fn(&PublishedItem) -> bool + Send + Sync>;

/// The items of a [`Channel`] for one subscriber. Created by [`Channel::subscribe`].
#[must_use = "the stream is what an `#[subscription]` method returns"]
pub struct ChannelStream<T> {
    cursor: Cursor,
    filter: Option<Passes>,
    resuming: Option<Arc<HandledCall>>,
    /// Whether the subscriber has a position.
    resumes: bool,
    item: PhantomData<fn() -> T>,
}

impl<T> ChannelStream<T> {
    /// Starts with up to this number of the latest items that the channel keeps
    /// ([`ChannelBuilder::replay`]), for example the last messages of a chat. Only items that pass
    /// the [filter](Self::filter_items) are counted, if the filter is set before. No effect for a
    /// subscriber that resumes from a position.
    ///
    /// ```
    /// # use wsjsonrpc::subscription::Positioned;
    /// # use wsjsonrpc::{Channel, Context, Stream};
    /// fn messages(room: &Channel<String>, ctx: &Context) -> impl Stream<Item = Positioned<String>> {
    ///     room.subscribe(ctx).last(20)
    /// }
    /// ```
    pub fn last(mut self, items: usize) -> Self {
        if !self.resumes {
            let passes = |item: &PublishedItem| self.filter.as_ref().is_none_or(|it| it(item));
            // Filters are the application's code, and run without a lock.
            let kept = self.cursor.log.kept();
            let latest = kept.iter().rev().filter(|item| passes(item)).take(items).last();
            if let Some(offset) = latest.map(|item| item.offset) {
                self.cursor.move_to(|state| offset.max(state.first()));
                self.set_start();
            }
        }
        self
    }

    /// Sends only items for which the closure returns `true`. The closure gets the item as the
    /// consumer would get it. Each item is decoded once for all filters of the channel.
    ///
    /// ```
    /// # use serde::{Deserialize, Serialize};
    /// # use wsjsonrpc::subscription::Positioned;
    /// # use wsjsonrpc::{Channel, Context, Stream};
    /// #[derive(Serialize, Deserialize)]
    /// struct Price {
    ///     symbol: String,
    ///     price: f64,
    /// }
    ///
    /// fn prices(
    ///     all: &Channel<Price>,
    ///     ctx: &Context,
    ///     symbol: String,
    /// ) -> impl Stream<Item = Positioned<Price>> {
    ///     all.subscribe(ctx).filter_items(move |price| price.symbol == symbol)
    /// }
    /// ```
    pub fn filter_items(mut self, filter: impl Fn(&T) -> bool + Send + Sync + 'static) -> Self
    where
        T: DeserializeOwned + Send + Sync + 'static,
    {
        let before = self.filter.take();
        self.filter = Some(Box::new(move |item| {
            before.as_ref().is_none_or(|before| before(item)) && item.passes(&filter)
        }));
        self
    }

    /// Sets where the items start, for a subscriber that resumes.
    fn set_start(&self) {
        if let Some(call) = &self.resuming {
            call.set_start(self.position(), self.cursor.source());
        }
    }

    /// The position before the next item.
    fn position(&self) -> Position {
        Position { epoch: self.cursor.log.epoch.clone(), offset: self.cursor.next - 1 }
    }

    /// Skips all items that have been published, for a subscriber that gets the state in another
    /// way. Returns the position before the next item. If the subscriber resumes from an earlier
    /// position, its start is that position, so that skipping is no gap. A later position of the same
    /// epoch comes from a clock that was wrong, and is one.
    pub(crate) fn skip_to_latest(&mut self, ctx: Option<&Context>) -> Position {
        self.cursor.move_to(|state| state.next);
        self.cursor.skipped = 0;
        let position = self.position();
        if let Some(call) = &self.resuming {
            let asked = ctx.and_then(Context::resume_position);
            let asked = asked.filter(|asked| asked.epoch == position.epoch).cloned();
            let before = Position { offset: position.offset - 1, ..position.clone() };
            let start = match asked {
                Some(asked) if asked.offset > position.offset => {
                    Position { epoch: random_epoch(), ..before }
                }
                asked => asked.unwrap_or(before),
            };
            call.set_start(start, self.cursor.source());
        }
        position
    }
}

impl<T> Stream for ChannelStream<T> {
    type Item = Positioned<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        for _ in 0..BUDGET {
            let item = match this.cursor.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(item)) => item,
                Poll::Ready(Err(error)) => {
                    let skipped = std::mem::take(&mut this.cursor.skipped);
                    let end = YieldedItem::Ended(error, skipped);
                    return Poll::Ready(Some(Positioned(end)));
                }
            };
            if this.filter.as_ref().is_none_or(|passes| passes(&item)) {
                let skipped = std::mem::take(&mut this.cursor.skipped);
                return Poll::Ready(Some(Positioned(YieldedItem::Published(item, skipped))));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<T> fmt::Debug for ChannelStream<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelStream").field("next", &self.cursor.next).finish_non_exhaustive()
    }
}

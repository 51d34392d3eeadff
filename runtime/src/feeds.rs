//! Subscriptions of this side: for each, what has come and is not consumed yet.
//!
//! A feed is expected from before its call is sent, and begins where the response is read, so no
//! item can come too early. What comes is bounded: a peer that knows how is told how much more it
//! may send, and a feed that overflows all the same ends. Must not know how messages travel, or the
//! types of items.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::CloseReason;
use crate::hasher::QuickHash;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::item::{Content, Item, cost};
use crate::protocol::text;

/// How many calls may be unanswered that nobody waits for any more. What comes late of older ones is
/// not taken back: their peer does not answer.
const MAX_GIVEN_UP: usize = 1024;

/// How much of a message may be kept beside an item in it; of a longer one the item is copied.
const MAX_BESIDE: usize = 256;

/// The subscriptions of one connection, whose handle is an `L`.
#[derive(Debug)]
pub(crate) struct Feeds<L> {
    table: Mutex<Table<L>>,
    /// How many there are, expected ones included. Looked at for each message that is read, so
    /// without the lock.
    count: AtomicUsize,
}

#[derive(Debug)]
struct Table<L> {
    /// By the ids of the calls that ask for them.
    expected: BTreeMap<u64, Arc<Feed<L>>>,
    /// By the names of their notifications, and their ids as JSON. There are few names.
    begun: Vec<(Arc<str>, ById<L>)>,
}

/// A peer may give ids as it likes, but how many there are is this side's decision.
type ById<L> = HashMap<Box<str>, Arc<Feed<L>>, QuickHash>;

/// One subscription.
#[derive(Debug)]
pub(crate) struct Feed<L> {
    pub(crate) names: Names,
    /// How many bytes may wait to be consumed.
    pub(crate) window: u64,
    state: Mutex<State<L>>,
}

/// What its messages are called.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) notification: Arc<str>,
    pub(crate) unsubscribe: Arc<str>,
}

#[derive(Debug)]
struct State<L> {
    home: Weak<L>,
    /// As JSON, once it is known.
    id: Option<Arc<str>>,
    items: VecDeque<(Utf8Bytes, Range<usize>)>,
    /// What they count together.
    bytes: u64,
    /// What was consumed since the peer was told to send more; `None` if it does not know how.
    consumed: Option<u64>,
    dropped: u64,
    end: Option<End>,
    waker: Option<Waker>,
    /// Nobody wants it any more.
    abandoned: bool,
}

/// Why nothing more comes.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Finished,
    Error(ErrorObject),
    /// More has come than there was room for.
    Lagged,
    Closed(CloseReason),
}

/// What to tell a peer whose items came in.
#[derive(Debug)]
pub(crate) enum Taken {
    Fine,
    /// To stop: nobody wants this subscription any more.
    Unwanted,
}

impl<L> Default for Feeds<L> {
    fn default() -> Self {
        let table = Table { expected: BTreeMap::new(), begun: Vec::new() };
        Feeds { table: Mutex::new(table), count: AtomicUsize::new(0) }
    }
}

impl<L> Feeds<L> {
    /// Whether there is any; if not, no message can be about one.
    pub(crate) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// The call with this id, which is about to be sent by `home`, asks for it.
    pub(crate) fn expect(&self, call: u64, feed: &Arc<Feed<L>>, home: Weak<L>, credit: bool) {
        {
            let mut state = feed.lock();
            state.home = home;
            state.consumed = credit.then_some(0);
        }
        let mut table = self.lock();
        table.expected.insert(call, Arc::clone(feed));
        while table.expected.len() > MAX_GIVEN_UP {
            let Some(oldest) = table.expected.first_entry() else { break };
            if !oldest.get().lock().abandoned {
                break;
            }
            oldest.remove();
        }
        self.tally(&table);
    }

    /// The call is never sent.
    pub(crate) fn forget(&self, call: u64) {
        if self.any() {
            self.answered(call, None);
        }
    }

    /// The call was answered: with a subscription's id, or with something else. Gives the feed if
    /// nobody wants it any more.
    pub(crate) fn answered(&self, call: u64, id: Option<&str>) -> Option<Arc<Feed<L>>> {
        let mut table = self.lock();
        let feed = table.expected.remove(&call);
        let begun = feed.filter(|_| id.is_some_and(|id| id.starts_with(is_id)));
        let mut replaced = None;
        let unwanted = begun.and_then(|feed| {
            let id: Arc<str> = id?.into();
            feed.lock().id = Some(Arc::clone(&id));
            if feed.lock().abandoned {
                return Some(feed);
            }
            let name = &feed.names.notification;
            let place = table.begun.iter().position(|(known, _)| known == name);
            let place = place.unwrap_or_else(|| {
                table.begun.push((Arc::clone(name), HashMap::default()));
                table.begun.len() - 1
            });
            if let Some((_, feeds)) = table.begun.get_mut(place) {
                replaced = feeds.insert(id.as_ref().into(), feed);
            }
            None
        });
        self.tally(&table);
        drop(table);
        let error =
            || ErrorObject::new(ErrorCode::INTERNAL_ERROR, "its id was given to another one");
        if let Some(waker) = replaced.and_then(|feed| feed.end(End::Error(error()))) {
            waker.wake();
        }
        unwanted
    }

    /// Whether notifications of this name are a subscription's.
    pub(crate) fn has(&self, notification: &str) -> bool {
        self.any() && self.lock().begun.iter().any(|(name, _)| **name == *notification)
    }

    /// Takes in an item, which is a part of the message, or the end. `None`: it is none of these
    /// subscriptions'.
    pub(crate) fn take(
        &self,
        notification: &str,
        item: &Item<'_>,
        message: &Utf8Bytes,
        range: impl FnOnce(&str) -> Range<usize>,
    ) -> Option<(Taken, Arc<Feed<L>>)> {
        let table = self.lock();
        let (_, feeds) = table.begun.iter().find(|(name, _)| **name == *notification)?;
        let feed = Arc::clone(feeds.get(item.subscription)?);
        drop(table);
        let (waker, lagged) = match item.content {
            Content::Result(json) if message.len() > json.len() + MAX_BESIDE => {
                feed.push((json.into(), 0..json.len()), item.dropped)
            }
            Content::Result(json) => feed.push((message.clone(), range(json)), item.dropped),
            Content::Error("null") => (feed.end(End::Finished), false),
            Content::Error(json) => (feed.end(End::Error(last_word(json))), false),
        };
        if lagged || matches!(item.content, Content::Error(_)) {
            self.remove(&feed);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        Some((if lagged { Taken::Unwanted } else { Taken::Fine }, feed))
    }

    /// Nobody wants it any more. Gives its id if the peer has to be told.
    pub(crate) fn abandon(&self, feed: &Arc<Feed<L>>) -> Option<Arc<str>> {
        feed.lock().abandoned = true;
        if self.remove(feed) { feed.id() } else { None }
    }

    /// `false`: it was not there, or not there any more.
    fn remove(&self, feed: &Arc<Feed<L>>) -> bool {
        let Some(id) = feed.id() else { return false };
        let mut table = self.lock();
        let name = &feed.names.notification;
        let Some(place) = table.begun.iter().position(|(known, _)| known == name) else {
            return false;
        };
        let Some((_, feeds)) = table.begun.get_mut(place) else { return false };
        let found = feeds.get(&*id).is_some_and(|known| Arc::ptr_eq(known, feed));
        let removed = if found { feeds.remove(&*id) } else { None };
        if feeds.is_empty() {
            table.begun.swap_remove(place);
        }
        self.tally(&table);
        removed.is_some()
    }

    /// Ends all. Those that are expected end with their calls.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut table = self.lock();
        let expected = std::mem::take(&mut table.expected);
        let begun = std::mem::take(&mut table.begun);
        self.tally(&table);
        drop(table);
        drop(expected);
        let feeds = begun.into_iter().flat_map(|(_, feeds)| feeds.into_values());
        let wakers: Vec<Waker> =
            feeds.filter_map(|feed| feed.end(End::Closed(reason.clone()))).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tally(&self, table: &Table<L>) {
        let begun: usize = table.begun.iter().map(|(_, feeds)| feeds.len()).sum();
        self.count.store(table.expected.len() + begun, Ordering::Release);
    }

    /// No user code runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Table<L>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error that ends a subscription. Some servers say it in words, or in a way of their own.
fn last_word(json: &str) -> ErrorObject {
    serde_json::from_str(json).unwrap_or_else(|_| {
        let words = text::content(json).map_or_else(|| json.to_owned(), Cow::into_owned);
        ErrorObject::new(ErrorCode::INTERNAL_ERROR, words)
    })
}

/// How a subscription's id begins: it is a string or a number.
fn is_id(first: char) -> bool {
    first == '"' || first == '-' || first.is_ascii_digit()
}

impl<L> Feed<L> {
    pub(crate) fn new(names: Names, window: u64) -> Self {
        let state = State {
            home: Weak::new(),
            id: None,
            items: VecDeque::new(),
            bytes: 0,
            consumed: None,
            dropped: 0,
            end: None,
            waker: None,
            abandoned: false,
        };
        Feed { names, window: window.max(1), state: Mutex::new(state) }
    }

    /// Where it comes from.
    pub(crate) fn home(&self) -> Option<Arc<L>> {
        self.lock().home.upgrade()
    }

    /// As JSON; `None` until it has begun.
    pub(crate) fn id(&self) -> Option<Arc<str>> {
        self.lock().id.clone()
    }

    /// How many items the producer has left out so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// The next item, or why there is none. `Some` beside it: the peer may send so much more.
    #[allow(clippy::type_complexity)]
    pub(crate) fn poll(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<(Result<(Utf8Bytes, Range<usize>), End>, Option<u64>)> {
        let mut fresh = None;
        loop {
            let mut state = self.lock();
            if let Some((message, range)) = state.items.pop_front() {
                let bytes = cost(range.len());
                state.bytes = state.bytes.saturating_sub(bytes);
                let credit = state.credit(bytes, self.window);
                if state.items.is_empty() && state.items.capacity() > 64 {
                    state.items = VecDeque::new();
                }
                return Poll::Ready((Ok((message, range)), credit));
            }
            if let Some(end) = &state.end {
                return Poll::Ready((Err(end.clone()), None));
            }
            if state.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            // Wakers are cloned and dropped outside the lock: that is foreign code.
            if fresh.is_some() {
                std::mem::swap(&mut state.waker, &mut fresh);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        }
    }

    /// Gives the waker of whoever waits for it. `true`: there was no room, and this is the end.
    fn push(&self, item: (Utf8Bytes, Range<usize>), dropped: u64) -> (Option<Waker>, bool) {
        let mut state = self.lock();
        if state.end.is_some() {
            return (None, false);
        }
        state.dropped = state.dropped.saturating_add(dropped);
        // One item may go over the window, whoever counts.
        let lagged = state.bytes >= self.window;
        if lagged {
            state.end = Some(End::Lagged);
        } else {
            state.bytes = state.bytes.saturating_add(cost(item.1.len()));
            state.items.push_back(item);
        }
        (state.waker.take(), lagged)
    }

    /// What has come may still be consumed.
    fn end(&self, end: End) -> Option<Waker> {
        let mut state = self.lock();
        state.end.get_or_insert(end);
        state.waker.take()
    }

    /// No user code runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L> State<L> {
    /// So much was consumed. The peer is told now and then, not for each item.
    fn credit(&mut self, bytes: u64, window: u64) -> Option<u64> {
        let consumed = self.consumed.as_mut()?;
        *consumed += bytes;
        if *consumed < window.div_ceil(2) || self.end.is_some() {
            return None;
        }
        Some(std::mem::take(consumed))
    }
}

//! Subscriptions of this side: which of them a message is about.
//!
//! A feed is expected from before its call is sent, and begins where the response is read, so no
//! item can come too early. What comes is bounded: a peer that knows how is told how much more it
//! may send, and a feed that overflows all the same ends. Must not know how messages travel.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Waker;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::CloseReason;
use crate::hasher::QuickHash;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::text;
use crate::subscriptions::feed::{End, Feed};

/// How many calls may be unanswered that nobody waits for any more. What comes late of older ones is
/// not taken back: their peer does not answer.
const MAX_GIVEN_UP: usize = 1024;

/// The subscriptions of one connection, whose handle is an `L`. Most connections have none, so the rest
/// is made when the first one comes.
#[derive(Debug)]
pub(crate) struct Feeds<L>(OnceLock<Box<Inner<L>>>);

#[derive(Debug)]
struct Inner<L> {
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

impl<L> Default for Feeds<L> {
    fn default() -> Self {
        Feeds(OnceLock::new())
    }
}

impl<L> Feeds<L> {
    /// Whether there is any; if not, no message can be about one.
    pub(crate) fn any(&self) -> bool {
        self.0.get().is_some_and(|inner| inner.count.load(Ordering::Acquire) > 0)
    }

    /// The call with this id, which is about to be sent by `home`, asks for it.
    pub(crate) fn expect(&self, call: u64, feed: &Arc<Feed<L>>, home: Weak<L>, credit: bool) {
        feed.prepare(home, credit);
        let mut table = self.lock();
        table.expected.insert(call, Arc::clone(feed));
        while table.expected.len() > MAX_GIVEN_UP {
            let Some(oldest) = table.expected.first_entry() else { break };
            if !oldest.get().is_abandoned() {
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
        let begun = feed.filter(|_| id.is_some_and(text::is_string_or_number));
        let mut replaced = None;
        let unwanted = begun.and_then(|feed| {
            let id: Arc<str> = id?.into();
            if !feed.begin(&id) {
                return Some(feed);
            }
            feed.set_live(true);
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
        if let Some(replaced) = replaced {
            replaced.set_live(false);
            if let Some(waker) = replaced.end(End::Error(error())) {
                waker.wake();
            }
        }
        unwanted
    }

    /// Whether notifications of this name are a subscription's.
    pub(crate) fn has(&self, notification: &str) -> bool {
        self.any() && self.lock().begun.iter().any(|(name, _)| **name == *notification)
    }

    /// The one whose notifications have this name, and this id, as JSON.
    pub(crate) fn find(&self, notification: &str, id: &str) -> Option<Arc<Feed<L>>> {
        let table = self.lock();
        let (_, feeds) = table.begun.iter().find(|(name, _)| **name == *notification)?;
        feeds.get(id).cloned()
    }

    /// Takes in an item, which is this part of the message. `false`: there was no room, and it is over.
    pub(crate) fn push(
        &self,
        feed: &Arc<Feed<L>>,
        message: Utf8Bytes,
        range: Range<usize>,
        dropped: u64,
    ) -> bool {
        let (waker, lagged) = feed.push(message, range, dropped);
        if lagged {
            self.remove(feed);
        }
        if let Some(waker) = waker {
            waker.wake();
        }
        !lagged
    }

    /// The peer says that it has ended, and with which error, as JSON.
    pub(crate) fn finish(&self, feed: &Arc<Feed<L>>, error: &str) {
        let end = if error == "null" { End::Finished } else { End::Error(last_word(error)) };
        self.remove(feed);
        if let Some(waker) = feed.end(end) {
            waker.wake();
        }
    }

    /// Nobody wants it any more. Gives its id if the peer has to be told.
    pub(crate) fn abandon(&self, feed: &Arc<Feed<L>>) -> Option<Arc<str>> {
        feed.abandon();
        if self.remove(feed) { feed.id().cloned() } else { None }
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
        let found = feeds.get(&**id).is_some_and(|known| Arc::ptr_eq(known, feed));
        let removed = if found { feeds.remove(&**id) } else { None };
        feed.set_live(false);
        if feeds.is_empty() {
            table.begun.swap_remove(place);
        }
        self.tally(&table);
        removed.is_some()
    }

    /// Ends all. Those that are expected end with their calls.
    pub(crate) fn close(&self, reason: &CloseReason) {
        if !self.any() {
            return;
        }
        let mut table = self.lock();
        let expected = std::mem::take(&mut table.expected);
        let begun = std::mem::take(&mut table.begun);
        self.tally(&table);
        drop(table);
        drop(expected);
        let feeds = begun.into_iter().flat_map(|(_, feeds)| feeds.into_values());
        let feeds = feeds.inspect(|feed| feed.set_live(false));
        let wakers: Vec<Waker> =
            feeds.filter_map(|feed| feed.end(End::Closed(reason.clone()))).collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn tally(&self, table: &Table<L>) {
        let begun: usize = table.begun.iter().map(|(_, feeds)| feeds.len()).sum();
        self.inner().count.store(table.expected.len() + begun, Ordering::Release);
    }

    /// No user code runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Table<L>> {
        self.inner().table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> &Inner<L> {
        self.0.get_or_init(|| {
            let table = Table { expected: BTreeMap::new(), begun: Vec::new() };
            Box::new(Inner { table: Mutex::new(table), count: AtomicUsize::new(0) })
        })
    }
}

/// The error that ends a subscription. Some servers say it in words, or in a way of their own.
fn last_word(json: &str) -> ErrorObject {
    serde_json::from_str(json).unwrap_or_else(|_| {
        let words = text::content(json).map_or_else(|| json.to_owned(), Cow::into_owned);
        ErrorObject::new(ErrorCode::INTERNAL_ERROR, words)
    })
}

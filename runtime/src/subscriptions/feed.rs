//! One subscription of this side: what has come and is not consumed yet.
//!
//! It has two ends. The connection's task puts items in; the consumer takes over all that is there at
//! once, and goes through it without a lock. Must not know how messages travel, or the types of items.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, Waker};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::CloseReason;
use crate::protocol::error::ErrorObject;
use crate::protocol::item::cost;
use crate::socket::chunk::detach;

/// How much of a message may be kept beside an item in it; of a longer one the item is copied.
const MAX_BESIDE: usize = 256;

/// More room than this is not kept while nothing waits.
const KEPT: usize = 64;

/// So many items may keep what they were read with. When more wait, the consumer is slow, and they get
/// memory of their own.
const SHARED: usize = 64;

/// An item is this part of a message.
pub(crate) type RawItem = (Utf8Bytes, Range<usize>);

/// One subscription, which comes from an `L`.
#[derive(Debug)]
pub(crate) struct Feed<L> {
    pub(crate) names: Names,
    /// How many bytes may wait to be consumed.
    pub(crate) window: u64,
    /// As JSON, once it is known.
    id: OnceLock<Arc<str>>,
    /// It has begun and nothing has ended it. Changed with the table that it is in, looked at for each
    /// item.
    live: AtomicBool,
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
    items: VecDeque<RawItem>,
    /// What those that wait count together, with those that the consumer has taken over.
    bytes: u64,
    /// The peer is to be told what was consumed.
    counts: bool,
    dropped: u64,
    end: Option<End>,
    waker: Option<Waker>,
    /// Nobody wants it any more.
    abandoned: bool,
}

/// What the consumer has taken over.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    items: VecDeque<RawItem>,
    /// Consumed since the feed was told.
    consumed: u64,
    /// Consumed since the peer was told.
    owed: u64,
}

impl Taken {
    /// The next item, which stays where it is until it was consumed.
    pub(crate) fn first(&self) -> Option<&RawItem> {
        self.items.front()
    }
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

impl<L> Feed<L> {
    pub(crate) fn new(names: Names, window: u64) -> Self {
        let state = State {
            home: Weak::new(),
            items: VecDeque::new(),
            bytes: 0,
            counts: false,
            dropped: 0,
            end: None,
            waker: None,
            abandoned: false,
        };
        let (id, live, state) = (OnceLock::new(), AtomicBool::new(false), Mutex::new(state));
        Feed { names, window: window.max(1), id, live, state }
    }

    /// It is about to be asked for on this connection, whose peer counts or does not.
    pub(crate) fn prepare(&self, home: Weak<L>, counts: bool) {
        let mut state = self.lock();
        (state.home, state.counts) = (home, counts);
    }

    /// Where it comes from.
    pub(crate) fn home(&self) -> Option<Arc<L>> {
        self.lock().home.upgrade()
    }

    /// As JSON; `None` until it has begun.
    pub(crate) fn id(&self) -> Option<&Arc<str>> {
        self.id.get()
    }

    /// It has this id now. `false`: nobody wants it any more.
    pub(crate) fn begin(&self, id: &Arc<str>) -> bool {
        let _ = self.id.set(Arc::clone(id));
        !self.lock().abandoned
    }

    /// Whether it is in the table of those that have begun.
    pub(crate) fn set_live(&self, live: bool) {
        self.live.store(live, Ordering::Release);
    }

    pub(crate) fn is_live(&self) -> bool {
        self.live.load(Ordering::Acquire)
    }

    /// Whether notifications of this name with this id are its own.
    pub(crate) fn is(&self, notification: &str, id: &str) -> bool {
        *self.names.notification == *notification
            && self.id.get().is_some_and(|known| **known == *id)
    }

    /// Nobody wants it any more, nor what waits in it.
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

    /// How many items the producer has left out so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lock().dropped
    }

    /// Takes over what has come, when nothing is left of what was taken before; or says why nothing
    /// more comes.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, taken: &mut Taken) -> Poll<Result<(), End>> {
        let mut fresh = None;
        loop {
            let mut state = self.lock();
            state.settle(taken);
            if !state.items.is_empty() {
                std::mem::swap(&mut state.items, &mut taken.items);
                if state.items.capacity() > KEPT {
                    state.items = VecDeque::new();
                }
                return Poll::Ready(Ok(()));
            }
            if let Some(end) = &state.end {
                return Poll::Ready(Err(end.clone()));
            }
            if state.waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                break;
            }
            // Wakers are cloned and dropped outside the lock: that is foreign code.
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

    /// The first item was consumed. `Some`: the peer may send so much more. It is told now and then, not
    /// for each item; and so is the feed.
    pub(crate) fn consumed(&self, taken: &mut Taken) -> Option<u64> {
        let bytes = cost(taken.items.pop_front()?.1.len());
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

    /// Gives the waker of whoever waits for it. `true`: there was no room, and this is the end.
    pub(crate) fn push(
        &self,
        message: Utf8Bytes,
        range: Range<usize>,
        dropped: u64,
    ) -> (Option<Waker>, bool) {
        let item = if message.len() - range.len().min(message.len()) > MAX_BESIDE {
            (message.get(range.clone()).unwrap_or_default().into(), 0..range.len())
        } else {
            (message, range)
        };
        let mut state = self.lock();
        if state.end.is_some() || state.abandoned {
            return (None, false);
        }
        state.dropped = state.dropped.saturating_add(dropped);
        // One item may go over the window, whoever counts.
        let lagged = state.bytes >= self.window;
        if lagged {
            state.end = Some(End::Lagged);
        } else {
            state.bytes = state.bytes.saturating_add(cost(item.1.len()));
            let (message, range) = item;
            let is_slow = state.items.len() >= SHARED;
            state.items.push_back((if is_slow { detach(message) } else { message }, range));
        }
        (state.waker.take(), lagged)
    }

    /// What has come may still be consumed.
    pub(crate) fn end(&self, end: End) -> Option<Waker> {
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
    /// What was consumed makes room.
    fn settle(&mut self, taken: &mut Taken) {
        self.bytes = self.bytes.saturating_sub(std::mem::take(&mut taken.consumed));
    }
}

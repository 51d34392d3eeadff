//! The connections of a server that are alive, to be pushed to, counted and shut down.
//!
//! Must not know how connections come about.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::error::CloseReason;
use crate::incoming::responder::Tracker;
use crate::link::Link;
use crate::outgoing::peer::Peer;
use crate::util::race::{Either, race};
use crate::util::runtime::{self, timer};
use crate::websocket::send_queue::Command;

/// All of one server.
pub(crate) struct Living {
    live: Mutex<Live>,
    /// A connection has ended.
    left: Notify,
    /// Sees the last of the trackers go.
    trackers: watch::Sender<()>,
    /// That of the connections, for a shutdown from elsewhere.
    runtime: OnceLock<Handle>,
}

struct Live {
    links: HashMap<u64, Arc<Link>>,
    /// Callers without a connection, as long as one of their handlers is there.
    guests: HashMap<u64, Arc<Link>>,
    /// Connections that have ended before their handlers.
    left_behind: Vec<Arc<Link>>,
    next: u64,
    /// Every connection has a clone of it, as long as it or one of its handlers is there. `None`
    /// once shutting down has begun.
    tracker: Option<Tracker>,
    /// Connections that come late are drained at once.
    drain: Option<Instant>,
}

impl Living {
    pub(crate) fn new() -> Arc<Self> {
        let (trackers, tracker) = watch::channel(());
        let live = Live {
            links: HashMap::new(),
            guests: HashMap::new(),
            left_behind: Vec::new(),
            next: 0,
            tracker: Some(tracker),
            drain: None,
        };
        let (left, runtime) = (Notify::new(), OnceLock::new());
        Arc::new(Living { live: Mutex::new(live), left, trackers, runtime })
    }

    pub(crate) fn tracker(&self) -> Option<Tracker> {
        self.live().tracker.clone()
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.live().links.values().map(|link| Peer::new(Arc::clone(link))).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.live().links.len()
    }

    /// A connection is among the living as long as it has this.
    pub(crate) fn enter(self: &Arc<Self>, link: &Arc<Link>) -> Entry {
        if let Ok(runtime) = Handle::try_current() {
            let _ = self.runtime.set(runtime);
        }
        let mut live = self.live();
        live.next += 1;
        let key = live.next;
        live.links.insert(key, Arc::clone(link));
        // Seen under the lock under which shutting down looks for connections: it finds this one,
        // or this one finds it.
        let drain = live.drain;
        drop(live);
        if let Some(deadline) = drain {
            link.outbox.command(Command::Drain { deadline });
        }
        Entry { living: Arc::clone(self), key }
    }

    /// Whether shutting down has begun.
    #[cfg(feature = "tower")]
    pub(crate) fn is_draining(&self) -> bool {
        self.live().drain.is_some()
    }

    /// Takes in a caller without a connection. `None`: shutting down has begun.
    #[cfg(feature = "tower")]
    pub(crate) fn receive(self: &Arc<Self>, link: &Arc<Link>) -> Option<(Tracker, Guest)> {
        let mut live = self.live();
        let tracker = live.tracker.clone()?;
        live.next += 1;
        let key = live.next;
        live.guests.insert(key, Arc::clone(link));
        drop(live);
        Some((tracker, Guest { living: Arc::clone(self), key }))
    }

    /// Has all connections finish by the deadline, those to come as well, and waits for it; then
    /// for the closing of those that have not, so long at most. Gives the number of handlers that
    /// were still at work at the deadline.
    pub(crate) async fn shut_down(&self, deadline: Instant, closing: Duration) -> usize {
        let tracker = {
            let mut live = self.live();
            live.drain = Some(deadline);
            for link in live.links.values() {
                link.outbox.command(Command::Drain { deadline });
            }
            live.tracker.take()
        };
        drop(tracker);
        let handle = self.runtime.get();
        match timer(deadline, handle) {
            Some(timer) => match race(pin!(self.trackers.closed()), pin!(timer)).await {
                Either::Left(()) => return 0,
                Either::Right(()) => {}
            },
            // Without a runtime there was never a connection to wait for.
            None => {
                self.trackers.closed().await;
                return 0;
            }
        }
        let (cut_off, guests) = {
            let live = self.live();
            (live.at_work(), live.guests.values().cloned().collect::<Vec<_>>())
        };
        for link in guests {
            link.end(CloseReason::Local);
        }
        if let Some(timer) = timer(runtime::deadline(Instant::now(), closing), handle) {
            race(pin!(self.all_left()), pin!(timer)).await;
        }
        cut_off
    }

    async fn all_left(&self) {
        loop {
            let left = self.left.notified();
            if self.len() == 0 {
                return;
            }
            left.await;
        }
    }

    /// Only small moves happen under the lock, no user code, so a poisoned one is as good as any.
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_at_work(link: &Arc<Link>) -> bool {
    link.in_flight.load(Ordering::Acquire) > 0
}

impl Live {
    /// How many handlers are.
    fn at_work(&self) -> usize {
        let links = self.links.values().chain(self.guests.values()).chain(&self.left_behind);
        links.map(|link| link.in_flight.load(Ordering::Acquire)).sum()
    }

    /// Takes a connection off the list, or puts it among those that have handlers left. Gives what
    /// is to be dropped, outside the lock.
    fn leave(&mut self, key: u64) -> Vec<Arc<Link>> {
        let Some(link) = self.links.remove(&key) else { return Vec::new() };
        if !is_at_work(&link) {
            return vec![link];
        }
        let mut ended = Vec::new();
        // Looked through only before it grows, so that many of them cost little each.
        if self.left_behind.len() == self.left_behind.capacity() {
            let behind = std::mem::take(&mut self.left_behind);
            (self.left_behind, ended) = behind.into_iter().partition(is_at_work);
        }
        self.left_behind.push(link);
        ended
    }
}

/// A connection's place among the living.
pub(crate) struct Entry {
    living: Arc<Living>,
    key: u64,
}

/// A place among those without a connection.
#[cfg(feature = "tower")]
pub(crate) struct Guest {
    living: Arc<Living>,
    key: u64,
}

#[cfg(feature = "tower")]
impl Drop for Guest {
    fn drop(&mut self) {
        let left = self.living.live().guests.remove(&self.key);
        drop(left);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let ended = self.living.live().leave(self.key);
        drop(ended);
        self.living.left.notify_waiters();
    }
}

//! The connections of a server that are alive, to be pushed to, counted and shut down.
//!
//! Must not know how connections come about.

use std::collections::{BTreeMap, HashMap};
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
pub(crate) struct Connections {
    table: Mutex<ConnectionTable>,
    /// A connection has ended.
    left: Notify,
    /// Sees the last of the trackers go.
    trackers: watch::Sender<()>,
    /// That of the connections, for a shutdown from elsewhere.
    runtime: OnceLock<Handle>,
}

struct ConnectionTable {
    /// In the order in which they were opened.
    links: BTreeMap<u64, Arc<Link>>,
    /// Callers without a connection, as long as one of their handlers is there.
    http_callers: HashMap<u64, Arc<Link>>,
    /// Connections that have ended before their handlers.
    left_behind: Vec<Arc<Link>>,
    next: u64,
    /// Every connection has a clone of it, as long as it or one of its handlers is there. `None`
    /// once shutting down has begun.
    tracker: Option<Tracker>,
    /// Connections that come late are drained at once.
    drain: Option<Instant>,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        let (trackers, tracker) = watch::channel(());
        let table = ConnectionTable {
            links: BTreeMap::new(),
            http_callers: HashMap::new(),
            left_behind: Vec::new(),
            next: 0,
            tracker: Some(tracker),
            drain: None,
        };
        let (left, runtime) = (Notify::new(), OnceLock::new());
        Arc::new(Connections { table: Mutex::new(table), left, trackers, runtime })
    }

    pub(crate) fn tracker(&self) -> Option<Tracker> {
        self.table().tracker.clone()
    }

    pub(crate) fn peers(&self) -> Vec<Peer> {
        self.table().links.values().map(|link| Peer::new(Arc::clone(link))).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.table().links.len()
    }

    /// A connection is among the living as long as it has this.
    pub(crate) fn insert(self: &Arc<Self>, link: &Arc<Link>) -> ConnectionEntry {
        if let Ok(runtime) = Handle::try_current() {
            let _ = self.runtime.set(runtime);
        }
        let mut table = self.table();
        table.next += 1;
        let key = table.next;
        table.links.insert(key, Arc::clone(link));
        // Seen under the lock under which shutting down looks for connections: it finds this one,
        // or this one finds it.
        let drain = table.drain;
        drop(table);
        if let Some(deadline) = drain {
            link.send_queue.command(Command::Drain { deadline });
        }
        ConnectionEntry { connections: Arc::clone(self), key }
    }

    /// Whether shutting down has begun.
    #[cfg(feature = "tower")]
    pub(crate) fn is_draining(&self) -> bool {
        self.table().drain.is_some()
    }

    /// Takes in a caller without a connection. `None`: shutting down has begun.
    #[cfg(feature = "tower")]
    pub(crate) fn receive(self: &Arc<Self>, link: &Arc<Link>) -> Option<(Tracker, HttpCaller)> {
        let mut table = self.table();
        let tracker = table.tracker.clone()?;
        table.next += 1;
        let key = table.next;
        table.http_callers.insert(key, Arc::clone(link));
        drop(table);
        Some((tracker, HttpCaller { connections: Arc::clone(self), key }))
    }

    /// Has all connections finish by the deadline, those to come as well, and waits for it; then
    /// for the closing of those that have not, so long at most. Gives the number of handlers that
    /// were still at work at the deadline.
    pub(crate) async fn shut_down(&self, deadline: Instant, closing: Duration) -> usize {
        let tracker = {
            let mut table = self.table();
            table.drain = Some(deadline);
            for link in table.links.values() {
                link.send_queue.command(Command::Drain { deadline });
            }
            table.tracker.take()
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
        let (cut_off, http_callers) = {
            let table = self.table();
            (table.at_work(), table.http_callers.values().cloned().collect::<Vec<_>>())
        };
        for link in http_callers {
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
    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_at_work(link: &Arc<Link>) -> bool {
    link.in_flight.load(Ordering::Acquire) > 0
}

impl ConnectionTable {
    /// How many handlers are.
    fn at_work(&self) -> usize {
        let links = self.links.values().chain(self.http_callers.values()).chain(&self.left_behind);
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
pub(crate) struct ConnectionEntry {
    connections: Arc<Connections>,
    key: u64,
}

/// A place among those without a connection.
#[cfg(feature = "tower")]
pub(crate) struct HttpCaller {
    connections: Arc<Connections>,
    key: u64,
}

#[cfg(feature = "tower")]
impl Drop for HttpCaller {
    fn drop(&mut self) {
        let left = self.connections.table().http_callers.remove(&self.key);
        drop(left);
    }
}

impl Drop for ConnectionEntry {
    fn drop(&mut self) {
        let ended = self.connections.table().leave(self.key);
        drop(ended);
        self.connections.left.notify_waiters();
    }
}

//! The connections of a server. [`Connections`] is the registry that lists and counts them, and
//! drains them at shutdown. A [`ConnectionEntry`] keeps a connection in the registry.

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

/// The open connections of one server, and its HTTP callers.
pub(crate) struct Connections {
    table: Mutex<ConnectionTable>,
    /// Notified when a connection ends.
    left: Notify,
    /// Closed when the last tracker is dropped.
    trackers: watch::Sender<()>,
    /// The runtime of the connections, for a shutdown from outside it.
    runtime: OnceLock<Handle>,
}

struct ConnectionTable {
    /// In the order in which they were opened.
    links: BTreeMap<u64, Arc<Link>>,
    /// Callers without a connection, kept until their last handler has ended.
    http_callers: HashMap<u64, Arc<Link>>,
    /// Connections that have ended while some of their handlers are still running.
    left_behind: Vec<Arc<Link>>,
    next: u64,
    /// Cloned for each connection, and held until the connection and its handlers have ended.
    /// `None` once shutdown has started.
    tracker: Option<Tracker>,
    /// The deadline of the shutdown. Connections that open later are drained at once.
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

    /// Adds a connection. It stays in the registry until the entry is dropped.
    pub(crate) fn insert(self: &Arc<Self>, link: &Arc<Link>) -> ConnectionEntry {
        if let Ok(runtime) = Handle::try_current() {
            let _ = self.runtime.set(runtime);
        }
        let mut table = self.table();
        table.next += 1;
        let key = table.next;
        table.links.insert(key, Arc::clone(link));
        // Read under the lock under which shutdown looks for connections: either shutdown finds
        // this one, or this one sees the shutdown.
        let drain = table.drain;
        drop(table);
        if let Some(deadline) = drain {
            link.send_queue.command(Command::Drain { deadline });
        }
        ConnectionEntry { connections: Arc::clone(self), key }
    }

    /// Whether shutdown has started.
    #[cfg(feature = "tower")]
    pub(crate) fn is_draining(&self) -> bool {
        self.table().drain.is_some()
    }

    /// Adds a caller without a connection. `None` if shutdown has started.
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

    /// Makes all connections, new ones included, finish by the deadline, and waits for that. Then
    /// waits for at most `closing` for the remaining ones. Returns the number of handlers that were
    /// in flight at the deadline.
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
            (table.in_flight(), table.http_callers.values().cloned().collect::<Vec<_>>())
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

    /// Only small moves happen under the lock, no user code, so a poisoned lock is safe to use.
    fn table(&self) -> MutexGuard<'_, ConnectionTable> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn has_in_flight(link: &Arc<Link>) -> bool {
    link.in_flight.load(Ordering::Acquire) > 0
}

impl ConnectionTable {
    /// The number of handlers in flight.
    fn in_flight(&self) -> usize {
        let links = self.links.values().chain(self.http_callers.values()).chain(&self.left_behind);
        links.map(|link| link.in_flight.load(Ordering::Acquire)).sum()
    }

    /// Removes a connection, or moves it to `left_behind` if it has handlers in flight. Returns the
    /// links to drop outside the lock.
    fn leave(&mut self, key: u64) -> Vec<Arc<Link>> {
        let Some(link) = self.links.remove(&key) else { return Vec::new() };
        if !has_in_flight(&link) {
            return vec![link];
        }
        let mut ended = Vec::new();
        // Searched only before the vector grows, so that the cost for each connection stays small.
        if self.left_behind.len() == self.left_behind.capacity() {
            let behind = std::mem::take(&mut self.left_behind);
            (self.left_behind, ended) = behind.into_iter().partition(has_in_flight);
        }
        self.left_behind.push(link);
        ended
    }
}

/// Keeps a connection in the registry until it is dropped.
pub(crate) struct ConnectionEntry {
    connections: Arc<Connections>,
    key: u64,
}

/// Keeps a caller without a connection in the registry until it is dropped.
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

//! The connections of a server. [`Connections`] is the registry that lists and counts them, finds
//! them by their identities, and drains them at shutdown. A [`ConnectionEntry`] keeps a connection
//! in the registry.

use std::any::TypeId;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hash, RandomState};
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::error::CloseReason;
use crate::incoming::connection_id::ConnectionId;
use crate::incoming::context::{Context, IdentityIndex};
use crate::incoming::responder::Tracker;
use crate::link::Link;
use crate::server::connection::Connection;
use crate::util::identity::Identity;
use crate::util::race::{Either, race};
use crate::util::runtime::{self, timer};
use crate::websocket::send_queue::Command;

/// The open connections of one server, and its HTTP callers.
pub(crate) struct Connections {
    table: Mutex<ConnectionTable>,
    /// Hashes identities.
    hasher: RandomState,
    /// The number of connections whose hooks have not ended.
    hooks: AtomicUsize,
    /// Notified when a connection or its last hook ends.
    left: Notify,
    /// Closed when the last tracker is dropped.
    trackers: watch::Sender<()>,
    /// The runtime of the connections, for a shutdown from outside it.
    runtime: OnceLock<Handle>,
}

struct ConnectionTable {
    /// In the order in which they were opened.
    open: BTreeMap<ConnectionId, OpenConnection>,
    /// The open connections of each identity, by the type and the hash of its key. Different keys
    /// may share a hash; they are compared outside of the lock.
    by_identity: HashMap<IdentityHash, BTreeMap<ConnectionId, Identity>>,
    /// Callers without a connection, kept until their last handler has ended.
    http_callers: HashMap<ConnectionId, Arc<Link>>,
    /// Connections that have ended while some of their handlers are still running.
    left_behind: Vec<Arc<Link>>,
    /// Cloned for each connection, and held until the connection and its handlers have ended.
    /// `None` once shutdown has started.
    tracker: Option<Tracker>,
    /// The deadline of the shutdown. Connections that open later are drained at once.
    drain: Option<Instant>,
}

/// The type of a key and its hash.
type IdentityHash = (TypeId, u64);

struct OpenConnection {
    /// The context of the connection, outside any call.
    context: Context,
    /// At most one of each type.
    identities: Vec<IdentityHash>,
}

impl Connections {
    pub(crate) fn new() -> Arc<Self> {
        let (trackers, tracker) = watch::channel(());
        let table = ConnectionTable {
            open: BTreeMap::new(),
            by_identity: HashMap::new(),
            http_callers: HashMap::new(),
            left_behind: Vec::new(),
            tracker: Some(tracker),
            drain: None,
        };
        Arc::new(Connections {
            table: Mutex::new(table),
            hasher: RandomState::new(),
            hooks: AtomicUsize::new(0),
            left: Notify::new(),
            trackers,
            runtime: OnceLock::new(),
        })
    }

    pub(crate) fn tracker(&self) -> Option<Tracker> {
        self.table().tracker.clone()
    }

    /// The open connections, in the order in which they were opened.
    pub(crate) fn all(&self) -> Vec<Connection> {
        self.table().open.values().map(OpenConnection::handle).collect()
    }

    pub(crate) fn find(&self, id: ConnectionId) -> Option<Connection> {
        self.table().open.get(&id).map(OpenConnection::handle)
    }

    /// The open connections with this identity, in the order in which they were opened.
    pub(crate) fn of<K: Eq + Hash + 'static>(&self, key: &K) -> Vec<Connection> {
        let hash = (TypeId::of::<K>(), self.hasher.hash_one(key));
        let candidates = self.table().with_hash(&hash);
        let same = candidates.into_iter().filter(|(identity, _)| identity.is(key));
        same.map(|(_, connection)| connection).collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.table().open.len()
    }

    /// Makes shutdown wait for the hooks of a connection.
    pub(crate) fn lease(self: &Arc<Self>) -> HookLease {
        self.hooks.fetch_add(1, Ordering::AcqRel);
        HookLease(Arc::clone(self))
    }

    /// Adds a connection with its own context. It stays in the registry until the entry is dropped.
    pub(crate) fn insert(self: &Arc<Self>, context: &Context) -> ConnectionEntry {
        if let Ok(runtime) = Handle::try_current() {
            let _ = self.runtime.set(runtime);
        }
        let (id, context) = (context.connection_id(), context.bare());
        let link = Arc::clone(context.link());
        let mut table = self.table();
        table.open.insert(id, OpenConnection { context, identities: Vec::new() });
        // Read under the lock under which shutdown looks for connections: either shutdown finds
        // this one, or this one sees the shutdown.
        let drain = table.drain;
        drop(table);
        if let Some(deadline) = drain {
            link.send_queue.command(Command::Drain { deadline });
        }
        ConnectionEntry { connections: Arc::clone(self), id }
    }

    /// Whether shutdown has started.
    #[cfg(feature = "tower")]
    pub(crate) fn is_draining(&self) -> bool {
        self.table().drain.is_some()
    }

    /// Adds a caller without a connection. `None` if shutdown has started.
    #[cfg(feature = "tower")]
    pub(crate) fn receive(self: &Arc<Self>, context: &Context) -> Option<(Tracker, HttpCaller)> {
        let id = context.connection_id();
        let mut table = self.table();
        let tracker = table.tracker.clone()?;
        table.http_callers.insert(id, Arc::clone(context.link()));
        drop(table);
        Some((tracker, HttpCaller { connections: Arc::clone(self), id }))
    }

    /// Makes all connections, new ones included, finish by the deadline, and waits for that. Then
    /// waits for at most `closing` for the remaining ones. Returns the number of handlers that were
    /// in flight at the deadline.
    pub(crate) async fn shut_down(&self, deadline: Instant, closing: Duration) -> usize {
        let tracker = {
            let mut table = self.table();
            table.drain = Some(deadline);
            for connection in table.open.values() {
                connection.link().send_queue.command(Command::Drain { deadline });
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

    /// Waits until all connections and their hooks have ended.
    async fn all_left(&self) {
        loop {
            let left = self.left.notified();
            if self.len() == 0 && self.hooks.load(Ordering::Acquire) == 0 {
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

impl IdentityIndex for Connections {
    fn identify(&self, connection: ConnectionId, identity: Identity) {
        let hash = (identity.kind(), identity.hash(&self.hasher));
        let earlier = self.table().identify(connection, hash, identity);
        drop(earlier);
    }

    fn remove_identity(&self, connection: ConnectionId, kind: TypeId) -> bool {
        let removed = self.table().remove_identity(connection, kind);
        removed.is_some()
    }
}

impl OpenConnection {
    fn link(&self) -> &Arc<Link> {
        self.context.link()
    }

    fn handle(&self) -> Connection {
        Connection::new(self.context.bare())
    }
}

fn has_in_flight(link: &Arc<Link>) -> bool {
    link.in_flight.load(Ordering::Acquire) > 0
}

impl ConnectionTable {
    /// The number of handlers in flight.
    fn in_flight(&self) -> usize {
        let open = self.open.values().map(OpenConnection::link);
        let links = open.chain(self.http_callers.values()).chain(&self.left_behind);
        links.map(|link| link.in_flight.load(Ordering::Acquire)).sum()
    }

    /// The connections whose keys have this type and hash.
    fn with_hash(&self, hash: &IdentityHash) -> Vec<(Identity, Connection)> {
        let of = |(id, identity): (&ConnectionId, &Identity)| {
            let connection = self.open.get(id)?.handle();
            Some((identity.clone(), connection))
        };
        self.by_identity.get(hash).into_iter().flatten().filter_map(of).collect()
    }

    /// Adds an identity to an open connection. Returns what to drop outside the lock: the earlier
    /// identity of this type, or this one if the connection has ended.
    fn identify(
        &mut self,
        id: ConnectionId,
        hash: IdentityHash,
        identity: Identity,
    ) -> Option<Identity> {
        let earlier = self.remove_identity(id, hash.0);
        let Some(connection) = self.open.get_mut(&id) else { return Some(identity) };
        connection.identities.push(hash);
        self.by_identity.entry(hash).or_default().insert(id, identity);
        earlier
    }

    /// Removes the identity of this type. Returns it, to be dropped outside the lock.
    fn remove_identity(&mut self, id: ConnectionId, kind: TypeId) -> Option<Identity> {
        let identities = &mut self.open.get_mut(&id)?.identities;
        let at = identities.iter().position(|(own, _)| *own == kind)?;
        let hash = identities.swap_remove(at);
        self.forget(id, hash)
    }

    fn forget(&mut self, id: ConnectionId, hash: IdentityHash) -> Option<Identity> {
        let connections = self.by_identity.get_mut(&hash)?;
        let identity = connections.remove(&id);
        if connections.is_empty() {
            self.by_identity.remove(&hash);
            if self.by_identity.is_empty() {
                self.by_identity.shrink_to_fit();
            }
        }
        identity
    }

    /// Removes a connection with its identities. If handlers are in flight, its link moves to
    /// `left_behind`. Returns what to drop outside the lock.
    fn leave(&mut self, id: ConnectionId) -> Left {
        let mut left = Left::default();
        let Some(connection) = self.open.remove(&id) else { return left };
        for hash in &connection.identities {
            left.identities.extend(self.forget(id, *hash));
        }
        let link = Arc::clone(connection.link());
        left.connection = Some(connection);
        if has_in_flight(&link) {
            // Searched only before the vector grows, so that the cost for each connection stays
            // small.
            if self.left_behind.len() == self.left_behind.capacity() {
                let behind = std::mem::take(&mut self.left_behind);
                (self.left_behind, left.links) = behind.into_iter().partition(has_in_flight);
            }
            self.left_behind.push(link);
        } else {
            left.links.push(link);
        }
        left
    }
}

/// What remains of a connection that has left the registry.
#[derive(Default)]
struct Left {
    connection: Option<OpenConnection>,
    identities: Vec<Identity>,
    links: Vec<Arc<Link>>,
}

/// Makes shutdown wait until it is dropped.
pub(crate) struct HookLease(Arc<Connections>);

impl Drop for HookLease {
    fn drop(&mut self) {
        self.0.hooks.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_waiters();
    }
}

/// Keeps a connection in the registry until it is dropped.
pub(crate) struct ConnectionEntry {
    connections: Arc<Connections>,
    id: ConnectionId,
}

/// Keeps a caller without a connection in the registry until it is dropped.
#[cfg(feature = "tower")]
pub(crate) struct HttpCaller {
    connections: Arc<Connections>,
    id: ConnectionId,
}

#[cfg(feature = "tower")]
impl Drop for HttpCaller {
    fn drop(&mut self) {
        let left = self.connections.table().http_callers.remove(&self.id);
        drop(left);
    }
}

impl Drop for ConnectionEntry {
    fn drop(&mut self) {
        let left = self.connections.table().leave(self.id);
        drop(left);
        self.connections.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::config::Config;
    use crate::handshake::Handshake;
    use crate::link::pending_calls::Side;

    fn context(connections: &Arc<Connections>) -> Context {
        let link = Link::new(Side::Server, Arc::new(Config::default()), None, false);
        let index = Arc::clone(connections) as Arc<dyn IdentityIndex>;
        Context::new(Arc::new(link), Handshake::new("/"), Some(index))
    }

    /// Connections that came and went leave no entries, and no capacity in the index.
    #[test]
    fn ten_thousand_connections_leave_no_entries() {
        let connections = Connections::new();
        for round in 0..100_u32 {
            let open: Vec<(Context, ConnectionEntry)> = (0..100_u32)
                .map(|number| {
                    let context = context(&connections);
                    let entry = connections.insert(&context);
                    context.identify(number);
                    context.identify(format!("{round}"));
                    context.identify(round * 100 + number);
                    (context, entry)
                })
                .collect();
            assert_eq!(connections.len(), 100);
            assert_eq!(connections.of(&(round * 100)).len(), 1);
            let of_round = connections.of(&format!("{round}"));
            assert_eq!(of_round.len(), 100);
            assert!(
                of_round.iter().zip(&open).all(|(it, (own, _))| it.id() == own.connection_id())
            );
            // In another order than that of opening.
            let (even, odd): (Vec<_>, Vec<_>) = open
                .into_iter()
                .partition(|(context, _)| u64::from(context.connection_id()) % 2 == 0);
            drop(odd);
            assert_eq!(connections.of(&format!("{round}")).len(), 50);
            let kept: Vec<Context> = even.into_iter().map(|(context, _)| context).collect();
            // A connection that has ended gets no identity.
            kept.iter().for_each(|context| context.identify(round));
        }
        let table = connections.table();
        assert!(
            table.open.is_empty() && table.by_identity.is_empty() && table.left_behind.is_empty()
        );
        assert_eq!(table.by_identity.capacity(), 0);
    }
}

//! Groups by key ([`Groups`]): a group exists as long as it has members.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::group::members::Members;
use crate::group::{Group, GroupBuilder};
use crate::outgoing::peer::Peer;

/// Groups by key, for example the rooms of a chat by their names. Cheap to clone: all clones are the
/// same collection.
///
/// Inserting the first peer creates a group, and the group is removed when its last member leaves,
/// also if the member leaves because its connection has ended. `Hash`, `Eq` and `Clone` of the key
/// must not use the collection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::group::Groups;
/// use wsjsonrpc::{Client, Server, memory};
///
/// let rooms: Groups<String> = Groups::new();
/// let (client, caller) = memory::pair(Client::builder(), Server::builder())?;
/// rooms.insert("lobby".to_owned(), &caller);
/// rooms.insert("garden".to_owned(), &caller);
///
/// // A room that does not exist has no members, so a broadcast reaches nobody.
/// let message = |room: &str| rooms.group(room).peer().call::<()>("message", ["hi"]);
/// assert_eq!(message("lobby").broadcast()?.sent, 1);
/// assert_eq!(message("cellar").broadcast()?.sent, 0);
///
/// client.close().await;
/// caller.closed().await;
/// assert!(rooms.is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Groups<K>(Arc<Rooms<K>>);

struct Rooms<K> {
    settings: GroupBuilder,
    groups: Mutex<HashMap<K, Arc<Members>>>,
}

impl<K> Rooms<K> {
    /// No user code runs under the lock but `Hash`, `Eq` and `Clone` of the key. If they panic, the
    /// map is still usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Arc<Members>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K> Groups<K> {
    /// An empty collection, whose groups have the default settings. For other settings, see
    /// [`GroupBuilder::build_groups`].
    pub fn new() -> Self {
        Self::with(GroupBuilder::default())
    }

    pub(crate) fn with(settings: GroupBuilder) -> Self {
        Groups(Arc::new(Rooms { settings, groups: Mutex::new(HashMap::new()) }))
    }

    /// Identifies this collection.
    fn family(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Removes a peer from all groups of this collection. Returns the number of groups that it has
    /// left. This looks only at the groups of that peer, however many there are.
    pub fn leave_all(&self, peer: &Peer) -> usize {
        match peer.membership() {
            Some((memberships, _)) => memberships.leave_family(self.family()),
            None => 0,
        }
    }

    /// The number of groups.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether there are no groups.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of all groups at the moment, in no particular order.
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        self.0.lock().keys().cloned().collect()
    }
}

impl<K: Hash + Eq> Groups<K> {
    /// The group of a key. `None` if no peer is a member.
    ///
    /// Insert members with [`Groups::insert`], not into this group: a group that has been removed
    /// because it was empty does not come back.
    pub fn get<Q>(&self, key: &Q) -> Option<Group>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let members = self.0.lock().get(key).cloned();
        members.map(Group::of)
    }

    /// The group of a key. If no peer is a member, an empty group that does not belong to this
    /// collection, so that a broadcast needs no special case.
    pub fn group<Q>(&self, key: &Q) -> Group
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).unwrap_or_else(|| self.0.settings.clone().build())
    }

    /// Removes a peer from the group of a key. Returns whether it was a member.
    pub fn remove<Q>(&self, key: &Q, peer: &Peer) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some_and(|group| group.remove(peer))
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Groups<K> {
    /// Adds a peer to the group of a key, and creates the group if there is none. Returns whether the
    /// peer was added; see [`Group::insert`].
    pub fn insert(&self, key: K, peer: &Peer) -> bool {
        let mut groups = self.0.lock();
        let known = groups.get(&key).cloned();
        let members = known.clone().unwrap_or_else(|| self.create(key.clone()));
        // Under the lock, so that the group is not removed as empty meanwhile.
        let inserted = members.insert(peer);
        let unused = match (known, inserted) {
            (None, true) => groups.insert(key, Arc::clone(&members)),
            _ => None,
        };
        drop(groups);
        drop(unused);
        members.report_changes();
        inserted
    }

    fn create(&self, key: K) -> Arc<Members> {
        let rooms = Arc::downgrade(&self.0);
        let on_empty = move || {
            let Some(rooms) = rooms.upgrade() else { return };
            let mut groups = rooms.lock();
            let is_empty = groups.get(&key).is_some_and(|members| members.is_empty());
            let removed = if is_empty { groups.remove_entry(&key) } else { None };
            drop(groups);
            drop(removed);
        };
        Members::new(self.0.settings.clone(), self.family(), Some(Box::new(on_empty)))
    }
}

impl<K> Clone for Groups<K> {
    fn clone(&self) -> Self {
        Groups(Arc::clone(&self.0))
    }
}

impl<K> Default for Groups<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K> fmt::Debug for Groups<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Groups").field("groups", &self.len()).finish_non_exhaustive()
    }
}

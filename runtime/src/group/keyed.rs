//! Groups by key ([`Groups`]): a group exists as long as it has members.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::group::members::{Members, Room};
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
    /// The groups that have members, and those to which there is a handle.
    groups: Mutex<HashMap<K, Entry>>,
}

struct Entry {
    group: Weak<Members>,
    /// Present as long as the group has members.
    kept: Option<Arc<Members>>,
}

impl<K> Rooms<K> {
    /// No user code runs under the lock but `Hash`, `Eq` and `Clone` of the key. If they panic, the
    /// map is still usable.
    fn lock(&self) -> MutexGuard<'_, HashMap<K, Entry>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one group.
struct Place<K> {
    rooms: Weak<Rooms<K>>,
    key: K,
}

impl<K: Hash + Eq + Send + Sync> Room for Place<K> {
    fn changed(&self, members: Arc<Members>) {
        let Some(rooms) = self.rooms.upgrade() else { return };
        let mut groups = rooms.lock();
        // Read under the lock: of several changes, the last one to get here sees the last state.
        let kept = (!members.is_empty()).then(|| Arc::clone(&members));
        let entry = groups.get_mut(&self.key);
        let old = entry.map(|entry| std::mem::replace(&mut entry.kept, kept));
        drop(groups);
        // Dropped without the lock, because this may be the last handle.
        drop(old);
    }

    fn dropped(&self) {
        let Some(rooms) = self.rooms.upgrade() else { return };
        let mut groups = rooms.lock();
        let is_gone = groups.get(&self.key).is_some_and(|entry| entry.group.strong_count() == 0);
        let removed = if is_gone { groups.remove_entry(&self.key) } else { None };
        if groups.capacity() > 64 && groups.len() < groups.capacity() / 4 {
            groups.shrink_to(64);
        }
        drop(groups);
        drop(removed);
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

    /// The number of groups that have members.
    pub fn len(&self) -> usize {
        self.0.lock().values().filter(|entry| entry.kept.is_some()).count()
    }

    /// Whether no group has members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of all groups that have members at the moment, in no particular order.
    pub fn keys(&self) -> Vec<K>
    where
        K: Clone,
    {
        let groups = self.0.lock();
        let kept = groups.iter().filter(|(_, entry)| entry.kept.is_some());
        kept.map(|(key, _)| key.clone()).collect()
    }
}

impl<K: Hash + Eq> Groups<K> {
    /// The group of a key. `None` if no peer is a member.
    pub fn get<Q>(&self, key: &Q) -> Option<Group>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let members = self.0.lock().get(key).and_then(|entry| entry.kept.clone());
        members.map(Group::of)
    }

    /// Removes a peer from the group of a key. Returns whether it was a member.
    pub fn remove<Q>(&self, key: &Q, peer: &Peer) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.get(key).is_some_and(|group| group.remove(peer))
    }
}

impl<K: Hash + Eq + Clone + Send + Sync + 'static> Groups<K> {
    /// The group of a key, whether peers are members or not. All handles of a key are the same group,
    /// and a peer that is [inserted](Group::insert) into it is in the room. An empty group costs
    /// nothing once its last handle is dropped.
    pub fn group<Q>(&self, key: &Q) -> Group
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut groups = self.0.lock();
        if let Some(known) = groups.get(key).and_then(|entry| entry.group.upgrade()) {
            return Group::of(known);
        }
        let key = key.to_owned();
        let place = Place { rooms: Arc::downgrade(&self.0), key: key.clone() };
        let members = Members::new(self.0.settings.clone(), self.family(), Some(Box::new(place)));
        let entry = Entry { group: Arc::downgrade(&members), kept: None };
        let replaced = groups.insert(key, entry);
        drop(groups);
        drop(replaced);
        Group::of(members)
    }

    /// Adds a peer to the group of a key. Returns whether the peer was added; see [`Group::insert`].
    pub fn insert(&self, key: K, peer: &Peer) -> bool {
        self.group(&key).insert(peer)
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

//! The groups that a connection is a member of: [`Memberships`]. When the connection ends, it leaves
//! all of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use crate::util::catch_unwind::catch_unwind;
use crate::util::hasher::QuickHash;

/// A group, as its members see it.
pub(crate) trait Membership: Send + Sync {
    /// Removes a member. Returns whether it was one. Called without a lock.
    fn leave(&self, member: usize) -> bool;

    /// Identifies the collection that the group belongs to; 0 if it belongs to none.
    fn family(&self) -> usize;
}

/// The groups that one connection, or one reconnecting client, is a member of. Most connections are
/// in no group and need no list.
#[derive(Default)]
pub(crate) struct Memberships(OnceLock<Box<Mutex<List>>>);

#[derive(Default)]
struct List {
    /// Whether the connection has ended.
    over: bool,
    /// The groups by their address, with the key of this member. An address is not used again while
    /// there is a reference to the group.
    groups: HashMap<usize, (Weak<dyn Membership>, usize), QuickHash>,
}

fn address(group: &Weak<dyn Membership>) -> usize {
    group.as_ptr().cast::<()>().addr()
}

impl Memberships {
    /// Adds a group, in which this member has this key. Returns `false` if the connection has ended.
    pub(crate) fn add(&self, group: &Weak<dyn Membership>, member: usize) -> bool {
        let mut list = self.lock();
        if list.over {
            return false;
        }
        list.groups.insert(address(group), (Weak::clone(group), member));
        true
    }

    /// Removes a group that this member has left.
    pub(crate) fn remove(&self, group: &Weak<dyn Membership>) {
        let mut list = self.lock();
        list.groups.remove(&address(group));
        if list.groups.is_empty() {
            list.groups = HashMap::default();
        }
    }

    /// Leaves all groups, and joins no other.
    pub(crate) fn end(&self) {
        let mut list = self.lock();
        list.over = true;
        let groups = std::mem::take(&mut list.groups);
        drop(list);
        for (group, member) in groups.into_values() {
            // The key of a room is the application's, and its drop may panic.
            let leave = || group.upgrade().map(|group| group.leave(member));
            if catch_unwind(leave).is_err() {
                tracing::error!("panic while a connection left a group");
            }
        }
    }

    /// Leaves all groups of one collection. Returns their number.
    pub(crate) fn leave_family(&self, family: usize) -> usize {
        let groups: Vec<_> = self
            .lock()
            .groups
            .values()
            .filter_map(|(group, member)| Some((group.upgrade()?, *member)))
            .collect();
        let groups = groups.into_iter().filter(|(group, _)| group.family() == family);
        groups.filter(|(group, member)| group.leave(*member)).count()
    }

    /// The number of groups.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.lock().groups.len()
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, List> {
        self.0.get_or_init(Box::default).lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Memberships {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memberships").finish_non_exhaustive()
    }
}

/// A group's reference to a member's list, for types that are members.
pub(crate) type Entry<'a> = (&'a Memberships, usize);

/// The key of a member: the address of what it shares with all its handles.
pub(crate) fn key<T: ?Sized>(member: &Arc<T>) -> usize {
    Arc::as_ptr(member).cast::<()>().addr()
}

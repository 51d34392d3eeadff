//! The members of a group ([`Members`]): a list that a broadcast reads without copying it, and that
//! joining and leaving change in place while nothing reads it.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use tokio::runtime::Handle;

use crate::group::broadcast::{Backlog, LEFT};
use crate::group::{GroupBuilder, SlowMember};
use crate::link::Link;
use crate::link::memberships::Membership;
use crate::outgoing::peer::Peer;
use crate::util::catch_unwind::catch_unwind;
use crate::util::drop_counter::DropCounter;
use crate::util::hasher::QuickHash;
use crate::util::type_map::TypeMap;

/// Code of this crate that follows who is in a group. No lock is held when it is called. The calls
/// of one observer come one after another, in the order of the changes, on the thread of any task.
pub(crate) trait Observer: Send + Sync {
    fn joined(&self, member: &Peer);

    fn left(&self, member: &Peer);
}

/// A group's place in a collection. No lock is held when a method is called.
pub(crate) trait Room: Send + Sync {
    /// The group has got its first member, or has lost its last one.
    fn changed(&self, members: Arc<Members>);

    /// There is no handle to the group any more.
    fn dropped(&self);
}

/// The state that all handles of a group share.
pub(crate) struct Members {
    pub(crate) settings: GroupBuilder,
    state: Mutex<State>,
    /// Held while a broadcast is queued, so that all members receive broadcasts in the same order.
    pub(crate) order: Mutex<()>,
    /// Chooses among members with equally many pending calls.
    turn: AtomicUsize,
    dropped: AtomicU64,
    /// The room that this group is, in a collection of groups.
    room: Option<Box<dyn Room>>,
    /// Identifies the collection to which the group belongs.
    family: usize,
    /// What is attached to the group, one value for each type.
    pub(crate) attached: TypeMap,
    this: Weak<Members>,
}

#[derive(Default)]
struct State {
    /// A broadcast keeps a reference to the list that it reads. The list is only copied if it changes
    /// meanwhile.
    list: Arc<Vec<Arc<Member>>>,
    /// The positions in `list` by the members' keys.
    places: HashMap<usize, usize, QuickHash>,
    observers: Arc<Vec<Weak<dyn Observer>>>,
    /// Changes that were not reported to observers yet.
    changes: VecDeque<Change>,
    /// Whether a thread reports changes at the moment.
    reporting: bool,
}

struct Change {
    member: Arc<Member>,
    joined: bool,
    /// Those that observed the group when it changed.
    observers: Arc<Vec<Weak<dyn Observer>>>,
}

/// A peer in a group.
pub(crate) struct Member {
    pub(crate) peer: Peer,
    pub(crate) key: usize,
    /// Messages that wait for space in the send queue.
    pub(crate) backlog: OnceLock<Box<Mutex<Backlog>>>,
    /// The runtime in which the peer was inserted, if messages may wait for it.
    pub(crate) runtime: Option<Handle>,
    pub(crate) dropped: DropCounter,
}

impl Member {
    /// The connection that the member uses at the moment, if there is one.
    pub(crate) fn link(&self) -> Option<Cow<'_, Arc<Link>>> {
        self.peer.link()
    }
}

impl Members {
    pub(crate) fn new(
        settings: GroupBuilder,
        family: usize,
        room: Option<Box<dyn Room>>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|this| Members {
            settings,
            state: Mutex::default(),
            order: Mutex::default(),
            turn: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            room,
            family,
            attached: TypeMap::default(),
            this: Weak::clone(this),
        })
    }

    fn own_membership(&self) -> Weak<dyn Membership> {
        Weak::clone(&self.this) as _
    }

    /// Adds a peer. [`after_insert`](Self::after_insert) must follow when no lock is held.
    pub(crate) fn insert(&self, peer: &Peer) -> bool {
        let waits = matches!(self.settings.slow_member, SlowMember::Wait(_));
        let member = Arc::new(Member {
            peer: peer.ordinary(),
            key: peer.key(),
            backlog: OnceLock::new(),
            runtime: if waits { Handle::try_current().ok() } else { None },
            dropped: DropCounter::slow_member(),
        });
        let Some((memberships, key)) = member.peer.membership() else {
            tracing::debug!("a peer that uses HTTP POST, or another group, cannot join a group");
            return false;
        };
        let group = self.own_membership();
        let mut state = self.lock();
        // The connection's list is changed under this lock, so that both always agree. When the
        // connection ends, it empties its list first, and then removes its members without a lock.
        if state.places.contains_key(&key) || !memberships.add(&group, key) {
            return false;
        }
        let list = Arc::make_mut(&mut state.list);
        let place = list.len();
        list.push(Arc::clone(&member));
        state.places.insert(key, place);
        state.note(&member, true);
        true
    }

    /// Removes a member, and reports the change.
    pub(crate) fn remove(&self, key: usize) -> bool {
        // Messages that wait for this member must not reach it after those of its next membership. So
        // no broadcast may add to them after this.
        let waits = matches!(self.settings.slow_member, SlowMember::Wait(_));
        let order = waits.then(|| self.order.lock().unwrap_or_else(PoisonError::into_inner));
        let mut state = self.lock();
        let Some(place) = state.places.remove(&key) else { return false };
        let list = Arc::make_mut(&mut state.list);
        let member = list.swap_remove(place);
        if list.capacity() > 64 && list.len() < list.capacity() / 4 {
            list.shrink_to(2 * list.len());
        }
        let moved = list.get(place).map(|moved| moved.key);
        let is_empty = list.is_empty();
        if let Some(moved) = moved {
            state.places.insert(moved, place);
        }
        let few = 2 * state.places.len();
        if state.places.capacity() > 64 && few < state.places.capacity() / 2 {
            state.places.shrink_to(few);
        }
        if let Some((memberships, _)) = member.peer.membership() {
            memberships.remove(&self.own_membership());
        }
        state.note(&member, false);
        drop(state);
        let waited = member.drop_backlog();
        drop(order);
        self.count_dropped(&member, waited, LEFT);
        drop(member);
        self.report_changes();
        if is_empty {
            self.tell_room();
        }
        true
    }

    /// Reports changes, and enters the group in its collection.
    pub(crate) fn after_insert(&self) {
        self.report_changes();
        self.tell_room();
    }

    fn tell_room(&self) {
        if let Some((room, this)) = self.room.as_ref().zip(self.this.upgrade()) {
            room.changed(this);
        }
    }

    pub(crate) fn contains(&self, key: usize) -> bool {
        self.lock().places.contains_key(&key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().places.is_empty()
    }

    /// The members at the moment.
    pub(crate) fn list(&self) -> Arc<Vec<Arc<Member>>> {
        Arc::clone(&self.lock().list)
    }

    /// A number that differs from that of the last call.
    pub(crate) fn turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts messages that a member does not get, and logs the first one.
    pub(crate) fn count_dropped(&self, member: &Member, count: usize, reason: &str) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
        for _ in 0..count {
            if member.dropped.is_first() {
                tracing::warn!("dropped a message for a member of a group: {reason}");
            }
        }
    }

    /// Reports later changes to an observer, and returns the members at this moment.
    pub(crate) fn observe(&self, observer: Weak<dyn Observer>) -> Vec<Peer> {
        let mut state = self.lock();
        let known = state.observers.iter().filter(|known| known.strong_count() > 0);
        state.observers = Arc::new(known.cloned().chain([observer]).collect());
        let list = Arc::clone(&state.list);
        drop(state);
        list.iter().map(|member| member.peer.ordinary()).collect()
    }

    /// Reports changes to the observers, one after another.
    fn report_changes(&self) {
        loop {
            let mut state = self.lock();
            if state.reporting || state.changes.is_empty() {
                return;
            }
            state.reporting = true;
            let changes = std::mem::take(&mut state.changes);
            drop(state);
            for Change { member, joined, observers } in changes {
                for observer in observers.iter().filter_map(Weak::upgrade) {
                    let report = || match joined {
                        true => observer.joined(&member.peer),
                        false => observer.left(&member.peer),
                    };
                    let _ = catch_unwind(report);
                }
            }
            self.lock().reporting = false;
        }
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Records a change for the observers, if there are any.
    fn note(&mut self, member: &Arc<Member>, joined: bool) {
        if !self.observers.is_empty() {
            let (member, observers) = (Arc::clone(member), Arc::clone(&self.observers));
            self.changes.push_back(Change { member, joined, observers });
        }
    }
}

impl Membership for Members {
    fn leave(&self, member: usize) -> bool {
        self.remove(member)
    }

    fn family(&self) -> usize {
        self.family
    }
}

/// Removes the group from the lists of its members.
impl Drop for Members {
    fn drop(&mut self) {
        let group = self.own_membership();
        for member in self.lock().list.iter() {
            if let Some((memberships, _)) = member.peer.membership() {
                memberships.remove(&group);
            }
        }
        if let Some(room) = &self.room {
            room.dropped();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::atomic::AtomicBool;

    use crate::config::Config;
    use crate::error::CloseReason;
    use crate::link::pending_calls::Side;

    /// A connection, and a handle to its peer.
    fn peer() -> (Arc<Link>, Peer) {
        let link = Arc::new(Link::new(Side::Server, Arc::new(Config::default()), None, true));
        (Arc::clone(&link), Peer::new(link))
    }

    /// The number of groups in the list of a peer's connection.
    fn groups_of(peer: &Peer) -> usize {
        peer.membership().unwrap().0.len()
    }

    #[test]
    fn a_connection_forgets_groups_that_it_has_left() {
        let (link, peer) = peer();
        let members = Members::new(GroupBuilder::default(), 0, None);
        for _ in 0..100 {
            assert!(members.insert(&peer));
            assert_eq!(groups_of(&peer), 1);
            assert!(members.remove(peer.key()));
            assert_eq!(groups_of(&peer), 0);
        }
        for _ in 0..100 {
            let short = Members::new(GroupBuilder::default(), 0, None);
            assert!(short.insert(&peer));
        }
        assert_eq!(groups_of(&peer), 0, "groups that were dropped");
        assert!(members.insert(&peer));
        link.end(CloseReason::Aborted);
        assert_eq!(groups_of(&peer), 0);
        assert!(members.is_empty() && !members.insert(&peer));
    }

    #[test]
    fn many_members_leave_no_memory() {
        let members = Members::new(GroupBuilder::default(), 0, None);
        let many: Vec<_> = (0..10_000).map(|_| peer()).collect();
        for (_, peer) in &many {
            assert!(members.insert(peer));
        }
        // Every other one, and then all.
        for (_, peer) in many.iter().step_by(2).chain(&many) {
            members.remove(peer.key());
            assert!(!members.contains(peer.key()));
        }
        let state = members.lock();
        assert!(state.list.capacity() <= 64 && state.places.capacity() <= 64 + 64);
        assert!(state.list.is_empty() && state.places.is_empty() && state.changes.is_empty());
    }

    /// Follows a group, and checks that each change is possible.
    #[derive(Default)]
    struct Follower {
        inside: Mutex<Vec<usize>>,
        changes: AtomicUsize,
        busy: AtomicBool,
        /// Panics once.
        panics: AtomicBool,
    }

    impl Follower {
        fn change(&self, change: impl FnOnce(&mut Vec<usize>)) {
            assert!(!self.busy.swap(true, Ordering::SeqCst), "one call after another");
            change(&mut self.inside.lock().unwrap());
            self.changes.fetch_add(1, Ordering::SeqCst);
            self.busy.store(false, Ordering::SeqCst);
            if self.panics.swap(false, Ordering::SeqCst) {
                panic!("on purpose");
            }
        }
    }

    impl Observer for Follower {
        fn joined(&self, member: &Peer) {
            self.change(|inside| {
                assert!(!inside.contains(&member.key()), "it joined twice");
                inside.push(member.key());
            });
        }

        fn left(&self, member: &Peer) {
            self.change(|inside| {
                let place = inside.iter().position(|key| *key == member.key());
                inside.swap_remove(place.expect("it left and had not joined"));
            });
        }
    }

    #[test]
    fn an_observer_sees_all_changes_in_order() {
        let (link, peer) = peer();
        let (_other, stays) = self::peer();
        let members = Members::new(GroupBuilder::default(), 0, None);
        assert!(members.insert(&stays));
        let follower = Arc::new(Follower::default());
        let observer: Weak<dyn Observer> = Arc::downgrade(&follower) as _;
        let known = members.observe(observer);
        follower.inside.lock().unwrap().extend(known.iter().map(Peer::key));
        follower.panics.store(true, Ordering::SeqCst);
        let threads: Vec<_> = [&stays, &peer]
            .map(|peer| {
                let (members, peer) = (Arc::clone(&members), peer.clone());
                std::thread::spawn(move || {
                    for _ in 0..1000 {
                        members.insert(&peer);
                        members.after_insert();
                        members.remove(peer.key());
                    }
                    members.insert(&peer);
                    members.after_insert();
                })
            })
            .into();
        for thread in threads {
            thread.join().unwrap();
        }
        // A thread may have left its last change to the other one.
        assert_eq!(follower.inside.lock().unwrap().len(), 2);
        link.end(CloseReason::Aborted);
        assert_eq!(*follower.inside.lock().unwrap(), [stays.key()]);
        assert_eq!(follower.changes.load(Ordering::SeqCst), 4002);
        drop(follower);
        members.remove(stays.key());
        assert!(members.lock().changes.len() <= 1);
    }
}

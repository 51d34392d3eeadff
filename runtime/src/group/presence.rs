//! Who is in a group ([`Presence`]): counts the connections of each user, and publishes when a user
//! comes and goes.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::hash::Hash;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context as TaskContext, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_core::Stream;
use serde::{Deserialize, Serialize};

use crate::group::Group;
use crate::group::members::{Members, Observer};
use crate::incoming::channel::{Channel, ChannelStream, Encoded, Published};
use crate::incoming::context::Context;
use crate::incoming::topic::{Positioned, YieldedItem};
use crate::outgoing::peer::Peer;
use crate::util::catch_unwind::drop_contained;
use crate::util::hasher::QuickHash;
use crate::util::type_map::Found;

/// The epoch of all presences. A list replaces everything that a subscriber knows, so a subscriber
/// that resumes has no gap, even if the group or its process is another one than before. Offsets
/// must only grow.
const EPOCH: &str = "presence";

/// The offset of the first change: microseconds, so that it is larger than the offsets of an earlier
/// presence of the same room, and below 2^53. The list comes at the offset before.
fn first_offset() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default().max(2)
}

/// The users in a [`Group`]. A user with several connections, for example several browser tabs, is
/// present once: as long as one of them is a member.
///
/// `U` identifies a user: a name, or a struct with an id and what other users see. It belongs to the
/// group: all `Presence`s of one group with the same `U` are the same. Its `Hash`, `Eq`, `Clone` and
/// `Serialize` must not use the `Presence`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::group::{Presence, PresenceEvent};
/// use wsjsonrpc::subscription::Positioned;
/// use wsjsonrpc::{Client, Context, Group, Result, Server, Stream, memory, rpc};
///
/// #[rpc]
/// trait Room {
///     async fn join(&self, ctx: &Context, name: String) -> Result<()>;
///
///     #[subscription]
///     fn users(&self, ctx: &Context) -> impl Stream<Item = Positioned<PresenceEvent<String>>>;
/// }
///
/// struct Chat {
///     users: Presence<String>,
/// }
///
/// impl Room for Chat {
///     async fn join(&self, ctx: &Context, name: String) -> Result<()> {
///         self.users.join(&ctx.peer(), name);
///         Ok(())
///     }
///
///     fn users(&self, ctx: &Context) -> impl Stream<Item = Positioned<PresenceEvent<String>>> {
///         self.users.subscribe(ctx)
///     }
/// }
///
/// let chat = Chat { users: Presence::of(&Group::new()) };
/// let (client, _) = memory::pair(Client::builder(), Server::builder().service(chat.into_service()))?;
/// let room = RoomClient::new(client.peer());
/// let mut users = room.users().await?;
/// assert_eq!(users.next().await.transpose()?, Some(PresenceEvent::Present(vec![])));
/// room.join("Ada".to_owned()).await?;
/// assert_eq!(users.next().await.transpose()?, Some(PresenceEvent::Joined("Ada".to_owned())));
/// # Ok(())
/// # }
/// ```
pub struct Presence<U> {
    group: Group,
    users: Arc<Users<U>>,
}

/// What a subscriber of a [`Presence`] gets: first the list, then each change.
///
/// As JSON: `{"present":["Ada","Bob"]}`, `{"joined":"Eve"}`, `{"left":"Bob"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PresenceEvent<U> {
    /// All users, in no particular order. It replaces everything that the subscriber knows. It comes
    /// first, and again if the subscriber was too slow to get every change.
    Present(Vec<U>),
    /// The first connection of this user has joined.
    Joined(U),
    /// The last connection of this user has left.
    Left(U),
}

/// The users of one group.
struct Users<U> {
    members: Weak<Members>,
    events: Channel<PresenceEvent<U>>,
    state: Mutex<State<U>>,
}

struct State<U> {
    /// The number of connections of each user.
    users: HashMap<U, usize>,
    /// The user of each member, by the member's key. A key is valid as long as there is a handle to
    /// the peer.
    members: HashMap<usize, (Peer, U), QuickHash>,
}

/// Changes to be announced to subscribers when no lock is held.
type Announcements = VecDeque<Published>;

impl<U> Presence<U>
where
    U: Clone + Eq + Hash + Serialize + Send + Sync + 'static,
{
    /// The users of this group. Members that were [inserted](Group::insert) without a user are not
    /// among them.
    ///
    /// `Presence::of(&rooms.group("lobby"))` is that of a room, whether somebody is in the room or
    /// not.
    pub fn of(group: &Group) -> Self {
        let members = group.members_ref();
        if let Found::Here(users) = members.attached.get::<Users<U>>() {
            return Presence { group: group.whole(), users };
        }
        let users = Arc::new(Users {
            members: Arc::downgrade(members),
            events: Channel::builder().epoch(EPOCH).first(first_offset()).build(),
            state: Mutex::new(State { users: HashMap::new(), members: HashMap::default() }),
        });
        // Before others can see the value: no change may be missed. If another thread has attached one
        // first, this observer ends with its value.
        let observer: Weak<Users<U>> = Arc::downgrade(&users);
        members.observe(observer);
        let users = members.attached.get_or_set(users);
        Presence { group: group.whole(), users }
    }

    /// Adds a peer to the group, as a connection of this user. A peer that is a member already
    /// becomes a connection of this user. Returns `false` if the peer cannot be a member; see
    /// [`Group::insert`].
    ///
    /// The peer leaves when its connection ends, or when it is [removed](Group::remove) from the
    /// group.
    pub fn join(&self, peer: &Peer, user: U) -> bool {
        let members = self.group.members_ref();
        // User values are dropped last, when the lock is released and subscribers are woken.
        let mut old = Old::default();
        let mut announcements = Announcements::new();
        let mut state = self.users.lock();
        // Under the lock, so that a report that the peer has left before is recognized as outdated.
        let is_member = members.insert(peer) || members.contains(peer.key());
        let same = state.members.get(&peer.key()).is_some_and(|(_, known)| *known == user);
        if is_member && !same {
            let before = state.members.insert(peer.key(), (peer.not_keeping(), user.clone()));
            if let Some((_, before)) = before {
                old.0.extend(state.leave(&before, &self.users.events, &mut announcements));
                old.0.push(before);
            }
            state.enter(&user, &self.users.events, &mut announcements);
        }
        drop(state);
        announce(announcements);
        members.after_insert();
        old.0.push(user);
        is_member
    }

    /// Removes a peer from the group. Returns whether it was a member. The same as
    /// [`Group::remove`].
    pub fn leave(&self, peer: &Peer) -> bool {
        self.group.remove(peer)
    }

    /// The users at the moment, in no particular order.
    pub fn users(&self) -> Vec<U> {
        self.users.lock().users.keys().cloned().collect()
    }

    /// Whether a connection of this user is a member.
    pub fn contains(&self, user: &U) -> bool {
        self.users.lock().users.contains_key(user)
    }

    /// The group.
    pub fn group(&self) -> &Group {
        &self.group
    }

    /// The stream for a subscriber: what an `#[subscription]` method of
    /// [`#[rpc]`](macro@crate::rpc) returns. The list comes first, then each change. A subscriber
    /// that is too slow gets the list again in place of the changes that it has missed. So does one
    /// that [resumes](crate::subscription::Subscribe::resume), if there were changes; this is no gap.
    ///
    /// Leave the `overflow` of the subscription at its default: other policies drop single changes.
    pub fn subscribe(&self, ctx: &Context) -> PresenceStream<U> {
        let mut changes = self.users.events.subscribe(ctx);
        changes.skip_to_latest(Some(ctx));
        PresenceStream {
            users: Arc::clone(&self.users),
            changes,
            needs_list: true,
            _group: self.group.clone(),
        }
    }
}

impl<U> State<U>
where
    U: Clone + Eq + Hash + Serialize,
{
    fn enter(&mut self, user: &U, events: &Channel<PresenceEvent<U>>, out: &mut Announcements) {
        if let Some(count) = self.users.get_mut(user) {
            *count += 1;
            return;
        }
        self.users.insert(user.clone(), 1);
        publish(events, &Change::Joined(user), out);
    }

    /// Returns a user value that the caller drops without the lock.
    fn leave(
        &mut self,
        user: &U,
        events: &Channel<PresenceEvent<U>>,
        out: &mut Announcements,
    ) -> Option<U> {
        let count = self.users.get_mut(user)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        let (gone, _) = self.users.remove_entry(user)?;
        publish(events, &Change::Left(user), out);
        Some(gone)
    }

    /// The list as an item, before the next change that the stream yields.
    fn list(&self, changes: &mut ChannelStream<PresenceEvent<U>>) -> Positioned<PresenceEvent<U>> {
        let position = changes.skip_to_latest(None);
        let users = self.users.keys().cloned().collect();
        Positioned::new(position.offset, PresenceEvent::Present(users))
    }
}

/// A change as it is sent; the same as a [`PresenceEvent`].
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
enum Change<'a, U> {
    Joined(&'a U),
    Left(&'a U),
}

fn publish<U: Serialize>(
    events: &Channel<PresenceEvent<U>>,
    change: &Change<'_, U>,
    out: &mut Announcements,
) {
    match Encoded::of(change) {
        Ok(event) => out.extend(events.publish_encoded(event)),
        Err(error) => tracing::error!(%error, "cannot announce a user: it cannot be serialized"),
    }
}

/// User values whose drop must not disturb anything else.
struct Old<U>(Vec<U>);

impl<U> Default for Old<U> {
    fn default() -> Self {
        Old(Vec::new())
    }
}

impl<U> Drop for Old<U> {
    fn drop(&mut self) {
        for user in self.0.drain(..) {
            drop_contained(user, "a user of a `Presence`");
        }
    }
}

fn announce(announcements: Announcements) {
    for published in announcements {
        published.wake();
    }
}

impl<U> Users<U> {
    /// The user's `Hash`, `Eq`, `Clone` and `Serialize` run under the lock, and nothing else of the
    /// application, not even `Drop`. If they panic, the state is still usable.
    fn lock(&self) -> MutexGuard<'_, State<U>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<U> Observer for Users<U>
where
    U: Clone + Eq + Hash + Serialize + Send + Sync + 'static,
{
    fn joined(&self, _: &Peer) {}

    fn left(&self, member: &Peer) {
        let mut old = Old::default();
        let mut announcements = Announcements::new();
        let mut state = self.lock();
        // The peer may have joined again meanwhile.
        let is_member =
            self.members.upgrade().is_some_and(|members| members.contains(member.key()));
        let left = if is_member { None } else { state.members.remove(&member.key()) };
        if let Some((_, user)) = left {
            old.0.extend(state.leave(&user, &self.events, &mut announcements));
            old.0.push(user);
        }
        if state.members.is_empty() {
            state.members = HashMap::default();
            state.users.shrink_to_fit();
        }
        drop(state);
        announce(announcements);
        drop(old);
    }
}

/// The list of users and its changes for one subscriber. Created by [`Presence::subscribe`].
#[must_use = "the stream is what an `#[subscription]` method returns"]
pub struct PresenceStream<U> {
    users: Arc<Users<U>>,
    changes: ChannelStream<PresenceEvent<U>>,
    /// The list is only made when it can be sent, because it may be large.
    needs_list: bool,
    /// A room of a collection is the same one as long as there is a handle to it.
    _group: Group,
}

impl<U> Unpin for PresenceStream<U> {}

impl<U> Stream for PresenceStream<U>
where
    U: Clone + Eq + Hash + Serialize,
{
    type Item = Positioned<PresenceEvent<U>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if std::mem::take(&mut this.needs_list) {
            return Poll::Ready(Some(this.users.lock().list(&mut this.changes)));
        }
        let change = std::task::ready!(Pin::new(&mut this.changes).poll_next(cx));
        let has_missed = matches!(
            &change,
            Some(Positioned(YieldedItem::Published(_, skipped))) if *skipped > 0
        );
        Poll::Ready(match has_missed {
            true => Some(this.users.lock().list(&mut this.changes)),
            false => change,
        })
    }
}

impl<U> Clone for Presence<U> {
    fn clone(&self) -> Self {
        Presence { group: self.group.clone(), users: Arc::clone(&self.users) }
    }
}

impl<U> fmt::Debug for Presence<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Presence")
            .field("users", &self.users.lock().users.len())
            .field("group", &self.group)
            .finish()
    }
}

impl<U> fmt::Debug for PresenceStream<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceStream").field("changes", &self.changes).finish_non_exhaustive()
    }
}

//! Sets of peers: [`Group`], and [`Groups`] by key. A connection that ends leaves all its groups.
//!
//! A stub on a group ([`Group::client`]) has the same methods as a stub on a peer, and the builder
//! method says which members a call reaches:
//!
//! | call | reaches |
//! |---|---|
//! | `room.client::<EventsClient>().message("hi").broadcast()` | every member, without a response |
//! | `workers.client::<WorkerClient>().load().call_all()` | every member; a stream of their responses |
//! | `workers.client::<WorkerClient>().render(page).await` | one member, the one with the fewest pending calls |
//!
//! ```
//! use wsjsonrpc::{Client, Context, Group, Result, Server, rpc};
//!
//! #[rpc]
//! trait Room {
//!     async fn join(&self, ctx: &Context) -> Result<()>;
//!     async fn say(&self, ctx: &Context, text: &str) -> Result<usize>;
//! }
//!
//! #[rpc]
//! trait Events {
//!     async fn message(&self, ctx: &Context, text: &str) -> Result<()>;
//! }
//!
//! struct Chat {
//!     members: Group,
//! }
//!
//! impl Room for Chat {
//!     async fn join(&self, ctx: &Context) -> Result<()> {
//!         self.members.insert(&ctx.peer());
//!         Ok(())
//!     }
//!
//!     async fn say(&self, ctx: &Context, text: &str) -> Result<usize> {
//!         let others = self.members.except(&ctx.peer());
//!         Ok(others.client::<EventsClient>().message(text).broadcast()?.sent)
//!     }
//! }
//!
//! # struct Screen;
//! # impl Events for Screen {
//! #     async fn message(&self, _: &Context, _: &str) -> Result<()> { Ok(()) }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! let chat = Chat { members: Group::new() };
//! let server = Server::builder().service(chat.into_service()).bind("127.0.0.1:0").await?;
//! # let url = server.url();
//! # tokio::spawn(server.run());
//! # let connect = || async { Client::builder().service(Screen.into_service()).connect(&url).await };
//! # let (ada, bob) = (connect().await?, connect().await?);
//! # RoomClient::new(ada.peer()).join().await?;
//! # RoomClient::new(bob.peer()).join().await?;
//! # assert_eq!(RoomClient::new(ada.peer()).say("hi").await?, 1);
//! # Ok(())
//! # }
//! ```

mod broadcast;
mod keyed;
mod members;
mod presence;
mod route;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::keyed::Groups;
pub use self::presence::{Presence, PresenceEvent, PresenceStream};
pub use crate::outgoing::fan_out::{CallAll, Report};

use crate::config::Config;
use crate::group::members::Members;
use crate::group::route::View;
use crate::outgoing::peer::Peer;

/// A set of peers. Cheap to clone: all clones are the same set.
///
/// A member leaves when its connection ends. The handle of a
/// [reconnecting client](crate::client::ClientBuilder::reconnect) leaves when the client is closed
/// for good. A peer may be a member of many groups.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::{Client, Group, Server, memory};
///
/// let (client, caller) = memory::pair(Client::builder(), Server::builder())?;
/// let group = Group::new();
/// assert!(group.insert(&caller));
/// assert!(group.contains(&caller));
///
/// client.close().await;
/// caller.closed().await;
/// assert!(group.is_empty());
/// # Ok(())
/// # }
/// ```
///
/// # Broadcasts
/// [`Call::broadcast`](crate::Call::broadcast) never waits. All members receive the broadcasts of a
/// group in the same order, also those of several tasks. There is no order between the broadcasts of
/// two groups. A peer that joins or leaves during a broadcast may or may not get it.
///
/// A broadcast holds each message once, and one reference to it for each member. The whole size of
/// the message counts towards the [`Config::max_send_queue`] of each member. A client's connection
/// copies the message, because clients mask what they send.
///
/// # Calls to one member
/// Awaiting a call sends it to the member with the fewest pending calls of this side; members with
/// equally many take turns. If the call was not sent because the connection is closing, it goes to
/// the next member. If the connection ends while the call is in flight, the call goes to the next
/// member only if the method is [idempotent](crate::Call::idempotent). It does so at most once if the
/// connection ended because of one of its messages, which may have been this call. Without a member
/// that accepts calls it fails with [`Error::NoMember`](crate::Error::NoMember).
///
/// A [batch](Peer::batch) and a [subscription](Peer::subscribe) go to one member as well. The member
/// of a batch is chosen when the batch is created.
///
/// # Other methods of the handle
/// For the handle that [`peer`](Self::peer) returns, `notify().await` is a broadcast without a
/// report, [`Peer::close`] closes the connections of all members, [`Peer::pending_calls`] is the sum
/// of all members, and [`Peer::closed`] never returns, because a group is never closed.
#[derive(Clone)]
pub struct Group(Arc<View>);

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

impl Group {
    /// An empty group with the default settings.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// A group with other settings.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wsjsonrpc::Group;
    /// use wsjsonrpc::group::SlowMember;
    ///
    /// let room = Group::builder()
    ///     .slow_member(SlowMember::Wait(Duration::from_secs(5)))
    ///     .call_timeout(Duration::from_secs(2))
    ///     .build();
    /// # assert!(room.is_empty());
    /// ```
    pub fn builder() -> GroupBuilder {
        GroupBuilder::default()
    }

    fn of(members: Arc<Members>) -> Self {
        Group(Arc::new(View::of(members)))
    }

    fn members_ref(&self) -> &Arc<Members> {
        &self.0.members
    }

    /// The group without exceptions.
    fn whole(&self) -> Group {
        Group::of(Arc::clone(&self.0.members))
    }

    /// Adds a peer. Returns whether it was added: `false` if it is a member already, if its
    /// connection has ended, or if it has no connection because it uses HTTP POST.
    ///
    /// The group keeps an ordinary handle: the deadline of the handler that inserts `ctx.peer()` does
    /// not apply to the group's calls. Like every handle, a member keeps the connection of a client
    /// open.
    pub fn insert(&self, peer: &Peer) -> bool {
        let inserted = self.0.members.insert(peer);
        self.0.members.after_insert();
        inserted
    }

    /// Removes a peer. Returns whether it was a member. Messages that are queued for the peer are
    /// still sent.
    pub fn remove(&self, peer: &Peer) -> bool {
        self.0.members.remove(peer.key())
    }

    /// Whether a peer is a member.
    pub fn contains(&self, peer: &Peer) -> bool {
        !self.0.excludes(peer.key()) && self.0.members.contains(peer.key())
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The members at the moment, in no particular order.
    pub fn members(&self) -> Vec<Peer> {
        self.0.each(|member| member.peer.ordinary())
    }

    /// A typed stub for the group.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Error, Group, Result, rpc};
    /// #[rpc]
    /// trait Events {
    ///     async fn message(&self, ctx: &Context, text: &str) -> Result<()>;
    /// }
    ///
    /// # fn show() -> std::result::Result<(), Error> {
    /// let room = Group::new();
    /// let report = room.client::<EventsClient>().message("hi").broadcast()?;
    /// assert_eq!(report.sent, 0); // nobody is in the room
    /// # Ok(())
    /// # }
    /// # show().unwrap();
    /// ```
    pub fn client<C: From<Peer>>(&self) -> C {
        C::from(self.peer())
    }

    /// A handle for untyped calls, or for the `new` function of a stub.
    pub fn peer(&self) -> Peer {
        Peer::on(Arc::clone(&self.0) as _)
    }

    /// The same group without one peer: calls and broadcasts do not reach that peer, and
    /// [`members`](Self::members), [`len`](Self::len) and [`contains`](Self::contains) leave it out.
    /// Inserting and removing change the group itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Group, Server, memory};
    /// # let (_client, ada) = memory::pair(Client::builder(), Server::builder())?;
    /// # let (_other, bob) = memory::pair(Client::builder(), Server::builder())?;
    /// # let room = Group::new();
    /// room.insert(&ada);
    /// room.insert(&bob);
    /// let others = room.except(&ada);
    /// assert_eq!(others.peer().call::<()>("message", ["hi"]).broadcast()?.sent, 1);
    /// assert_eq!(others.except(&bob).len(), 0);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn except(&self, peer: &Peer) -> Group {
        Group(Arc::new(self.0.except(peer)))
    }

    /// The number of messages that members have not got because they were too slow, or because the
    /// messages were too large for their connections. It counts from the creation of the group, and
    /// includes members that have left.
    pub fn dropped(&self) -> u64 {
        self.0.members.dropped()
    }
}

impl From<&Group> for Peer {
    fn from(group: &Group) -> Self {
        group.peer()
    }
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group")
            .field("members", &self.len())
            .field("dropped", &self.dropped())
            .finish_non_exhaustive()
    }
}

/// What a broadcast does for a member whose send queue is full
/// ([`Config::max_send_queue`], 1 MiB by default).
///
/// ```
/// use std::time::Duration;
/// use wsjsonrpc::group::SlowMember;
///
/// assert_eq!(SlowMember::default(), SlowMember::Drop);
/// let patient = SlowMember::Wait(Duration::from_secs(5));
/// # let _ = patient;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlowMember {
    /// The member does not get this message. It gets later messages when its send queue has space
    /// again. The default.
    #[default]
    Drop,
    /// The member does not get this message, and its connection is closed with the code 1013 (try
    /// again later). A client that loads the current state after it has connected misses nothing.
    Disconnect,
    /// The message waits in the background until the send queue has space, at most for this time.
    /// Later messages wait behind it, so the member receives them in order. At most
    /// [`Config::max_send_queue`] bytes wait for a member, in addition to its send queue. A message
    /// beyond that limit, or beyond the time, is dropped, and so are messages that still wait when
    /// the connection starts to close.
    ///
    /// A tokio task waits. It runs on the runtime in which the member was inserted, or else on that of
    /// the task that broadcasts. Without a runtime, the message is dropped. Messages that wait for a
    /// member that leaves the group are dropped.
    Wait(Duration),
}

/// Settings of a [`Group`]. Created by [`Group::builder`].
///
/// ```
/// use std::time::Duration;
/// use wsjsonrpc::Group;
/// use wsjsonrpc::group::{Groups, SlowMember};
///
/// let settings = || Group::builder().slow_member(SlowMember::Disconnect);
/// let everyone: Group = settings().build();
/// let rooms: Groups<String> = settings().build_groups();
/// # assert!(everyone.is_empty() && rooms.is_empty());
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct GroupBuilder {
    slow_member: SlowMember,
    config: Config,
    max_concurrent_calls: usize,
}

impl Default for GroupBuilder {
    fn default() -> Self {
        let slow_member = SlowMember::default();
        GroupBuilder { slow_member, config: Config::default(), max_concurrent_calls: 1024 }
    }
}

impl GroupBuilder {
    /// What a broadcast does for a member whose send queue is full. Default [`SlowMember::Drop`].
    pub fn slow_member(mut self, slow_member: SlowMember) -> Self {
        self.slow_member = slow_member;
        self
    }

    /// How long calls to members wait for a response; `None` for no limit. Default 30 s.
    pub fn call_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.call_timeout = timeout.into();
        self
    }

    /// Sets limits and timeouts. Used are `call_timeout` and `max_outgoing_message`. For everything
    /// else, the settings of each member's connection apply.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// How many calls of one [`Call::call_all`](crate::Call::call_all) are in flight at the same
    /// time; at least 1. Default 1024. A member that does not answer occupies one of them until its
    /// timeout.
    pub fn max_concurrent_calls(mut self, count: usize) -> Self {
        self.max_concurrent_calls = count.max(1);
        self
    }

    /// Creates an empty group.
    #[must_use]
    pub fn build(self) -> Group {
        Group::of(Members::new(self, 0, None))
    }

    /// Creates an empty collection, whose groups have these settings.
    #[must_use]
    pub fn build_groups<K>(self) -> Groups<K> {
        Groups::with(self)
    }
}

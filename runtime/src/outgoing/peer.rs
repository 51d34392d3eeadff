//! The handle to the peer ([`Peer`]), and where its messages go ([`Target`]): one connection, or a
//! [`Route`], which `client` and `http` implement.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use crate::config::Config;
use crate::error::{CloseReason, Error};
use crate::link::memberships::{self, Memberships};
use crate::link::outgoing_middleware::Chain;
use crate::link::subscription_buffer::SubscriptionNames;
use crate::link::{CloseOnDrop, Link, LinkRef, OutgoingCall};
use crate::outgoing::batch::{Batch, BatchCall, IntoBatch};
use crate::outgoing::call::{Call, Encoder, Notification};
use crate::outgoing::deadline::{CallTimeout, HandledCall, InheritedDeadline};
use crate::outgoing::exchange::{BoxedReply, Exchange};
use crate::outgoing::fan_out::Report;
use crate::outgoing::subscription::Subscribe;
use crate::protocol::encode::{Form, OutgoingMessage};
use crate::util::BoxFuture;

/// A handle to the other side of a connection, for calls and notifications. Cheap to clone, and
/// usable from any task.
///
/// Both sides have one: a client from [`Client::peer`](crate::Client::peer), a handler from
/// [`Context::peer`](crate::Context::peer). Typed stubs are created from it
/// (`MathClient::new(peer)`). It also makes untyped calls:
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("math.sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let peer = client.peer();
/// let sum: i64 = peer.call("math.sum", (1, 2)).await?;
/// peer.notify("log", ["ready"]).await?;
/// # assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
///
/// The handles of a [reconnecting client](crate::client::ClientBuilder::reconnect) use the current
/// connection. Handles that its handlers and its `on_connect` closure get belong to one connection,
/// and end with it.
#[derive(Clone)]
pub struct Peer {
    target: Target,
    /// The deadline that its calls inherit, as long as the call for which it was created is being
    /// handled.
    inherited: InheritedDeadline,
}

/// Where the messages of a [`Peer`] go.
#[derive(Clone)]
pub(crate) enum Target {
    /// To one connection.
    Link(LinkRef),
    Route(Arc<dyn Route>),
}

/// A way to a peer other than one connection: a reconnecting client, or HTTP POST.
pub(crate) trait Route: Send + Sync {
    fn config(&self) -> &Config;

    /// The middleware around its calls, if there is any.
    fn middleware(&self) -> Option<&Arc<Chain>>;

    /// The connection that it uses at the moment, if there is one.
    fn link(&self) -> Option<Arc<Link>>;

    /// Waits for a connection if there is none, whatever the settings for calls say. `None` if the
    /// route does not reconnect.
    fn next_link(self: Arc<Self>) -> Option<BoxFuture<Result<Arc<Link>, Error>>> {
        None
    }

    /// The groups that it is a member of. `None` if it cannot be a member.
    fn memberships(&self) -> Option<&Memberships> {
        None
    }

    /// The peers that get one call each if a call is sent to all, and how many such calls are in
    /// flight at most. `None` if there is only one peer.
    fn members(&self) -> Option<(Vec<Peer>, usize)> {
        None
    }

    /// The peer that gets a batch, if the route is not the way to a single peer.
    fn one_member(&self) -> Option<Peer> {
        None
    }

    fn pending_calls(&self) -> usize;

    /// Nothing is sent before the future is polled.
    fn call(self: Arc<Self>, message: OutgoingCall, limit: CallTimeout) -> BoxedReply;

    /// Like [`call`](Self::call).
    fn notify(
        self: Arc<Self>,
        notification: OutgoingMessage,
        inherited: &InheritedDeadline,
    ) -> BoxFuture<Result<(), Error>>;

    /// Queues a notification without waiting. By default for the connection that is used at the
    /// moment.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    fn broadcast(&self, text: Vec<u8>) -> Result<Report, Error> {
        match self.link() {
            Some(link) => Report::of_one(&link, text),
            None => Ok(Report { gone: 1, ..Report::default() }),
        }
    }

    fn batch(self: Arc<Self>, inherited: InheritedDeadline) -> Box<dyn RouteBatch>;

    fn close(&self, code: u16, reason: &str);

    /// Why the route is closed, if it is.
    fn close_reason(&self) -> Option<CloseReason>;

    fn closed(self: Arc<Self>) -> BoxFuture<CloseReason>;
}

/// A batch sent by a [`Route`].
pub(crate) trait RouteBatch: Send + Sync {
    fn notify(&mut self, notification: OutgoingMessage);

    fn call(&mut self, message: OutgoingCall, limit: CallTimeout) -> Result<Exchange, Error>;

    fn send(self: Box<Self>) -> BoxFuture<Result<(), Error>>;
}

impl Peer {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Peer::of(Target::Link(LinkRef::Shared(link)))
    }

    /// A handle that keeps the connection open until it and all its clones are dropped.
    pub(crate) fn keeping(link: Arc<Link>) -> Self {
        Peer::of(Target::Link(LinkRef::Owner(Arc::new(CloseOnDrop::new(link)))))
    }

    pub(crate) fn on(route: Arc<dyn Route>) -> Self {
        Peer::of(Target::Route(route))
    }

    fn of(target: Target) -> Self {
        Peer { target, inherited: InheritedDeadline::Nothing }
    }

    /// A handle to the same peer that inherits no deadline.
    pub(crate) fn ordinary(&self) -> Self {
        Peer::of(self.target.clone())
    }

    /// A handle to the same peer that does not keep a client's connection open.
    pub(crate) fn not_keeping(&self) -> Self {
        match &self.target {
            Target::Link(link_ref) => Peer::new(Arc::clone(link_ref.link())),
            Target::Route(_) => self.ordinary(),
        }
    }

    /// The connection that it uses at the moment, if there is one.
    pub(crate) fn link(&self) -> Option<Cow<'_, Arc<Link>>> {
        match &self.target {
            Target::Link(link_ref) => Some(Cow::Borrowed(link_ref.link())),
            Target::Route(route) => route.link().map(Cow::Owned),
        }
    }

    /// The groups that it is a member of, and its key in them. `None` if it cannot be a member of a
    /// group.
    pub(crate) fn membership(&self) -> Option<memberships::Entry<'_>> {
        match &self.target {
            Target::Link(link_ref) if link_ref.link().has_no_socket() => None,
            Target::Link(link_ref) => Some((&link_ref.link().memberships, self.key())),
            Target::Route(route) => Some((route.memberships()?, self.key())),
        }
    }

    /// Identifies the peer in groups, as long as a handle to it exists.
    pub(crate) fn key(&self) -> usize {
        match &self.target {
            Target::Link(link_ref) => memberships::key(link_ref.link()),
            Target::Route(route) => memberships::key(route),
        }
    }

    /// The peers that get one call each if a call is sent to all, and how many such calls are in
    /// flight at most.
    pub(crate) fn members(&self) -> (Vec<Peer>, usize) {
        let members = match &self.target {
            Target::Link(_) => None,
            Target::Route(route) => route.members(),
        };
        members.unwrap_or_else(|| (vec![self.ordinary()], 1))
    }

    /// The peer itself, or one member of a group.
    pub(crate) fn one_member(self) -> Self {
        let member = match &self.target {
            Target::Link(_) => None,
            Target::Route(route) => route.one_member(),
        };
        match member {
            Some(member) => Peer { target: member.target, inherited: self.inherited },
            None => self,
        }
    }

    /// Queues a notification without waiting.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(crate) fn broadcast(&self, text: Vec<u8>) -> Result<Report, Error> {
        match &self.target {
            Target::Link(link_ref) => Report::of_one(link_ref.link(), text),
            Target::Route(route) => route.broadcast(text),
        }
    }

    pub(crate) fn into_target(self) -> Target {
        self.target
    }

    /// A handle whose calls inherit the deadline of this call, as long as that call is being
    /// handled.
    pub(crate) fn inheriting(mut self, handled: Option<Arc<HandledCall>>) -> Self {
        if let Some(handled) = handled {
            self.inherited = self.inherited.and(handled);
        }
        self
    }

    pub(crate) fn inherited(&self) -> &InheritedDeadline {
        &self.inherited
    }

    /// The given timeout, limited by the inherited deadlines.
    pub(crate) fn limit(&self, timeout: Option<Duration>) -> CallTimeout {
        self.inherited.limit(timeout)
    }

    pub(crate) fn config(&self) -> &Config {
        match &self.target {
            Target::Link(link_ref) => &link_ref.link().config,
            Target::Route(route) => route.config(),
        }
    }

    /// The middleware around its calls, if there is any.
    pub(crate) fn outgoing(&self) -> Option<&Arc<Chain>> {
        match &self.target {
            Target::Link(link_ref) => link_ref.link().outgoing.as_ref(),
            Target::Route(route) => route.middleware(),
        }
    }

    /// Whether the handle continues on another connection when its connection ends.
    pub(crate) fn reconnects(&self) -> bool {
        match &self.target {
            Target::Link(_) => false,
            Target::Route(route) => Arc::clone(route).next_link().is_some(),
        }
    }

    /// Waits until there is a connection.
    ///
    /// # Errors
    /// There will be no connection any more.
    pub(crate) async fn next_connection(&self) -> Result<(), Error> {
        match &self.target {
            Target::Link(link_ref) => link_ref.link().check_open(),
            Target::Route(route) => match Arc::clone(route).next_link() {
                Some(next) => next.await.map(drop),
                None => Ok(()),
            },
        }
    }

    /// Sends a notification. Waits while the send queue is full.
    pub(crate) async fn send(&self, notification: OutgoingMessage) -> Result<(), Error> {
        match &self.target {
            Target::Link(link_ref) => {
                link_ref.link().notify(notification.into_notification()).await
            }
            Target::Route(route) => Arc::clone(route).notify(notification, &self.inherited).await,
        }
    }

    /// Why the connection is closed, if it is.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        match &self.target {
            Target::Link(link_ref) => link_ref.link().close_reason(),
            Target::Route(route) => route.close_reason(),
        }
    }

    /// A call of a method by name. Await it to send it; see [`Call`].
    ///
    /// `params` must serialize to a list (a tuple, an array, a `Vec`) or an object (a struct, a
    /// map); `()` sends no params. Every error object from the peer is an [`Error::Call`], because
    /// an untyped call has no error type. Convert it into an error type like this:
    ///
    /// ```
    /// # use wsjsonrpc::{Error, Peer, RpcError};
    /// # #[derive(RpcError)]
    /// # enum BankError { #[rpc_error(code = 1001)] Insufficient { missing: u64 } }
    /// # async fn show(peer: Peer) {
    /// if let Err(Error::Call(object)) = peer.call::<u64>("bank.withdraw", [50]).await {
    ///     match BankError::from_object(object) {
    ///         Ok(BankError::Insufficient { missing }) => println!("{missing} are missing"),
    ///         Err(object) => println!("another error: {object}"),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn call<T>(&self, method: &str, params: impl Serialize) -> Call<T> {
        let mut encoder = Encoder::of(self, Cow::Owned(method.to_owned()), Form::Whole, &[]);
        encoder.arg(&params);
        encoder.into_call()
    }

    /// A notification: a message that gets no response. Await it to send it; see [`Notification`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server, memory};
    /// # let (client, _) = memory::pair(Client::builder(), Server::builder())?;
    /// client.peer().notify("log", ["ready"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn notify(&self, method: &str, params: impl Serialize) -> Notification {
        self.call::<()>(method, params).notify()
    }

    /// Several calls in one message ([JSON-RPC 2.0, section
    /// 6](https://www.jsonrpc.org/specification#batch)). See [`IntoBatch`] for what it may contain.
    ///
    /// ```
    /// # use wsjsonrpc::{memory, Client, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().method("math.sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
    /// # let (client, _) = memory::pair(Client::builder(), server)?;
    /// let peer = client.peer();
    /// let (sum, missing, logged) = peer
    ///     .batch((
    ///         peer.call::<i64>("math.sum", (1, 2)),
    ///         peer.call::<String>("no.such.method", ()),
    ///         peer.notify("log", ["ready"]),
    ///     ))
    ///     .await?;
    /// assert_eq!(sum?, 3);
    /// assert!(missing.is_err());
    /// assert!(logged.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch<B: IntoBatch>(&self, calls: B) -> BatchCall<B> {
        BatchCall::new(self.clone(), calls)
    }

    /// An empty batch, to be filled step by step.
    ///
    /// ```
    /// # use wsjsonrpc::{memory, Client, Server};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
    /// # let (client, _) = memory::pair(Client::builder(), server)?;
    /// let peer = client.peer();
    /// let mut batch = peer.new_batch();
    /// let first = batch.add(peer.call::<i64>("double", (1,)));
    /// let second = batch.add(peer.call::<i64>("double", (2,)));
    /// batch.send().await?;
    /// assert_eq!((first.await?, second.await?), (2, 4));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new_batch(&self) -> Batch {
        Batch::new(self.clone())
    }

    /// Subscribes by the name of a method; see [`Subscribe`].
    ///
    /// If the peer uses this crate, subscribing to an ordinary method of
    /// [`#[rpc]`](macro@crate::rpc) or of a closure fails with -32600. Other peers, a
    /// [`Fallback`](crate::server::Fallback) and your own [`Service`](crate::service::Service)
    /// handle the call as usual: if the result is a string or a number, it is taken as the
    /// subscription's id.
    ///
    /// Some servers send items before the response that contains the id. These items are buffered
    /// while the call is pending, up to its [`window`](Subscribe::window) in bytes and 1024 items,
    /// and are delivered first. If more arrive, the subscription ends after them with
    /// [`Error::Lagged`]. A method that this side has registered under the name of the
    /// notifications gets them instead.
    ///
    /// By default the names of the notifications and of the method that unsubscribes are those of
    /// [`Topic::new`](crate::subscription::Topic::new). Set the names that other servers use:
    ///
    /// ```no_run
    /// # use wsjsonrpc::{Client, Error};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let node = Client::connect("ws://localhost:8546/").await?;
    /// let mut heads = node
    ///     .peer()
    ///     .subscribe::<serde_json::Value>("eth_subscribe", ["newHeads"])
    ///     .notification("eth_subscription")
    ///     .unsubscribe("eth_unsubscribe")
    ///     .await?;
    /// let head = heads.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe<T>(&self, method: &str, params: impl Serialize) -> Subscribe<T> {
        let names = SubscriptionNames {
            notification: method.into(),
            unsubscribe: format!("unsubscribe_{method}").into(),
        };
        Subscribe::new(self.call(method, params), names)
    }

    /// Sends what is queued, then closes the connection with a close code and a reason. The code
    /// must be one that may be sent ([RFC 6455, section
    /// 7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4)); any other is replaced by 1000,
    /// the normal one. The reason is cut to 123 bytes.
    ///
    /// Returns at once; [`closed`](Self::closed) waits. From now on new calls fail, and calls
    /// without a response fail when the connection ends. A reconnecting client ends for good. If
    /// the handle belongs to one connection, as in a handler or in `on_connect`, only that
    /// connection closes, and the client reconnects.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server, memory};
    /// use wsjsonrpc::error::CloseReason;
    ///
    /// let (client, caller) = memory::pair(Client::builder(), Server::builder())?;
    /// caller.close(4000, "banned");
    /// let reason = client.closed().await;
    /// assert!(matches!(reason, CloseReason::Remote { code: 4000, .. }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn close(&self, code: u16, reason: &str) {
        match &self.target {
            Target::Link(link_ref) => link_ref.link().close(code, reason),
            Target::Route(route) => route.close(code, reason),
        }
    }

    /// Waits until the connection has ended, and returns the reason. Ready at once if it has
    /// already ended. For a reconnecting client, waits until it no longer reconnects.
    ///
    /// # Cancel safety
    /// Safe: the future can be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        match &self.target {
            Target::Link(link_ref) => link_ref.link().closed().await,
            Target::Route(route) => Arc::clone(route).closed().await,
        }
    }

    /// Returns `true` if the connection is closed. For a reconnecting client, returns `true` only when
    /// it no longer reconnects.
    ///
    /// After [`close`](Self::close), calls fail with [`Error::Closed`] at once, but this is `false` until
    /// the peer has answered the close frame, or [`Config::close_timeout`](crate::Config::close_timeout)
    /// has passed. A program that chooses from several peers drops a handle that it has closed.
    pub fn is_closed(&self) -> bool {
        self.close_reason().is_some()
    }

    /// How many calls of this side are waiting for their response. Calls that wait for a connection
    /// are not included.
    pub fn pending_calls(&self) -> usize {
        match &self.target {
            Target::Link(link_ref) => link_ref.link().pending.len(),
            Target::Route(route) => route.pending_calls(),
        }
    }

    /// Whether both are handles of the same connection, or of the same reconnecting client.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Server, memory};
    /// let (client, caller) = memory::pair(Client::builder(), Server::builder())?;
    /// assert!(client.peer().is_same(&client.peer()));
    /// assert!(!client.peer().is_same(&caller)); // the other side of the connection
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_same(&self, other: &Peer) -> bool {
        match (&self.target, &other.target) {
            (Target::Link(own), Target::Link(other)) => Arc::ptr_eq(own.link(), other.link()),
            (Target::Route(own), Target::Route(other)) => {
                std::ptr::addr_eq(Arc::as_ptr(own), Arc::as_ptr(other))
            }
            _ => false,
        }
    }
}

impl From<&Peer> for Peer {
    fn from(peer: &Peer) -> Self {
        peer.clone()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_flight = match &self.target {
            Target::Link(link_ref) => link_ref.link().in_flight.load(Ordering::Relaxed),
            Target::Route(route) => {
                route.link().map_or(0, |link| link.in_flight.load(Ordering::Relaxed))
            }
        };
        f.debug_struct("Peer")
            .field("closed", &self.close_reason())
            .field("pending_calls", &self.pending_calls())
            .field("in_flight", &in_flight)
            .finish_non_exhaustive()
    }
}

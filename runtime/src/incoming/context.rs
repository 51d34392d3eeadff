//! The first argument of every handler ([`Context`]): the connection that the call arrived on, the
//! call's deadline and cancellation, and the values of the connection.

use std::any::TypeId;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use http::Extensions;
use serde::Serialize;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::error::{CloseReason, Error};
use crate::handshake::Handshake;
use crate::incoming::connection_id::ConnectionId;
use crate::incoming::extension::{Extension, Outer};
use crate::incoming::order::OrderedCalls;
use crate::link::Link;
use crate::outgoing::deadline::HandledCall;
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorObject, Result};
use crate::protocol::item::Position;
use crate::protocol::request_extensions::{self, ReceivedExtensions, Resume};
use crate::util::catch_unwind::drop_contained;
use crate::util::identity::Identity;
use crate::util::race::race;
use crate::util::runtime::deadline;
use crate::util::type_map::{Found, TypeMap};

/// The first argument of every handler: the caller, its opening handshake, the call's deadline and
/// cancellation, and values that belong to the connection.
///
/// Cheap to clone. A clone may be kept after the call has ended.
///
/// ```
/// # use wsjsonrpc::{memory, rpc, Client, Context, ErrorObject, Result, Server};
/// #[derive(Clone)]
/// struct User(String);
///
/// #[rpc]
/// trait Account {
///     async fn login(&self, ctx: &Context, name: String) -> Result<()>;
///     async fn whoami(&self, ctx: &Context) -> Result<String>;
/// }
///
/// struct Accounts;
///
/// impl Account for Accounts {
///     async fn login(&self, ctx: &Context, name: String) -> Result<()> {
///         ctx.set(User(name));
///         Ok(())
///     }
///     async fn whoami(&self, ctx: &Context) -> Result<String> {
///         Ok(ctx.require::<User>()?.0.clone())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let (client, _) = memory::pair(Client::builder(), Server::builder().service(Accounts.into_service()))?;
/// let account = AccountClient::new(client.peer());
/// assert!(account.whoami().await.is_err()); // -32001
/// account.login("Ada".to_owned()).await?;
/// assert_eq!(account.whoami().await?, "Ada");
/// # Ok(())
/// # }
/// ```
pub struct Context {
    shared: Arc<Shared>,
    call: Call,
}

/// What is known of the call besides its params.
#[derive(Clone, Default)]
struct Call {
    /// The call's number on its connection.
    number: u64,
    /// In nanoseconds since the connection opened: half the size of an `Instant`, and moved with
    /// every request.
    deadline: Option<NonZeroU64>,
    /// State shared by the call's handles and the clones of its context. Most calls have none, so
    /// it is created on first use.
    handled: OnceLock<Arc<HandledCall>>,
}

struct Shared {
    link: Arc<Link>,
    id: ConnectionId,
    begun: Instant,
    /// The same moment by the clock on the wall.
    connected_at: SystemTime,
    /// In its own `Arc`, because its values are lent out, and may be stored in `state`.
    handshake: Arc<Handshake>,
    state: TypeMap,
    /// The queue of the calls of ordered methods, created with the first one.
    ordered_calls: OnceLock<Box<OrderedCalls>>,
    /// The index of a server's connections. A client has none, and a caller without a connection.
    index: Option<Arc<dyn IdentityIndex>>,
}

/// Finds the connections of a server by their identities. An open connection has at most one
/// identity of each type, and one that has ended has none.
pub(crate) trait IdentityIndex: Send + Sync {
    /// Adds an identity, in place of an earlier one of its type.
    fn identify(&self, connection: ConnectionId, identity: Identity);

    /// Removes the identity of this type. Returns whether there was one.
    fn remove_identity(&self, connection: ConnectionId, kind: TypeId) -> bool;
}

/// A panic in the drop of a request's extension must not reach the connection.
impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(handshake) = Arc::get_mut(&mut self.handshake) {
            drop_contained(std::mem::take(&mut handshake.extensions), "a request extension");
        }
    }
}

impl Outer for Handshake {
    fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

/// The result overflows only after more than 500 years.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Context {
    /// The context of a connection, outside any call.
    pub(crate) fn new(
        link: Arc<Link>,
        handshake: Handshake,
        index: Option<Arc<dyn IdentityIndex>>,
    ) -> Self {
        let shared = Shared {
            link,
            id: ConnectionId::next(),
            begun: Instant::now(),
            connected_at: SystemTime::now(),
            handshake: Arc::new(handshake),
            state: TypeMap::default(),
            ordered_calls: OnceLock::new(),
            index,
        };
        Context { shared: Arc::new(shared), call: Call::default() }
    }

    /// The context of a call, with the extensions of its request. `now` is the [`age`](Self::age)
    /// of its connection.
    #[inline]
    pub(crate) fn of_call(
        &self,
        number: u64,
        extra: Option<&str>,
        now: impl FnOnce() -> u64,
    ) -> Self {
        let mut call = Call { number, ..Call::default() };
        if let Some(extra) = extra {
            let extra = ReceivedExtensions::read(extra);
            if let Some(timeout) = extra.timeout {
                let over = now().saturating_add(nanoseconds(timeout));
                call.deadline = Some(NonZeroU64::new(over).unwrap_or(NonZeroU64::MIN));
            }
            if extra.progress.is_some() || extra.window.is_some() || extra.resume.is_some() {
                let handled = self.make_handled(&call, extra);
                call.handled = OnceLock::from(handled);
            }
        }
        Context { shared: Arc::clone(&self.shared), call }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    /// Whether the caller requests a subscription with a window, which both sides must support.
    #[inline]
    pub(crate) fn is_asked_to_subscribe(&self) -> bool {
        self.call.handled.get().is_some_and(|handled| handled.is_asked_to_subscribe())
            && self.shared.link.extended
    }

    /// Starts a subscription with this call, and returns its window.
    pub(crate) fn begin_subscription(&self) -> Option<u64> {
        self.call.handled.get()?.begin_subscription()
    }

    /// The state of a call that asks for the positions of a subscription's items.
    pub(crate) fn resuming(&self) -> Option<&Arc<HandledCall>> {
        self.call.handled.get().filter(|handled| handled.extra.resume.is_some())
    }

    pub(crate) fn connected_at(&self) -> SystemTime {
        self.shared.connected_at
    }

    /// The age of the connection in nanoseconds.
    pub(crate) fn age(&self) -> u64 {
        nanoseconds(self.shared.begun.elapsed())
    }

    /// The number of the call.
    pub(crate) fn number(&self) -> u64 {
        self.call.number
    }

    /// Adds the values that authorization stored on the connection.
    pub(crate) fn adopt(&self, state: TypeMap) {
        self.shared.state.adopt(state);
    }

    /// A handle to the caller, for calling back. It does not keep the connection open.
    ///
    /// While this call is being handled, calls through this handle inherit its
    /// [`deadline`](Self::deadline): whatever their own timeout, they wait no longer. The
    /// inheritance ends when the handler returns, when the call is answered (a subscription: when
    /// it is accepted), and when [`is_cancelled`](Self::is_cancelled) becomes true. After that, a
    /// stored handle is an ordinary one. Calls that it has already started keep their time limit.
    ///
    /// ```
    /// # use std::sync::Mutex;
    /// # use wsjsonrpc::{Context, Peer, Result, rpc};
    /// # #[rpc]
    /// # trait Room { async fn join(&self, ctx: &Context) -> Result<()>; }
    /// struct Lobby {
    ///     members: Mutex<Vec<Peer>>,
    /// }
    ///
    /// impl Room for Lobby {
    ///     async fn join(&self, ctx: &Context) -> Result<()> {
    ///         // Usable as long as the connection is open.
    ///         self.members.lock().unwrap().push(ctx.peer());
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn peer(&self) -> Peer {
        Peer::new(Arc::clone(&self.shared.link)).inheriting(self.handled().cloned())
    }

    /// What handles of this call inherit; `None` if the call has no deadline.
    pub(crate) fn handled(&self) -> Option<&Arc<HandledCall>> {
        self.call.deadline?;
        Some(
            self.call
                .handled
                .get_or_init(|| self.make_handled(&self.call, ReceivedExtensions::default())),
        )
    }

    #[cold]
    fn make_handled(&self, call: &Call, extra: ReceivedExtensions) -> Arc<HandledCall> {
        let deadline = call.deadline.map(|at| self.instant(at));
        Arc::new(HandledCall::new(deadline, call.number, &self.shared.link, extra))
    }

    fn instant(&self, nanoseconds: NonZeroU64) -> Instant {
        deadline(self.shared.begun, Duration::from_nanos(nanoseconds.get()))
    }

    /// The context of the same call without what handles inherit. Cheaper than a clone.
    pub(crate) fn bare(&self) -> Self {
        let call = Call { number: self.call.number, ..Call::default() };
        Context { shared: Arc::clone(&self.shared), call }
    }

    /// The context of the same call, whose handles inherit the same until [`end`](Self::end).
    pub(crate) fn again(&self) -> Self {
        let mut call = Call { handled: OnceLock::new(), ..self.call };
        if let Some(handled) = self.call.handled.get() {
            call.handled = OnceLock::from(self.make_handled(&call, handled.extra.clone()));
        }
        Context { shared: Arc::clone(&self.shared), call }
    }

    /// Ends the call: its handles inherit nothing any more.
    #[inline]
    pub(crate) fn end(&self) {
        if let Some(handled) = self.call.handled.get() {
            handled.end();
        }
    }

    /// A typed stub for calling the caller back: `ctx.client::<TickerClient>().tick(1.5).await?`.
    ///
    /// Responses are read while the handler waits, so calls in both directions may nest to any
    /// depth. Deadlines are inherited as with [`peer`](Self::peer).
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use wsjsonrpc::{Client, Context, Result, Server, memory, rpc};
    ///
    /// #[rpc]
    /// trait Prompt {
    ///     async fn confirm(&self, ctx: &Context, question: &str) -> Result<bool>;
    /// }
    ///
    /// struct User;
    ///
    /// impl Prompt for User {
    ///     async fn confirm(&self, _: &Context, question: &str) -> Result<bool> {
    ///         Ok(question == "really?")
    ///     }
    /// }
    ///
    /// let server = Server::builder().method("delete", |ctx: Context, ()| async move {
    ///     let prompt = ctx.client::<PromptClient>();
    ///     Ok(prompt.confirm("really?").await?)
    /// });
    /// let (client, _) = memory::pair(Client::builder().service(User.into_service()), server)?;
    /// assert!(client.peer().call::<bool>("delete", ()).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn client<C: From<Peer>>(&self) -> C {
        C::from(self.peer())
    }

    /// The opening handshake: target, headers, cookies, address, subprotocol.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// The connection's own values, and the handshake with the extensions of outer layers.
    pub(crate) fn values(&self) -> (&TypeMap, &Arc<Handshake>) {
        (&self.shared.state, &self.shared.handshake)
    }

    /// Waits until the connection has ended, for handlers that stop when their caller is gone.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Result};
    /// async fn watch(ctx: &Context) -> Result<()> {
    ///     let ctx = ctx.clone();
    ///     tokio::spawn(async move {
    ///         let reason = ctx.closed().await;
    ///         println!("the caller has left: {reason}");
    ///     });
    ///     Ok(())
    /// }
    /// # let _ = watch;
    /// ```
    ///
    /// # Cancel safety
    /// Safe: the future can be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        self.shared.link.closed().await
    }

    /// Waits until the result is not needed any more: the caller cancelled the call (by its
    /// timeout, or because it dropped the call), or the connection ended. A cancelled call has
    /// already been answered with -32800, and the result of the handler is dropped. For a clone
    /// that is kept after its call, this waits for the end of the connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use wsjsonrpc::{Context, Result};
    /// # async fn step() {}
    /// async fn work(ctx: &Context) -> Result<u32> {
    ///     for _ in 0..1000 {
    ///         tokio::select! {
    ///             () = step() => {}
    ///             () = ctx.cancelled() => break, // clean up, and stop
    ///         }
    ///     }
    ///     Ok(1000)
    /// }
    /// ```
    ///
    /// # Cancel safety
    /// Safe: the future can be dropped and called again.
    pub async fn cancelled(&self) {
        let link = &self.shared.link;
        race(pin!(link.cancellations.cancelled(self.call.number)), pin!(link.closed())).await;
    }

    /// Whether the result is not needed any more; see [`cancelled`](Self::cancelled).
    ///
    /// ```
    /// # use wsjsonrpc::{Context, ErrorCode, ErrorObject, Result};
    /// /// For computations without an await, in a `#[method(blocking)]`.
    /// fn count(ctx: &Context) -> Result<u64> {
    ///     let mut found = 0;
    ///     for number in 0..1_000_000_u64 {
    ///         if number % 1000 == 0 && ctx.is_cancelled() {
    ///             return Err(ErrorObject::new(ErrorCode::REQUEST_CANCELLED, "cancelled"));
    ///         }
    ///         found += u64::from(number % 7 == 0);
    ///     }
    ///     Ok(found)
    /// }
    /// # let _ = count;
    /// ```
    pub fn is_cancelled(&self) -> bool {
        let link = &self.shared.link;
        self.is_taken_back() || link.close_reason().is_some()
    }

    /// Waits until all earlier ordered calls have ended. The caller drops the guard at the end of
    /// its own call. `None` if this call was cancelled while it waited.
    pub(crate) async fn ordered_permit(&self, method: Box<str>) -> Option<MutexGuard<'_, ()>> {
        let ordered_calls = self.shared.ordered_calls.get_or_init(Box::default);
        ordered_calls.acquire(self.call.number, method, &self.shared.link).await
    }

    /// Reports progress to the caller, if the caller asked for it
    /// ([`Call::on_progress`](crate::Call::on_progress)), with the notification `$/progress` of the
    /// Language Server Protocol. Waits while the send queue is full, so a handler cannot send
    /// faster than its caller's network. Values reported before the handler returns arrive before
    /// its result.
    ///
    /// Does nothing if the caller did not ask for progress, cancelled the call, or used HTTP POST.
    /// Values reported after the call was answered are ignored.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Result};
    /// # async fn copy(file: &str) {}
    /// async fn copy_all(ctx: &Context, files: &[String]) -> Result<()> {
    ///     for (done, file) in files.iter().enumerate() {
    ///         ctx.progress((done, files.len())).await?;
    ///         copy(file).await;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Encode`] or [`Error::TooLarge`] because of the value, [`Error::Closed`] if the
    /// connection has ended or is closing. With `?`, `Error::Closed` becomes the result of the
    /// handler, which may still arrive while the connection is closing. An idempotent call that is to
    /// be repeated on another connection then fails instead, so its handler ignores this error.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, nothing was sent.
    pub fn progress<T: Serialize>(
        &self,
        value: T,
    ) -> impl Future<Output = std::result::Result<(), Error>> + Send {
        let token = self.call.handled.get().and_then(|handled| handled.extra.progress.as_deref());
        let deaf = || self.is_taken_back() || self.shared.link.has_no_socket();
        let token = token.filter(|_| !deaf());
        // Encoded here, so that the value need not be `Send`.
        let text = token.map(|token| request_extensions::progress(token, &value));
        let link = &self.shared.link;
        async move {
            match text {
                Some(text) => link.send(text.map_err(|error| Error::Encode(error.into()))?).await,
                None => Ok(()),
            }
        }
    }

    fn is_taken_back(&self) -> bool {
        self.shared.link.cancellations.is_cancelled(self.call.number)
    }

    /// The time when the caller stops waiting, if the caller sent its timeout. Callers that use
    /// this crate do; others usually do not. Follows tokio's clock, also where a test has paused
    /// it; [`into_std`](tokio::time::Instant::into_std) converts to [`std::time::Instant`].
    ///
    /// The handler is not stopped at that time. Check the deadline before starting expensive work.
    /// While the handler runs, calls through [`peer`](Self::peer), [`client`](Self::client) and
    /// [`Context::with_deadline`] wait no longer than the deadline. A call started after the
    /// deadline fails with [`Error::DeadlinePassed`] and is not sent.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Result};
    /// use tokio::time::Instant;
    ///
    /// async fn work(ctx: &Context) -> Result<u32> {
    ///     let left = ctx.deadline().map(|deadline| deadline - Instant::now());
    ///     println!("the caller waits for {left:?}");
    ///     Ok(1)
    /// }
    /// ```
    pub fn deadline(&self) -> Option<Instant> {
        self.call.deadline.map(|at| self.instant(at))
    }

    /// The position after which a subscriber wants to continue
    /// ([`Subscribe::resume`](crate::subscription::Subscribe::resume)): after the last item that it
    /// consumed before its connection broke. `None` if it starts, and if it does not resume.
    ///
    /// A [`Channel`](crate::Channel) handles positions. A handler with its own storage looks the
    /// position up, sets where its stream [starts](Self::starts_after), and yields
    /// [`Positioned`](crate::subscription::Positioned) items:
    ///
    /// ```
    /// use futures_util::stream;
    /// use wsjsonrpc::subscription::{Position, Positioned};
    /// use wsjsonrpc::{Context, Result, Stream, rpc};
    ///
    /// #[rpc]
    /// trait Ledger {
    ///     #[subscription]
    ///     async fn entries(&self, ctx: &Context)
    ///         -> Result<impl Stream<Item = Positioned<String>> + Send>;
    /// }
    ///
    /// /// The first entry has the offset 1. Entries are never deleted; otherwise, the offsets would
    /// /// need another epoch.
    /// struct Archive(Vec<String>);
    ///
    /// impl Ledger for Archive {
    ///     async fn entries(
    ///         &self,
    ///         ctx: &Context,
    ///     ) -> Result<impl Stream<Item = Positioned<String>> + Send> {
    ///         let known = ctx.resume_position().filter(|position| position.epoch == "ledger");
    ///         let start = known.map_or(0, |position| position.offset);
    ///         ctx.starts_after(Position { epoch: "ledger".to_owned(), offset: start });
    ///         let entries = self.0.iter().cloned().zip(1..).skip(start as usize);
    ///         Ok(stream::iter(entries.map(|(entry, offset)| Positioned::new(offset, entry))))
    ///     }
    /// }
    /// ```
    pub fn resume_position(&self) -> Option<&Position> {
        match self.resuming()?.extra.resume.as_deref()? {
            Resume::After(position) => Some(position),
            Resume::FromNow => None,
        }
    }

    /// Sets the position after which the items of this subscription start. A subscriber that
    /// resumes gets it before the first item. If its epoch differs from the position that the
    /// subscriber [asked for](Self::resume_position), or if its offset is larger, the subscriber gets
    /// an [`Error::Gap`](crate::Error::Gap) before the next item. With a smaller offset, the
    /// subscriber ignores the items up to the offset that it asked for.
    ///
    /// Call it before the handler returns its stream; the last call counts. If the handler also
    /// subscribes to a [`Channel`](crate::Channel), the items have no positions. No effect if the
    /// subscriber does not resume, and in calls that are not subscriptions.
    pub fn starts_after(&self, position: Position) {
        if let Some(handled) = self.resuming() {
            handled.set_start(position, 0);
        }
    }

    /// Stores a value on the connection for its later calls, one for each type. Returns the
    /// previous value.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Context, Server, memory};
    /// struct Language(String);
    ///
    /// let server = Server::builder()
    ///     .method("set_language", |ctx: Context, (name,): (String,)| async move {
    ///         ctx.set(Language(name));
    ///         Ok(())
    ///     })
    ///     .method("hello", |ctx: Context, ()| async move {
    ///         let language = ctx.get::<Language>();
    ///         Ok(match language.as_ref().map(|language| language.0.as_str()) {
    ///             Some("fr") => "bonjour",
    ///             _ => "hello",
    ///         })
    ///     });
    /// let (client, _) = memory::pair(Client::builder(), server)?;
    /// client.peer().call::<()>("set_language", ["fr"]).await?;
    /// assert_eq!(client.peer().call::<String>("hello", ()).await?, "bonjour");
    /// # Ok(())
    /// # }
    /// ```
    pub fn set<T: Send + Sync + 'static>(&self, value: T) -> Option<Extension<T>> {
        let (state, handshake) = self.values();
        seen(state.set(value), handshake)
    }

    /// The value of this type. Looked up in this order: values that handlers stored with
    /// [`set`](Self::set) or authorization with [`Grant::set`](crate::server::Grant::set), then
    /// values of layers around the endpoint
    /// ([`Handshake::extensions`](field@Handshake::extensions)).
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        let (state, handshake) = self.values();
        seen(state.get(), handshake)
    }

    /// The value of this type. If there is none, stores this one on the connection. If several
    /// calls do so at the same time, one value is stored, and all calls get it.
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// # use wsjsonrpc::{Context, Result};
    /// #[derive(Default)]
    /// struct Visits(AtomicU64);
    ///
    /// fn visit(ctx: &Context) -> u64 {
    ///     ctx.get_or_set(Visits::default()).0.fetch_add(1, Ordering::Relaxed)
    /// }
    /// ```
    pub fn get_or_set<T: Send + Sync + 'static>(&self, value: T) -> Extension<T> {
        // A value that hides an extension is never removed, so the result cannot change in between.
        let (state, handshake) = self.values();
        let outer = Extension::outer(handshake);
        match outer.filter(|_| matches!(state.get::<T>(), Found::Nothing)) {
            Some(outer) => outer,
            None => Extension::own(state.get_or_set(Arc::new(value))),
        }
    }

    /// Removes the value of this type from the connection, for example at logout. A value that a
    /// layer around the endpoint stored is hidden.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Result};
    /// struct User(String);
    ///
    /// async fn logout(ctx: &Context) -> Result<bool> {
    ///     Ok(ctx.remove::<User>().is_some())
    /// }
    /// # let _ = logout;
    /// ```
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        let (state, handshake) = self.values();
        let is_outer = handshake.extensions.get::<T>().is_some();
        seen(if is_outer { state.hide() } else { state.remove() }, handshake)
    }

    /// The value of this type, for handlers that need it, for example the logged-in user.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Context, ErrorCode, Server, memory};
    /// struct User(String);
    ///
    /// let server = Server::builder().method("whoami", |ctx: Context, ()| async move {
    ///     Ok(ctx.require::<User>()?.0.clone())
    /// });
    /// let (client, _) = memory::pair(Client::builder(), server)?;
    /// let error = client.peer().call::<String>("whoami", ()).await.unwrap_err().into_object();
    /// assert_eq!(error.code(), ErrorCode::UNAUTHORIZED);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// -32001 "Unauthorized" if [`get`](Self::get) finds none. A log line at debug level names the
    /// type.
    pub fn require<T: Send + Sync + 'static>(&self) -> Result<Extension<T>> {
        self.get().ok_or_else(|| {
            tracing::debug!(
                type_name = std::any::type_name::<T>(),
                "`Context::require` found no value of this type; the caller gets -32001"
            );
            ErrorObject::unauthorized("Unauthorized")
        })
    }

    /// The number of the caller's connection. A caller that uses HTTP POST has no connection: each of
    /// its messages has its own number, which [`Endpoint::connection`] does not find.
    ///
    /// [`Endpoint::connection`]: crate::Endpoint::connection
    pub fn connection_id(&self) -> ConnectionId {
        self.shared.id
    }

    /// Says whose connection this is, so that
    /// [`Endpoint::connections_of`](crate::Endpoint::connections_of) finds it by this key. For a
    /// method that logs the caller in. A hook that authorizes clients uses
    /// [`Grant::identify`](crate::server::Grant::identify) instead.
    ///
    /// A connection has one key of each type: a later one of the same type replaces it. The server
    /// forgets the keys when the connection ends. The method has no effect on a connection that has
    /// ended, on a client, and for a caller that uses HTTP POST.
    ///
    /// A key is found only by a key of the same type, so a `String` is not found by a `&str`. Use a
    /// type of the application, as here:
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use wsjsonrpc::{Client, Context, Server};
    /// #[derive(PartialEq, Eq, Hash)]
    /// struct UserId(u64);
    ///
    /// let server = Server::builder()
    ///     .method("login", |ctx: Context, (id,): (u64,)| async move {
    ///         ctx.identify(UserId(id)); // after checking the password
    ///         Ok(())
    ///     })
    ///     .bind("127.0.0.1:0")
    ///     .await?;
    /// let (url, endpoint) = (server.url(), server.endpoint().clone());
    /// tokio::spawn(server.run());
    ///
    /// let client = Client::connect(&url).await?;
    /// client.peer().call::<()>("login", [7]).await?;
    /// assert_eq!(endpoint.connections_of(&UserId(7)).len(), 1);
    /// assert!(endpoint.connections_of(&UserId(8)).is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn identify<K: Eq + Hash + Send + Sync + 'static>(&self, key: K) {
        self.add_identity(Identity::new(key));
    }

    pub(crate) fn add_identity(&self, identity: Identity) {
        if let Some(index) = &self.shared.index {
            index.identify(self.shared.id, identity);
        }
    }

    /// Removes the key of this type that [`identify`](Self::identify) has set, for example at logout.
    /// Returns whether there was one.
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Result};
    /// # #[derive(PartialEq, Eq, Hash)] struct UserId(u64);
    /// async fn logout(ctx: &Context) -> Result<bool> {
    ///     Ok(ctx.remove_identity::<UserId>())
    /// }
    /// # let _ = logout;
    /// ```
    pub fn remove_identity<K: 'static>(&self) -> bool {
        let index = self.shared.index.as_ref();
        index.is_some_and(|index| index.remove_identity(self.shared.id, TypeId::of::<K>()))
    }

    /// A handle like `peer` whose calls inherit the [deadline](Self::deadline) of this call, for
    /// calls to a third side that this call depends on. Ordinary again after this call; see
    /// [`peer`](Self::peer).
    ///
    /// ```
    /// # use wsjsonrpc::{Context, Error, Peer, Result};
    /// async fn relay(ctx: &Context, backend: &Peer) -> Result<u64> {
    ///     let backend = ctx.with_deadline(backend);
    ///     backend.call("stock", ["apple"]).await.map_err(Error::into_object)
    /// }
    /// ```
    pub fn with_deadline(&self, peer: &Peer) -> Peer {
        peer.clone().inheriting(self.handled().cloned())
    }
}

/// A clone may outlive the call, so the end of the call must reach it.
impl Clone for Context {
    fn clone(&self) -> Self {
        self.handled();
        Context { shared: Arc::clone(&self.shared), call: self.call.clone() }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("peer", &Peer::new(Arc::clone(&self.shared.link)))
            .field("remote_addr", &self.shared.handshake.remote_addr)
            .field("state", &self.shared.state)
            .finish()
    }
}

/// The connection's own value comes before that of outer layers.
fn seen<T: Send + Sync + 'static>(
    found: Found<T>,
    handshake: &Arc<Handshake>,
) -> Option<Extension<T>> {
    match found {
        Found::Here(value) => Some(Extension::own(value)),
        Found::Hidden => None,
        Found::Nothing => Extension::outer(handshake),
    }
}

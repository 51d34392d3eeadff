//! The first argument of every handler: [`Context`]. It holds the connection that the call came in
//! on, the call's deadline and cancellation, and the values that belong to the connection.

use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Extensions;
use serde::Serialize;
use tokio::sync::MutexGuard;
use tokio::time::Instant;

use crate::error::{CloseReason, Error};
use crate::handshake::Handshake;
use crate::incoming::extension::{Extension, Outer};
use crate::incoming::order::OrderedCalls;
use crate::link::Link;
use crate::outgoing::deadline::HandledCall;
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorObject, Result};
use crate::protocol::request_extensions::{self, ReceivedExtensions};
use crate::util::catch_unwind::drop_contained;
use crate::util::race::race;
use crate::util::runtime::deadline;
use crate::util::type_map::{Found, TypeMap};

/// The connection that a call came in on: the caller, its handshake, and what earlier calls left.
///
/// Cheap to clone; a clone may be kept beyond the call.
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
    /// In nanoseconds since the connection began: half as large as an `Instant`, and every request
    /// is moved with it.
    deadline: Option<NonZeroU64>,
    /// State that the call's handles and the clones of its context share. Most calls have none, so
    /// it is made on first use.
    handled: OnceLock<Arc<HandledCall>>,
}

struct Shared {
    link: Arc<Link>,
    begun: Instant,
    /// In an `Arc` of its own: its values are lent out, perhaps to be stored in `state`.
    handshake: Arc<Handshake>,
    state: TypeMap,
    /// The queue of the calls of ordered methods, made with the first one.
    ordered_calls: OnceLock<Box<OrderedCalls>>,
}

/// A panic in the drop of a request's extension must not reach the connection.
impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(handshake) = Arc::get_mut(&mut self.handshake) {
            drop_contained(std::mem::take(&mut handshake.extensions), "an extension of a request");
        }
    }
}

impl Outer for Handshake {
    fn extensions(&self) -> &Extensions {
        &self.extensions
    }
}

/// Enough for five centuries.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl Context {
    /// The context of a connection, outside any call.
    pub(crate) fn new(link: Arc<Link>, handshake: Handshake) -> Self {
        let (begun, state, ordered_calls) = (Instant::now(), TypeMap::default(), OnceLock::new());
        let handshake = Arc::new(handshake);
        let shared = Arc::new(Shared { link, begun, handshake, state, ordered_calls });
        Context { shared, call: Call::default() }
    }

    /// The context of a call, with the extensions of its request; `now` is the [`age`](Self::age)
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
            if extra.progress.is_some() || extra.window.is_some() {
                let handled = self.make_handled(&call, extra);
                call.handled = OnceLock::from(handled);
            }
        }
        Context { shared: Arc::clone(&self.shared), call }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.shared.link
    }

    /// Whether the caller requests a subscription with a window, and both sides use this crate.
    #[inline]
    pub(crate) fn is_asked_to_subscribe(&self) -> bool {
        self.call.handled.get().is_some_and(|handled| handled.is_asked_to_subscribe())
            && self.shared.link.extended
    }

    /// Begins a subscription with this call and returns its window.
    pub(crate) fn begin_subscription(&self) -> Option<u64> {
        self.call.handled.get()?.begin_subscription()
    }

    /// The age of the connection in nanoseconds.
    pub(crate) fn age(&self) -> u64 {
        nanoseconds(self.shared.begun.elapsed())
    }

    /// The number of the call.
    pub(crate) fn number(&self) -> u64 {
        self.call.number
    }

    /// Adds the values that authorization left on the connection.
    pub(crate) fn adopt(&self, state: TypeMap) {
        self.shared.state.adopt(state);
    }

    /// The caller, to be called back. It does not keep the connection open.
    ///
    /// While this call is being handled, calls by this handle inherit its [`deadline`](Self::deadline): they
    /// wait no longer than that, whatever their own timeout. That ends when the handler returns, when the
    /// call is answered (a subscription's, when it is accepted), and when
    /// [`is_cancelled`](Self::is_cancelled) is true. From then on a handle that was kept is an ordinary one.
    /// Calls that it has begun before keep the time that they were given.
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
    ///         // Good for as long as the connection is open.
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

    /// The context of the same call without what handles inherit: cheaper than a clone.
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
    /// The answer is taken in while the handler waits, so calls back and forth may nest as deep as
    /// they like.
    pub fn client<C: From<Peer>>(&self) -> C {
        C::from(self.peer())
    }

    /// What the opening handshake told: target, headers, cookies, address, subprotocol.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// The connection's own values, and the handshake with the extensions of outer layers.
    pub(crate) fn values(&self) -> (&TypeMap, &Arc<Handshake>) {
        (&self.shared.state, &self.shared.handshake)
    }

    /// Waits until the connection has ended: for handlers that work long, to give up when nobody
    /// waits for the result.
    ///
    /// # Cancel safety
    /// It changes nothing, so it may be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        self.shared.link.closed().await
    }

    /// Waits until the result is of no use any more: the caller has taken the call back, because its
    /// time was over or because nobody waits for it, or the connection has ended. A call that was
    /// taken back has been answered by then, with -32800; what the handler returns is dropped. A
    /// clone that is kept beyond its call waits for the end of the connection.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use wsjsonrpc::{Context, Result};
    /// # async fn step() {}
    /// async fn work(ctx: &Context) -> Result<u32> {
    ///     for _ in 0..1000 {
    ///         tokio::select! {
    ///             () = step() => {}
    ///             () = ctx.cancelled() => break, // tidy up, and stop
    ///         }
    ///     }
    ///     Ok(1000)
    /// }
    /// ```
    ///
    /// # Cancel safety
    /// It changes nothing, so it may be dropped and called again.
    pub async fn cancelled(&self) {
        let link = &self.shared.link;
        race(pin!(link.cancellations.cancelled(self.call.number)), pin!(link.closed())).await;
    }

    /// Whether the result is of no use any more; see [`cancelled`](Self::cancelled).
    pub fn is_cancelled(&self) -> bool {
        let link = &self.shared.link;
        self.is_taken_back() || link.close_reason().is_some()
    }

    /// Waits until all earlier ordered calls are done. The caller drops the guard at the end of its
    /// own call. `None`: this call was cancelled while it waited.
    pub(crate) async fn ordered_permit(&self, method: Box<str>) -> Option<MutexGuard<'_, ()>> {
        let ordered_calls = self.shared.ordered_calls.get_or_init(Box::default);
        ordered_calls.acquire(self.call.number, method, &self.shared.link).await
    }

    /// Tells the caller how far the call is, if it wants to know
    /// ([`Call::on_progress`](crate::Call::on_progress)): with the notification `$/progress` of the
    /// Language Server Protocol. Waits for room in the outbox, so a handler can't outrun its caller's
    /// network; what is told before the handler returns arrives before its result.
    ///
    /// Does nothing if the caller has not asked for it, has taken the call back, or came by HTTP POST.
    /// When the call was answered, nobody looks at it any more.
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
    /// [`Error::Encode`], [`Error::TooLarge`]: the value. [`Error::Closed`]: the connection has
    /// ended, or is being closed.
    ///
    /// # Cancel safety
    /// A future that is dropped before it is ready has told nothing.
    pub fn progress<T: Serialize>(
        &self,
        value: T,
    ) -> impl Future<Output = std::result::Result<(), Error>> + Send {
        let token = self.call.handled.get().and_then(|handled| handled.extra.progress.as_deref());
        let deaf = || self.is_taken_back() || self.shared.link.has_no_socket();
        let token = token.filter(|_| !deaf());
        // Encoded right here, so the value need not be `Send`.
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

    /// When the caller gives up waiting, if it has said so: callers that use this crate do, others
    /// don't know how to. It is a [`tokio::time::Instant`], which follows tokio's clock where a test has
    /// paused that; [`into_std`](tokio::time::Instant::into_std) makes a [`std::time::Instant`] of it.
    ///
    /// Nothing happens to a handler at that time: the handler looks whether it is too late to begin
    /// something. Calls by [`peer`](Self::peer) and [`client`](Self::client), and those by
    /// [`Context::with_deadline`], wait no longer than that while the handler runs. A call that begins after the
    /// deadline fails with [`Error::DeadlinePassed`], and nothing is sent.
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

    /// Leaves a value on the connection for its later calls, one for each type. Gives back the one
    /// that was there.
    pub fn set<T: Send + Sync + 'static>(&self, value: T) -> Option<Extension<T>> {
        let (state, handshake) = self.values();
        seen(state.set(value), handshake)
    }

    /// The value of this type that an earlier call of this connection has left, or its
    /// authorization ([`Grant::set`](crate::server::Grant::set)), or else a layer around the endpoint
    /// ([`Handshake::extensions`](field@Handshake::extensions)).
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        let (state, handshake) = self.values();
        seen(state.get(), handshake)
    }

    /// The value of this type; if there is none, this one is left on the connection. Of several
    /// calls at the same time, one leaves its own, and all get that.
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
        // A value that hides an extension is never removed, so this can't change in between.
        let (state, handshake) = self.values();
        let outer = Extension::outer(handshake);
        match outer.filter(|_| matches!(state.get::<T>(), Found::Nothing)) {
            Some(outer) => outer,
            None => Extension::own(state.get_or_set(Arc::new(value))),
        }
    }

    /// Takes the value of this type off the connection, as a logout does. One that a layer around
    /// the endpoint has put there is not seen any more.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Extension<T>> {
        let (state, handshake) = self.values();
        let is_outer = handshake.extensions.get::<T>().is_some();
        seen(if is_outer { state.hide() } else { state.remove() }, handshake)
    }

    /// The value of this type, for handlers that can't do without.
    ///
    /// # Errors
    /// -32001 "Unauthorized" if [`get`](Self::get) finds none. The log names the type, at debug level.
    pub fn require<T: Send + Sync + 'static>(&self) -> Result<Extension<T>> {
        self.get().ok_or_else(|| {
            tracing::debug!(
                type_name = std::any::type_name::<T>(),
                "the connection has no value of the type that a handler requires; the caller gets -32001"
            );
            ErrorObject::unauthorized("Unauthorized")
        })
    }

    /// A handle like `peer` whose calls inherit the [deadline](Self::deadline) of this call: for calls to
    /// a third side that this call depends on. When this call is over, it is an ordinary handle; see
    /// [`peer`](Self::peer).
    pub fn with_deadline(&self, peer: &Peer) -> Peer {
        peer.clone().inheriting(self.handled().cloned())
    }
}

/// A clone may outlive the call, so the call's end must reach it.
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

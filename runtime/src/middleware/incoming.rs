//! Middleware of incoming calls: the trait [`Middleware`] that applications implement, and
//! [`Next`], the rest of the chain up to the handler. `around` wraps services in their middleware
//! before the router is built.

use std::borrow::Cow;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;

use crate::error::CloseReason;
use crate::incoming::context::Context;
use crate::incoming::error_map::{Audience, ErrorMap};
use crate::incoming::router::ConnectionObserver;
use crate::incoming::service::{
    AcceptedHandler, Outcome, OutcomeKind, Request, Response, ResponseKind, Service,
};
use crate::link::credit::{ProducedSubscription, Stage};
use crate::middleware::scope::Scope;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::util::catch_unwind::{CatchUnwind, Panicked, UserValues, catch_unwind};
use crate::util::race::{Either, race};

/// Middleware around each incoming call, for logs, metrics, limits and checks that apply to many
/// methods.
///
/// Install it with `middleware` on the builder of a server or a client. The first one installed is
/// the outermost.
///
/// ```
/// # use wsjsonrpc::{Client, memory};
/// use wsjsonrpc::middleware::{Middleware, Next};
/// use wsjsonrpc::service::{Request, Response};
/// use wsjsonrpc::{Context, ErrorObject, Server, async_trait};
///
/// struct ReadOnly;
///
/// #[async_trait]
/// impl Middleware for ReadOnly {
///     async fn call(&self, _ctx: &Context, request: Request, next: Next<'_>) -> Response {
///         if next.names().iter().any(|name| name.starts_with("set")) {
///             return request.fail(ErrorObject::new(403, "read-only"));
///         }
///         let method = next.method().unwrap_or("unknown").to_owned();
///         let response = next.run(request).await;
///         println!("{method} succeeded: {}", response.error().is_none());
///         response
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(ReadOnly)
///     .method("get", |_, ()| async { Ok(42) })
///     .method("set", |_, (_x,): (i64,)| async { Ok(()) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # let peer = client.peer();
/// assert_eq!(peer.call::<i64>("get", ()).await?, 42);
/// assert!(peer.call::<()>("set", (1,)).await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Which calls
///
/// Each request and each notification, alone or in a batch, even if its method is unknown. For a
/// subscription, the middleware handles the subscribe call: `next.run` returns as soon as the
/// handler has a stream, and the items do not pass through the middleware. If the middleware then
/// returns another response, the stream is dropped.
///
/// These do not reach middleware:
///
/// - messages that are not valid requests;
/// - calls over [`Config::max_in_flight`](crate::Config::max_in_flight) or
///   [`max_in_flight_bytes`](crate::Config::max_in_flight_bytes), and calls during a shutdown, which
///   are refused before a handler would start;
/// - calls that end a subscription, and this crate's control notifications, whose names begin with
///   `$/`.
///
/// # Blocking, panics and cancellation
///
/// Middleware runs where handlers run and is part of the call. It must not block. If it panics, the
/// caller gets -32603. It is dropped when its handler would be dropped.
///
/// If the caller cancels the call, the middleware continues, as handlers do, and
/// [`Context::is_cancelled`] returns `true`. If the connection ends, it also continues, unless
/// [`Config::cancel_on_close`](crate::Config::cancel_on_close) is set.
///
/// Calls enter middleware in the order in which they arrive. If middleware waits before `next.run`,
/// later calls can overtake. `ordered` methods run in the order in which calls reach their handlers.
///
/// # Cost
///
/// Without middleware, calls have no overhead. With it, each call needs a few allocations.
#[async_trait]
pub trait Middleware: Send + Sync + 'static {
    /// Handles one call: passes it on with `next.run(request).await`, or answers it with
    /// [`Request::reply`] or [`Request::fail`].
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response;

    /// Called when a connection is open: its handshake is done, and no message was read yet.
    ///
    /// Must not block. Not called for HTTP POST, where calls have no connection.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server, memory};
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicUsize, Ordering};
    ///
    /// use wsjsonrpc::error::CloseReason;
    /// use wsjsonrpc::middleware::{Middleware, Next};
    /// use wsjsonrpc::service::{Request, Response};
    /// use wsjsonrpc::{Context, async_trait};
    ///
    /// #[derive(Default)]
    /// struct Open(AtomicUsize);
    ///
    /// #[async_trait]
    /// impl Middleware for Open {
    ///     async fn call(&self, _ctx: &Context, request: Request, next: Next<'_>) -> Response {
    ///         next.run(request).await
    ///     }
    ///
    ///     fn connected(&self, _ctx: &Context) {
    ///         self.0.fetch_add(1, Ordering::Relaxed);
    ///     }
    ///
    ///     fn disconnected(&self, _ctx: &Context, _reason: &CloseReason) {
    ///         self.0.fetch_sub(1, Ordering::Relaxed);
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let open = Arc::new(Open::default());
    /// let server = Server::builder()
    ///     .middleware(Arc::clone(&open))
    ///     .method("ping", |_, ()| async { Ok(()) });
    /// # let (client, _) = memory::pair(Client::builder(), server)?;
    /// # client.peer().call::<()>("ping", ()).await?;
    /// assert_eq!(open.0.load(Ordering::Relaxed), 1);
    /// # Ok(())
    /// # }
    /// ```
    fn connected(&self, ctx: &Context) {
        let _ = ctx;
    }

    /// Called when a connection has ended, once for each that was
    /// [`connected`](Self::connected).
    ///
    /// Must not block.
    fn disconnected(&self, ctx: &Context, reason: &CloseReason) {
        let _ = (ctx, reason);
    }

    /// Called when a connection has received and sent this number of bytes more.
    ///
    /// The numbers are those of the network: they include frame headers, the opening handshake, and
    /// the overhead of TLS. Called at most once in each poll of the connection, and for the last time
    /// right before [`disconnected`](Self::disconnected). Must not block.
    fn transferred(&self, ctx: &Context, received: u64, sent: u64) {
        let _ = (ctx, received, sent);
    }
}

/// Use an `Arc` to install one value in several builders, or to choose the type at run time.
#[async_trait]
impl<M: Middleware + ?Sized> Middleware for Arc<M> {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        (**self).call(ctx, request, next).await
    }

    fn connected(&self, ctx: &Context) {
        (**self).connected(ctx);
    }

    fn disconnected(&self, ctx: &Context, reason: &CloseReason) {
        (**self).disconnected(ctx, reason);
    }

    fn transferred(&self, ctx: &Context, received: u64, sent: u64) {
        (**self).transferred(ctx, received, sent);
    }
}

/// Middleware in the order in which calls pass through it.
pub(crate) type Stack = Arc<UserValues<Arc<dyn Middleware>>>;

impl ConnectionObserver for UserValues<Arc<dyn Middleware>> {
    fn connected(&self, ctx: &Context) {
        notify_all(self, |middleware| middleware.connected(ctx));
    }

    fn transferred(&self, ctx: &Context, received: u64, sent: u64) {
        notify_all(self, |middleware| middleware.transferred(ctx, received, sent));
    }

    fn disconnected(&self, ctx: &Context, reason: &CloseReason) {
        notify_all(self, |middleware| middleware.disconnected(ctx, reason));
    }
}

/// Middleware is user code, so a panic in it is contained.
fn notify_all(stack: &[Arc<dyn Middleware>], event: impl Fn(&dyn Middleware)) {
    for middleware in stack {
        if catch_unwind(|| event(&**middleware)).is_err() {
            tracing::error!("middleware panicked in a connection callback");
        }
    }
}

/// All names of one method.
pub(crate) type Names = Arc<[Cow<'static, str>]>;

/// The rest of the chain: the next middleware, or finally the handler.
pub struct Next<'a> {
    context: &'a Context,
    stack: &'a [Arc<dyn Middleware>],
    layered: &'a Layered,
}

impl Next<'_> {
    /// Passes the call on, and returns the response.
    ///
    /// If the handler panics, the response is an error with code -32603. If the handler returns an
    /// error of a type that was registered with
    /// [`map_error`](crate::server::ServerBuilder::map_error), the response already has its code. All
    /// other errors have code -32603 and a [`source`](ErrorObject::source), which is not sent to the
    /// caller.
    pub async fn run(self, request: Request) -> Response {
        let Next { context, stack, layered } = self;
        let outcome = match stack.split_first() {
            Some((first, stack)) => {
                let next = Next { context, stack, layered };
                match catch_unwind(|| first.call(context, request, next)) {
                    Ok(future) => CatchUnwind::new(future).await,
                    Err(panicked) => Err(panicked),
                }
            }
            None => layered.handle(request).await,
        };
        let audience = || {
            let link = context.link();
            Audience { no_socket: link.has_no_socket(), extended: link.extended }
        };
        match outcome {
            Ok(Response(ResponseKind::Error(error))) if error.source().is_some() => {
                layered.error_map.known(error, &layered.name, audience()).into()
            }
            Ok(response) => response,
            Err(Panicked) => {
                let method = &*layered.name;
                let who = if stack.is_empty() { "handler" } else { "middleware" };
                tracing::error!(method, "{who} panicked; the caller gets -32603");
                layered.error_map.panicked(&format!("the {who}"), audience()).into()
            }
        }
    }

    /// The registered name of the method, which is safe to use as a label or in a log.
    ///
    /// `None` if no method was registered with the name in the request. Then the next service is the
    /// fallback, or the call fails with -32601, and [`Request::method`] is a text that the peer chose.
    pub fn method(&self) -> Option<&str> {
        self.layered.names.is_some().then_some(&*self.layered.name)
    }

    /// All registered names of the method: [`method`](Self::method) and its aliases. Empty if no
    /// method was registered with the name in the request.
    ///
    /// Middleware that authorizes calls by name must check all of them; otherwise a caller can use
    /// an alias to bypass the check.
    pub fn names(&self) -> &[Cow<'static, str>] {
        self.layered.names.as_deref().unwrap_or_default()
    }

    /// Whether the scope contains the call's method.
    pub(crate) fn is_in(&self, scope: &Scope, request: &Request) -> bool {
        scope.has(request.method(), self.names())
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next").field("method", &self.method()).finish_non_exhaustive()
    }
}

/// A method, or the fallback, with the middleware around it.
struct Layered {
    stack: Stack,
    service: Arc<dyn Service>,
    method: usize,
    /// For the log.
    name: Cow<'static, str>,
    /// All names under which it was registered; `None` for a fallback.
    names: Option<Names>,
    error_map: Arc<ErrorMap>,
}

impl Layered {
    async fn handle(&self, request: Request) -> Result<Response, Panicked> {
        match catch_unwind(|| self.service.call(self.method, request).0)? {
            OutcomeKind::Ready(response) => Ok(response),
            OutcomeKind::Pending(handler) => CatchUnwind::new(handler).await,
            OutcomeKind::Subscription(handler, accepted) => {
                let mut handler = CatchUnwind::new(handler);
                let first = {
                    let ended = pin!(accepted.link.closed());
                    race(ended_or_accepted(&mut handler, &accepted.subscription), ended).await
                };
                match first {
                    Either::Left(Some(outcome)) => outcome,
                    Either::Left(None) => {
                        Ok(Response(ResponseKind::Accepted(Box::new(AcceptedHandler {
                            handler,
                            accepted,
                        }))))
                    }
                    // As without middleware: the connection cannot receive items any more.
                    Either::Right(_) => Ok(ErrorObject::of(ErrorCode::REQUEST_CANCELLED).into()),
                }
            }
        }
    }
}

/// Waits until the handler of a subscription ends (`Some`), or has a stream and waits for its
/// response to be sent (`None`).
fn ended_or_accepted(
    handler: &mut CatchUnwind<'static, Response>,
    subscription: &ProducedSubscription,
) -> impl Future<Output = Option<Result<Response, Panicked>>> + Unpin {
    poll_fn(move |cx| match Pin::new(&mut *handler).poll(cx) {
        Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
        Poll::Pending if subscription.stage() == Stage::Accepted => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    })
}

/// A service for one method with middleware around it.
struct LayeredService(Arc<Layered>);

impl Service for LayeredService {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        Vec::new()
    }

    fn call(&self, _: usize, request: Request) -> Outcome {
        let layered = Arc::clone(&self.0);
        Outcome::future(async move {
            let context = request.handled();
            let next = Next { context: &context, stack: &layered.stack, layered: &layered };
            next.run(request).await
        })
    }
}

/// Wraps a method of a service, or a fallback, in its middleware. A fallback has no `names`.
pub(crate) fn around(
    stack: &Stack,
    error_map: &Arc<ErrorMap>,
    (service, method): (Arc<dyn Service>, usize),
    name: Cow<'static, str>,
    names: Option<Names>,
) -> Arc<dyn Service> {
    let (stack, error_map) = (Arc::clone(stack), Arc::clone(error_map));
    let layered = Layered { stack, service, method, name, names, error_map };
    Arc::new(LayeredService(Arc::new(layered)))
}

/// A service without methods, to which every call is unknown.
pub(crate) struct Nothing;

impl Service for Nothing {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        Vec::new()
    }

    fn call(&self, _: usize, request: Request) -> Outcome {
        Outcome::unknown(request)
    }
}

//! Middleware of incoming calls: the trait [`Middleware`] that applications implement, and [`Next`],
//! the way through several of them to the handler. `around` wraps services in their middleware
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

/// Code around every incoming call: for logs, figures, limits, checks that belong to no single method.
/// Installed by `middleware` on either builder; the first one installed is the outermost.
///
/// ```
/// # use wsjsonrpc::{Client, memory};
/// use wsjsonrpc::middleware::{Middleware, Next};
/// use wsjsonrpc::{Context, Server, async_trait};
/// use wsjsonrpc::service::{Request, Response};
///
/// struct Announce;
///
/// #[async_trait]
/// impl Middleware for Announce {
///     async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
///         println!("{} begins", next.method().unwrap_or("an unknown method"));
///         let response = next.run(request).await;
///         println!("it has come to an error: {}", response.error().is_some());
///         response
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(Announce)
///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # What it sees
///
/// Each request and notification, alone or in a batch, and those whose method is unknown, too. Of a
/// subscription it sees the call; once its handler has a stream, `next.run` brings a response, and the
/// stream goes on outside. If another response is given in place of it, the stream is dropped.
///
/// It does not see what is refused before a handler would begin: what is no request, calls over
/// [`Config::max_in_flight`](crate::Config::max_in_flight) or
/// [`max_in_flight_bytes`](crate::Config::max_in_flight_bytes), and those that come during a shutdown;
/// nor calls that end a subscription, and this crate's own notifications, whose names begin with `$/`.
///
/// # What it may do
///
/// It runs where handlers run, and counts as one: it must not block, a panic in it is the call's -32603,
/// and it is dropped where its handler would be. If the caller takes the call back it goes on, as handlers
/// do; [`Context::is_cancelled`] tells it. So it does when the connection ends, unless
/// [`Config::cancel_on_close`](crate::Config::cancel_on_close) is set. Calls come in in order; middleware that waits before
/// `next.run` lets later ones overtake, and a method's `ordered` is about the order in which handlers are
/// reached.
///
/// Without any middleware a call costs nothing more; with it, a few allocations for each one.
#[async_trait]
pub trait Middleware: Send + Sync + 'static {
    /// Handles one call: by `next.run(request).await`, or by an answer of its own
    /// ([`Request::reply`], [`Request::fail`]).
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response;

    /// A connection is open: its handshake is done, nothing of it was read. Must not block. Not for calls
    /// by HTTP POST, which have no connection of their own.
    fn connected(&self, ctx: &Context) {
        let _ = ctx;
    }

    /// It has ended. Called once for each that was [`connected`](Self::connected). Must not block.
    fn disconnected(&self, ctx: &Context, reason: &CloseReason) {
        let _ = (ctx, reason);
    }

    /// So many bytes more came in and went out, as the network has them: with their frames, the opening
    /// handshake, and under TLS the records. Told when the connection was at work, at most once each time
    /// that it is polled; the last time just before [`disconnected`](Self::disconnected). Must not block.
    fn transferred(&self, ctx: &Context, received: u64, sent: u64) {
        let _ = (ctx, received, sent);
    }
}

/// For one value in several builders, or a type that is chosen at run time.
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

/// Middleware is user code: a panic in it stops here.
fn notify_all(stack: &[Arc<dyn Middleware>], event: impl Fn(&dyn Middleware)) {
    for middleware in stack {
        if catch_unwind(|| event(&**middleware)).is_err() {
            tracing::error!("middleware panicked when it was told of a connection");
        }
    }
}

/// All names of one method.
pub(crate) type Names = Arc<[Cow<'static, str>]>;

/// What comes behind a middleware: the next one, or in the end the handler.
pub struct Next<'a> {
    context: &'a Context,
    stack: &'a [Arc<dyn Middleware>],
    layered: &'a Layered,
}

impl Next<'_> {
    /// Handles the call. A handler that panics brings -32603; an error of a type that the builder was told
    /// to [`map_error`](crate::server::ServerBuilder::map_error) has its own code already, others are -32603 with
    /// their [`source`](ErrorObject::source), which stays on this side.
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

    /// The method's name as it was registered: fit for a label and for a log. `None` if no method of this
    /// name was: then [`Request::method`] has the peer's own words, and what is behind is the fallback, or
    /// -32601.
    pub fn method(&self) -> Option<&str> {
        self.layered.names.is_some().then_some(&*self.layered.name)
    }

    /// All names of the method, as they were registered: [`method`](Self::method), and those that it has
    /// besides. Whoever decides by name what a caller may do looks at all of them, or an alias is a way
    /// around. Empty if no method of this name was registered.
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
                    // As without middleware: the connection can't get the items any more.
                    Either::Right(_) => Ok(ErrorObject::of(ErrorCode::REQUEST_CANCELLED).into()),
                }
            }
        }
    }
}

/// Waits until the handler of a subscription ends, or has a stream and waits for its response.
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

/// A service of one method with middleware around it.
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

/// Puts middleware around a method of a service, or around a fallback, which has no `names`.
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

/// A service without methods: every call is unknown.
pub(crate) struct Nothing;

impl Service for Nothing {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        Vec::new()
    }

    fn call(&self, _: usize, request: Request) -> Outcome {
        Outcome::unknown(request)
    }
}

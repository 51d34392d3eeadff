//! Services, which handle incoming calls: the trait [`Service`], a [`Request`] as a handler sees
//! it, and its [`Outcome`]. Generated code uses this file. A request contains neither connection
//! nor id nor batch, so a handler cannot answer twice, or answer another call.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::ops::{Deref, Range};
use std::pin::pin;
use std::sync::Arc;

use serde::Deserialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::incoming::context::Context;
use crate::incoming::producer::Producer;
use crate::incoming::signature::Returns;
use crate::incoming::topic::Topic;
use crate::link::credit::AcceptedSubscription;
use crate::protocol::encode::{begin_result, result_in};
use crate::protocol::error::{ErrorCode, ErrorObject, Result};
use crate::protocol::params::Args;
use crate::protocol::params::Str;
use crate::protocol::travel::{ReceivedArg, SentResult};
use crate::protocol::typed::RpcError;
use crate::protocol::whole::{self, Form};
use crate::util::BoxFuture;
use crate::util::catch_unwind::CatchUnwind;
use crate::util::race::{Either, race};

/// Handles incoming calls. `#[rpc]` generates a service for a trait, and
/// [`Methods`](crate::Methods) creates one from closures, so you rarely need to implement it.
///
/// `Box<dyn Service>` and `Arc<dyn Service>` are services as well, so a program can choose an
/// implementation at run time:
///
/// ```
/// use wsjsonrpc::{Context, Result, Server, rpc};
/// use wsjsonrpc::service::Service;
///
/// #[rpc]
/// trait Clock {
///     async fn now(&self, ctx: &Context) -> Result<u64>;
/// }
///
/// struct System;
///
/// impl Clock for System {
///     async fn now(&self, _ctx: &Context) -> Result<u64> {
///         Ok(std::time::UNIX_EPOCH.elapsed()?.as_secs())
///     }
/// }
///
/// struct Frozen(u64);
///
/// impl Clock for Frozen {
///     async fn now(&self, _ctx: &Context) -> Result<u64> {
///         Ok(self.0)
///     }
/// }
///
/// let frozen = std::env::var_os("FROZEN").is_some();
/// let clock: Box<dyn Service> =
///     if frozen { Box::new(Frozen(0).into_service()) } else { Box::new(System.into_service()) };
/// let server = Server::builder().service(clock);
/// # drop(server);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a service",
    label = "expected a service",
    note = "if it implements an `#[rpc]` trait, add `.into_service()`",
    note = "for a closure, call `.method(name, closure)` of the builder or of `wsjsonrpc::Methods`"
)]
pub trait Service: Send + Sync + 'static {
    /// The wire names of the methods, each with the number that is passed to [`call`](Self::call).
    /// Called once, when the server or client is built. Several names may have the same number. The
    /// number [`Topic::UNSUBSCRIBE`](crate::subscription::Topic::UNSUBSCRIBE) marks methods that
    /// end subscriptions: they are never passed to `call`, and several services may have them under
    /// the same name.
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)>;

    /// Starts handling a request for the method with this number. Must not block.
    fn call(&self, method: usize, request: Request) -> Outcome;

    /// Describes the methods for the [`Document`](crate::openrpc::Document) of the endpoint.
    /// Methods that are not described are not in the document. Default: describes none.
    #[cfg(feature = "schema")]
    fn describe(&self) -> Vec<crate::openrpc::Method> {
        Vec::new()
    }
}

impl<S: Service + ?Sized> Service for Box<S> {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        (**self).methods()
    }

    fn call(&self, method: usize, request: Request) -> Outcome {
        (**self).call(method, request)
    }

    #[cfg(feature = "schema")]
    fn describe(&self) -> Vec<crate::openrpc::Method> {
        (**self).describe()
    }
}

impl<S: Service + ?Sized> Service for Arc<S> {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        (**self).methods()
    }

    fn call(&self, method: usize, request: Request) -> Outcome {
        (**self).call(method, request)
    }

    #[cfg(feature = "schema")]
    fn describe(&self) -> Vec<crate::openrpc::Method> {
        (**self).describe()
    }
}

/// An incoming call: its connection, method and params. It owns its message, so decoded values may
/// borrow from it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::borrow::Cow;
/// use wsjsonrpc::service::{Outcome, Request, Service};
/// use wsjsonrpc::{Client, Result, Server, memory};
///
/// /// A service written by hand, with one method.
/// struct Doubler;
///
/// impl Service for Doubler {
///     fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
///         vec![("double".into(), 0)]
///     }
///
///     fn call(&self, _method: usize, request: Request) -> Outcome {
///         Outcome::ready(move || {
///             let doubled: Result<i64> = request.params().decode().map(|(x,): (i64,)| 2 * x);
///             request.reply(doubled)
///         })
///     }
/// }
///
/// let (client, _) = memory::pair(Client::builder(), Server::builder().service(Doubler))?;
/// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
pub struct Request {
    /// Dropped with the request, which the handler holds until it has ended.
    context: Handled,
    message: Utf8Bytes,
    method: Method,
    params: Option<Range<usize>>,
    notification: bool,
}

/// The context of a call, as long as the call is being handled.
pub(crate) struct Handled(Context);

impl Deref for Handled {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.0
    }
}

impl Drop for Handled {
    #[inline]
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The method's name.
pub(crate) enum Method {
    InMessage(Range<usize>),
    /// The name contained escapes.
    Decoded(Box<str>),
}

impl Request {
    pub(crate) fn new(
        context: Context,
        message: Utf8Bytes,
        method: Method,
        params: Option<Range<usize>>,
        notification: bool,
    ) -> Self {
        Request { context: Handled(context), message, method, params, notification }
    }

    /// The context, for code around the handler.
    pub(crate) fn handled(&self) -> Handled {
        Handled(self.context.again())
    }

    /// The context of the call. Handles created from it inherit the call's
    /// [deadline](Context::deadline) until the request is dropped.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The method's name on the wire.
    pub fn method(&self) -> &str {
        match &self.method {
            Method::InMessage(range) => self.message.get(range.clone()).unwrap_or_default(),
            Method::Decoded(name) => name,
        }
    }

    /// The params.
    pub fn params(&self) -> Params<'_> {
        Params { json: self.params.clone().and_then(|range| self.message.get(range)) }
    }

    /// Whether it is a notification, which gets no response.
    pub fn is_notification(&self) -> bool {
        self.notification
    }

    /// Whether the request came in a batch.
    #[cfg(feature = "testing")]
    pub(crate) fn in_batch(&self) -> bool {
        self.message.trim_start().starts_with('[')
    }

    #[doc(hidden)]
    pub fn caller(&self) -> Caller {
        let (context, method) = (self.context.bare(), self.method().into());
        Caller { context, method, notification: self.notification }
    }

    /// The arguments by position or by name, for a method with these parameters.
    #[doc(hidden)]
    pub fn args(&self, names: &'static [&'static str]) -> Result<Args<'_>> {
        self.refuse_subscribing()?;
        Args::new(self.params().json, names)
    }

    /// The arguments by position only.
    #[doc(hidden)]
    pub fn list(&self, names: &'static [&'static str]) -> Result<Args<'_>> {
        self.refuse_subscribing()?;
        Args::list(self.params().json, names)
    }

    /// Decodes all params into the single argument of a closure; see [`whole::of_closure`].
    pub(crate) fn of_closure<'a, T: Deserialize<'a>>(&'a self, form: Form) -> Result<T> {
        whole::of_closure(self.params().json, form)
    }

    /// All params as one value.
    #[doc(hidden)]
    pub fn whole<'a, T: ReceivedArg<'a>>(&'a self) -> Result<T> {
        self.refuse_subscribing()?;
        self.params().decode()
    }

    /// Marks the request as a subscription. Returns how much the consumer accepts before it sends
    /// credit, if it uses credit.
    pub(crate) fn begin_subscription(&self) -> Option<u64> {
        self.context.begin_subscription()
    }

    /// Fails if the caller wants to subscribe to a method that is not a subscription. Called when the
    /// method reads its arguments, before a subscription could start.
    #[inline]
    pub(crate) fn refuse_subscribing(&self) -> Result<()> {
        if self.context.is_asked_to_subscribe() { Err(self.no_subscription()) } else { Ok(()) }
    }

    #[cold]
    #[inline(never)]
    fn no_subscription(&self) -> ErrorObject {
        let method = self.method();
        let words = format!(
            "Invalid Request: method `{method}` is not a subscription; call it without subscribing"
        );
        ErrorObject::new(ErrorCode::INVALID_REQUEST, words)
    }

    /// Returns an error outcome if the params are larger than `limit` bytes of JSON.
    #[doc(hidden)]
    #[inline]
    pub fn refuse_params_over(&self, limit: usize) -> Option<Outcome> {
        let size = self.params.as_ref().map_or(0, Range::len);
        if size > limit { Some(self.large_params(size, limit)) } else { None }
    }

    #[cold]
    #[inline(never)]
    fn large_params(&self, size: usize, limit: usize) -> Outcome {
        let method = self.method();
        let words =
            format!("Invalid params: {size} bytes; method `{method}` accepts at most {limit}");
        Outcome(OutcomeKind::Ready(self.fail(ErrorObject::invalid_params(words))))
    }

    /// Converts the result of the method into a response. A notification's result is not
    /// serialized.
    pub fn reply<R: Returns>(&self, outcome: R) -> Response
    where
        R::Ok: SentResult,
    {
        match outcome.into_result() {
            Ok(_) if self.notification => Response(ResponseKind::Silent),
            Ok(result) => match begin_result(&result) {
                Ok(text) => Response(ResponseKind::Result(text)),
                Err(error) => self.fail(ErrorObject::from(error)),
            },
            Err(error) => self.fail(error.to_object()),
        }
    }

    /// Converts an error into a response.
    pub fn fail(&self, error: ErrorObject) -> Response {
        Response(ResponseKind::Error(error))
    }
}

impl fmt::Debug for Request {
    /// Leaves out the params, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("notification", &self.notification)
            .finish_non_exhaustive()
    }
}

/// The params of a call, not yet decoded.
///
/// ```
/// use serde_json::value::RawValue;
/// use wsjsonrpc::server::Fallback;
/// use wsjsonrpc::service::Params;
/// use wsjsonrpc::{Context, ErrorObject, Result, async_trait};
///
/// /// A method `add` without the macro.
/// struct Add;
///
/// #[async_trait]
/// impl Fallback for Add {
///     async fn call(&self, _: &Context, method: &str, params: Params<'_>) -> Result<Box<RawValue>> {
///         if method != "add" {
///             return Err(ErrorObject::method_not_found());
///         }
///         let (x, y): (i64, i64) = params.decode()?;
///         Ok(serde_json::value::to_raw_value(&(x + y))?)
///     }
/// }
/// # let _ = Add;
/// ```
#[derive(Clone, Copy)]
pub struct Params<'a> {
    json: Option<&'a str>,
}

impl<'a> Params<'a> {
    #[cfg(feature = "testing")]
    pub(crate) fn of(json: Option<&'a str>) -> Self {
        Params { json }
    }

    /// The params as a JSON list or object; `None` without params.
    pub fn json(&self) -> Option<&'a str> {
        self.json
    }

    /// Decodes all params into one value: a list into a tuple or `Vec`, an object into a struct or
    /// map. No params, an empty list and an empty object mean the same. A list may be shorter than
    /// the tuple if the remaining elements are `Option`s.
    ///
    /// # Errors
    /// -32602 with the reason.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T> {
        whole::whole(self.json)
    }
}

impl fmt::Debug for Params<'_> {
    /// Leaves out the values, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Params").field("bytes", &self.json.map_or(0, str::len)).finish()
    }
}

/// The caller, separate from the request, which the handler owns. For generated code.
#[doc(hidden)]
#[derive(Debug)]
pub struct Caller {
    context: Context,
    method: Box<str>,
    notification: bool,
}

/// The response to a request. Created by [`Request::reply`] and [`Request::fail`].
///
/// ```
/// use wsjsonrpc::middleware::{Middleware, Next};
/// use wsjsonrpc::service::{Request, Response};
/// use wsjsonrpc::{Context, async_trait};
///
/// /// Logs the errors of handlers.
/// struct LogErrors;
///
/// #[async_trait]
/// impl Middleware for LogErrors {
///     async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
///         let response = next.run(request).await;
///         if let Some(error) = response.error() {
///             println!("{error}");
///         }
///         response
///     }
/// }
/// # let _ = LogErrors;
/// ```
pub struct Response(pub(crate) ResponseKind);

#[derive(Debug)]
pub(crate) enum ResponseKind {
    /// The response's text up to its id.
    Result(Vec<u8>),
    Error(ErrorObject),
    /// A subscription that was accepted earlier has ended, possibly with an error.
    Ended(Option<ErrorObject>),
    /// Nothing is sent.
    Silent,
    /// An accepted subscription, as middleware sees it. The rest of the handler runs outside the
    /// middleware.
    Accepted(Box<AcceptedHandler>),
}

/// The handler of a subscription that has its stream and whose call has not been answered yet.
pub(crate) struct AcceptedHandler {
    pub(crate) handler: CatchUnwind<'static, Response>,
    pub(crate) accepted: Box<AcceptedSubscription>,
}

impl fmt::Debug for AcceptedHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl Response {
    /// The error, if it is one. Its [`source`](ErrorObject::source) is for this side only; it is
    /// never sent.
    pub fn error(&self) -> Option<&ErrorObject> {
        if let ResponseKind::Error(error) = &self.0 { Some(error) } else { None }
    }

    /// The result as JSON. `None` for errors, notifications and subscriptions.
    pub fn result(&self) -> Option<&str> {
        if let ResponseKind::Result(text) = &self.0 { result_in(text) } else { None }
    }
}

impl fmt::Debug for Response {
    /// Leaves out the result, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Response");
        if let Some(error) = self.error() {
            shown.field("error", error);
        } else if let Some(result) = self.result() {
            shown.field("result", &format_args!("{} bytes", result.len()));
        }
        shown.finish()
    }
}

/// An error response, for any request.
impl From<ErrorObject> for Response {
    fn from(error: ErrorObject) -> Self {
        Response(ResponseKind::Error(error))
    }
}

/// The name of the parameter of a method that ends subscriptions, the same as in their
/// notifications.
const ID: &str = "subscription";

/// The state of a request after [`Service::call`]: answered, or a future that will answer it.
///
/// ```
/// use std::borrow::Cow;
/// use wsjsonrpc::service::{Outcome, Request, Service};
/// use wsjsonrpc::{ErrorObject, Server};
///
/// /// An async service written by hand, with one method.
/// struct Files;
///
/// impl Service for Files {
///     fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
///         vec![("size".into(), 0)]
///     }
///
///     fn call(&self, _method: usize, request: Request) -> Outcome {
///         Outcome::future(async move {
///             let (path,): (String,) = match request.params().decode() {
///                 Ok(params) => params,
///                 Err(error) => return request.fail(error),
///             };
///             let size = std::fs::metadata(path).map(|file| file.len());
///             request.reply(size.map_err(ErrorObject::from))
///         })
///     }
/// }
///
/// let server = Server::builder().service(Files);
/// # drop(server);
/// ```
pub struct Outcome(pub(crate) OutcomeKind);

pub(crate) enum OutcomeKind {
    Ready(Response),
    Pending(BoxFuture<Response>),
    /// Until the future is ready, the call may be answered with a subscription.
    Subscription(BoxFuture<Response>, Box<AcceptedSubscription>),
}

impl Outcome {
    /// For an async handler. It is polled once where the request was read. If it is not ready then,
    /// it continues in its own task.
    pub fn future(handler: impl Future<Output = Response> + Send + 'static) -> Self {
        Outcome(OutcomeKind::Pending(Box::pin(handler)))
    }

    /// For a plain function that does not block. It runs at once.
    pub fn ready(handler: impl FnOnce() -> Response) -> Self {
        Outcome(OutcomeKind::Ready(handler()))
    }

    /// For a handler that blocks. It runs on tokio's thread pool for blocking code.
    pub fn blocking(handler: impl FnOnce() -> Response + Send + 'static) -> Self {
        Self::future(async move {
            match tokio::task::spawn_blocking(handler).await {
                Ok(response) => response,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => std::panic::resume_unwind(panic),
                    // Only the shutdown of the runtime cancels a blocking task.
                    Err(_) => Response(ResponseKind::Error(ErrorObject::internal())),
                },
            }
        })
    }

    /// Starts after all earlier handlers of this kind on its connection have ended, or never if its
    /// call is cancelled before.
    #[doc(hidden)]
    pub fn ordered(self, caller: &Caller) -> Self {
        let OutcomeKind::Pending(handler) = self.0 else { return self };
        let (context, method) = (caller.context.bare(), caller.method.clone());
        Self::future(async move {
            let Some(_permit) = context.ordered_permit(method).await else { return cancelled() };
            handler.await
        })
    }

    /// Dropped at its next await when the result is not needed any more. A notification's result
    /// never is, so notifications run to completion.
    #[doc(hidden)]
    pub fn droppable(self, caller: &Caller) -> Self {
        let OutcomeKind::Pending(handler) = self.0 else { return self };
        if caller.notification {
            return Outcome(OutcomeKind::Pending(handler));
        }
        let context = caller.context.bare();
        Self::future(async move {
            match race(handler, pin!(context.cancelled())).await {
                Either::Left(response) => response,
                Either::Right(()) => cancelled(),
            }
        })
    }

    /// The handler of a subscription. It gets the request back, with a [`Producer`] that
    /// [runs](Producer::run) its stream.
    #[doc(hidden)]
    pub fn subscription<F>(
        request: Request,
        topic: Topic,
        handler: impl FnOnce(Request, Producer) -> F,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        if request.is_notification() {
            tracing::debug!(
                "ignored a subscription without an id: its caller could not get the subscription id"
            );
            return Outcome(OutcomeKind::Ready(Response(ResponseKind::Silent)));
        }
        let link = Arc::clone(request.context().link());
        if link.has_no_socket() {
            let error = ErrorObject::of(ErrorCode::NEEDS_WEBSOCKET);
            return Outcome(OutcomeKind::Ready(request.fail(error)));
        }
        let window = request.begin_subscription();
        let limit = link.config.max_subscriptions;
        let Some(subscription) = link.produced.insert(topic.unsubscribe.clone(), window, limit)
        else {
            let busy = ErrorObject::of(ErrorCode::SERVER_BUSY);
            return Outcome(OutcomeKind::Ready(request.fail(busy)));
        };
        let accepted = AcceptedSubscription {
            link: Arc::clone(&link),
            subscription: Arc::clone(&subscription),
            notification: topic.notification.clone(),
            tell_end: topic.tell_end || link.extended,
        };
        let handled = request.context().handled().cloned();
        let resuming = request.context().resuming().cloned();
        let producer = Producer::new(topic, link, subscription, handled, resuming);
        Outcome(OutcomeKind::Subscription(Box::pin(handler(request, producer)), Box::new(accepted)))
    }

    /// Handles a call of an unsubscribe method. Its only parameter is the subscription's id.
    pub(crate) fn unsubscribe(request: &Request) -> Self {
        let id = || {
            let mut args = request.args(&[ID])?;
            let id: Str<'_> = args.next()?;
            args.finish()?;
            Ok(id)
        };
        let produced = &request.context().link().produced;
        let ended = id().map(|id| produced.unsubscribe(request.method(), &id.0));
        Outcome(OutcomeKind::Ready(request.reply::<Result<bool, ErrorObject>>(ended)))
    }

    /// A number that [`Service::methods`] did not return.
    #[doc(hidden)]
    pub fn unknown(request: Request) -> Self {
        let error = ErrorObject::no_method(request.method());
        Outcome(OutcomeKind::Ready(request.fail(error)))
    }
}

/// The response to a cancelled call. It was sent when the call was cancelled, or the connection has
/// closed.
fn cancelled() -> Response {
    Response(ResponseKind::Error(ErrorObject::of(ErrorCode::REQUEST_CANCELLED)))
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            OutcomeKind::Ready(_) => "Outcome::Ready",
            OutcomeKind::Pending(_) => "Outcome::Pending",
            OutcomeKind::Subscription(..) => "Outcome::Subscription",
        })
    }
}

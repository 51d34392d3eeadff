//! Middleware of outgoing calls: the trait [`OutgoingMiddleware`] that applications implement, what
//! it gets and returns, and the [`Chain`] that leads a call through several of them. The last step
//! is a closure, so this file depends on no connection.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use async_trait::async_trait;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::protocol::encode::OutgoingMessage;
use crate::util::catch_unwind::UserValues;

/// Code around every call that this side makes: requests, notifications and subscription calls, by stubs
/// or untyped, from handlers back to their caller, too. Installed by `outgoing_middleware` on either
/// builder; the first one installed is the outermost.
///
/// ```
/// # use wsjsonrpc::{Server, memory};
/// use wsjsonrpc::middleware::{OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply};
/// use wsjsonrpc::{Client, Error, async_trait};
///
/// struct Announce;
///
/// #[async_trait]
/// impl OutgoingMiddleware for Announce {
///     async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
///         println!("{} goes out", request.method());
///         next.run(request).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
/// let client = Client::builder().outgoing_middleware(Announce);
/// # let (client, _) = memory::pair(client, server)?;
/// # assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # What it sees
///
/// Each call once, whatever becomes of it: that a reconnecting client sends an idempotent one again is
/// inside of `next.run`. A call whose arguments can't be encoded, or whose time is over before it begins, is
/// not seen, nor is what this crate sends by itself: unsubscribing, cancelling, progress. The calls of a
/// [batch](crate::Peer::batch) are seen together, by [`batch`](Self::batch), without their outcomes.
///
/// # What it may do
///
/// It runs in the task that awaits the call, and is dropped when that is given up; a panic in it is that
/// task's own. To refuse a call, give an error: [`Error::Call`] with an error object comes out as if the peer
/// had answered with it. A call's timeout counts from when it is first polled, so time that is spent here is
/// not there for the peer; a call whose time is over when it comes to the connection is not sent. It ends
/// nothing that waits here: whatever may take long, such as fetching a token, needs a timeout of its own.
///
/// Without any, a call costs nothing more; with it, a few allocations for each one.
#[async_trait]
pub trait OutgoingMiddleware: Send + Sync + 'static {
    /// Makes one call, by `next.run(request).await`, or answers it or fails in its place.
    ///
    /// # Errors
    /// What the caller gets; those of a [`Call`](crate::Call).
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error>;

    /// Sends a batch, by `next.run().await`, or fails in its place; then nothing of it is sent.
    ///
    /// # Errors
    /// What the caller gets; those of [`Batch::send`](crate::Batch::send).
    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let _ = batch;
        next.run().await
    }
}

/// For one value in several builders, or a type that is chosen at run time.
#[async_trait]
impl<M: OutgoingMiddleware + ?Sized> OutgoingMiddleware for Arc<M> {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        (**self).call(request, next).await
    }

    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        (**self).batch(batch, next).await
    }
}

/// A call before it is sent.
pub struct OutgoingRequest {
    pub(crate) message: OutgoingMessage,
    notification: bool,
}

impl OutgoingRequest {
    pub(crate) fn new(message: OutgoingMessage, notification: bool) -> Self {
        OutgoingRequest { message, notification }
    }

    /// The method's wire name.
    pub fn method(&self) -> &str {
        &self.message.method
    }

    /// The params as JSON, a list or an object; `None` if there are none.
    pub fn params(&self) -> Option<&str> {
        self.message.params()
    }

    /// Other params in their place: what serializes to a list or an object, or `()` for none.
    ///
    /// # Errors
    /// [`Error::Encode`]; then the request has none.
    pub fn set_params(&mut self, params: impl Serialize) -> Result<(), Error> {
        self.message.set_params(&params).map_err(|error| Error::Encode(error.into()))
    }

    /// Whether it is a notification, which nobody answers.
    pub fn is_notification(&self) -> bool {
        self.notification
    }
}

impl fmt::Debug for OutgoingRequest {
    /// Leaves out the params, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method())
            .field("notification", &self.notification)
            .finish_non_exhaustive()
    }
}

/// A result that the peer has answered with, not yet decoded; of a notification, null.
pub struct Reply(pub(crate) Utf8Bytes, pub(crate) Range<usize>);

impl Reply {
    /// That of a peer which was not asked.
    ///
    /// # Errors
    /// [`Error::Encode`]: it does not serialize.
    pub fn new(result: impl Serialize) -> Result<Self, Error> {
        let json = serde_json::to_string(&result).map_err(|error| Error::Encode(error.into()))?;
        Ok(Self::of(json.into()))
    }

    /// The reply of a notification.
    pub(crate) fn none() -> Self {
        Self::of(Utf8Bytes::from_static("null"))
    }

    fn of(json: Utf8Bytes) -> Self {
        let all = 0..json.len();
        Reply(json, all)
    }

    /// The result as JSON.
    pub fn json(&self) -> &str {
        self.0.get(self.1.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Reply {
    /// Leaves out the result, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("bytes", &self.1.len()).finish()
    }
}

/// The calls and notifications of a batch, in their order.
#[derive(Debug)]
pub struct OutgoingBatch(pub(crate) Vec<OutgoingRequest>);

impl OutgoingBatch {
    /// What is in it.
    pub fn requests(&self) -> &[OutgoingRequest] {
        &self.0
    }
}

type Stack = [Arc<dyn OutgoingMiddleware>];
type Sent<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;
type SendCall = Box<dyn FnOnce(OutgoingRequest) -> Sent<'static, Reply> + Send>;
type SendBatch = Box<dyn FnOnce() -> Sent<'static, ()> + Send>;

/// What comes behind a middleware: the next one, or in the end the connection.
pub struct OutgoingNext<'a> {
    stack: &'a Stack,
    send: SendCall,
}

impl OutgoingNext<'_> {
    /// Makes the call.
    ///
    /// # Errors
    /// What became of it in place of a result.
    pub async fn run(self, request: OutgoingRequest) -> Result<Reply, Error> {
        let OutgoingNext { stack, send } = self;
        match stack.split_first() {
            Some((first, stack)) => first.call(request, OutgoingNext { stack, send }).await,
            None => send(request).await,
        }
    }
}

impl fmt::Debug for OutgoingNext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingNext").finish_non_exhaustive()
    }
}

/// As [`OutgoingNext`], for a batch.
pub struct BatchNext<'a> {
    batch: &'a OutgoingBatch,
    stack: &'a Stack,
    send: SendBatch,
}

impl BatchNext<'_> {
    /// Sends the batch.
    ///
    /// # Errors
    /// Nothing of it was sent.
    pub async fn run(self) -> Result<(), Error> {
        let BatchNext { batch, stack, send } = self;
        match stack.split_first() {
            Some((first, stack)) => first.batch(batch, BatchNext { batch, stack, send }).await,
            None => send().await,
        }
    }
}

impl fmt::Debug for BatchNext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchNext").field("batch", self.batch).finish_non_exhaustive()
    }
}

/// Middleware in the order in which calls pass through it; never empty.
pub(crate) struct Chain(UserValues<Arc<dyn OutgoingMiddleware>>);

impl Chain {
    pub(crate) fn of(stack: Vec<Arc<dyn OutgoingMiddleware>>) -> Option<Arc<Self>> {
        (!stack.is_empty()).then(|| Arc::new(Chain(stack.into())))
    }

    /// Makes a call through all middleware; `send` is the last step.
    pub(crate) async fn call(
        &self,
        request: OutgoingRequest,
        send: impl FnOnce(OutgoingRequest) -> Sent<'static, Reply> + Send + 'static,
    ) -> Result<Reply, Error> {
        OutgoingNext { stack: &self.0, send: Box::new(send) }.run(request).await
    }

    pub(crate) async fn batch(
        &self,
        batch: &OutgoingBatch,
        send: impl FnOnce() -> Sent<'static, ()> + Send + 'static,
    ) -> Result<(), Error> {
        BatchNext { batch, stack: &self.0, send: Box::new(send) }.run().await
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Chain").field(&self.0.len()).finish()
    }
}

/// Makes a future `Sync`, whatever it is made of, so that it can be shared.
pub(crate) struct Exclusive<F>(Mutex<Pin<Box<F>>>);

impl<F> Exclusive<F> {
    pub(crate) fn new(future: F) -> Self {
        Exclusive(Mutex::new(Box::pin(future)))
    }
}

impl<F: Future> Future for Exclusive<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Exclusive access needs no lock.
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll(cx)
    }
}

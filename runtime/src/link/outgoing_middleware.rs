//! Middleware of outgoing calls: the trait [`OutgoingMiddleware`] that applications implement, its
//! argument and result types, and the [`Chain`] that passes a call through several middleware. The
//! last step is a closure, so this file does not depend on a connection.

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

/// Middleware around each call that this side makes: requests, notifications and subscription
/// calls, typed or untyped, including calls from a handler to its caller.
///
/// Install it with `outgoing_middleware` on the builder of a client or a server. The first one
/// installed is the outermost.
///
/// ```
/// # use wsjsonrpc::{Server, memory};
/// use wsjsonrpc::middleware::{OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply};
/// use wsjsonrpc::{Client, Error, async_trait};
///
/// struct LogRequests;
///
/// #[async_trait]
/// impl OutgoingMiddleware for LogRequests {
///     async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
///         println!("sending {}", request.method());
///         next.run(request).await
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
/// let client = Client::builder().outgoing_middleware(LogRequests);
/// # let (client, _) = memory::pair(client, server)?;
/// # assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
///
/// # Which calls
///
/// The middleware runs once for each call. If a reconnecting client sends an idempotent call again,
/// this happens inside of `next.run`. It does not run for a call whose arguments cannot be encoded
/// or whose deadline passes before it starts, nor for messages that this crate sends on its own:
/// unsubscribe calls, cancellations and progress. The calls of a [batch](crate::Peer::batch) pass
/// together through [`batch`](Self::batch), which does not see their outcomes.
///
/// # Errors, panics and timeouts
///
/// The middleware runs in the task that awaits the call, and is dropped with the call's future. A
/// panic in it unwinds into that task. To refuse a call, return an error: the caller sees
/// [`Error::Call`] with an error object as if the peer had sent it.
///
/// The timeout of a call starts when the call is first polled, so time spent in middleware is not
/// available to the peer. A call whose deadline has passed when it reaches the connection is not
/// sent. The timeout does not interrupt the middleware itself: an operation that may take long,
/// such as fetching a token, needs its own timeout.
///
/// # Cost
///
/// Without middleware, calls have no overhead. With it, each call needs a few allocations.
#[async_trait]
pub trait OutgoingMiddleware: Send + Sync + 'static {
    /// Handles one call: makes it with `next.run(request).await`, or returns a reply or an error
    /// without making it.
    ///
    /// # Errors
    ///
    /// The caller gets the returned error, which is usually one of a [`Call`](crate::Call).
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error>;

    /// Handles one batch: sends it with `next.run().await`, or returns an error, and then nothing of
    /// the batch is sent. By default, sends it.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server, memory};
    /// use wsjsonrpc::middleware::{
    ///     BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
    /// };
    /// use wsjsonrpc::{Error, ErrorObject, async_trait};
    ///
    /// struct SmallBatches;
    ///
    /// #[async_trait]
    /// impl OutgoingMiddleware for SmallBatches {
    ///     async fn call(
    ///         &self,
    ///         request: OutgoingRequest,
    ///         next: OutgoingNext<'_>,
    ///     ) -> Result<Reply, Error> {
    ///         next.run(request).await
    ///     }
    ///
    ///     async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
    ///         if batch.requests().len() > 1 {
    ///             return Err(Error::Call(ErrorObject::new(413, "batch too large")));
    ///         }
    ///         next.run().await
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().method("ping", |_, ()| async { Ok(()) });
    /// let client = Client::builder().outgoing_middleware(SmallBatches);
    /// # let (client, _) = memory::pair(client, server)?;
    /// # let peer = client.peer();
    /// assert!(peer.batch(["ping"].map(|method| peer.call::<()>(method, ()))).await.is_ok());
    /// assert!(peer.batch(["ping"; 2].map(|method| peer.call::<()>(method, ()))).await.is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The caller gets the returned error, which is usually one of
    /// [`Batch::send`](crate::Batch::send).
    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let _ = batch;
        next.run().await
    }
}

/// Use an `Arc` to install one value in several builders, or to choose the type at run time.
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

    /// The name of the method on the wire.
    pub fn method(&self) -> &str {
        &self.message.method
    }

    /// The params as JSON, which is a list or an object. `None` if there are none.
    pub fn params(&self) -> Option<&str> {
        self.message.params()
    }

    /// Replaces the params by a value that serializes to a list or an object, or removes them with
    /// `()`.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server, memory};
    /// use wsjsonrpc::middleware::{OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply};
    /// use wsjsonrpc::{Error, async_trait};
    ///
    /// struct Double;
    ///
    /// #[async_trait]
    /// impl OutgoingMiddleware for Double {
    ///     async fn call(
    ///         &self,
    ///         mut request: OutgoingRequest,
    ///         next: OutgoingNext<'_>,
    ///     ) -> Result<Reply, Error> {
    ///         if request.params() == Some("[21]") {
    ///             request.set_params([42])?;
    ///         }
    ///         next.run(request).await
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder().method("same", |_, (x,): (i64,)| async move { Ok(x) });
    /// let client = Client::builder().outgoing_middleware(Double);
    /// # let (client, _) = memory::pair(client, server)?;
    /// assert_eq!(client.peer().call::<i64>("same", (21,)).await?, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value does not serialize to a list or an object. The request then
    /// has no params.
    pub fn set_params(&mut self, params: impl Serialize) -> Result<(), Error> {
        self.message.set_params(&params).map_err(|error| Error::Encode(error.into()))
    }

    /// Whether it is a notification, which has no response.
    pub fn is_notification(&self) -> bool {
        self.notification
    }
}

impl fmt::Debug for OutgoingRequest {
    /// Omits the params, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingRequest")
            .field("method", &self.method())
            .field("notification", &self.notification)
            .finish_non_exhaustive()
    }
}

/// The result of a call as JSON, before it is decoded. For a notification, it is null.
pub struct Reply(pub(crate) Utf8Bytes, pub(crate) Range<usize>);

impl Reply {
    /// Creates a reply, to answer a call without sending it.
    ///
    /// ```
    /// # use wsjsonrpc::{Client, Server, memory};
    /// use wsjsonrpc::middleware::{OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply};
    /// use wsjsonrpc::{Error, async_trait};
    ///
    /// struct Cache;
    ///
    /// #[async_trait]
    /// impl OutgoingMiddleware for Cache {
    ///     async fn call(
    ///         &self,
    ///         request: OutgoingRequest,
    ///         next: OutgoingNext<'_>,
    ///     ) -> Result<Reply, Error> {
    ///         match request.method() {
    ///             "version" => Reply::new("1.0"),
    ///             _ => next.run(request).await,
    ///         }
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = Server::builder();
    /// let client = Client::builder().outgoing_middleware(Cache);
    /// # let (client, _) = memory::pair(client, server)?;
    /// assert_eq!(client.peer().call::<String>("version", ()).await?, "1.0");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] if the value does not serialize.
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
    /// Omits the result, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("bytes", &self.1.len()).finish()
    }
}

/// The calls and notifications of a batch, in order.
#[derive(Debug)]
pub struct OutgoingBatch(pub(crate) Vec<OutgoingRequest>);

impl OutgoingBatch {
    /// The calls and notifications.
    pub fn requests(&self) -> &[OutgoingRequest] {
        &self.0
    }
}

type Stack = [Arc<dyn OutgoingMiddleware>];
type Sent<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;
type SendCall = Box<dyn FnOnce(OutgoingRequest) -> Sent<'static, Reply> + Send>;
type SendBatch = Box<dyn FnOnce() -> Sent<'static, ()> + Send>;

/// The rest of the chain: the next middleware, or finally the connection.
pub struct OutgoingNext<'a> {
    stack: &'a Stack,
    send: SendCall,
}

impl OutgoingNext<'_> {
    /// Makes the call.
    ///
    /// # Errors
    ///
    /// Those of a [`Call`](crate::Call), or those of an inner middleware.
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

/// The rest of the chain for a batch. See [`OutgoingNext`].
pub struct BatchNext<'a> {
    batch: &'a OutgoingBatch,
    stack: &'a Stack,
    send: SendBatch,
}

impl BatchNext<'_> {
    /// Sends the batch.
    ///
    /// # Errors
    ///
    /// Those of [`Batch::send`](crate::Batch::send), or those of an inner middleware. Nothing of the
    /// batch was sent.
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

/// Middleware in the order in which calls pass through it. Never empty.
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

/// Makes any future `Sync`.
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

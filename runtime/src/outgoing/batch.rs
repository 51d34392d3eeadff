//! Outgoing batches: several calls in one message, each with its own result type. [`Batch`]
//! collects calls ([`BatchCall`], [`IntoBatch`]) and sends them; `LinkBatch` is the part for one
//! connection.

use std::future::{Future, IntoFuture, Ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::error::Error;
use crate::link::outgoing_middleware::{Chain, OutgoingBatch, OutgoingRequest};
use crate::link::{LinkRef, OutgoingCall};
use crate::outgoing::call::{Call, CallFuture, Notification};
use crate::outgoing::deadline::CallTimeout;
use crate::outgoing::exchange::{Exchange, Ticket};
use crate::outgoing::peer::{Peer, RouteBatch, Target};
use crate::protocol::encode::{EncodeError, OutgoingMessage, array};
use crate::protocol::typed::RpcError;
use crate::util::BoxFuture;
use crate::util::runtime::deadline;

/// What can be sent as a batch: [`Call`]s and [`Notification`]s, and tuples (up to 12), `Vec`s and
/// arrays of them.
///
/// The output has the same shape, with a `Result` for each element. Each result has the value type
/// and error type of its call.
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("double", |_, (x,): (i64,)| async move { Ok(2 * x) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let peer = client.peer();
/// let calls: Vec<_> = (0..3).map(|x| peer.call::<i64>("double", (x,))).collect();
/// let (doubled, logged) = peer.batch((calls, peer.notify("log", ["done"]))).await?;
/// let doubled: Vec<i64> = doubled.into_iter().collect::<Result<_, _>>()?;
/// assert_eq!(doubled, [0, 2, 4]);
/// assert!(logged.is_ok());
/// # Ok(())
/// # }
/// ```
pub trait IntoBatch {
    /// The results, in the same shape.
    type Output;

    /// The future of the results.
    type Replies: Future<Output = Self::Output> + Send + Unpin + 'static;

    /// Adds the calls to a batch.
    fn add_to(self, batch: &mut Batch) -> Self::Replies;
}

/// A batch that has not been sent. Created by [`Peer::batch`]. Nothing is sent until it is awaited.
///
/// # Errors
/// Awaiting it returns the results of its elements. An error of the batch itself
/// ([`Error::Closed`], [`Error::TooLarge`], [`Error::LargeBatch`], [`Error::EmptyBatch`]) means
/// that nothing was sent. A missing, late or invalid response fails only its own element.
///
/// A peer that refuses the whole batch responds with one error: with the id null, or as go-ethereum
/// does, with the id of the first call and the code -32600 or -32700. Then every call of the batch
/// fails with that error at once. An error with the id null inside an array is the error of those
/// calls that the array does not answer.
///
/// # Cancel safety
/// As for a [`Call`].
#[must_use = "a batch sends nothing until it is awaited: `peer.batch(calls).await`"]
#[derive(Debug)]
pub struct BatchCall<B> {
    peer: Peer,
    calls: B,
}

impl<B> BatchCall<B> {
    pub(crate) fn new(peer: Peer, calls: B) -> Self {
        BatchCall { peer, calls }
    }
}

impl<B> IntoFuture for BatchCall<B>
where
    B: IntoBatch + Send + 'static,
    B::Output: Send,
{
    type Output = Result<B::Output, Error>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let mut batch = Batch::new(self.peer);
            let replies = self.calls.add_to(&mut batch);
            batch.send().await?;
            Ok(replies.await)
        })
    }
}

/// A batch that is filled step by step. Created by [`Peer::new_batch`].
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("math.sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let peer = client.peer();
/// let mut batch = peer.new_batch();
/// let sums: Vec<_> = (0..3).map(|x| batch.add(peer.call::<i64>("math.sum", (x, x)))).collect();
/// batch.send().await?;
/// for (x, sum) in sums.into_iter().enumerate() {
///     assert_eq!(sum.await?, 2 * x as i64);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a batch sends nothing until it is sent: `batch.send().await`"]
pub struct Batch {
    parts: Parts,
    added: usize,
    /// The maximum number of calls.
    limit: usize,
    /// The middleware around sending, if there is any, and its view of the batch.
    around: Option<(Arc<Chain>, OutgoingBatch)>,
}

impl Batch {
    pub(crate) fn new(peer: Peer) -> Self {
        let peer = peer.one_member();
        let limit = peer.config().max_outgoing_batch;
        let around = peer.outgoing().map(|chain| (Arc::clone(chain), OutgoingBatch(Vec::new())));
        let inherited = peer.inherited().clone();
        let parts = match peer.into_target() {
            Target::Link(link_ref) => {
                Parts::Link(LinkBatch { link_ref, messages: Vec::new(), calls: Vec::new() })
            }
            Target::Route(route) => Parts::Route(route.batch(inherited)),
        };
        Batch { parts, added: 0, limit, around }
    }

    /// Adds a call, a notification, or several. The returned future resolves to their results after
    /// [`send`](Self::send), or to [`Error::NotSent`] if the batch is dropped.
    #[must_use = "the future returns the peer's response"]
    pub fn add<B: IntoBatch>(&mut self, calls: B) -> B::Replies {
        calls.add_to(self)
    }

    /// The number of calls and notifications added so far.
    pub fn len(&self) -> usize {
        self.added
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.added == 0
    }

    /// Sends everything that was added in one message. Waits while the send queue is full.
    ///
    /// The batch of a [reconnecting client](crate::client::ClientBuilder::reconnect) waits for a
    /// connection if calls do. The timeouts of its calls count meanwhile; when all of them have
    /// passed, sending fails with [`Error::Timeout`].
    ///
    /// With HTTP it also waits for the response.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`], [`Error::LargeBatch`], [`Error::TooLarge`], [`Error::Closed`],
    /// [`Error::Timeout`]: nothing was sent. With HTTP, a batch that contains only notifications
    /// reports all its errors here.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, nothing was sent. With HTTP, the batch may have
    /// been sent; its calls fail with [`Error::Closed`].
    pub async fn send(self) -> Result<(), Error> {
        if self.added == 0 {
            return Err(Error::EmptyBatch);
        }
        if self.added > self.limit {
            return Err(Error::LargeBatch { entries: self.added, limit: self.limit });
        }
        match self.around {
            None => self.parts.send().await,
            Some((chain, batch)) => {
                let parts = self.parts;
                let send = move || -> BoxFuture<_> { Box::pin(parts.send()) };
                Box::pin(async move { chain.batch(&batch, send).await }).await
            }
        }
    }

    /// Shows a message to the middleware.
    fn show(&mut self, message: &OutgoingMessage, notification: bool) {
        if let Some((_, batch)) = &mut self.around {
            batch.0.push(OutgoingRequest::new(message.clone(), notification));
        }
    }

    fn call<T, E>(&mut self, call: Call<T, E>) -> BatchReply<T, E> {
        let message = call.message.map(OutgoingCall::from);
        let exchange = self.exchange(&call.peer, message, call.timeout);
        BatchReply(CallFuture::new(exchange, call.listener))
    }

    /// Adds a call, and returns its exchange.
    pub(crate) fn exchange(
        &mut self,
        peer: &Peer,
        message: Result<OutgoingCall, EncodeError>,
        timeout: Option<Duration>,
    ) -> Exchange {
        self.added += 1;
        let message = message.map_err(|error| Error::Encode(error.into()));
        let limit = peer.limit(timeout);
        let message =
            message.and_then(|message| limit.check(&message.outgoing.method).map(|()| message));
        if let Ok(message) = &message {
            self.show(&message.outgoing, false);
        }
        let exchange = message.and_then(|message| match &mut self.parts {
            Parts::Link(batch) => batch.call(message, limit).map(Exchange::Waiting),
            Parts::Route(batch) => batch.call(message, limit),
        });
        exchange.unwrap_or_else(Exchange::Failed)
    }

    fn notification(&mut self, notification: Notification) -> Result<(), Error> {
        self.added += 1;
        let message = notification.message.map_err(|error| Error::Encode(error.into()))?;
        self.show(&message, true);
        match &mut self.parts {
            Parts::Link(batch) => batch.messages.push(message.into_notification()),
            Parts::Route(batch) => batch.notify(message),
        }
        Ok(())
    }
}

enum Parts {
    Link(LinkBatch),
    Route(Box<dyn RouteBatch>),
}

impl Parts {
    async fn send(self) -> Result<(), Error> {
        match self {
            Parts::Link(batch) => batch.send().await,
            Parts::Route(batch) => batch.send().await,
        }
    }
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Parts::Link(_) => "Link",
            Parts::Route(_) => "Route",
        })
    }
}

/// A batch for one connection. Its calls already have their entries in the pending table.
struct LinkBatch {
    link_ref: LinkRef,
    messages: Vec<Vec<u8>>,
    /// Pending calls of the batch, with their timeouts.
    calls: Vec<(u64, Option<Duration>)>,
}

impl LinkBatch {
    async fn send(mut self) -> Result<(), Error> {
        let link = self.link_ref.link();
        link.check_open()?;
        // If all calls failed to encode, each of them reports that itself.
        if !self.messages.is_empty() {
            let text = array(self.messages.iter().map(Vec::as_slice));
            link.pending.queue(self.calls.iter().map(|(id, _)| *id));
            link.send_batch(text, self.calls.is_empty()).await?;
        }
        // The timeouts start now.
        let now = Instant::now();
        let calls = std::mem::take(&mut self.calls).into_iter();
        let until = |timeout: Option<Duration>| timeout.map(|timeout| deadline(now, timeout));
        if link.pending.start(calls.map(|(id, timeout)| (id, until(timeout)))) {
            link.send_queue.wake();
        }
        Ok(())
    }

    fn call(&mut self, mut message: OutgoingCall, limit: CallTimeout) -> Result<Ticket, Error> {
        let link = self.link_ref.link();
        let first = self.calls.first().map(|(id, _)| *id);
        let id = link.pending.insert_in_batch(first).map_err(Error::Closed)?;
        let span = link.span(&message, id);
        let method = std::mem::take(&mut message.outgoing.method);
        self.messages.push(link.write(message, id, limit.timeout, &span));
        let ticket = Ticket::in_batch(self.link_ref.clone(), id, limit, method, span);
        self.calls.push((id, limit.timeout));
        Ok(ticket)
    }
}

/// Ends the pending calls of a batch that was never sent.
impl Drop for LinkBatch {
    fn drop(&mut self) {
        let link = self.link_ref.link();
        self.calls.iter().for_each(|(id, _)| link.consumed.forget(*id));
        link.pending.fail_unsent(self.calls.drain(..).map(|(id, _)| id));
    }
}

/// The result of one element of a batch: the future that [`Batch::add`] returns.
#[must_use = "the future returns the peer's response"]
pub struct BatchReply<T, E>(CallFuture<T, E>);

impl<T, E> std::fmt::Debug for BatchReply<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReply").finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned, E: RpcError> Future for BatchReply<T, E> {
    type Output = Result<T, Error<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T, E> IntoBatch for Call<T, E>
where
    T: DeserializeOwned + 'static,
    E: RpcError,
{
    type Output = Result<T, Error<E>>;
    type Replies = BatchReply<T, E>;

    fn add_to(self, batch: &mut Batch) -> Self::Replies {
        batch.call(self)
    }
}

/// `Ok` means that the notification is part of the batch.
impl IntoBatch for Notification {
    type Output = Result<(), Error>;
    type Replies = Ready<Self::Output>;

    fn add_to(self, batch: &mut Batch) -> Self::Replies {
        std::future::ready(batch.notification(self))
    }
}

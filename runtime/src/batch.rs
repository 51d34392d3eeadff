//! Outgoing batches: several calls in one message, each with its own type and its own result.
//!
//! Must not know how incoming batches are answered (that is `dispatch`).

use std::future::{Future, IntoFuture, Ready};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::{Instant, Sleep};

use crate::call::{BoxFuture, Call, Notification, decode};
use crate::config::deadline;
use crate::error::Error;
use crate::peer::Peer;
use crate::pending::{Key, Ticket};
use crate::protocol::encode::{EncodeError, Outgoing, array};
use crate::protocol::error::RpcError;

/// What can be sent as a batch: [`Call`]s and [`Notification`]s, and tuples (up to 12), `Vec`s and
/// arrays of them.
///
/// The output has the same shape, with a `Result` for each of them.
pub trait IntoBatch {
    /// What it brings.
    type Output;

    /// Waits for it.
    type Replies: Future<Output = Self::Output> + Send + Unpin + 'static;

    /// Puts the calls into a batch.
    fn add_to(self, batch: &mut Batch) -> Self::Replies;
}

/// A batch to be sent; made by [`Peer::batch`]. Nothing happens until it is awaited.
///
/// # Errors
/// Awaiting it gives the results of its elements. An error of the batch itself ([`Error::Closed`],
/// [`Error::TooLarge`], [`Error::EmptyBatch`]) means that nothing of it was sent. A reply that is
/// missing, late or wrong fails only its own element.
///
/// # Cancel safety
/// As that of a [`Call`].
#[must_use = "a batch is sent when it is awaited"]
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

impl Peer {
    /// Several calls in one message; see [`IntoBatch`] for what may be in it.
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
    pub fn new_batch(&self) -> Batch {
        Batch::new(self.clone())
    }
}

/// A batch that is filled step by step; made by [`Peer::new_batch`].
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
pub struct Batch {
    peer: Peer,
    messages: Vec<Vec<u8>>,
    keys: Vec<Key>,
    added: usize,
    sent: Arc<SentAt>,
}

/// When the batch went out: from then on the timeouts of its calls count.
#[derive(Debug, Default)]
struct SentAt {
    time: OnceLock<Instant>,
    /// Somebody waits for a reply already, and must be told to look at the clock from now on.
    awaited: AtomicBool,
}

impl Batch {
    pub(crate) fn new(peer: Peer) -> Self {
        let (messages, keys) = (Vec::new(), Vec::new());
        Batch { peer, messages, keys, added: 0, sent: Arc::default() }
    }

    /// Adds a call, a notification, or several. The future brings what they bring; it is ready
    /// after [`send`](Self::send), or with [`Error::NotSent`] when the batch is dropped.
    #[must_use = "without it, what the peer answers is lost"]
    pub fn add<B: IntoBatch>(&mut self, calls: B) -> B::Replies {
        calls.add_to(self)
    }

    /// How many calls and notifications were added.
    pub fn len(&self) -> usize {
        self.added
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.added == 0
    }

    /// Sends all that was added, in one message; waits for room in the outbox.
    ///
    /// # Errors
    /// [`Error::EmptyBatch`], [`Error::TooLarge`], [`Error::Closed`]: nothing was sent.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is ready, nothing was sent.
    pub async fn send(mut self) -> Result<(), Error> {
        if self.added == 0 {
            return Err(Error::EmptyBatch);
        }
        self.peer.link().check_open()?;
        // Every call in it may have failed to encode: they say so themselves.
        if !self.messages.is_empty() {
            let text = array(self.messages.iter().map(Vec::as_slice));
            let notifications_only = self.keys.is_empty();
            if notifications_only {
                self.peer.link().expect_empty_reply();
            }
            let sent = self.peer.link().send(text).await;
            if sent.is_err() && notifications_only {
                self.peer.link().take_empty_reply();
            }
            sent?;
        }
        self.sent.time.get_or_init(Instant::now);
        let keys = std::mem::take(&mut self.keys);
        if self.sent.awaited.load(Ordering::SeqCst) {
            keys.iter().for_each(Key::wake);
        }
        Ok(())
    }

    fn call<T, E>(&mut self, call: Call<T, E>) -> BatchReply<T, E> {
        self.added += 1;
        let ticket = self.register(call.message);
        BatchReply {
            _peer: self.peer.clone(),
            ticket: Some(ticket),
            timeout: call.timeout,
            timer: None,
            sent: Arc::clone(&self.sent),
            result: PhantomData,
        }
    }

    fn register(&mut self, message: Result<Outgoing, EncodeError>) -> Result<Ticket, Error> {
        let message = message.map_err(|error| Error::Encode(error.into()))?;
        let ticket = self.peer.link().pending.insert().map_err(Error::Closed)?;
        self.messages.push(message.into_request(|out| ticket.write_id(out)));
        self.keys.push(ticket.key());
        Ok(ticket)
    }
}

/// Calls of a batch that was never sent must not wait for ever.
impl Drop for Batch {
    fn drop(&mut self) {
        self.keys.drain(..).for_each(Key::fail);
    }
}

/// What one call of a batch brings: the future of [`Batch::add`].
#[must_use = "without it, what the peer answers is lost"]
pub struct BatchReply<T, E> {
    /// The connection stays open as long as somebody waits for a reply.
    _peer: Peer,
    /// `None` when it was ready.
    ticket: Option<Result<Ticket, Error>>,
    timeout: Option<Duration>,
    timer: Option<Pin<Box<Sleep>>>,
    sent: Arc<SentAt>,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E> std::fmt::Debug for BatchReply<T, E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BatchReply").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl<T: DeserializeOwned, E: RpcError> Future for BatchReply<T, E> {
    type Output = Result<T, Error<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let outcome = match &mut this.ticket {
            Some(Ok(ticket)) => match Pin::new(ticket).poll(cx) {
                Poll::Ready(Ok(reply)) => decode(reply),
                Poll::Ready(Err(reason)) => Err(Error::Closed(reason)),
                Poll::Pending => {
                    let Some(timeout) = this.timeout else { return Poll::Pending };
                    // Before the look at the time, so that one of both sides sees the other.
                    this.sent.awaited.store(true, Ordering::SeqCst);
                    let Some(begin) = this.sent.time.get() else { return Poll::Pending };
                    let timer = this.timer.get_or_insert_with(|| {
                        Box::pin(tokio::time::sleep_until(deadline(*begin, timeout)))
                    });
                    if timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    Err(Error::Timeout)
                }
            },
            Some(Err(_)) => match this.ticket.take() {
                Some(Err(error)) => Err(error.map_call(Error::Other)),
                _ => Err(Error::NotSent),
            },
            None => Err(Error::NotSent),
        };
        this.ticket = None;
        Poll::Ready(outcome)
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

/// `Ok` means that it is in the batch.
impl IntoBatch for Notification {
    type Output = Result<(), Error>;
    type Replies = Ready<Self::Output>;

    fn add_to(self, batch: &mut Batch) -> Self::Replies {
        batch.added += 1;
        let added = self.message.map(|message| batch.messages.push(message.into_notification()));
        std::future::ready(added.map_err(|error| Error::Encode(error.into())))
    }
}

//! Subscribing to a stream of the peer: the call ([`Subscribe`], [`SubscribeFuture`]) and the
//! stream ([`Subscription`]). Items wait in `link`'s `SubscriptionBuffer`; consuming them sends
//! credit to the peer.

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use serde::de::DeserializeOwned;

use crate::error::{CloseReason, Error};
use crate::link::subscription_buffer::{End, SubscriptionBuffer, SubscriptionNames, TakenItems};
use crate::link::{Link, OutgoingCall};
use crate::outgoing::batch::{Batch, IntoBatch};
use crate::outgoing::call::{Call, typed};
use crate::outgoing::exchange::Exchange;
use crate::outgoing::peer::Peer;
use crate::outgoing::resume::{Mode, Resumption, Template};
use crate::protocol::encode::EncodeError;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::item::write_credit;
use crate::protocol::request_extensions::Resume;
use crate::protocol::typed::RpcError;
use crate::protocol::value::read;

/// A subscription that has not been requested. Nothing is sent until it is awaited. Then it returns
/// a [`Subscription`], or the error with which the peer refused it.
///
/// It is a call like any other: it has a [`timeout`](Self::timeout), can be sent
/// [`by_name`](Self::by_name), and can be part of a [batch](Peer::batch).
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server, Methods, Context, Result};
/// # use wsjsonrpc::subscription::Topic;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let count = |_: Context, (upto,): (u64,)| async move {
/// #     Ok(futures_util::stream::iter((1..=upto).map(Ok::<_, wsjsonrpc::ErrorObject>)))
/// # };
/// # let server = Server::builder().service(Methods::new().subscription(Topic::new("count"), count));
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let mut numbers = client.peer().subscribe::<u64>("count", (3,)).await?;
/// while let Some(number) = numbers.next().await {
///     println!("{}", number?);
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Those of a [`Call`].
///
/// # Cancel safety
/// The future may be dropped at any time. If the peer has started the subscription, or starts it
/// later, this side unsubscribes.
#[must_use = "a subscription does not start until it is awaited: `client.ticks().await`"]
pub struct Subscribe<T, E = ErrorObject> {
    call: Call<(), E>,
    names: SubscriptionNames,
    window: u64,
    mode: Option<Mode>,
    item: PhantomData<fn() -> T>,
}

impl<T, E> Subscribe<T, E> {
    pub(crate) fn new(call: Call<(), E>, names: SubscriptionNames) -> Self {
        let window = call.peer.config().subscription_window as u64;
        Subscribe { call, names, window, mode: None, item: PhantomData }
    }

    /// The name of the notifications that contain the items. Default: the name of the method.
    ///
    /// ```
    /// # use wsjsonrpc::{Error, Peer};
    /// # async fn show(node: Peer) -> Result<(), Error> {
    /// let mut heads = node
    ///     .subscribe::<serde_json::Value>("eth_subscribe", ["newHeads"])
    ///     .notification("eth_subscription")
    ///     .unsubscribe("eth_unsubscribe")
    ///     .await?;
    /// # heads.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn notification(mut self, name: &str) -> Self {
        self.names.notification = name.into();
        self
    }

    /// The name of the method that unsubscribes. Default: `unsubscribe_` plus the name of the
    /// method.
    pub fn unsubscribe(mut self, name: &str) -> Self {
        self.names.unsubscribe = name.into();
        self
    }

    /// How many bytes of items may wait to be consumed. Replaces
    /// [`Config::subscription_window`](crate::Config::subscription_window).
    ///
    /// ```
    /// # use wsjsonrpc::{Error, Peer};
    /// # async fn show(peer: Peer) -> Result<(), Error> {
    /// let mut blocks =
    ///     peer.subscribe::<String>("blocks", ()).window(4 * 1024 * 1024).await?; // 4 MiB
    /// # blocks.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn window(mut self, bytes: usize) -> Self {
        self.window = bytes as u64;
        self
    }

    /// How long to wait for the peer to accept the subscription; see [`Call::timeout`].
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.call = self.call.timeout(timeout);
        self
    }

    /// Waits for the peer to accept as long as the connection lives.
    pub fn without_timeout(mut self) -> Self {
        self.call = self.call.without_timeout();
        self
    }

    /// Sends the params as an object with the parameters' names instead of a list.
    pub fn by_name(mut self) -> Self {
        self.call = self.call.by_name();
        self
    }

    /// Lets the stream of a [reconnecting client](crate::client::ClientBuilder::reconnect) continue
    /// on its next connection, after the last item that the consumer has taken. The consumer gets
    /// each item once and in order. Where items may be missing, the stream yields one
    /// [`Error::Gap`], which says why, and continues.
    ///
    /// The client subscribes again with the same params, after its
    /// [`on_connect`](crate::client::ClientBuilder::on_connect) closure has logged in. This happens
    /// when the consumer polls the stream and has consumed all items of the old connection.
    ///
    /// The server must support it, with a [`Channel`](crate::Channel) or with a stream of
    /// [`Positioned`](crate::subscription::Positioned) items. Towards other servers, the stream
    /// continues as with [`resubscribe`](Self::resubscribe). A server that restarts has
    /// usually lost its log, which is a
    /// [`Gap::Restarted`](crate::error::Gap::Restarted).
    ///
    /// The stream ends with an error if the server refuses the subscription, and when the client
    /// does not reconnect any more. Without `reconnect`, this setting has no effect.
    ///
    /// ```
    /// # use wsjsonrpc::{Error, Peer};
    /// # fn reload() {}
    /// async fn follow(peer: Peer) -> Result<(), Error> {
    ///     let mut headlines = peer.subscribe::<String>("headlines", ()).resume().await?;
    ///     while let Some(headline) = headlines.next().await {
    ///         match headline {
    ///             Ok(headline) => println!("{headline}"),
    ///             // Items are missing here: load the current state in another way.
    ///             Err(Error::Gap(gap)) => {
    ///                 println!("{gap}");
    ///                 reload();
    ///             }
    ///             Err(error) => return Err(error),
    ///         }
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = follow;
    /// ```
    pub fn resume(mut self) -> Self {
        self.mode = Some(Mode::Resume);
        self
    }

    /// Lets the stream of a [reconnecting client](crate::client::ClientBuilder::reconnect) continue
    /// on its next connection with whatever the server sends then, for servers that do not support
    /// [`resume`](Self::resume), such as Ethereum nodes. The client subscribes again with the same
    /// params. Before the first item of each further connection, the stream yields an
    /// [`Error::Gap`] ([`Gap::Resubscribed`](crate::error::Gap::Resubscribed)), because the items in
    /// between are missing.
    ///
    /// ```
    /// # use wsjsonrpc::{Error, Peer};
    /// # async fn show(node: Peer) -> Result<(), Error> {
    /// let mut heads = node
    ///     .subscribe::<serde_json::Value>("eth_subscribe", ["newHeads"])
    ///     .notification("eth_subscription")
    ///     .unsubscribe("eth_unsubscribe")
    ///     .resubscribe()
    ///     .await?;
    /// # heads.next().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn resubscribe(mut self) -> Self {
        self.mode = Some(Mode::Resubscribe);
        self
    }

    /// Splits the call into the parts of an exchange and the subscription that it requests.
    #[allow(clippy::type_complexity)]
    fn split(self) -> (Peer, Result<OutgoingCall, EncodeError>, Option<Duration>, Requested) {
        let Subscribe { call: Call { peer, message, timeout, .. }, names, window, mode, .. } = self;
        let mode = mode.filter(|_| peer.reconnects());
        let resumption = mode.zip(message.as_ref().ok()).map(|(mode, message)| {
            let (peer, message, names) = (peer.clone(), message.clone(), names.clone());
            let template = Template { peer, message, names, window, timeout };
            Box::new(Resumption::new(template, mode))
        });
        let resume = mode.filter(|mode| *mode == Mode::Resume).map(|_| Resume::FromNow);
        let buffer = Arc::new(SubscriptionBuffer::new(names, window, resume));
        let half = Half { buffer: Arc::clone(&buffer), peer: peer.clone() };
        let message = message.map(|outgoing| OutgoingCall { outgoing, buffer: Some(buffer) });
        let requested = Requested { subscribing: Subscribing(Some(half)), resumption };
        (peer, message, timeout, requested)
    }
}

/// The consumer's half of a subscription. Dropping it unsubscribes, even before the subscription
/// has started.
pub(super) struct Half {
    pub(super) buffer: Arc<SubscriptionBuffer<Link>>,
    /// Keeps the connection open, as every handle does.
    pub(super) peer: Peer,
}

impl Drop for Half {
    fn drop(&mut self) {
        let Some(link) = self.buffer.home() else { return };
        if let Some(id) = link.consumed.abandon(&self.buffer) {
            link.unsubscribe(&self.buffer.names.unsubscribe, &id);
        }
    }
}

/// A requested subscription. If its call fails, dropping the half ends the subscription here.
pub(super) struct Subscribing(pub(super) Option<Half>);

impl Subscribing {
    /// Called when the peer has responded.
    pub(super) fn begun(&mut self) -> Result<Half, Error> {
        let half = self.0.take().filter(|half| half.buffer.id().is_some());
        half.ok_or(Error::InvalidResponse("the subscription id must be a string or a number"))
    }
}

/// A requested subscription, and how it continues after a reconnect.
struct Requested {
    subscribing: Subscribing,
    resumption: Option<Box<Resumption>>,
}

impl Requested {
    /// Handles the outcome of the call: the subscription's id, or an error.
    fn finish<T, E: RpcError>(
        &mut self,
        outcome: Result<(), Error>,
    ) -> Result<Subscription<T, E>, Error<E>> {
        let begun = outcome.and_then(|()| self.subscribing.begun());
        // Dropped now if the call failed.
        self.subscribing.0 = None;
        Ok(Subscription {
            half: begun.map_err(typed)?,
            taken: TakenItems::default(),
            resumption: self.resumption.take(),
            dropped_before: 0,
            over: false,
            result: PhantomData,
        })
    }
}

impl<T, E: RpcError> IntoFuture for Subscribe<T, E> {
    type Output = Result<Subscription<T, E>, Error<E>>;
    type IntoFuture = SubscribeFuture<T, E>;

    fn into_future(self) -> Self::IntoFuture {
        let (peer, message, timeout, requested) = self.split();
        let exchange = Exchange::new(peer, message, timeout);
        SubscribeFuture { exchange, requested, result: PhantomData }
    }
}

impl<T, E> IntoBatch for Subscribe<T, E>
where
    T: Send + 'static,
    E: RpcError,
{
    type Output = Result<Subscription<T, E>, Error<E>>;
    type Replies = SubscribeFuture<T, E>;

    fn add_to(self, batch: &mut Batch) -> Self::Replies {
        let (peer, message, timeout, requested) = self.split();
        let exchange = batch.exchange(&peer, message, timeout);
        SubscribeFuture { exchange, requested, result: PhantomData }
    }
}

impl<T, E> fmt::Debug for Subscribe<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe")
            .field("names", &self.names)
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

/// A requested subscription: the future of [`Subscribe`].
#[must_use = "a subscription does not start until it is awaited: `client.ticks().await`"]
pub struct SubscribeFuture<T, E = ErrorObject> {
    exchange: Exchange,
    requested: Requested,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T, E: RpcError> Future for SubscribeFuture<T, E> {
    type Output = Result<Subscription<T, E>, Error<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(self.exchange.poll(cx)).map(drop);
        Poll::Ready(self.requested.finish(outcome))
    }
}

impl<T, E> fmt::Debug for SubscribeFuture<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubscribeFuture").finish_non_exhaustive()
    }
}

/// A [`Stream`] of items that the peer sends, in order.
///
/// The stream ends:
///
/// - without an error, when the producer has no more items,
/// - with the error of the producer,
/// - with [`Error::Closed`], when the connection ends. A
///   [reconnecting client](crate::client::ClientBuilder::reconnect) can instead
///   [`resume`](Subscribe::resume) on its next connection.
/// - with [`Error::Lagged`], when items were consumed too slowly.
///
/// Two errors do not end the stream: [`Error::Decode`], one item is not a valid `T`, and
/// [`Error::Gap`], items of a resumed subscription are missing.
///
/// Dropping the subscription unsubscribes. It keeps a client's connection open, as a [`Peer`] does.
///
/// A slow consumer slows its producer if the producer uses this crate
/// ([`Config::subscription_window`](crate::Config::subscription_window)), and nothing else on the
/// connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use futures_util::stream;
/// use wsjsonrpc::{Client, Context, Result, Server, Stream, memory, rpc};
///
/// #[rpc]
/// trait Clock {
///     #[subscription]
///     async fn ticks(&self, ctx: &Context, count: u32) -> Result<impl Stream<Item = u32> + Send>;
/// }
///
/// struct Ticker;
///
/// impl Clock for Ticker {
///     async fn ticks(&self, _: &Context, count: u32) -> Result<impl Stream<Item = u32> + Send> {
///         Ok(stream::iter(1..=count))
///     }
/// }
///
/// let server = Server::builder().service(Ticker.into_service());
/// let (client, _) = memory::pair(Client::builder(), server)?;
/// let mut ticks = ClockClient::new(client.peer()).ticks(3).await?;
/// let mut sum = 0;
/// while let Some(tick) = ticks.next().await {
///     sum += tick?;
/// }
/// assert_eq!(sum, 6);
/// # Ok(())
/// # }
/// ```
pub struct Subscription<T, E = ErrorObject> {
    half: Half,
    taken: TakenItems,
    resumption: Option<Box<Resumption>>,
    /// The number of items that were dropped on earlier connections.
    dropped_before: u64,
    over: bool,
    result: PhantomData<fn() -> (T, E)>,
}

impl<T: DeserializeOwned, E: RpcError> Subscription<T, E> {
    /// The next item; `None` after the end.
    ///
    /// # Errors
    /// See [`Subscription`]. After every error except [`Error::Decode`] and [`Error::Gap`], the
    /// stream has ended.
    ///
    /// # Cancel safety
    /// No item is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Result<T, Error<E>>> {
        poll_fn(|cx| self.poll_item(cx)).await
    }

    fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, Error<E>>>> {
        loop {
            if self.over {
                return Poll::Ready(None);
            }
            if let Some(resumption) = &mut self.resumption {
                match ready!(resumption.poll(cx)) {
                    Ok(None) => {}
                    Ok(Some((half, gap))) => {
                        self.dropped_before =
                            self.dropped_before.saturating_add(self.half.buffer.dropped());
                        (self.half, self.taken) = (half, TakenItems::default());
                        if let Some(gap) = gap {
                            return Poll::Ready(Some(Err(Error::Gap(gap))));
                        }
                    }
                    Err(error) => {
                        self.over = true;
                        return Poll::Ready(Some(Err(typed(error))));
                    }
                }
            }
            let buffer = &self.half.buffer;
            let Some(item) = self.taken.first() else {
                match ready!(buffer.poll(cx, &mut self.taken)) {
                    Ok(start) => {
                        let resumption = self.resumption.as_mut();
                        let gap = resumption.zip(start).and_then(|(it, start)| it.start(start));
                        if let Some(gap) = gap {
                            return Poll::Ready(Some(Err(Error::Gap(gap))));
                        }
                    }
                    Err(end) => {
                        let resumption = self.resumption.as_ref();
                        let gap = resumption.and_then(|it| it.gap_at_end(buffer.take_end_gap()));
                        if let Some(gap) = gap {
                            return Poll::Ready(Some(Err(Error::Gap(gap))));
                        }
                        let end = match &mut self.resumption {
                            Some(resumption) => resumption.restore(end, &self.half),
                            None => Err(end),
                        };
                        if let Err(end) = end {
                            self.over = true;
                            return Poll::Ready(last(end).map(|error| Err(typed(error))));
                        }
                    }
                }
                continue;
            };
            let (marks, mut known) = (item.marks(), false);
            if let Some(resumption) = &mut self.resumption {
                if let Some(gap) = resumption.gap_before(marks) {
                    return Poll::Ready(Some(Err(Error::Gap(gap))));
                }
                known = resumption.is_known(marks);
                if !known {
                    resumption.consumed(marks);
                }
            }
            let item = (!known).then(|| read(item.json()).map_err(Error::Decode));
            if let Some(bytes) = buffer.consumed(&mut self.taken) {
                if let Some((link, id)) = buffer.home().zip(buffer.id()) {
                    // Small, and limited by the number of consumed bytes, so this need not wait for
                    // the send queue.
                    link.send_queue.send_anyway(write_credit(id, bytes));
                }
            }
            if item.is_some() {
                return Poll::Ready(item);
            }
        }
    }
}

/// The error that the consumer gets at the end, if any.
fn last(end: End) -> Option<Error> {
    match end {
        End::Finished => None,
        End::Error(object) if object.code() == ErrorCode::SUBSCRIPTION_LAGGED => {
            Some(Error::Lagged)
        }
        End::Error(object) => Some(Error::Call(object)),
        End::Lagged => Some(Error::Lagged),
        End::Closed(reason) => Some(Error::Closed(reason)),
    }
}

impl<T, E> Subscription<T, E> {
    /// The id that the producer assigned, as JSON. It changes when the subscription resumes.
    pub fn id(&self) -> String {
        self.half.buffer.id().map(|id| id.to_string()).unwrap_or_default()
    }

    /// How many items the producer has dropped so far because its stream does not wait and the
    /// consumer was slow; see [`Overflow`](crate::subscription::Overflow). Only producers that use
    /// this crate report it.
    ///
    /// ```
    /// # use wsjsonrpc::{Error, Subscription};
    /// async fn show(mut prices: Subscription<f64>) -> Result<(), Error> {
    ///     while let Some(price) = prices.next().await {
    ///         println!("{} ({} prices dropped so far)", price?, prices.dropped());
    ///     }
    ///     Ok(())
    /// }
    /// # let _ = show;
    /// ```
    pub fn dropped(&self) -> u64 {
        self.dropped_before.saturating_add(self.half.buffer.dropped())
    }

    /// The handle to the side that sends the items.
    pub fn peer(&self) -> &Peer {
        &self.half.peer
    }

    /// Waits until the connection has ended; see [`Peer::closed`]. For a subscription that
    /// [resumes](Subscribe::resume), waits until the client no longer reconnects.
    ///
    /// # Cancel safety
    /// Safe: the future can be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        match self.half.buffer.home() {
            _ if self.resumption.is_some() => self.half.peer.closed().await,
            Some(link) => link.closed().await,
            None => CloseReason::Aborted,
        }
    }
}

impl<T: DeserializeOwned, E: RpcError> Stream for Subscription<T, E> {
    type Item = Result<T, Error<E>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_item(cx)
    }
}

impl<T: DeserializeOwned, E: RpcError> FusedStream for Subscription<T, E> {
    fn is_terminated(&self) -> bool {
        self.over
    }
}

impl<T, E> fmt::Debug for Subscription<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.id())
            .field("names", &self.half.buffer.names)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

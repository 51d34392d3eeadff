//! The settings of a produced subscription: its names and its behaviour for a slow consumer
//! ([`Topic`], [`Overflow`]), and what its stream may yield ([`IntoItem`]).

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use serde::Serialize;

use crate::incoming::channel::PublishedItem;
use crate::protocol::error::{ErrorObject, Result};
use crate::protocol::typed::RpcError;

/// What happens to items that cannot be sent because the consumer is slow.
///
/// Waiting items are limited in number ([`Topic::buffer`]), and in bytes together with all
/// subscriptions of the connection
/// ([`Config::max_subscription_buffer`](crate::Config::max_subscription_buffer)). A subscription
/// that cannot keep even its newest item ends as with [`Close`](Self::Close).
///
/// A consumer that uses this crate learns how many items were dropped
/// ([`Subscription::dropped`](crate::Subscription::dropped)).
///
/// ```
/// use wsjsonrpc::subscription::{Overflow, Topic};
///
/// // A price feed: only the current price matters.
/// let prices = Topic::new("prices").overflow(Overflow::Latest);
/// # drop(prices);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The stream waits: it is not polled until there is space. Nothing is dropped.
    #[default]
    Block,
    /// The stream continues, and the oldest waiting item is dropped.
    DropOldest,
    /// The stream continues, and new items are dropped.
    DropNewest,
    /// The stream continues, and only its latest item waits.
    Latest,
    /// The subscription ends with an error; its consumer gets
    /// [`Error::Lagged`](crate::Error::Lagged).
    Close,
}

/// The names of a subscription, and its behaviour for a slow consumer.
///
/// ```
/// use futures_util::stream;
/// use wsjsonrpc::subscription::{Overflow, Topic};
/// use wsjsonrpc::{ErrorObject, Methods};
///
/// let topic = Topic::new("eth_subscribe")
///     .notification("eth_subscription")
///     .unsubscribe("eth_unsubscribe")
///     .overflow(Overflow::DropOldest)
///     .buffer(100)
///     .tell_end(false);
/// let methods = Methods::new().subscription(topic, |_ctx, (_kind,): (String,)| async {
///     Ok(stream::iter([Ok::<_, ErrorObject>(1), Ok(2)]))
/// });
/// # drop(methods);
/// ```
#[derive(Clone, Debug)]
pub struct Topic {
    pub(crate) name: Cow<'static, str>,
    pub(crate) unsubscribe: Cow<'static, str>,
    pub(crate) notification: Cow<'static, str>,
    pub(crate) overflow: Overflow,
    buffer: usize,
    pub(crate) tell_end: bool,
}

impl Topic {
    /// The number of a [`Service`](crate::service::Service)'s methods that end subscriptions.
    pub const UNSUBSCRIBE: usize = usize::MAX;

    /// The default number of buffered items of a stream that does not wait.
    const BUFFER: usize = 16;

    /// A subscription whose method has this name. Its notifications have the same name, and the
    /// method that ends it is called `unsubscribe_` plus that name. Its stream waits for a slow
    /// consumer.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        let unsubscribe = format!("unsubscribe_{name}").into();
        let notification = name.clone();
        let (overflow, buffer) = (Overflow::Block, Self::BUFFER);
        Topic { name, unsubscribe, notification, overflow, buffer, tell_end: true }
    }

    /// For generated code, which sets everything.
    #[doc(hidden)]
    pub const fn fixed(
        name: &'static str,
        unsubscribe: &'static str,
        notification: &'static str,
    ) -> Self {
        Topic {
            name: Cow::Borrowed(name),
            unsubscribe: Cow::Borrowed(unsubscribe),
            notification: Cow::Borrowed(notification),
            overflow: Overflow::Block,
            buffer: Self::BUFFER,
            tell_end: true,
        }
    }

    /// The name of the method that ends the subscription. Its only parameter, by position or by the
    /// name `subscription`, is the id in the response to the subscription call. It returns whether
    /// there was such a subscription. Several subscriptions may share one method; it ends only
    /// subscriptions that name it.
    #[must_use]
    pub fn unsubscribe(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.unsubscribe = name.into();
        self
    }

    /// The name of the notifications. Several subscriptions may share it.
    #[must_use]
    pub fn notification(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.notification = name.into();
        self
    }

    /// What happens to items that cannot be sent because the consumer is slow. Default
    /// [`Overflow::Block`].
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How many items may wait if the stream does not wait itself ([`Overflow::DropOldest`],
    /// [`DropNewest`](Overflow::DropNewest), [`Close`](Overflow::Close)). Default 16, minimum 1.
    #[must_use]
    pub const fn buffer(mut self, items: usize) -> Self {
        self.buffer = items;
        self
    }

    /// Whether peers that do not use this crate get a notification with `"error": null` when the
    /// stream ends without an error. Default `true`. Clients of Ethereum nodes do not expect it,
    /// because a node's feeds never end.
    #[must_use]
    pub const fn tell_end(mut self, tell: bool) -> Self {
        self.tell_end = tell;
        self
    }

    /// The maximum number of items buffered in addition to the stream.
    pub(crate) fn room(&self) -> usize {
        match self.overflow {
            Overflow::Block => 0,
            Overflow::Latest => 1,
            _ => self.buffer.max(1),
        }
    }
}

/// What the stream of a subscription may yield: items of type `T`, [`Positioned`] items, or
/// `Result`s of them. The first error ends the stream.
#[diagnostic::on_unimplemented(
    message = "the stream of a subscription to `{T}` cannot yield `{Self}`",
    note = "its items must be `{T}`, `Positioned<{T}>`, or a `Result` of one of them with an error that implements `wsjsonrpc::RpcError`"
)]
pub trait IntoItem<T> {
    /// The error that may end the stream.
    type Err: RpcError;

    /// Converts into an item or the error.
    #[doc(hidden)]
    fn into_item(self) -> std::result::Result<Yielded<T>, Self::Err>;
}

/// What the stream of a closure may yield, so that its value type follows from it.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "the stream of a subscription cannot yield `{Self}`",
    note = "its items must be `wsjsonrpc::Result<T>` or `Positioned<T>`"
)]
pub trait ClosureItem: IntoItem<Self::Value> {
    type Value: Serialize + Send + 'static;
}

impl<T: Serialize + Send + 'static> ClosureItem for Result<T> {
    type Value = T;
}

impl<T: Serialize + Send + 'static> ClosureItem for Positioned<T> {
    type Value = T;
}

/// An item as a stream yields it. Not a public API.
#[doc(hidden)]
#[derive(Debug)]
pub struct Yielded<T>(pub(crate) YieldedItem<T>);

#[derive(Debug)]
pub(crate) enum YieldedItem<T> {
    /// A value, with its offset if it has one.
    Value(T, Option<u64>),
    /// An item of a channel, with the number of items that its stream has skipped before it.
    Published(Arc<PublishedItem>, u64),
    /// The end of a channel, with its last error, and the number of items skipped before it.
    Ended(Option<ErrorObject>, u64),
}

impl<T> IntoItem<T> for T {
    type Err = Infallible;

    fn into_item(self) -> std::result::Result<Yielded<T>, Infallible> {
        Ok(Yielded(YieldedItem::Value(self, None)))
    }
}

impl<T, E: RpcError> IntoItem<T> for std::result::Result<T, E> {
    type Err = E;

    fn into_item(self) -> std::result::Result<Yielded<T>, E> {
        self.map(|item| Yielded(YieldedItem::Value(item, None)))
    }
}

impl<T> IntoItem<T> for Positioned<T> {
    type Err = Infallible;

    fn into_item(self) -> std::result::Result<Yielded<T>, Infallible> {
        Ok(Yielded(self.0))
    }
}

impl<T, E: RpcError> IntoItem<T> for std::result::Result<Positioned<T>, E> {
    type Err = E;

    fn into_item(self) -> std::result::Result<Yielded<T>, E> {
        self.map(|item| Yielded(item.0))
    }
}

/// An item of a subscription with its position, so that a consumer can continue after it when its
/// connection breaks ([`Subscribe::resume`](crate::subscription::Subscribe::resume)).
///
/// The stream of a [`Channel`](crate::Channel) yields such items. A handler with its own storage
/// creates them; see [`Context::resume_position`](crate::Context::resume_position). The client's
/// [`Subscription`](crate::Subscription) yields the plain `T`.
///
/// ```
/// use wsjsonrpc::{Context, Result, Stream, rpc};
/// use wsjsonrpc::subscription::Positioned;
///
/// #[rpc]
/// trait News {
///     #[subscription]
///     async fn headlines(&self, ctx: &Context)
///         -> Result<impl Stream<Item = Positioned<String>> + Send>;
/// }
/// ```
#[derive(Debug)]
pub struct Positioned<T>(pub(crate) YieldedItem<T>);

impl<T> Positioned<T> {
    /// An item with its offset. Offsets must grow from item to item, start at 1 or above, and stay
    /// below 2^53, because JavaScript rounds larger numbers.
    pub fn new(offset: u64, item: T) -> Self {
        Positioned(YieldedItem::Value(item, Some(offset)))
    }

    /// The offset of the item.
    pub fn offset(&self) -> u64 {
        match &self.0 {
            YieldedItem::Value(_, offset) => offset.unwrap_or_default(),
            YieldedItem::Published(item, _) => item.offset,
            YieldedItem::Ended(..) => 0,
        }
    }
}

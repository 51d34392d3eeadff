//! The settings of a produced subscription: its names and its behaviour for a slow consumer
//! ([`Topic`], [`Overflow`]), and what its stream may yield ([`IntoItem`]).

use std::borrow::Cow;
use std::convert::Infallible;

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

/// What the stream of a subscription may yield: items of type `T`, or `Result`s of them. The first
/// error ends the stream.
#[diagnostic::on_unimplemented(
    message = "the stream of a subscription to `{T}` cannot yield `{Self}`",
    note = "its items must be `{T}` or `Result<{T}, E>`, with an `E` that implements `wsjsonrpc::RpcError`"
)]
pub trait IntoItem<T> {
    /// The error that may end the stream.
    type Err: RpcError;

    /// Converts into an item or the error.
    fn into_item(self) -> std::result::Result<T, Self::Err>;
}

impl<T> IntoItem<T> for T {
    type Err = Infallible;

    fn into_item(self) -> std::result::Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E: RpcError> IntoItem<T> for std::result::Result<T, E> {
    type Err = E;

    fn into_item(self) -> Self {
        self
    }
}

//! The settings of a produced subscription: its names and its behaviour with a slow consumer
//! ([`Topic`], [`Overflow`]), and what its stream may yield ([`IntoItem`]).

use std::borrow::Cow;
use std::convert::Infallible;

use crate::protocol::typed::RpcError;

/// What becomes of items for which there is no room, as the consumer is slow.
///
/// Items that wait have a bound in number ([`Topic::buffer`]) and one in bytes, which all subscriptions of
/// a connection share ([`Config::max_subscription_buffer`](crate::Config::max_subscription_buffer)). A
/// subscription that can't keep even its newest item ends as with [`Close`](Self::Close).
///
/// The consumer learns how many were left out ([`Subscription::dropped`](crate::Subscription::dropped)),
/// if it uses this crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// The stream waits: it is not polled while there is no room. Nothing is left out.
    #[default]
    Block,
    /// The stream goes on, and of the items that wait the oldest is left out.
    DropOldest,
    /// The stream goes on, and new items are left out.
    DropNewest,
    /// The stream goes on, and only its latest item waits.
    Latest,
    /// The subscription ends with an error ([`Error::Lagged`](crate::Error::Lagged) for its
    /// consumer).
    Close,
}

/// What a subscription is called, and what becomes of it when its consumer is slow.
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
    /// The number of a [`Service`](crate::service::Service)'s methods which end subscriptions.
    pub const UNSUBSCRIBE: usize = usize::MAX;

    /// The default number of items buffered where the stream does not wait.
    const BUFFER: usize = 16;

    /// One whose method has this name. Its notifications have it, too, and the method that ends it
    /// is called `unsubscribe_` and that name. Its stream waits for a slow consumer.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        let name = name.into();
        let unsubscribe = format!("unsubscribe_{name}").into();
        let notification = name.clone();
        let (overflow, buffer) = (Overflow::Block, Self::BUFFER);
        Topic { name, unsubscribe, notification, overflow, buffer, tell_end: true }
    }

    /// For generated code, which knows all of it.
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

    /// The name of the method that ends it. Its one parameter, by position or by the name
    /// `subscription`, is the id that the subscription's call was answered with. It returns whether
    /// there was such a subscription. Several subscriptions may share one method, and a method ends
    /// only those that name it.
    #[must_use]
    pub fn unsubscribe(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.unsubscribe = name.into();
        self
    }

    /// The name of its notifications. Several may share one.
    #[must_use]
    pub fn notification(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.notification = name.into();
        self
    }

    /// What becomes of items for which there is no room.
    #[must_use]
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// How many items may wait for room where the stream does not wait itself
    /// ([`Overflow::DropOldest`], [`DropNewest`](Overflow::DropNewest), [`Close`](Overflow::Close)).
    /// Default 16; at least 1.
    #[must_use]
    pub const fn buffer(mut self, items: usize) -> Self {
        self.buffer = items;
        self
    }

    /// Whether peers that do not use this crate are told that the stream has ended without an error,
    /// by a notification with `"error": null`. Default `true`. Clients of Ethereum nodes do not
    /// expect it, as a node's feeds never end.
    #[must_use]
    pub const fn tell_end(mut self, tell: bool) -> Self {
        self.tell_end = tell;
        self
    }

    /// The maximum number of items buffered besides the stream.
    pub(crate) fn room(&self) -> usize {
        match self.overflow {
            Overflow::Block => 0,
            Overflow::Latest => 1,
            _ => self.buffer.max(1),
        }
    }
}

/// What the stream of a subscription may bring: items of type `T`, or `Result`s of such, of which the
/// first error ends it.
#[diagnostic::on_unimplemented(
    message = "the stream of a subscription to `{T}` can't bring `{Self}`",
    note = "its items are `{T}` or `Result<{T}, E>`, with an `E` that implements `wsjsonrpc::RpcError`"
)]
pub trait IntoItem<T> {
    /// The error that may end the stream.
    type Err: RpcError;

    /// Which of them it is.
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

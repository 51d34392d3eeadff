//! Serving a subscription: from the stream that a handler returns to the notifications with its
//! items.
//!
//! The stream is polled only while there is room for what it brings, so a slow consumer slows it
//! and nothing else. Must not know how a call is answered, or who listens.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use serde::Serialize;

use crate::asked::Asked;
use crate::flows::{Flow, Stage, Stop};
use crate::link::Link;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::item::{cost, head, only, write};
use crate::protocol::typed::RpcError;
use crate::service::{Kind, Outcome, Progress, Request, Response};

/// How many items are sent before others get their turn.
const BUDGET: usize = 64;

/// What becomes of items for which there is no room, as the consumer is slow.
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
    notification: Cow<'static, str>,
    overflow: Overflow,
    buffer: usize,
    tell_end: bool,
}

impl Topic {
    /// The number of a [`Service`](crate::Service)'s methods which end subscriptions.
    pub const UNSUBSCRIBE: usize = usize::MAX;

    /// How many items wait where the stream does not.
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

    /// The name of the method that ends it. Several may share one: ids are unique on a connection.
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

    fn room(&self) -> usize {
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
pub trait Yields<T> {
    /// The error that may end the stream.
    type Err: RpcError;

    /// Which of them it is.
    fn into_item(self) -> std::result::Result<T, Self::Err>;
}

impl<T> Yields<T> for T {
    type Err = Infallible;

    fn into_item(self) -> std::result::Result<T, Infallible> {
        Ok(self)
    }
}

impl<T, E: RpcError> Yields<T> for std::result::Result<T, E> {
    type Err = E;

    fn into_item(self) -> Self {
        self
    }
}

/// A subscription that was asked for: for its handler, which begins it with a stream or refuses it.
pub struct Producer {
    topic: Topic,
    link: Arc<Link>,
    flow: Arc<Flow>,
}

impl Outcome {
    /// The handler of a subscription: it gets the request back, with a [`Producer`] to
    /// [`run`](Producer::run) its stream with.
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
            tracing::debug!("dropped a subscription without an id: nobody would know its own");
            return Outcome(Progress::Ready(Response(Kind::Silent)));
        }
        let link = Arc::clone(request.context().link());
        let window = request.context().window();
        let Some(flow) = link.flows.ask(window, link.config.max_subscriptions) else {
            let busy = ErrorObject::of(ErrorCode::SERVER_BUSY);
            return Outcome(Progress::Ready(request.fail(busy)));
        };
        let asked = Asked {
            link: Arc::clone(&link),
            flow: Arc::clone(&flow),
            notification: topic.notification.clone(),
            tell_end: topic.tell_end || link.extended,
        };
        let producer = Producer { topic, link, flow };
        Outcome(Progress::Subscription(Box::pin(handler(request, producer)), Box::new(asked)))
    }

    /// The method that ends subscriptions, whatever their names.
    pub(crate) fn unsubscribe(request: &Request) -> Self {
        let response = match request.params().json().and_then(only) {
            Some(id) => {
                request.reply(Ok::<_, ErrorObject>(request.context().link().flows.unsubscribe(id)))
            }
            None => request.fail(ErrorObject::invalid_params("expected the id of a subscription")),
        };
        Outcome(Progress::Ready(response))
    }
}

impl Producer {
    /// Consents, and sends what the stream brings until it ends or nobody wants it any more.
    pub async fn run<T, S>(self, stream: S) -> Response
    where
        T: Serialize,
        S: Stream,
        S::Item: Yields<T>,
    {
        self.opened().await;
        let head = head(&self.topic.notification, &self.flow.id());
        let mut source = Source {
            stream: pin!(stream),
            items: VecDeque::new(),
            dropped: 0,
            over: false,
            lagged: false,
        };
        let mut sent = 0_usize;
        let end = loop {
            match self.next(&mut source).await {
                Next::Item(item, dropped) => {
                    let dropped = if self.link.extended { dropped } else { 0 };
                    let item = match item.into_item() {
                        Ok(item) => write::<T>(&head, &item, dropped),
                        Err(error) => break Some(error.to_object()),
                    };
                    let (text, bytes) = match item {
                        Ok(written) => written,
                        Err(error) => break Some(ErrorObject::from(error)),
                    };
                    if text.len() > self.link.config.max_outgoing_message {
                        break Some(ErrorObject::of(ErrorCode::RESULT_TOO_LARGE));
                    }
                    self.flow.spend(cost(bytes));
                    // `next` has waited for room; whoever came in between has one message more.
                    self.link.outbox.send_anyway(text);
                }
                Next::End => break None,
                Next::Lagged => break Some(ErrorObject::of(ErrorCode::SUBSCRIPTION_LAGGED)),
                Next::Stopped(Stop::Peer) => return Response(Kind::Silent),
                Next::Stopped(Stop::Shutdown) => {
                    break Some(ErrorObject::of(ErrorCode::SHUTTING_DOWN));
                }
            }
            sent += 1;
            if sent % BUDGET == 0 {
                tokio::task::yield_now().await;
            }
        };
        Response(Kind::Ended(end))
    }

    /// Waits until the response with its id is queued.
    async fn opened(&self) {
        self.flow.enter(Stage::Accepted);
        poll_fn(|cx| {
            self.flow.register(cx.waker());
            if self.flow.stage() == Stage::Open { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    async fn next<S: Stream>(&self, source: &mut Source<'_, S>) -> Next<S::Item> {
        let mut room = pin!(None);
        poll_fn(|cx| {
            // First, so that no change falls between the looks and the sleep.
            self.flow.register(cx.waker());
            if let Some(stop) = self.flow.stopped() {
                return Poll::Ready(Next::Stopped(stop));
            }
            let outbox = &self.link.outbox;
            let mut has_room = self.flow.has_credit();
            if has_room && !outbox.has_room() {
                if !outbox.is_open() {
                    // What is queued goes out, and then the connection closes.
                    return Poll::Ready(Next::Stopped(Stop::Peer));
                }
                if room.is_none() {
                    room.set(Some(outbox.until_room()));
                }
                let waiting = room.as_mut().as_pin_mut();
                has_room = waiting.is_none_or(|waiting| waiting.poll(cx).is_ready());
                if has_room {
                    room.set(None);
                }
            }
            source.poll(cx, &self.topic, has_room)
        })
        .await
    }
}

/// What comes next of a subscription.
enum Next<T> {
    /// With the number of those that were left out before it.
    Item(T, u64),
    End,
    Lagged,
    Stopped(Stop),
}

/// A stream, with what it has brought that found no room.
struct Source<'a, S: Stream> {
    stream: Pin<&'a mut S>,
    items: VecDeque<S::Item>,
    dropped: u64,
    over: bool,
    lagged: bool,
}

impl<S: Stream> Source<'_, S> {
    fn poll(&mut self, cx: &mut TaskContext<'_>, topic: &Topic, room: bool) -> Poll<Next<S::Item>> {
        if topic.overflow == Overflow::Block {
            if !room {
                return Poll::Pending;
            }
            let next = self.stream.as_mut().poll_next(cx);
            return next.map(|item| item.map_or(Next::End, |item| Next::Item(item, 0)));
        }
        let mut pulled = 0;
        while !self.over && !self.lagged && pulled < BUDGET {
            // With room there is no need to have more than one in hand.
            if room && !self.items.is_empty() {
                break;
            }
            match self.stream.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => self.keep(item, topic),
                Poll::Ready(None) => self.over = true,
                Poll::Pending => break,
            }
            pulled += 1;
        }
        if pulled == BUDGET {
            // It may have more at once, and others get their turn first.
            cx.waker().wake_by_ref();
        }
        if room {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Next::Item(item, std::mem::take(&mut self.dropped)));
            }
        }
        match (self.lagged, self.over && self.items.is_empty()) {
            (true, _) => Poll::Ready(Next::Lagged),
            (_, true) => Poll::Ready(Next::End),
            _ => Poll::Pending,
        }
    }

    fn keep(&mut self, item: S::Item, topic: &Topic) {
        if self.items.len() < topic.room() {
            return self.items.push_back(item);
        }
        match topic.overflow {
            Overflow::Close => self.lagged = true,
            Overflow::DropNewest => self.dropped += 1,
            Overflow::Block | Overflow::DropOldest | Overflow::Latest => {
                self.items.pop_front();
                self.items.push_back(item);
                self.dropped += 1;
            }
        }
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("topic", &self.topic).finish_non_exhaustive()
    }
}

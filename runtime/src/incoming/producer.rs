//! Producing a subscription: from the stream that a handler returns to the notifications with its
//! items. [`Producer`] drives the stream, `Room` is its share of the send queue, and `Source`
//! buffers items of streams that do not wait. The stream is polled only while an item can be sent
//! or buffered, so backpressure from a slow consumer reaches its stream and nothing else.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll, ready};

use futures_core::Stream;
use serde::Serialize;
use tokio_tungstenite::tungstenite::Bytes;

use crate::config::Config;
use crate::incoming::channel::PublishedItem;
use crate::incoming::service::{Response, ResponseKind};
use crate::incoming::topic::{IntoItem, Overflow, Topic, Yielded, YieldedItem};
use crate::link::Link;
use crate::link::credit::{ProducedSubscription, Stage, StopReason};
use crate::outgoing::deadline::{HandledCall, Start};
use crate::protocol::encode::buffer;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::item::{
    Marks, OVERHEAD, begin, cost, head, write, write_json, write_position,
};
use crate::protocol::typed::RpcError;
use crate::util::catch_unwind::{Panicked, catch_unwind, drop_contained};
use crate::websocket::send_queue::{Closed, LinePermit, SendQueue};

/// How many items are sent before the task yields.
const BUDGET: usize = 256;

/// A requested subscription. Its handler starts it with a stream, or refuses it by returning an
/// error.
pub struct Producer {
    topic: Topic,
    link: Arc<Link>,
    subscription: Arc<ProducedSubscription>,
    /// What handles of the call inherit, until the call is answered.
    handled: Option<Arc<HandledCall>>,
    /// The call, if its caller wants the positions of the items.
    resuming: Option<Arc<HandledCall>>,
}

impl Producer {
    pub(crate) fn new(
        topic: Topic,
        link: Arc<Link>,
        subscription: Arc<ProducedSubscription>,
        handled: Option<Arc<HandledCall>>,
        resuming: Option<Arc<HandledCall>>,
    ) -> Self {
        Producer { topic, link, subscription, handled, resuming }
    }

    /// Accepts the subscription, and sends the items of the stream until the stream ends or the
    /// consumer unsubscribes.
    pub async fn run<T, S>(self, stream: S) -> Response
    where
        T: Serialize,
        S: Stream,
        S::Item: IntoItem<T>,
    {
        let mut contained = Contained(Some(Box::pin(stream)));
        let mut resumes = self.resuming.is_some();
        self.opened().await;
        if let Some(handled) = &self.handled {
            handled.end();
        }
        let head = head(&self.topic.notification, &self.subscription.id());
        match self.resuming.as_ref().map(|call| call.take_start()) {
            // There is only one for each subscription, so it need not wait for space in the send
            // queue.
            Some(Start::After(position, _)) => {
                self.link.send_queue.send_anyway(write_position(&head, &position));
            }
            Some(Start::Ambiguous) => resumes = false,
            Some(Start::Unknown) | None => {}
        }
        let Some(stream) = &mut contained.0 else { return Response(ResponseKind::Silent) };
        let mut source = Source::<S, T>::of(stream.as_mut(), &self.link);
        let (mut room, mut sent) = (Room::new(&self.link.send_queue), 0_usize);
        let end = loop {
            let (item, dropped) = match self.next(&mut source, &mut room).await {
                Next::Item(item, dropped) => (item, dropped),
                Next::End(end) => break end,
                Next::Stopped(StopReason::Peer) => return Response(ResponseKind::Silent),
                Next::Stopped(StopReason::Shutdown) => {
                    break Some(ErrorObject::of(ErrorCode::SHUTTING_DOWN));
                }
            };
            let marks = |offset: Option<u64>| Marks {
                dropped: if self.link.extended || resumes { dropped } else { 0 },
                offset: offset.filter(|_| resumes),
            };
            let (size, item) = match item {
                Pulled::Value(item, offset) => {
                    match lend(item, |item| write(&head, item, marks(offset))) {
                        Ok((text, size)) => (size, ItemMessage::Text(text)),
                        Err(error) => break Some(ErrorObject::from(error)),
                    }
                }
                Pulled::Kept(KeptItem::Json(json, offset)) => {
                    let (text, size) = write_json(&head, &json, marks(offset));
                    (size, ItemMessage::Text(text))
                }
                Pulled::Kept(KeptItem::Published(item)) => {
                    let head = head_of_item(&head, marks(None).dropped);
                    (item.size, ItemMessage::Shared(head, item.tail(resumes)))
                }
            };
            if item.len() > self.link.config.max_outgoing_message {
                break Some(ErrorObject::of(ErrorCode::RESULT_TOO_LARGE));
            }
            self.subscription.spend(cost(size));
            // Encoded only now, when there is space, so that no producer holds an encoded item
            // while it waits.
            if room.fill(item).is_err() {
                // What is queued is sent, and then the connection closes.
                return Response(ResponseKind::Silent);
            }
            sent += 1;
            if sent % BUDGET == 0 {
                room.leave();
                tokio::task::yield_now().await;
            }
        };
        if self.link.extended || resumes {
            self.subscription.dropped_at_end.store(source.dropped, Ordering::Relaxed);
        }
        // A panic here belongs to the handler, and the peer gets an error.
        drop(source);
        drop(contained.0.take());
        Response(ResponseKind::Ended(end))
    }

    /// Waits until the response with the subscription's id is queued.
    async fn opened(&self) {
        self.subscription.enter(Stage::Accepted);
        poll_fn(|cx| {
            self.subscription.register(cx.waker());
            if self.subscription.stage() == Stage::Open { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits for the next item or the end.
    async fn next<T, S>(&self, source: &mut Source<'_, S, T>, room: &mut Room<'_>) -> Next<T>
    where
        T: Serialize,
        S: Stream,
        S::Item: IntoItem<T>,
    {
        poll_fn(|cx| {
            let mut registered = false;
            loop {
                if let Some(stop) = self.subscription.stopped() {
                    return Poll::Ready(Next::Stopped(stop));
                }
                let credit = self.subscription.has_credit();
                let may_send = if credit {
                    match room.poll(cx) {
                        Poll::Ready(Ok(())) => true,
                        Poll::Pending => false,
                        // What is queued is sent, and then the connection closes.
                        Poll::Ready(Err(Closed)) => {
                            return Poll::Ready(Next::Stopped(StopReason::Peer));
                        }
                    }
                } else {
                    room.leave();
                    false
                };
                let next = source.poll(cx, &self.topic, may_send);
                if next.is_pending() && may_send {
                    // Nothing to send.
                    room.leave();
                }
                if next.is_ready() || registered {
                    return next;
                }
                // Registered only now, because most items are ready at once. Then everything is
                // checked again, so that no change is missed.
                self.subscription.register(cx.waker());
                registered = true;
                if self.subscription.stopped().is_none() && self.subscription.has_credit() == credit
                {
                    return Poll::Pending;
                }
            }
        })
        .await
    }
}

/// A stream of the application. A panic in its `Drop` is contained, also while another panic
/// unwinds, because two panics at once would abort the process.
struct Contained<S>(Option<Pin<Box<S>>>);

impl<S> Drop for Contained<S> {
    fn drop(&mut self) {
        drop_contained(self.0.take(), "a subscription stream");
    }
}

/// Runs code on an item, and drops the item. Panics in the code and in the drop never unwind
/// together.
fn lend<T, R>(item: T, code: impl FnOnce(&T) -> R) -> R {
    let outcome = catch_unwind(|| code(&item));
    drop_contained(item, "a subscription item");
    outcome.unwrap_or_else(|Panicked| resume_unwind(Box::new("a subscription item panicked")))
}

/// A producer's claim to space in the send queue. The producer acquires the claim before it polls
/// its stream, and so before it has an item.
struct Room<'a> {
    send_queue: &'a SendQueue,
    /// Whether there was space after the last item was queued.
    left: bool,
    /// Waits in the queue of producers.
    waiting: Option<Pin<Box<dyn Future<Output = LinePermit<'a>> + Send + 'a>>>,
    permit: Option<LinePermit<'a>>,
    /// Bytes queued since this producer got its permit.
    queued: usize,
}

impl<'a> Room<'a> {
    fn new(send_queue: &'a SendQueue) -> Self {
        Room { send_queue, left: false, waiting: None, permit: None, queued: 0 }
    }

    /// Ready when an item may be queued.
    fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<(), Closed>> {
        if self.waiting.is_none() {
            // After waiting, the producer has to ask again.
            let left = std::mem::take(&mut self.left);
            let first = self.permit.is_some() || !self.send_queue.has_line();
            if first && (left || self.send_queue.has_room()) {
                return Poll::Ready(Ok(()));
            }
            if !self.send_queue.is_open() {
                return Poll::Ready(Err(Closed));
            }
            // Back to the end of the queue of producers.
            (self.permit, self.queued) = (None, 0);
        }
        let send_queue = self.send_queue;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(send_queue.wait_in_line()));
        self.permit = Some(ready!(waiting.as_mut().poll(cx)));
        self.waiting = None;
        Poll::Ready(if send_queue.is_open() { Ok(()) } else { Err(Closed) })
    }

    /// Queues an item.
    fn fill(&mut self, item: ItemMessage<'_>) -> Result<(), Closed> {
        self.queued += item.len();
        self.left = match item {
            ItemMessage::Text(text) => self.send_queue.send_item(text)?,
            ItemMessage::Shared(head, tail) => self.send_queue.send_item_parts(&head, &tail)?,
        };
        // The network, on another thread, may send items as fast as they arrive, while other
        // producers wait.
        let had_permit = self.permit.is_some() && self.queued >= self.send_queue.limit();
        if !self.left || had_permit {
            self.leave();
        }
        Ok(())
    }

    /// Releases the permit, so that other producers can send.
    fn leave(&mut self) {
        (self.left, self.waiting, self.permit, self.queued) = (false, None, None, 0);
    }
}

/// What a subscription does next.
enum Next<T> {
    /// An item, with the number of items dropped before it.
    Item(Pulled<T>, u64),
    End(Option<ErrorObject>),
    Stopped(StopReason),
}

enum Pulled<T> {
    /// A value, with its offset if it has one.
    Value(T, Option<u64>),
    Kept(KeptItem),
}

/// An item that is already encoded.
enum KeptItem {
    /// The item as JSON, with its offset if it has one.
    Json(Box<[u8]>, Option<u64>),
    /// An item of a channel, which other subscriptions share.
    Published(Arc<PublishedItem>),
}

impl KeptItem {
    /// How many bytes it counts while it waits.
    fn size(&self) -> usize {
        let size = match self {
            KeptItem::Json(json, _) => json.len(),
            KeptItem::Published(item) => item.size,
        };
        usize::try_from(cost(size)).unwrap_or(usize::MAX)
    }
}

/// The message with an item.
enum ItemMessage<'a> {
    Text(Vec<u8>),
    /// In two parts, of which other subscriptions share the second one.
    Shared(Cow<'a, [u8]>, Bytes),
}

impl ItemMessage<'_> {
    fn len(&self) -> usize {
        match self {
            ItemMessage::Text(text) => text.len(),
            ItemMessage::Shared(head, tail) => head.len() + tail.len(),
        }
    }
}

/// The first part of the message with an item.
fn head_of_item(head: &[u8], dropped: u64) -> Cow<'_, [u8]> {
    if dropped == 0 {
        return Cow::Borrowed(head);
    }
    let mut out = Vec::new();
    begin(&mut out, head, dropped);
    Cow::Owned(out)
}

/// A stream, with its items that wait for space.
struct Source<'a, S, T> {
    stream: Pin<&'a mut S>,
    link: &'a Link,
    /// Encoded, so that their size is known. Each with the number of items dropped before it.
    items: VecDeque<(KeptItem, u64)>,
    /// The number of items dropped after the last one in `items`.
    dropped: u64,
    /// The end of the stream, which is sent after the buffered items.
    end: Option<Option<ErrorObject>>,
    item: PhantomData<fn() -> T>,
}

impl<'a, S, T> Source<'a, S, T>
where
    T: Serialize,
    S: Stream,
    S::Item: IntoItem<T>,
{
    fn of(stream: Pin<&'a mut S>, link: &'a Link) -> Self {
        let (items, item) = (VecDeque::new(), PhantomData);
        Source { stream, link, items, dropped: 0, end: None, item }
    }

    fn poll(&mut self, cx: &mut TaskContext<'_>, topic: &Topic, room: bool) -> Poll<Next<T>> {
        if topic.overflow == Overflow::Block {
            if !room {
                return Poll::Pending;
            }
            return self.pull(cx).map(|pulled| match pulled {
                Ok(item) => Next::Item(item, std::mem::take(&mut self.dropped)),
                Err(end) => Next::End(end),
            });
        }
        if room {
            if let Some((item, dropped)) = self.pop() {
                return Poll::Ready(Next::Item(Pulled::Kept(item), dropped));
            }
        }
        let mut pulled = 0;
        while self.end.is_none() && pulled < BUDGET {
            match self.pull(cx) {
                Poll::Ready(Ok(item)) if room => {
                    let dropped = std::mem::take(&mut self.dropped);
                    return Poll::Ready(Next::Item(item, dropped));
                }
                Poll::Ready(Ok(Pulled::Value(item, offset))) => {
                    lend(item, |item| self.encode(item, offset, topic));
                }
                Poll::Ready(Ok(Pulled::Kept(item))) => self.keep(item, topic),
                Poll::Ready(Err(end)) => self.end = Some(end),
                Poll::Pending => break,
            }
            pulled += 1;
        }
        if pulled == BUDGET {
            // The stream may have more items at once; other tasks run first.
            cx.waker().wake_by_ref();
        }
        match self.end.take_if(|_| self.items.is_empty()) {
            Some(end) => Poll::Ready(Next::End(end)),
            None => Poll::Pending,
        }
    }

    /// The stream's next item, or why there is none.
    fn pull(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<Pulled<T>, Option<ErrorObject>>> {
        let item = ready!(self.stream.as_mut().poll_next(cx)).map(IntoItem::into_item);
        Poll::Ready(match item {
            Some(Ok(Yielded(item))) => match item {
                YieldedItem::Value(item, offset) => Ok(Pulled::Value(item, offset)),
                YieldedItem::Published(item, skipped) => {
                    self.dropped += skipped;
                    Ok(Pulled::Kept(KeptItem::Published(item)))
                }
                YieldedItem::Ended(error, skipped) => {
                    self.dropped += skipped;
                    Err(error)
                }
            },
            Some(Err(error)) => Err(Some(error.to_object())),
            None => Err(None),
        })
    }

    /// Encodes and buffers an item for which the send queue has no space.
    fn encode(&mut self, item: &T, offset: Option<u64>, topic: &Topic) {
        let mut text = buffer::take();
        if let Err(error) = serde_json::to_writer(&mut text, item) {
            return self.end = Some(Some(ErrorObject::from(error)));
        }
        let json: Box<[u8]> = text.as_slice().into();
        buffer::give_back(text);
        self.keep(KeptItem::Json(json, offset), topic);
    }

    /// Buffers an item for which the send queue has no space. All subscriptions of a connection
    /// share the limit in bytes.
    fn keep(&mut self, item: KeptItem, topic: &Topic) {
        let Config { max_outgoing_message, max_subscription_buffer, .. } = *self.link.config;
        if item.size() > max_outgoing_message.saturating_add(OVERHEAD) {
            return self.end = Some(Some(ErrorObject::of(ErrorCode::RESULT_TOO_LARGE)));
        }
        let makes_room = matches!(topic.overflow, Overflow::DropOldest | Overflow::Latest);
        if self.items.len() >= topic.room() && !(makes_room && self.drop_oldest()) {
            return self.refuse(topic);
        }
        while !self.link.produced.reserve_buffer(item.size(), max_subscription_buffer) {
            // If any item is kept, it is the newest one.
            if !(makes_room && self.drop_oldest()) {
                return self.refuse(topic);
            }
        }
        self.items.push_back((item, std::mem::take(&mut self.dropped)));
    }

    /// Handles a new item for which there is no space.
    fn refuse(&mut self, topic: &Topic) {
        if topic.overflow == Overflow::DropNewest {
            self.dropped += 1;
            return;
        }
        while self.pop().is_some() {}
        self.end = Some(Some(ErrorObject::of(ErrorCode::SUBSCRIPTION_LAGGED)));
    }

    fn drop_oldest(&mut self) -> bool {
        let Some((_, before)) = self.pop() else { return false };
        let dropped = self.items.front_mut().map_or(&mut self.dropped, |(_, dropped)| dropped);
        *dropped += before + 1;
        true
    }
}

impl<S, T> Source<'_, S, T> {
    /// The oldest buffered item, with the number of items dropped before it.
    fn pop(&mut self) -> Option<(KeptItem, u64)> {
        let (item, dropped) = self.items.pop_front()?;
        self.link.produced.release_buffer(item.size());
        Some((item, dropped))
    }
}

impl<S, T> Drop for Source<'_, S, T> {
    fn drop(&mut self) {
        while self.pop().is_some() {}
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("topic", &self.topic).finish_non_exhaustive()
    }
}

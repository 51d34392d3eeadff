//! A handler at work: polled where its call was read, and then, if it was not ready, in a task of
//! its own.
//!
//! Must not know how calls are read.
//!
//! Calls whose handlers are at work, each with where its answer goes.
//!
//! Whoever takes a call out of here answers it, its handler or its caller's cancellation, so it is
//! answered once. Must not know handlers, or how an answer travels.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use crate::incoming::blocking;
use crate::incoming::responder::{PendingBatch, ReplyTo, Responder};
use crate::incoming::router::RouteId;
use crate::incoming::service::{AcceptedHandler, Response, ResponseKind};
use crate::link::credit::{AcceptedSubscription, Stage};
use crate::protocol::error::ErrorObject;
use crate::protocol::id::Id;
use crate::span::CallSpan;
use crate::util::BoxFuture;
use crate::util::catch_unwind::{CatchUnwind, Panicked};

/// A handler that is not ready yet, within the span of its call.
pub(crate) struct HandlerFuture {
    future: CatchUnwind<'static, Response>,
    span: CallSpan,
}

impl HandlerFuture {
    pub(crate) fn new(future: CatchUnwind<'static, Response>, span: CallSpan) -> Self {
        HandlerFuture { future, span }
    }

    /// Polls it once, right here. Most are ready, and cost no task; a waker would only wake the
    /// connection for nothing, as it is polled again anyway.
    pub(crate) fn begin(&mut self) -> Poll<Result<Response, Panicked>> {
        Pin::new(self).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Drops it where it stands.
    fn clear(&mut self) {
        let HandlerFuture { future, span } = self;
        span.within(|| future.clear());
    }

    /// What is left of a subscription's handler goes on in its place.
    pub(crate) fn resume(&mut self, rest: CatchUnwind<'static, Response>) {
        self.span.within(|| self.future = rest);
    }
}

impl Future for HandlerFuture {
    type Output = Result<Response, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let HandlerFuture { future, span } = &mut *self;
        span.within(|| Pin::new(future).poll(cx))
    }
}

impl Drop for HandlerFuture {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A handler with all it takes to answer its call. It counts as in flight as long as it lives.
pub(crate) struct InFlightCall {
    handler: HandlerFuture,
    responder: Arc<Responder>,
    /// For the log.
    route: RouteId,
    /// The number of its call.
    number: u64,
    /// Where a request stands among those that were started, until somebody answers it.
    slot: Option<usize>,
    /// A subscription, which answers its call while it goes on.
    accepted: Option<Box<AcceptedSubscription>>,
    /// The end of its connection, if that is its own.
    closing: Option<BoxFuture<()>>,
    /// Whether it counts as in flight.
    counts: bool,
    /// Keeps the message's weight where it belongs.
    batch: Option<Arc<PendingBatch>>,
    /// What its message weighs, unless its batch does that.
    weight: usize,
}

impl InFlightCall {
    pub(crate) fn new(
        handler: HandlerFuture,
        responder: &Arc<Responder>,
        number: u64,
        route: RouteId,
    ) -> Self {
        responder.link.in_flight.fetch_add(1, Ordering::Relaxed);
        let responder = Arc::clone(responder);
        InFlightCall {
            handler,
            responder,
            route,
            number,
            slot: None,
            accepted: None,
            closing: None,
            counts: true,
            batch: None,
            weight: 0,
        }
    }

    /// It serves this subscription.
    pub(crate) fn set_accepted(&mut self, accepted: Option<Box<AcceptedSubscription>>) {
        self.accepted = accepted;
    }

    /// It holds on to a message of this size by itself.
    pub(crate) fn count_message(&mut self, size: usize) {
        self.weight = size;
        self.responder.weights.requests.fetch_add(size, Ordering::Relaxed);
    }

    /// It is part of this batch.
    pub(crate) fn join_batch(&mut self, batch: &Arc<PendingBatch>) {
        self.batch = Some(Arc::clone(batch));
    }

    /// It is to be answered.
    pub(crate) fn register(&mut self, id: Id, reply_to: ReplyTo) {
        let call = InFlightRequest { id, number: self.number, reply_to };
        self.slot = Some(self.responder.requests.put(call));
    }

    /// Nobody else answers it from now on. `None`: somebody has, or nobody needs to.
    fn take_call(&mut self) -> Option<InFlightRequest<ReplyTo>> {
        self.responder.requests.take(self.slot.take()?, self.number)
    }

    /// Goes on in a task of its own.
    pub(crate) fn spawn(mut self) {
        if self.responder.link.config.cancel_on_close || self.accepted.is_some() {
            self.end_with_connection();
        }
        match self.responder.router.handler_runtime.clone() {
            None => drop(tokio::spawn(self)),
            Some(runtime) => self.spawn_on(&runtime),
        }
    }

    #[cold]
    fn spawn_on(self, runtime: &Handle) {
        let responder = Arc::clone(&self.responder);
        // If it is refused, it is answered when it is dropped.
        drop(responder.start_on(runtime, Box::pin(self)));
    }

    fn end_with_connection(&mut self) {
        let link = Arc::clone(&self.responder.link);
        self.closing.get_or_insert_with(|| Box::pin(async move { drop(link.closed().await) }));
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.closing.as_mut().map_or(Poll::Pending, |closing| closing.as_mut().poll(cx))
    }

    /// Middleware has let a subscription pass, whose handler goes on outside of it.
    fn continue_accepted(&mut self, rest: AcceptedHandler) {
        self.handler.resume(rest.handler);
        self.accepted = Some(rest.accepted);
        self.end_with_connection();
    }

    /// Whether it is a subscription that has a stream now, and its call is to be answered.
    fn is_to_be_accepted(&self) -> bool {
        let accepted =
            |accepted: &AcceptedSubscription| accepted.subscription.stage() == Stage::Accepted;
        self.slot.is_some() && self.accepted.as_deref().is_some_and(accepted)
    }

    fn finish(&mut self, outcome: Result<Response, Panicked>) {
        let requested = self.slot.is_some();
        let call = self.take_call();
        if call.is_none() && requested {
            // It was taken back, and answered.
            return self.responder.discard(outcome, self.route);
        }
        let response = self.responder.visible_to_peer(outcome, Some(self.route));
        if let ResponseKind::Error(error) | ResponseKind::Ended(Some(error)) = &response {
            self.handler.span.failed(Some(error.code().0));
        }
        match (call, &self.accepted, response) {
            (Some(call), _, response) => self.responder.deliver(call, response),
            (None, Some(accepted), ResponseKind::Ended(error)) => accepted.end(error.as_ref()),
            (None, Some(accepted), ResponseKind::Error(error))
                if accepted.subscription.stage() == Stage::Open =>
            {
                accepted.end(Some(&error));
            }
            _ => {}
        }
    }

    #[cold]
    fn abandon(&self, call: InFlightRequest<ReplyTo>) {
        let method = self.responder.router.name(self.route);
        tracing::error!(method, "handler dropped: its runtime is shut down, or its connection is");
        self.responder.deliver(call, ResponseKind::Error(ErrorObject::internal()));
    }

    /// It no longer counts as in flight.
    fn stop_counting(&mut self) {
        if !std::mem::take(&mut self.counts) {
            return;
        }
        if self.responder.link.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A connection that drains may wait for this one.
            self.responder.link.send_queue.wake();
        }
    }
}

impl Future for InFlightCall {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let measured = blocking::Poll::begin(self.responder.link.config.blocking_threshold);
        let mut panicked = false;
        let polled = self.poll_handler(cx, &mut panicked);
        // Printing a panic's backtrace takes long.
        if !panicked {
            measured.end(self.route, &self.responder.router);
        }
        polled
    }
}

impl InFlightCall {
    fn poll_handler(&mut self, cx: &mut Context<'_>, panicked: &mut bool) -> Poll<()> {
        loop {
            match Pin::new(&mut self.handler).poll(cx) {
                Poll::Ready(Ok(Response(ResponseKind::Accepted(rest)))) => {
                    self.continue_accepted(*rest);
                    continue;
                }
                Poll::Ready(outcome) => {
                    *panicked = outcome.is_err();
                    self.finish(outcome);
                    return Poll::Ready(());
                }
                Poll::Pending if !self.is_to_be_accepted() => return self.poll_closing(cx),
                Poll::Pending => {}
            }
            // It goes on, unless its caller has taken the call back.
            let Some(call) = self.take_call() else { return Poll::Ready(()) };
            self.stop_counting();
            if let Some(accepted) = &self.accepted {
                self.responder.accept(call, &accepted.subscription);
            }
        }
    }
}

impl Drop for InFlightCall {
    fn drop(&mut self) {
        // It may be dropped unanswered, by the end of the connection or of the runtime. If that was only
        // the runtime of handlers, its caller is still there.
        if let Some(call) = self.take_call() {
            if self.responder.router.handler_runtime.is_some() {
                self.abandon(call);
            }
        }
        // Before its signal is forgotten: handles look at that as long as the handler is there.
        self.handler.clear();
        self.responder.link.cancellations.remove(self.number);
        self.responder.weights.requests.fetch_sub(self.weight, Ordering::Relaxed);
        self.stop_counting();
    }
}

/// The calls of one connection. Where no call has had to wait, nothing is held for them.
#[derive(Debug)]
pub(crate) struct InFlightRequests<T>(Mutex<Option<Box<Slots<T>>>>);

/// A call that was begun and is not answered.
#[derive(Debug)]
pub(crate) struct InFlightRequest<T> {
    pub(crate) id: Id,
    /// The number that its connection has given it.
    pub(crate) number: u64,
    pub(crate) reply_to: T,
}

/// Each at a place of its own, which another one gets after it.
#[derive(Debug)]
struct Slots<T> {
    slots: Vec<Slot<T>>,
    /// The first free place; behind the last one, if there is none.
    free: usize,
    count: usize,
}

#[derive(Debug)]
enum Slot<T> {
    Taken(InFlightRequest<T>),
    Free { next: usize },
}

/// More places than these are given back when nobody has one.
const KEPT: usize = 64;

impl<T> Default for InFlightRequests<T> {
    fn default() -> Self {
        InFlightRequests(Mutex::new(None))
    }
}

impl<T> InFlightRequests<T> {
    /// Puts a call in; gives its place.
    pub(crate) fn put(&self, call: InFlightRequest<T>) -> usize {
        self.lock().get_or_insert_with(Box::default).put(call)
    }

    /// Whether any call was ever put in.
    #[cfg(feature = "tower")]
    pub(crate) fn was_used(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes out the call with this number, which has this place, or had it.
    pub(crate) fn take(&self, slot: usize, number: u64) -> Option<InFlightRequest<T>> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        match calls.slots.get(slot) {
            Some(Slot::Taken(call)) if call.number == number => calls.take(slot),
            _ => None,
        }
    }

    /// Takes out the call with this id: the first one, should a peer use it twice, and one whose id is
    /// written in the same way before one whose id only means the same. There are so few cancellations
    /// that they may look for it. `mark` is told its number before anybody else can find out that it is
    /// gone.
    pub(crate) fn find<M>(
        &self,
        id: &Id,
        mark: impl FnOnce(u64) -> M,
    ) -> Option<(InFlightRequest<T>, M)> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        let at =
            calls.first(|known| known == id).or_else(|| calls.first(|known| known.is_same(id)))?;
        let call = calls.take(at)?;
        let mark = mark(call.number);
        Some((call, mark))
    }

    /// Nothing is dropped under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Option<Box<Slots<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slots: Vec::new(), free: 0, count: 0 }
    }
}

impl<T> Slots<T> {
    /// The place of the first call whose id is one of these.
    fn first(&self, is: impl Fn(&Id) -> bool) -> Option<usize> {
        let known = self.slots.iter().enumerate().filter_map(|(at, place)| match place {
            Slot::Taken(call) if is(&call.id) => Some((call.number, at)),
            _ => None,
        });
        known.min().map(|(_, at)| at)
    }

    fn put(&mut self, call: InFlightRequest<T>) -> usize {
        let at = self.free;
        self.count += 1;
        match self.slots.get_mut(at) {
            Some(place) => {
                if let Slot::Free { next } = std::mem::replace(place, Slot::Taken(call)) {
                    self.free = next;
                }
            }
            None => {
                self.slots.push(Slot::Taken(call));
                self.free = self.slots.len();
            }
        }
        at
    }

    fn take(&mut self, at: usize) -> Option<InFlightRequest<T>> {
        let place = self.slots.get_mut(at)?;
        let Slot::Taken(call) = std::mem::replace(place, Slot::Free { next: self.free }) else {
            return None;
        };
        self.free = at;
        self.count -= 1;
        if self.count == 0 && self.slots.len() > KEPT {
            *self = Slots::default();
        }
        Some(call)
    }
}

#[cfg(test)]
mod started_tests {
    use super::*;
    use std::collections::HashMap;

    fn call(id: u64, number: u64) -> InFlightRequest<()> {
        InFlightRequest { id: Id::from_number(id), number, reply_to: () }
    }

    #[test]
    fn each_call_is_taken_once() {
        let started = InFlightRequests::default();
        let (first, second) = (started.put(call(1, 10)), started.put(call(2, 11)));
        let twin = started.put(call(2, 12));
        let find =
            |id| started.find(&Id::from_number(id), |number| number).map(|(_, number)| number);
        assert_eq!((find(7), find(2)), (None, Some(11)));
        // Its place has a new call, which is not the old one's to take.
        let heir = started.put(call(3, 13));
        assert_eq!(heir, second);
        let take = |place, number| started.take(place, number).map(|call| call.number);
        assert_eq!((take(second, 11), take(heir, 13), take(heir, 13)), (None, Some(13), None));
        assert_eq!((find(2), find(2), take(twin, 12)), (Some(12), None, None));
        assert_eq!((take(first, 10), take(first, 10), take(99, 1)), (Some(10), None, None));
    }

    /// Calls that come and go at random, against a map.
    #[test]
    fn calls_are_where_they_were_put() {
        let started = InFlightRequests::default();
        let mut model = HashMap::new();
        let mut random = 0x9E37_79B9_u64;
        for number in 0..20_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random % 5 < 2 {
                let place = started.put(call(number, number));
                assert!(model.insert(number, place).is_none());
            } else if let Some((&number, &place)) = model.iter().next() {
                model.remove(&number);
                assert_eq!(started.take(place, number).map(|call| call.number), Some(number));
            }
        }
        for (number, place) in model {
            assert!(started.take(place, number).is_some());
        }
        let calls = started.lock();
        let calls = calls.as_ref().unwrap();
        assert!(calls.count == 0 && calls.slots.len() <= KEPT, "a burst leaves no memory behind");
    }
}

//! Handlers in flight: [`InFlightCall`] is one handler with what it needs to answer its call, and
//! [`InFlightRequests`] are the unanswered requests of a connection.
//!
//! A handler is polled once where its call was read. If it is not ready, it moves to a separate
//! task. Either the handler or a cancellation removes the request from `InFlightRequests`, and the
//! one that removes the request answers it. So a request is answered exactly once.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use crate::incoming::responder::{PendingBatch, ReplyTo, Responder};
use crate::incoming::router::{PollTimer, RouteId};
use crate::incoming::service::{AcceptedHandler, Response, ResponseKind};
use crate::link::credit::{AcceptedSubscription, Stage};
use crate::protocol::error::ErrorObject;
use crate::protocol::id::Id;
use crate::span::CallSpan;
use crate::util::BoxFuture;
use crate::util::catch_unwind::{CatchUnwind, Panicked};

/// A handler that is not ready yet, within its call's span.
pub(crate) struct HandlerFuture {
    future: CatchUnwind<'static, Response>,
    span: CallSpan,
}

impl HandlerFuture {
    pub(crate) fn new(future: CatchUnwind<'static, Response>, span: CallSpan) -> Self {
        HandlerFuture { future, span }
    }

    /// Polls the handler once, in place. Most handlers are ready then and need no task. The waker
    /// does nothing, because a handler that is not ready is polled again in any case.
    pub(crate) fn begin(&mut self) -> Poll<Result<Response, Panicked>> {
        Pin::new(self).poll(&mut Context::from_waker(Waker::noop()))
    }

    /// Drops the handler in place.
    fn clear(&mut self) {
        let HandlerFuture { future, span } = self;
        span.within(|| future.clear());
    }

    /// Replaces the future with the rest of a subscription's handler.
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

/// A handler with everything it needs to answer its call.
pub(crate) struct InFlightCall {
    handler: HandlerFuture,
    responder: Arc<Responder>,
    /// Names the method in the log.
    route: RouteId,
    /// The number of the call.
    number: u64,
    /// The request's slot in the responder's `requests`, until it is answered.
    slot: Option<usize>,
    /// The subscription, if the call requests one: the handler answers the call and continues.
    accepted: Option<Box<AcceptedSubscription>>,
    /// Completes when the connection ends, if the handler is dropped then.
    closing: Option<BoxFuture<()>>,
    /// Whether it counts as in flight.
    counts: bool,
    /// Keeps the message's bytes counted until the handler is done.
    batch: Option<Arc<PendingBatch>>,
    /// The size of the message, unless the batch counts it.
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

    /// Sets the subscription that the handler produces.
    pub(crate) fn set_accepted(&mut self, accepted: Option<Box<AcceptedSubscription>>) {
        self.accepted = accepted;
    }

    /// Counts a message of this size as in flight until the handler is dropped.
    pub(crate) fn count_message(&mut self, size: usize) {
        self.weight = size;
        self.responder.weights.requests.fetch_add(size, Ordering::Relaxed);
    }

    /// Adds the call to this batch.
    pub(crate) fn join_batch(&mut self, batch: &Arc<PendingBatch>) {
        self.batch = Some(Arc::clone(batch));
    }

    /// Records the request, so that it can be answered or cancelled.
    pub(crate) fn register(&mut self, id: Id, reply_to: ReplyTo) {
        let call = InFlightRequest { id, number: self.number, reply_to };
        self.slot = Some(self.responder.requests.put(call));
    }

    /// Removes the request, so that nothing else answers it. Returns `None` if it was already
    /// answered, or for a notification.
    fn take_call(&mut self) -> Option<InFlightRequest<ReplyTo>> {
        self.responder.requests.take(self.slot.take()?, self.number)
    }

    /// Moves the handler to a separate task.
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
        // If the runtime is shut down, the handler is dropped, which answers the call.
        drop(responder.start_on(runtime, Box::pin(self)));
    }

    fn end_with_connection(&mut self) {
        let link = Arc::clone(&self.responder.link);
        self.closing.get_or_insert_with(|| Box::pin(async move { drop(link.closed().await) }));
    }

    fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.closing.as_mut().map_or(Poll::Pending, |closing| closing.as_mut().poll(cx))
    }

    /// Called when middleware has accepted a subscription. The handler continues outside of the
    /// middleware.
    fn continue_accepted(&mut self, rest: AcceptedHandler) {
        self.handler.resume(rest.handler);
        self.accepted = Some(rest.accepted);
        self.end_with_connection();
    }

    /// Whether the call requests a subscription whose stream now exists, so that the call must be
    /// answered.
    fn is_to_be_accepted(&self) -> bool {
        let accepted =
            |accepted: &AcceptedSubscription| accepted.subscription.stage() == Stage::Accepted;
        self.slot.is_some() && self.accepted.as_deref().is_some_and(accepted)
    }

    fn finish(&mut self, outcome: Result<Response, Panicked>) {
        let requested = self.slot.is_some();
        let call = self.take_call();
        if call.is_none() && requested {
            // The call was cancelled and answered.
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
        tracing::error!(
            method,
            "handler dropped before it finished: its runtime was shut down, or its connection has ended"
        );
        self.responder.deliver(call, ResponseKind::Error(ErrorObject::internal()));
    }

    /// Stops counting the call as in flight.
    fn stop_counting(&mut self) {
        if !std::mem::take(&mut self.counts) {
            return;
        }
        if self.responder.link.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A draining connection may be waiting for this handler.
            self.responder.link.send_queue.wake();
        }
    }
}

impl Future for InFlightCall {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let measured = PollTimer::begin(self.responder.link.config.blocking_threshold);
        let mut panicked = false;
        let polled = self.poll_handler(cx, &mut panicked);
        // Printing the backtrace of a panic takes long, and is not measured.
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
            // The subscription continues, unless the caller has cancelled the call.
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
        // A handler may be dropped without an answer when the connection or the runtime ends. If
        // only the runtime for handlers was shut down, the caller still gets an error.
        if let Some(call) = self.take_call() {
            if self.responder.router.handler_runtime.is_some() {
                self.abandon(call);
            }
        }
        // The handler is dropped before the cancellation is removed, because the handler may still
        // read it.
        self.handler.clear();
        self.responder.link.cancellations.remove(self.number);
        self.responder.weights.requests.fetch_sub(self.weight, Ordering::Relaxed);
        self.stop_counting();
    }
}

/// The unanswered requests of one connection. Allocates only if a handler was not ready at once.
#[derive(Debug)]
pub(crate) struct InFlightRequests<T>(Mutex<Option<Box<RequestSlots<T>>>>);

/// A request whose handler has started and that is not answered yet.
#[derive(Debug)]
pub(crate) struct InFlightRequest<T> {
    pub(crate) id: Id,
    /// The number of the call on its connection.
    pub(crate) number: u64,
    pub(crate) reply_to: T,
}

/// Each request has a slot, which is reused afterwards.
#[derive(Debug)]
struct RequestSlots<T> {
    slots: Vec<RequestSlot<T>>,
    /// The first free slot; the length if there is none.
    free: usize,
    count: usize,
}

#[derive(Debug)]
enum RequestSlot<T> {
    Taken(InFlightRequest<T>),
    Free { next: usize },
}

/// If there are more slots than this, they are freed when none is in use.
const KEPT: usize = 64;

impl<T> Default for InFlightRequests<T> {
    fn default() -> Self {
        InFlightRequests(Mutex::new(None))
    }
}

impl<T> InFlightRequests<T> {
    /// Adds a request and returns its slot.
    pub(crate) fn put(&self, call: InFlightRequest<T>) -> usize {
        self.lock().get_or_insert_with(Box::default).put(call)
    }

    /// Whether a request was ever added.
    #[cfg(feature = "tower")]
    pub(crate) fn was_used(&self) -> bool {
        self.lock().is_some()
    }

    /// Removes the request with this number from this slot. `None` if it is no longer there.
    pub(crate) fn take(&self, slot: usize, number: u64) -> Option<InFlightRequest<T>> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        match calls.slots.get(slot) {
            Some(RequestSlot::Taken(call)) if call.number == number => calls.take(slot),
            _ => None,
        }
    }

    /// Removes the request with this id. If a peer uses an id twice, removes the first request. An
    /// id with the same text takes precedence over an id that only has the same meaning. The search
    /// is linear, because cancellations are rare. `mark` is called with the call's number before
    /// the request is removed.
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

    /// Nothing is dropped under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Option<Box<RequestSlots<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for RequestSlots<T> {
    fn default() -> Self {
        RequestSlots { slots: Vec::new(), free: 0, count: 0 }
    }
}

impl<T> RequestSlots<T> {
    /// The slot of the oldest request whose id matches.
    fn first(&self, is: impl Fn(&Id) -> bool) -> Option<usize> {
        let known = self.slots.iter().enumerate().filter_map(|(at, place)| match place {
            RequestSlot::Taken(call) if is(&call.id) => Some((call.number, at)),
            _ => None,
        });
        known.min().map(|(_, at)| at)
    }

    fn put(&mut self, call: InFlightRequest<T>) -> usize {
        let at = self.free;
        self.count += 1;
        match self.slots.get_mut(at) {
            Some(place) => {
                if let RequestSlot::Free { next } =
                    std::mem::replace(place, RequestSlot::Taken(call))
                {
                    self.free = next;
                }
            }
            None => {
                self.slots.push(RequestSlot::Taken(call));
                self.free = self.slots.len();
            }
        }
        at
    }

    fn take(&mut self, at: usize) -> Option<InFlightRequest<T>> {
        let place = self.slots.get_mut(at)?;
        let RequestSlot::Taken(call) =
            std::mem::replace(place, RequestSlot::Free { next: self.free })
        else {
            return None;
        };
        self.free = at;
        self.count -= 1;
        if self.count == 0 && self.slots.len() > KEPT {
            *self = RequestSlots::default();
        }
        Some(call)
    }
}

#[cfg(test)]
mod in_flight_tests {
    use super::*;
    use std::collections::HashMap;

    fn call(id: u64, number: u64) -> InFlightRequest<()> {
        InFlightRequest { id: Id::from_number(id), number, reply_to: () }
    }

    #[test]
    fn each_call_is_taken_once() {
        let requests = InFlightRequests::default();
        let (first, second) = (requests.put(call(1, 10)), requests.put(call(2, 11)));
        let twin = requests.put(call(2, 12));
        let find =
            |id| requests.find(&Id::from_number(id), |number| number).map(|(_, number)| number);
        assert_eq!((find(7), find(2)), (None, Some(11)));
        // The slot is reused, and the old number must not remove the new request.
        let reused = requests.put(call(3, 13));
        assert_eq!(reused, second);
        let take = |place, number| requests.take(place, number).map(|call| call.number);
        assert_eq!((take(second, 11), take(reused, 13), take(reused, 13)), (None, Some(13), None));
        assert_eq!((find(2), find(2), take(twin, 12)), (Some(12), None, None));
        assert_eq!((take(first, 10), take(first, 10), take(99, 1)), (Some(10), None, None));
    }

    /// Random requests, compared with a map.
    #[test]
    fn calls_are_where_they_were_put() {
        let requests = InFlightRequests::default();
        let mut model = HashMap::new();
        let mut random = 0x9E37_79B9_u64;
        for number in 0..20_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random % 5 < 2 {
                let place = requests.put(call(number, number));
                assert!(model.insert(number, place).is_none());
            } else if let Some((&number, &place)) = model.iter().next() {
                model.remove(&number);
                assert_eq!(requests.take(place, number).map(|call| call.number), Some(number));
            }
        }
        for (number, place) in model {
            assert!(requests.take(place, number).is_some());
        }
        let calls = requests.lock();
        let calls = calls.as_ref().unwrap();
        assert!(calls.count == 0 && calls.slots.len() <= KEPT, "a burst leaves no memory behind");
    }
}

//! A handler at work: polled where its call was read, and then, if it was not ready, in a task of
//! its own.
//!
//! Must not know how calls are read.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use crate::answer::{BatchAnswer, ReplyTo, Responder};
use crate::asked::Asked;
use crate::call::BoxFuture;
use crate::flows::Stage;
use crate::guard::{Panicked, guard};
use crate::protocol::id::Id;
use crate::race::race;
use crate::router::RouteId;
use crate::service::{Kind, Response};
use crate::span::CallSpan;
use crate::started::Call;

/// A handler that is not ready yet. A panic in it is its outcome; so is one in what it leaves
/// behind.
pub(crate) struct Handler {
    future: Option<BoxFuture<Response>>,
    span: CallSpan,
}

impl Handler {
    pub(crate) fn new(future: BoxFuture<Response>, span: CallSpan) -> Self {
        Handler { future: Some(future), span }
    }

    /// Polls it once, right here. Most are ready, and cost no task; a waker would only wake the
    /// connection for nothing, as it is polled again anyway.
    pub(crate) fn begin(&mut self) -> Poll<Result<Response, Panicked>> {
        Pin::new(self).poll(&mut Context::from_waker(Waker::noop()))
    }
}

impl Future for Handler {
    type Output = Result<Response, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Handler { future, span } = &mut *self;
        let Some(future) = future else { return Poll::Ready(Err(Panicked)) };
        match guard(|| span.within(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let future = self.future.take();
        if guard(|| self.span.within(|| drop(future))).is_err() {
            tracing::error!("a handler panicked when it was dropped");
        }
    }
}

/// A handler with all it takes to answer its call. It counts as in flight as long as it lives.
pub(crate) struct Running {
    handler: Handler,
    responder: Arc<Responder>,
    /// For the log.
    route: RouteId,
    /// The number of its call.
    number: u64,
    /// Where a request stands among those that were started, until somebody answers it.
    place: Option<usize>,
    /// A subscription, which answers its call while it goes on.
    asked: Option<Box<Asked>>,
    /// Whether it counts as in flight.
    counts: bool,
    /// Keeps the message's weight where it belongs.
    batch: Option<Arc<BatchAnswer>>,
    /// What its message weighs, unless its batch does that.
    weight: usize,
}

impl Running {
    pub(crate) fn new(
        handler: Handler,
        responder: &Arc<Responder>,
        number: u64,
        route: RouteId,
    ) -> Self {
        responder.link.in_flight.fetch_add(1, Ordering::Relaxed);
        let responder = Arc::clone(responder);
        Running {
            handler,
            responder,
            route,
            number,
            place: None,
            asked: None,
            counts: true,
            batch: None,
            weight: 0,
        }
    }

    /// It serves this subscription.
    pub(crate) fn serve(&mut self, asked: Option<Box<Asked>>) {
        self.asked = asked;
    }

    /// It holds on to a message of this size by itself.
    pub(crate) fn weigh(&mut self, size: usize) {
        self.weight = size;
        self.responder.weights.requests.fetch_add(size, Ordering::Relaxed);
    }

    /// It is part of this batch.
    pub(crate) fn belongs_to(&mut self, batch: &Arc<BatchAnswer>) {
        self.batch = Some(Arc::clone(batch));
    }

    /// It is to be answered.
    pub(crate) fn reply_to(&mut self, id: Id, reply_to: ReplyTo) {
        let call = Call { id, number: self.number, reply_to };
        self.place = Some(self.responder.started.put(call));
    }

    /// Nobody else answers it from now on. `None`: somebody has, or nobody needs to.
    fn take_call(&mut self) -> Option<Call<ReplyTo>> {
        self.responder.started.take(self.place.take()?, self.number)
    }

    /// Goes on in a task of its own.
    pub(crate) fn spawn(self) {
        if self.responder.link.config.cancel_on_close || self.asked.is_some() {
            tokio::spawn(self.until_closed());
        } else {
            tokio::spawn(self);
        }
    }

    /// Whether it is a subscription that has a stream now, and its call is to be answered.
    fn consents(&self) -> bool {
        let accepted = |asked: &Asked| asked.flow.stage() == Stage::Accepted;
        self.place.is_some() && self.asked.as_deref().is_some_and(accepted)
    }

    fn finish(&mut self, outcome: Result<Response, Panicked>) {
        let requested = self.place.is_some();
        let call = self.take_call();
        if call.is_none() && requested {
            // It was taken back, and answered.
            return self.responder.discard(outcome, self.route);
        }
        let response = self.responder.outward(outcome, Some(self.route));
        if let Kind::Error(error) | Kind::Ended(Some(error)) = &response {
            self.handler.span.failed(Some(error.code().0));
        }
        match (call, &self.asked, response) {
            (Some(call), _, response) => self.responder.deliver(call, response),
            (None, Some(asked), Kind::Ended(error)) => asked.end(error.as_ref()),
            (None, Some(asked), Kind::Error(error)) if asked.flow.stage() == Stage::Open => {
                asked.end(Some(&error));
            }
            _ => {}
        }
    }

    /// It no longer counts as in flight.
    fn rest(&mut self) {
        if !std::mem::take(&mut self.counts) {
            return;
        }
        if self.responder.link.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A connection that drains may wait for this one.
            self.responder.link.outbox.nudge();
        }
    }

    async fn until_closed(self) {
        let link = Arc::clone(&self.responder.link);
        race(self, pin!(link.ended())).await;
    }
}

impl Future for Running {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.handler).poll(cx) {
                Poll::Ready(outcome) => {
                    self.finish(outcome);
                    return Poll::Ready(());
                }
                Poll::Pending if !self.consents() => return Poll::Pending,
                Poll::Pending => {}
            }
            // It goes on, unless its caller has taken the call back.
            let Some(call) = self.take_call() else { return Poll::Ready(()) };
            self.rest();
            if let Some(asked) = &self.asked {
                self.responder.consent(call, &asked.flow);
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dropped unanswered, by the end of the connection or of the runtime.
        drop(self.take_call());
        self.responder.link.signals.forget(self.number);
        self.responder.weights.requests.fetch_sub(self.weight, Ordering::Relaxed);
        self.rest();
    }
}

//! A handler at work: polled where its call was read, and then, if it was not ready, in a task of
//! its own.
//!
//! Must not know how calls are read.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use crate::answer::{BatchAnswer, ReplyTo, Responder};
use crate::call::BoxFuture;
use crate::guard::{Panicked, guard};
use crate::protocol::id::Id;
use crate::race::race;
use crate::router::RouteId;
use crate::service::Response;
use crate::started::Call;

/// A handler that is not ready yet. A panic in it is its outcome; so is one in what it leaves
/// behind.
pub(crate) struct Handler(Option<BoxFuture<Response>>);

impl Handler {
    pub(crate) fn new(future: BoxFuture<Response>) -> Self {
        Handler(Some(future))
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
        let Some(future) = &mut self.0 else { return Poll::Ready(Err(Panicked)) };
        match guard(|| future.as_mut().poll(cx)) {
            Ok(poll) => poll.map(Ok),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        let future = self.0.take();
        if guard(|| drop(future)).is_err() {
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
    /// Under which a request stands among those that were started, until somebody answers it.
    key: Option<u64>,
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
        Running { handler, responder, route, number, key: None, batch: None, weight: 0 }
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
        self.key = Some(self.responder.started.put(call));
    }

    /// Nobody else answers it from now on. `None`: somebody has, or nobody needs to.
    fn take_call(&mut self) -> Option<Call<ReplyTo>> {
        self.responder.started.take(self.key.take()?)
    }

    /// Goes on in a task of its own.
    pub(crate) fn spawn(self) {
        if self.responder.link.config.cancel_on_close {
            tokio::spawn(self.until_closed());
        } else {
            tokio::spawn(self);
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
        let outcome = ready!(Pin::new(&mut self.handler).poll(cx));
        let requested = self.key.is_some();
        match self.take_call() {
            Some(call) => {
                let response = self.responder.outward(outcome, Some(self.route));
                self.responder.deliver(call, response);
            }
            None if requested => self.responder.discard(outcome, self.route),
            None => drop(self.responder.outward(outcome, Some(self.route))),
        }
        Poll::Ready(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be dropped unanswered, by the end of the connection or of the runtime.
        drop(self.take_call());
        self.responder.link.signals.forget(self.number);
        self.responder.weights.requests.fetch_sub(self.weight, Ordering::Relaxed);
        if self.responder.link.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A connection that drains may wait for this one.
            self.responder.link.outbox.nudge();
        }
    }
}

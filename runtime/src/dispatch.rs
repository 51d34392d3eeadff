//! From an incoming message to the answers in the outbox: finds the service, starts the handler,
//! and sees to it that each request gets its one answer.
//!
//! Never waits: a handler that is not ready at once goes on in a task of its own. Must not know
//! sockets.

use std::borrow::Cow;
use std::future::Future;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{self, Poll, Waker};

use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::answer::{BatchAnswer, ReplyTo};
use crate::call::BoxFuture;
use crate::context::Context;
use crate::peer::Link;
use crate::pending::Reply;
use crate::protocol::decode::{
    Entry, IncomingCall, IncomingResponse, Limits, Payload, ResponseOutcome, payload,
};
use crate::protocol::encode;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::router::{RouteId, Router};
use crate::service::{Kind, Method, Progress, Request, Response};

/// Lives as long as something a server's shutdown should wait for.
pub(crate) type Tracker = watch::Receiver<()>;

/// Whether new requests are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    /// Refused with an error: the connection is about to close.
    Refused,
    /// Refused with an error: the peer asks and asks and does not take its answers.
    Busy,
    /// Nothing can be answered any more; notifications are as good as ever.
    Unanswerable,
}

/// Handles what comes in on one connection.
pub(crate) struct Dispatcher {
    pub(crate) router: Arc<Router>,
    pub(crate) context: Context,
    pub(crate) link: Arc<Link>,
    pub(crate) tracker: Option<Tracker>,
}

impl Dispatcher {
    /// Takes in one message. Handlers start here, in the order in which messages arrive.
    pub(crate) fn receive(&self, message: Utf8Bytes, admission: Admission) {
        let mut work = None;
        match self.decode(&message) {
            Payload::One(entry) => work = self.triage(&message, entry),
            Payload::Batch(entries) => self.batch(&message, entries, admission),
            // Some servers answer a batch of notifications with an empty array.
            Payload::EmptyBatch if self.link.take_empty_reply() => {}
            Payload::EmptyBatch => self.malformed(ErrorCode::INVALID_REQUEST),
            Payload::LargeBatch => {
                let limit = self.link.config.max_batch;
                let words = format!("Invalid Request: a batch may have at most {limit} entries");
                let error = ErrorObject::new(ErrorCode::INVALID_REQUEST, words);
                self.link.outbox.answer(encode::error_response(&error, &Id::NULL));
            }
            Payload::NotJson => self.malformed(ErrorCode::PARSE_ERROR),
        }
        if let Some(work) = work {
            self.work(message, work, admission, ReplyTo::One);
        }
    }

    /// Takes in a message if it is nothing but responses. `false`: it is something else, and
    /// nothing was done with it.
    pub(crate) fn receive_responses(&self, message: &Utf8Bytes) -> bool {
        let entries = match self.decode(message) {
            Payload::One(entry) => vec![entry],
            Payload::Batch(entries) => entries,
            _ => return false,
        };
        let is_response = |entry: &Entry<'_>| match entry {
            Entry::Response(response) => response.outcome != ResponseOutcome::Neither,
            _ => false,
        };
        let responses = entries.iter().all(is_response);
        if responses {
            entries.into_iter().for_each(|entry| drop(self.triage(message, entry)));
        }
        responses
    }

    fn decode<'a>(&self, message: &'a Utf8Bytes) -> Payload<'a> {
        let max_calls = self.link.config.max_batch;
        // A batch of ours may be larger than what we let others send; its responses come as one.
        let max_responses = || max_calls.max(self.link.pending.len());
        payload(message, Limits { max_calls, max_responses: &max_responses })
    }

    /// The answer to a message whose id nobody knows.
    pub(crate) fn malformed(&self, code: ErrorCode) {
        self.link.outbox.answer(encode::malformed(code, &Id::NULL));
    }

    fn batch(&self, message: &Utf8Bytes, entries: Vec<Entry<'_>>, admission: Admission) {
        let work: Vec<_> =
            entries.into_iter().filter_map(|entry| self.triage(message, entry)).collect();
        let answers = work.iter().filter(|work| work.is_answered()).count();
        let batch = Arc::new(BatchAnswer::new(Arc::clone(&self.link), answers));
        let mut index = 0;
        for work in work {
            let place = index;
            index += usize::from(work.is_answered());
            let reply_to = |id| ReplyTo::Batch(Arc::clone(&batch), place, id);
            self.work(message.clone(), work, admission, reply_to);
        }
    }

    /// Hands a response to its call. What is left is work that may want an answer.
    fn triage(&self, message: &Utf8Bytes, entry: Entry<'_>) -> Option<Work> {
        match entry {
            Entry::Call(call) => Some(Work::Call(self.plan(message, call))),
            Entry::Invalid(id) => Some(Work::Invalid(id)),
            Entry::Response(response) => self.response(message, response),
        }
    }

    fn plan(&self, message: &Utf8Bytes, call: IncomingCall<'_>) -> Planned {
        let route = self.router.find(&call.method);
        let method = match call.method {
            Cow::Borrowed(name) => Method::InMessage(range(message, name)),
            Cow::Owned(name) => Method::Decoded(name.into()),
        };
        let params = call.params.map(|json| range(message, json));
        Planned { id: call.id, route, method, params }
    }

    fn response(&self, message: &Utf8Bytes, response: IncomingResponse<'_>) -> Option<Work> {
        let reply = match response.outcome {
            ResponseOutcome::Result(json) => Reply::Result(message.clone(), range(message, json)),
            ResponseOutcome::Error(json) => match serde_json::from_str(json) {
                Ok(object) => Reply::Error(object),
                Err(_) => Reply::Invalid("its error is no error object"),
            },
            ResponseOutcome::Both => Reply::Invalid("it has both a result and an error"),
            ResponseOutcome::Empty | ResponseOutcome::Neither => {
                Reply::Invalid("it has neither a result nor an error")
            }
        };
        if response.id.is_some_and(|id| self.link.pending.resolve(id, reply)) {
            return None;
        }
        if response.outcome == ResponseOutcome::Neither {
            // Nothing tells it from a request that lacks its method.
            let id = response.id.and_then(Id::from_json).unwrap_or(Id::NULL);
            return Some(Work::Invalid(id));
        }
        tracing::debug!("dropped a response that nobody waits for");
        None
    }

    fn work(
        &self,
        message: Utf8Bytes,
        work: Work,
        admission: Admission,
        reply_to: impl FnOnce(Id) -> ReplyTo,
    ) {
        match work {
            Work::Call(mut call) => {
                let reply_to = call.id.take().map_or(ReplyTo::Nobody, reply_to);
                self.call(message, call, admission, reply_to);
            }
            Work::Invalid(id) => self.fail(reply_to(id), ErrorCode::INVALID_REQUEST),
        }
    }

    fn fail(&self, reply_to: ReplyTo, code: ErrorCode) {
        let answer = Answer { reply_to, route: None };
        self.deliver(answer, Response(Kind::Error(ErrorObject::of(code))));
    }

    fn call(&self, message: Utf8Bytes, call: Planned, admission: Admission, reply_to: ReplyTo) {
        let notification = matches!(reply_to, ReplyTo::Nobody);
        match admission {
            Admission::Open => {}
            Admission::Refused | Admission::Busy => {
                if notification {
                    tracing::warn!("dropped a notification: the connection is closing or clogged");
                }
                let busy = admission == Admission::Busy;
                let code = if busy { ErrorCode::SERVER_BUSY } else { ErrorCode::SHUTTING_DOWN };
                return self.fail(reply_to, code);
            }
            Admission::Unanswerable if notification => {}
            Admission::Unanswerable => return,
        }
        let Some(route) = call.route else {
            return self.fail(reply_to, ErrorCode::METHOD_NOT_FOUND);
        };
        if self.link.in_flight.load(Ordering::Relaxed) >= self.link.config.max_in_flight {
            if notification {
                let method = self.router.name(route);
                tracing::warn!(method, "dropped a notification: too many calls are in flight");
            }
            return self.fail(reply_to, ErrorCode::SERVER_BUSY);
        }
        let answer = Answer { reply_to, route: Some(route) };
        let context = self.context.clone();
        let request = Request::new(context, message, call.method, call.params, notification);
        match guard(|| self.router.call(route, request).0) {
            Ok(Progress::Ready(response)) => self.deliver(answer, response),
            Ok(Progress::Pending(handler)) => self.start(Handler(Some(handler)), answer),
            Err(Panicked) => self.panicked(answer),
        }
    }

    /// Polls a handler once, right here. Most are ready, and cost no task; a waker would only wake
    /// this connection for nothing, as the task polls it again anyway.
    fn start(&self, mut handler: Handler, answer: Answer) {
        match Pin::new(&mut handler).poll(&mut task::Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(response)) => self.deliver(answer, response),
            Poll::Ready(Err(Panicked)) => self.panicked(answer),
            Poll::Pending => {
                let in_flight = InFlight::begin(&self.link, self.tracker.clone());
                let dispatcher = Dispatcher {
                    router: Arc::clone(&self.router),
                    context: self.context.clone(),
                    link: Arc::clone(&self.link),
                    tracker: None,
                };
                tokio::spawn(async move {
                    dispatcher.finish(handler, answer).await;
                    drop(in_flight);
                });
            }
        }
    }

    async fn finish(&self, handler: Handler, answer: Answer) {
        let outcome = if self.link.config.cancel_on_close {
            let mut ended = std::pin::pin!(self.link.ended());
            let mut handler = handler;
            let either = std::future::poll_fn(|cx| match Pin::new(&mut handler).poll(cx) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending => ended.as_mut().poll(cx).map(|_| None),
            });
            match either.await {
                Some(outcome) => outcome,
                None => return,
            }
        } else {
            handler.await
        };
        match outcome {
            Ok(response) => self.deliver(answer, response),
            Err(Panicked) => self.panicked(answer),
        }
    }

    fn panicked(&self, answer: Answer) {
        let method = answer.route.map_or("unknown", |route| self.router.name(route));
        tracing::error!(method, "handler panicked; the caller gets -32603");
        self.fail(answer.reply_to, ErrorCode::INTERNAL_ERROR);
    }

    /// Writes the response and queues it.
    fn deliver(&self, answer: Answer, response: Response) {
        let response = match response.0 {
            Kind::Error(error) => Kind::Error(self.outward(error, answer.route)),
            other => other,
        };
        answer.reply_to.send(response, &self.link);
    }

    /// What the peer may see of an error. The inside of one that no type is known for stays here.
    fn outward(&self, error: ErrorObject, route: Option<RouteId>) -> ErrorObject {
        if error.source().is_none() {
            return error;
        }
        // The application's own code: its conversion, and what it says of itself in the log.
        guard(|| self.translate(error, route)).unwrap_or_else(|Panicked| {
            let method = route.map_or("unknown", |route| self.router.name(route));
            tracing::error!(method, "an error's own code panicked; the caller gets -32603");
            ErrorObject::internal()
        })
    }

    fn translate(&self, error: ErrorObject, route: Option<RouteId>) -> ErrorObject {
        let Some(source) = error.source() else { return error };
        if let Some(known) = self.router.recognize(&error) {
            return known;
        }
        let method = route.map_or("unknown", |route| self.router.name(route));
        tracing::error!(
            method,
            error = source as &dyn std::error::Error,
            "handler failed; the caller gets {}",
            error.code()
        );
        error
    }
}

/// Where the outcome of a call goes.
struct Answer {
    reply_to: ReplyTo,
    /// For the log.
    route: Option<RouteId>,
}

/// An incoming message that is no response.
enum Work {
    Call(Planned),
    Invalid(Id),
}

/// A request or notification, by its places in the message.
struct Planned {
    id: Option<Id>,
    route: Option<RouteId>,
    method: Method,
    params: Option<Range<usize>>,
}

impl Work {
    fn is_answered(&self) -> bool {
        match self {
            Work::Call(call) => call.id.is_some(),
            Work::Invalid(_) => true,
        }
    }
}

/// Counts a handler that runs in a task of its own.
struct InFlight {
    link: Arc<Link>,
    _tracker: Option<Tracker>,
}

impl InFlight {
    fn begin(link: &Arc<Link>, tracker: Option<Tracker>) -> Self {
        link.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight { link: Arc::clone(link), _tracker: tracker }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.link.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            // A connection that drains may wait for this one.
            self.link.outbox.nudge();
        }
    }
}

/// A handler at work. A panic in it is its outcome and goes no further.
/// So is one in what it leaves behind.
struct Handler(Option<BoxFuture<Response>>);

struct Panicked;

impl Future for Handler {
    type Output = Result<Response, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<Self::Output> {
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

/// Runs a user's code. What it leaves half done is its own: nothing of ours is borrowed.
fn guard<T>(code: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(code)).map_err(|_| Panicked)
}

/// Where a part of a message is in it.
fn range(message: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(message.as_ptr() as usize);
    start..start + part.len()
}

//! From an incoming message to the responses in the send queue: [`Dispatcher`] decodes a message,
//! finds the service of each call, starts its handler and makes sure that each request gets exactly
//! one response. `dispatch/batch.rs` handles batches.
//!
//! Nothing here waits: a handler that is not ready at once moves to a separate task. Work is
//! counted against a budget, so that other tasks can run.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::incoming::context::Context;
use crate::incoming::control_notifications::ControlNotification;
use crate::incoming::in_flight::{HandlerFuture, InFlightCall};
use crate::incoming::item_router::ItemRouter;
use crate::incoming::large_message::LargeMessage;
use crate::incoming::message_errors::MessageErrors;
use crate::incoming::responder::{ReplyTo, Responder};
use crate::incoming::router::{PollTimers, RouteId};
use crate::incoming::service::{
    AcceptedHandler, Method, OutcomeKind, Request, Response, ResponseKind,
};
use crate::link::Link;
use crate::link::pending_calls::CallOutcome;
use crate::protocol::decode::{
    BatchEntry, Entry, IncomingCall, IncomingResponse, Limits, Payload, Position, ResponseOutcome,
    payload, range,
};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::flaw::Flaw;
use crate::protocol::id::Id;
use crate::protocol::slices::Slices;
use crate::span::CallSpan;
use crate::util::catch_unwind::{CatchUnwind, Panicked, catch_unwind};
use crate::util::drop_counter::DropCounter;

/// The budget of a poll: the number of messages, or of entries of batches, that are answered at
/// once before the task yields.
const BUDGET: usize = 128;
/// What a handler costs that is not ready at once. Such handlers have usually set timers, and the
/// runtime's driver learns about timers only after a yield: until then, tokio wakes the driver for
/// each timer with a system call. Also, the first of many handlers should not have to wait until
/// all others have started.
const WAITING: usize = 8;
/// The number of bytes of a result that cost 1: serializing and writing them takes as long as a
/// small call.
const LARGE: usize = 512;
/// The number of entries of a batch that cost 1 when they are read, in addition to what each costs
/// when it starts.
const READ: usize = 4;

/// Which calls are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    /// All calls are refused with an error: the connection is about to close.
    Refused,
    /// Requests are refused in the same way; notifications are accepted.
    NoRequests,
    /// All calls are refused with an error: the peer keeps sending requests and does not read the
    /// responses.
    Busy,
    /// Nothing can be answered any more; notifications are accepted.
    Unanswerable,
}

/// Handles the messages that one connection receives.
pub(crate) struct Dispatcher {
    responder: Arc<Responder>,
    context: Context,
    /// The number of the last call. This side numbers calls itself, because peers may choose any
    /// ids.
    calls: Cell<u64>,
    /// The arrival time of the calls since the last yield. It is read when the first of them needs
    /// it, because reading the clock is not free.
    now: Cell<Option<u64>>,
    polls: PollTimers,
    /// What is left of the budget until the next yield.
    budget: Cell<usize>,
    /// A batch that is partly started. The rest of it is started before any other message.
    unfinished: Cell<Option<Box<batch::Unfinished>>>,
    dropped: DropCounter,
    /// Counts the peer's errors that belong to no call.
    message_errors: MessageErrors,
    latest: ItemRouter,
}

impl Dispatcher {
    pub(crate) fn new(responder: Arc<Responder>, context: Context) -> Self {
        let polls = PollTimers::new(responder.link.config.blocking_threshold);
        let (calls, now, unfinished, latest) = Default::default();
        let (dropped, message_errors) = (DropCounter::notifications(), MessageErrors::default());
        let budget = Cell::new(BUDGET);
        Dispatcher {
            responder,
            context,
            calls,
            now,
            polls,
            budget,
            unfinished,
            dropped,
            message_errors,
            latest,
        }
    }

    /// Restores the budget after a yield.
    pub(crate) fn refill(&self) {
        self.budget.set(BUDGET);
    }

    /// What is left of the budget. At 0, the task has to yield.
    #[inline]
    pub(crate) fn budget(&self) -> usize {
        self.budget.get()
    }

    #[inline]
    pub(crate) fn spend(&self, amount: usize) {
        self.budget.set(self.budget.get().saturating_sub(amount));
    }

    /// Begins a round of reading: messages received from now on have a new arrival time.
    pub(crate) fn begin_round(&self) {
        self.now.set(None);
        self.polls.begin_round(&self.responder.router);
    }

    /// Ends a round of reading.
    pub(crate) fn end_round(&self) {
        self.polls.end_round(&self.responder.router);
    }

    /// The age of the connection, read once in each round.
    fn now(&self) -> u64 {
        let now = self.now.get().unwrap_or_else(|| self.context.age());
        self.now.set(Some(now));
        now
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn responder(&self) -> &Arc<Responder> {
        &self.responder
    }

    fn link(&self) -> &Link {
        &self.responder.link
    }

    /// Decodes the next slice of a large message. Returns `true` after the last one.
    pub(crate) fn advance(&self, large: &mut LargeMessage) -> bool {
        self.with_limits(|limits| large.advance(limits))
    }

    /// Handles a large message after its last slice.
    #[cold]
    #[inline(never)]
    pub(crate) fn receive_large(&self, message: Utf8Bytes, slices: &Slices, admission: Admission) {
        self.handle(message, admission, |message| slices.payload(message));
    }

    /// Handles one message. Handlers start here, in the order in which messages arrive.
    pub(crate) fn receive(&self, message: Utf8Bytes, admission: Admission) {
        let Some(message) = self.latest.unless_item(self.link(), message) else { return };
        self.handle(message, admission, |message| self.decode(message));
    }

    #[inline(always)]
    fn handle(
        &self,
        message: Utf8Bytes,
        admission: Admission,
        decode: impl for<'a> FnOnce(&'a Utf8Bytes) -> Payload<'a>,
    ) {
        let (id, call) = match decode(&message) {
            Payload::One(Entry::Call(call)) => {
                match ControlNotification::read(&call, &self.responder) {
                    None => self.resolve(&message, call),
                    Some(notice) => return notice.handle(&message, &self.responder),
                }
            }
            Payload::One(Entry::Invalid(id, flaw)) => return self.refuse(&id, &flaw),
            Payload::One(Entry::Response(response)) => {
                if let Some(id) = self.response(&message, response, true) {
                    self.refuse(&id, &Flaw::NoMethod);
                }
                return;
            }
            Payload::Batch(entries) => return self.batch(&message, entries, admission),
            // Some servers answer a batch of notifications with an empty array.
            Payload::EmptyBatch if self.link().take_empty_reply() => return,
            Payload::EmptyBatch => return self.refuse(&Id::NULL, &Flaw::EmptyBatch),
            Payload::LargeBatch => {
                let limit = self.link().config.max_batch;
                return self
                    .refuse(&Id::NULL, &format_args!("a batch may have at most {limit} entries"));
            }
            Payload::NotJson => return self.malformed(),
        };
        let size = message.len() + id.as_ref().map_or(0, Id::weight);
        match (self.begin(message, call, admission, id.is_none()), id) {
            (Started::Done(_), None) => {}
            (Started::Done(response), Some(id)) => drop(self.responder.send(response, &id)),
            (Started::Pending(mut in_flight_call), id) => {
                in_flight_call.count_message(size);
                if let Some(id) = id {
                    in_flight_call.register(id, ReplyTo::One);
                }
                in_flight_call.spawn();
            }
        }
    }

    /// Handles a message if it contains only responses and control notifications about progress and
    /// subscriptions. Returns `false`, and does nothing, if it contains anything else.
    pub(crate) fn receive_news(&self, message: &Utf8Bytes, slices: Option<&Slices>) -> bool {
        let payload = match slices {
            None => self.decode(message),
            Some(slices) => slices.payload(message),
        };
        let mut entries = match payload {
            Payload::One(entry) => vec![(Position::default(), entry)],
            Payload::Batch(entries) => entries,
            _ => return false,
        };
        let is_response = |entry: &Entry<'_>| match entry {
            Entry::Response(response) => response.outcome != ResponseOutcome::Neither,
            Entry::Call(call) => ControlNotification::read(call, &self.responder)
                .is_some_and(|notice| notice.is_news()),
            Entry::Invalid(..) => false,
        };
        let responses = entries.iter().all(|(_, entry)| is_response(entry));
        if responses {
            self.responses(message, &mut entries);
        }
        responses
    }

    fn decode<'a>(&self, message: &'a Utf8Bytes) -> Payload<'a> {
        self.with_limits(|limits| payload(message, limits))
    }

    #[inline]
    fn with_limits<R>(&self, decode: impl FnOnce(Limits<'_>) -> R) -> R {
        let max_calls = self.link().config.max_batch;
        // This side may send batches larger than the limit for the peer's batches, and the
        // responses arrive as one array.
        let max_responses = || max_calls.max(self.link().pending.len());
        decode(Limits { max_calls, max_responses: &max_responses })
    }

    /// Answers a message that is not JSON.
    pub(crate) fn malformed(&self) {
        self.responder.fail(&ErrorObject::of(ErrorCode::PARSE_ERROR), &Id::NULL);
    }

    /// Answers a message that is not a valid request.
    #[cold]
    fn refuse(&self, id: &Id, why: &dyn fmt::Display) {
        self.responder.fail(&ErrorObject::invalid_request(why), id);
    }

    /// Passes responses, and the control notifications before them, to their calls. An entry that
    /// looks like a response but is not valid may be answered with an error.
    fn responses(&self, message: &Utf8Bytes, entries: &mut Vec<BatchEntry<'_>>) {
        let is_only = entries.len() == 1;
        let of_batch =
            if is_only { None } else { self.message_errors.of_batch(self.link(), entries) };
        entries.retain_mut(|(_, entry)| match entry {
            Entry::Response(response) => {
                let Some(id) = self.response(message, *response, is_only) else { return false };
                *entry = Entry::Invalid(id, Flaw::NoMethod);
                true
            }
            Entry::Call(call) => match ControlNotification::read(call, &self.responder) {
                Some(notice) if notice.is_news() => {
                    notice.handle(message, &self.responder);
                    false
                }
                _ => true,
            },
            Entry::Invalid(..) => true,
        });
        if let Some(error) = of_batch {
            self.message_errors.end_rest(self.link(), error);
        }
    }

    #[inline]
    fn resolve(&self, message: &Utf8Bytes, call: IncomingCall<'_>) -> (Option<Id>, ResolvedCall) {
        let route = self.responder.router.find(&call.method);
        let method = match call.method {
            Cow::Borrowed(name) => Method::InMessage(range(message, name)),
            Cow::Owned(name) => Method::Decoded(name.into()),
        };
        let params = call.params.map(|json| range(message, json));
        let number = self.calls.get() + 1;
        self.calls.set(number);
        let context = self.context.of_call(number, call.extra, || self.now());
        let span = route.map_or_else(CallSpan::default, |route| {
            CallSpan::server(self.responder.router.name(route), call.id.as_ref(), &call.trace)
        });
        (call.id, ResolvedCall { context, route, method, params, span })
    }

    /// Handles one response. If it is not a valid response, returns the id for an error response.
    /// `is_only`: the message contains no other entry.
    fn response(
        &self,
        message: &Utf8Bytes,
        response: IncomingResponse<'_>,
        is_only: bool,
    ) -> Option<Id> {
        if let ResponseOutcome::Error(json) = response.outcome {
            if self.message_errors.take(self.link(), response.id, json, is_only) {
                return None;
            }
        }
        let reply = CallOutcome::of(message, response.outcome);
        let subscribed = match response.outcome {
            ResponseOutcome::Result(json) => Some(json),
            _ => None,
        };
        if let Some(id) = response.id.filter(|_| self.link().consumed.any()) {
            // Before any item of the subscription, which may follow in the same message.
            self.link().subscribed(id, subscribed);
        }
        if response.id.is_some_and(|id| self.link().pending.resolve(id, reply)) {
            return None;
        }
        if response.outcome == ResponseOutcome::Neither {
            // It looks like a request without a method.
            return Some(response.answered());
        }
        tracing::debug!("dropped a response: its id matches no pending call");
        None
    }

    /// The route of a call, unless it is refused.
    #[inline]
    fn admit<'a>(
        &self,
        route: Option<RouteId>,
        name: impl FnOnce() -> &'a str,
        admission: Admission,
        notification: bool,
    ) -> Result<RouteId, ResponseKind> {
        match route {
            Some(route) if admission == Admission::Open && !self.responder.is_busy() => Ok(route),
            _ => self.admit_or_refuse(route, name(), admission, notification),
        }
    }

    #[cold]
    #[inline(never)]
    fn admit_or_refuse(
        &self,
        route: Option<RouteId>,
        name: &str,
        admission: Admission,
        notification: bool,
    ) -> Result<RouteId, ResponseKind> {
        let refused = match admission {
            Admission::Open => None,
            Admission::NoRequests | Admission::Unanswerable if notification => None,
            Admission::Unanswerable => return Err(ResponseKind::Silent),
            Admission::Refused | Admission::NoRequests => Some(ErrorCode::SHUTTING_DOWN),
            Admission::Busy => Some(ErrorCode::SERVER_BUSY),
        };
        let refusal = |code| Err(ResponseKind::Error(ErrorObject::of(code)));
        if let Some(code) = refused {
            if notification && self.dropped.is_first() {
                let method = route.map(|route| self.responder.router.name(route));
                tracing::warn!(
                    method,
                    "dropped a notification: the connection is closing, or the peer does not read its responses"
                );
            }
            return refusal(code);
        }
        let Some(route) = route else {
            return Err(ResponseKind::Error(ErrorObject::no_method(name)));
        };
        if self.responder.is_busy() {
            if notification && self.dropped.is_first() {
                let method = self.responder.router.name(route);
                tracing::warn!(
                    method,
                    "dropped a notification: too many calls are in flight (`Config::max_in_flight`, `Config::max_in_flight_bytes`)"
                );
            }
            return refusal(ErrorCode::SERVER_BUSY);
        }
        Ok(route)
    }

    /// Starts the handler of a call, unless it is refused.
    fn begin(
        &self,
        message: Utf8Bytes,
        call: ResolvedCall,
        admission: Admission,
        notification: bool,
    ) -> Started {
        let name = || match &call.method {
            Method::InMessage(range) => message.get(range.clone()).unwrap_or_default(),
            Method::Decoded(name) => name,
        };
        let route = match self.admit(call.route, name, admission, notification) {
            Ok(route) => route,
            Err(refused) => return Started::Done(refused),
        };
        if self.responder.router.handler_runtime.is_some() {
            return Started::Pending(self.start_on_handler_runtime(
                message,
                call,
                route,
                notification,
            ));
        }
        self.polls.begin(route, &self.responder.router);
        let ResolvedCall { context, method, params, span, .. } = call;
        let number = context.number();
        let request = Request::new(context, message, method, params, notification);
        let begun = || span.within(|| self.responder.router.call(route, request).0);
        let (future, accepted) = match catch_unwind(begun) {
            Ok(OutcomeKind::Ready(response)) => return self.done(Ok(response), route, &span),
            Ok(OutcomeKind::Pending(future)) => (future, None),
            Ok(OutcomeKind::Subscription(future, accepted)) => (future, Some(accepted)),
            Err(panicked) => return self.done(Err(panicked), route, &span),
        };
        let mut handler = HandlerFuture::new(CatchUnwind::new(future), span.clone());
        let accepted = match handler.begin() {
            Poll::Pending => accepted,
            Poll::Ready(Ok(Response(ResponseKind::Accepted(rest)))) => {
                handler.resume(rest.handler);
                Some(rest.accepted)
            }
            Poll::Ready(outcome) => return self.done(outcome, route, &span),
        };
        let mut in_flight_call = InFlightCall::new(handler, &self.responder, number, route);
        in_flight_call.set_accepted(accepted);
        self.spend(WAITING - 1);
        Started::Pending(in_flight_call)
    }

    /// Starts the handler of a call on the separate runtime for handlers. No part of the handler
    /// runs in this task. The call counts as in flight from now on.
    #[cold]
    #[inline(never)]
    fn start_on_handler_runtime(
        &self,
        message: Utf8Bytes,
        call: ResolvedCall,
        route: RouteId,
        notification: bool,
    ) -> InFlightCall {
        let ResolvedCall { context, method, params, span, .. } = call;
        let (number, link) = (context.number(), Arc::clone(context.link()));
        let router = Arc::clone(&self.responder.router);
        let request = Request::new(context, message, method, params, notification);
        let handling = async move {
            if link.cancellations.is_cancelled(number) {
                // It was cancelled before it started.
                return Response(ResponseKind::Error(ErrorObject::of(
                    ErrorCode::REQUEST_CANCELLED,
                )));
            }
            match router.call(route, request).0 {
                OutcomeKind::Ready(response) => response,
                OutcomeKind::Pending(future) => future.await,
                OutcomeKind::Subscription(future, accepted) => {
                    Response(ResponseKind::Accepted(Box::new(AcceptedHandler {
                        handler: CatchUnwind::new(future),
                        accepted,
                    })))
                }
            }
        };
        let handler = HandlerFuture::new(CatchUnwind::new(Box::pin(handling)), span);
        InFlightCall::new(handler, &self.responder, number, route)
    }

    fn done(
        &self,
        outcome: Result<Response, Panicked>,
        route: RouteId,
        span: &CallSpan,
    ) -> Started {
        if outcome.is_err() {
            // Printing the backtrace took long, and that is not the handler's own time.
            self.polls.begin_round(&self.responder.router);
        }
        let response = self.responder.visible_to_peer(outcome, Some(route));
        match &response {
            ResponseKind::Result(text) => self.spend(text.len() / LARGE),
            ResponseKind::Error(error) => span.failed(Some(error.code().0)),
            _ => {}
        }
        Started::Done(response)
    }
}

/// The state of a call after its handler was polled where the call was read.
enum Started {
    Done(ResponseKind),
    Pending(InFlightCall),
}

/// A request or notification, with its parts as ranges of the message.
struct ResolvedCall {
    context: Context,
    route: Option<RouteId>,
    method: Method,
    params: Option<Range<usize>>,
    span: CallSpan,
}

mod batch;

//! From an incoming message to the answers in the outbox: finds the service, starts the handler,
//! and sees to it that each request gets its one answer.
//!
//! Never waits: a handler that is not ready at once goes on in a task of its own. Must not know
//! sockets.

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;
use std::task::Poll;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::calling::link::Link;
use crate::calling::pending::Reply;
use crate::guard::{Guarded, Panicked, guard};
use crate::protocol::decode::{
    Entry, IncomingCall, IncomingResponse, Limits, Payload, ResponseOutcome, payload, range,
};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::serving::answer::{BatchAnswer, ReplyTo, Responder};
use crate::serving::blocked::Polls;
use crate::serving::context::Context;
use crate::serving::dropped::Dropped;
use crate::serving::gather::Gathered;
use crate::serving::handler::{Handler, Running};
use crate::serving::notices::Notice;
use crate::serving::router::RouteId;
use crate::serving::service::{Kind, Method, Progress, Request, Response};
use crate::span::CallSpan;
use crate::subscriptions::items::Latest;

/// Whether new requests are welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    Open,
    /// Refused with an error: the connection is about to close.
    Refused,
    /// Requests are refused in the same way; notifications are as good as ever.
    NoRequests,
    /// Refused with an error: the peer asks and asks and does not take its answers.
    Busy,
    /// Nothing can be answered any more; notifications are as good as ever.
    Unanswerable,
}

/// Handles what comes in on one connection.
pub(crate) struct Dispatcher {
    responder: Arc<Responder>,
    context: Context,
    /// Each call has a number of this side's own, as peers may give ids as they like.
    calls: Cell<u64>,
    /// When this turn's calls came in, once one of them asks: the clock is not free.
    now: Cell<Option<u64>>,
    polls: Polls,
    /// Handlers that were not ready at once, and that nobody has asked about yet.
    waiting: Cell<usize>,
    dropped: Dropped,
    latest: Latest,
}

impl Dispatcher {
    pub(crate) fn new(responder: Arc<Responder>, context: Context) -> Self {
        let polls = Polls::new(responder.link.config.blocking_threshold);
        let (calls, now, waiting) = Default::default();
        let (dropped, latest) = Default::default();
        Dispatcher { responder, context, calls, now, polls, waiting, dropped, latest }
    }

    /// What comes in from now on came later than what came before.
    pub(crate) fn begin_turn(&self) {
        self.now.set(None);
        self.polls.begin_turn();
    }

    /// Nothing more comes in for now.
    pub(crate) fn end_turn(&self) {
        self.polls.end_turn(&self.responder.router);
    }

    /// How many handlers have begun since this was last asked and were not ready at once.
    pub(crate) fn take_waiting(&self) -> usize {
        self.waiting.take()
    }

    /// The age of the connection.
    fn now(&self) -> u64 {
        let now = self.now.get().unwrap_or_else(|| self.context.age());
        self.now.set(Some(now));
        now
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    fn link(&self) -> &Link {
        &self.responder.link
    }

    /// Takes in one message. Handlers start here, in the order in which messages arrive.
    pub(crate) fn receive(&self, message: Utf8Bytes, admission: Admission) {
        let Some(message) = self.latest.unless_item(self.link(), message) else { return };
        let (id, call) = match self.decode(&message) {
            Payload::One(Entry::Call(call)) => match Notice::read(&call, &self.responder) {
                None => self.plan(&message, call),
                Some(notice) => return notice.heed(&message, &self.responder),
            },
            Payload::One(Entry::Invalid(id)) => return self.refuse(&id),
            Payload::One(Entry::Response(response)) => {
                return self.response(&message, response).iter().for_each(|id| self.refuse(id));
            }
            Payload::Batch(entries) => return self.batch(&message, entries, admission),
            // Some servers answer a batch of notifications with an empty array.
            Payload::EmptyBatch if self.link().take_empty_reply() => return,
            Payload::EmptyBatch => return self.malformed(ErrorCode::INVALID_REQUEST),
            Payload::LargeBatch => {
                let limit = self.link().config.max_batch;
                let words = format!("Invalid Request: a batch may have at most {limit} entries");
                let error = ErrorObject::new(ErrorCode::INVALID_REQUEST, words);
                return self.responder.fail(&error, &Id::NULL);
            }
            Payload::NotJson => return self.malformed(ErrorCode::PARSE_ERROR),
        };
        let size = message.len();
        match (self.begin(message, call, admission, id.is_none()), id) {
            (Begun::Done(_), None) => {}
            (Begun::Done(response), Some(id)) => drop(self.responder.send(response, &id)),
            (Begun::AtWork(mut running), id) => {
                running.weigh(size);
                if let Some(id) = id {
                    running.reply_to(id, ReplyTo::One);
                }
                running.spawn();
            }
        }
    }

    /// Takes in a message that wants nothing of this side: responses, what calls are told before
    /// them, and what comes of subscriptions. `false`: it is something else, and nothing was done
    /// with it.
    pub(crate) fn receive_news(&self, message: &Utf8Bytes) -> bool {
        let mut entries = match self.decode(message) {
            Payload::One(entry) => vec![entry],
            Payload::Batch(entries) => entries,
            _ => return false,
        };
        let is_response = |entry: &Entry<'_>| match entry {
            Entry::Response(response) => response.outcome != ResponseOutcome::Neither,
            Entry::Call(call) => {
                Notice::read(call, &self.responder).is_some_and(|notice| notice.is_news())
            }
            Entry::Invalid(_) => false,
        };
        let responses = entries.iter().all(is_response);
        if responses {
            self.responses(message, &mut entries);
        }
        responses
    }

    fn decode<'a>(&self, message: &'a Utf8Bytes) -> Payload<'a> {
        let max_calls = self.link().config.max_batch;
        // A batch of ours may be larger than what we let others send; its responses come as one.
        let max_responses = || max_calls.max(self.link().pending.len());
        payload(message, Limits { max_calls, max_responses: &max_responses })
    }

    /// The answer to a message whose id nobody knows.
    pub(crate) fn malformed(&self, code: ErrorCode) {
        self.responder.fail(&ErrorObject::of(code), &Id::NULL);
    }

    /// The answer to what is no request.
    fn refuse(&self, id: &Id) {
        self.responder.fail(&ErrorObject::of(ErrorCode::INVALID_REQUEST), id);
    }

    fn batch(&self, message: &Utf8Bytes, mut entries: Vec<Entry<'_>>, admission: Admission) {
        self.responses(message, &mut entries);
        let answers = entries.iter().filter(|entry| entry.is_answered()).count();
        let limit = self.responder.limit();
        let (mut gathered, mut at_work) = (Gathered::new(answers), Vec::new());
        let (mut index, mut cancelled) = (0, Vec::new());
        for entry in entries {
            let (id, begun) = match entry {
                Entry::Call(call) => {
                    if let Some(notice) = Notice::read(&call, &self.responder) {
                        cancelled.push(notice);
                        continue;
                    }
                    let (id, call) = self.plan(message, call);
                    let begun = self.begin(message.clone(), call, admission, id.is_none());
                    (id, begun)
                }
                Entry::Invalid(id) => (Some(id), Begun::Done(refusal(ErrorCode::INVALID_REQUEST))),
                // None is left.
                Entry::Response(_) => continue,
            };
            match (begun, &id) {
                (Begun::Done(_), None) => {}
                (Begun::Done(response), Some(id)) => {
                    gathered.put(index, id, response, limit);
                }
                (Begun::AtWork(running), _) => at_work.push((running, index, id.clone())),
            }
            index += usize::from(id.is_some());
        }
        if gathered.is_complete() {
            // Whoever is still at work handles a notification.
            self.responder.send_array(gathered);
            gathered = Gathered::new(0);
        }
        if !at_work.is_empty() {
            let batch = Arc::new(BatchAnswer::new(gathered, message.len(), &self.responder));
            for (mut running, index, id) in at_work {
                running.belongs_to(&batch);
                if let Some(id) = id {
                    running.reply_to(id, ReplyTo::Batch(Arc::clone(&batch), index));
                }
                running.spawn();
            }
        }
        // Only now those of the same batch can be found.
        for notice in cancelled {
            notice.heed(message, &self.responder);
        }
    }

    /// Hands responses to their calls, and what is told of a call before its response. What claimed
    /// to be one, but is none, may want an answer.
    fn responses<'a>(&self, message: &Utf8Bytes, entries: &mut Vec<Entry<'a>>) {
        entries.retain_mut(|entry| match entry {
            Entry::Response(response) => {
                let Some(id) = self.response(message, *response) else { return false };
                *entry = Entry::Invalid(id);
                true
            }
            Entry::Call(call) => match Notice::read(call, &self.responder) {
                Some(notice) if notice.is_news() => {
                    notice.heed(message, &self.responder);
                    false
                }
                _ => true,
            },
            Entry::Invalid(_) => true,
        });
    }

    #[inline]
    fn plan(&self, message: &Utf8Bytes, call: IncomingCall<'_>) -> (Option<Id>, Planned) {
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
        (call.id, Planned { context, route, method, params, span })
    }

    /// Gives the id for an answer if it is no response.
    fn response(&self, message: &Utf8Bytes, response: IncomingResponse<'_>) -> Option<Id> {
        let reply = Reply::of(message, response.outcome);
        let subscribed = match response.outcome {
            ResponseOutcome::Result(json) => Some(json),
            _ => None,
        };
        if let Some(id) = response.id.filter(|_| self.link().feeds.any()) {
            // Before anything that may come behind it.
            self.link().subscribed(id, subscribed);
        }
        if response.id.is_some_and(|id| self.link().pending.resolve(id, reply)) {
            return None;
        }
        if response.outcome == ResponseOutcome::Neither {
            // Nothing tells it from a request that lacks its method.
            return Some(response.id.and_then(Id::from_json).unwrap_or(Id::NULL));
        }
        tracing::debug!("dropped a response that nobody waits for");
        None
    }

    /// Starts the handler of a call, unless it is refused.
    fn begin(
        &self,
        message: Utf8Bytes,
        call: Planned,
        admission: Admission,
        notification: bool,
    ) -> Begun {
        let route = match self.admit(call.route, admission, notification) {
            Ok(route) => route,
            Err(refused) => return Begun::Done(refused),
        };
        self.polls.begin(route);
        let begun = self.start(message, call, route, notification);
        self.polls.end(&self.responder.router);
        begun
    }

    fn start(
        &self,
        message: Utf8Bytes,
        call: Planned,
        route: RouteId,
        notification: bool,
    ) -> Begun {
        let Planned { context, method, params, span, .. } = call;
        let number = context.number();
        let request = Request::new(context, message, method, params, notification);
        let begun = || span.within(|| self.responder.router.call(route, request).0);
        let (future, asked) = match guard(begun) {
            Ok(Progress::Ready(response)) => return self.done(Ok(response), route, &span),
            Ok(Progress::Pending(future)) => (future, None),
            Ok(Progress::Subscription(future, asked)) => (future, Some(asked)),
            Err(panicked) => return self.done(Err(panicked), route, &span),
        };
        let mut handler = Handler::new(Guarded::new(future), span.clone());
        let asked = match handler.begin() {
            Poll::Pending => asked,
            Poll::Ready(Ok(Response(Kind::Begun(rest)))) => {
                handler.resume(rest.handler);
                Some(rest.asked)
            }
            Poll::Ready(outcome) => return self.done(outcome, route, &span),
        };
        let mut running = Running::new(handler, &self.responder, number, route);
        running.serve(asked);
        self.waiting.set(self.waiting.get() + 1);
        Begun::AtWork(running)
    }

    fn done(&self, outcome: Result<Response, Panicked>, route: RouteId, span: &CallSpan) -> Begun {
        let response = self.responder.outward(outcome, Some(route));
        if let Kind::Error(error) = &response {
            span.failed(Some(error.code().0));
        }
        Begun::Done(response)
    }

    /// Where a call goes, unless it is refused.
    fn admit(
        &self,
        route: Option<RouteId>,
        admission: Admission,
        notification: bool,
    ) -> Result<RouteId, Kind> {
        let refused = match admission {
            Admission::Open => None,
            Admission::NoRequests | Admission::Unanswerable if notification => None,
            Admission::Unanswerable => return Err(Kind::Silent),
            Admission::Refused | Admission::NoRequests => Some(ErrorCode::SHUTTING_DOWN),
            Admission::Busy => Some(ErrorCode::SERVER_BUSY),
        };
        if let Some(code) = refused {
            if notification && self.dropped.is_first() {
                tracing::warn!("dropped a notification: the connection is closing or clogged");
            }
            return Err(refusal(code));
        }
        let Some(route) = route else {
            return Err(refusal(ErrorCode::METHOD_NOT_FOUND));
        };
        if self.responder.is_busy() {
            if notification && self.dropped.is_first() {
                let method = self.responder.router.name(route);
                tracing::warn!(method, "dropped a notification: too many calls are in flight");
            }
            return Err(refusal(ErrorCode::SERVER_BUSY));
        }
        Ok(route)
    }
}

/// How far a call has got where it was read.
enum Begun {
    Done(Kind),
    AtWork(Running),
}

fn refusal(code: ErrorCode) -> Kind {
    Kind::Error(ErrorObject::of(code))
}

/// A request or notification, by its places in the message.
struct Planned {
    context: Context,
    route: Option<RouteId>,
    method: Method,
    params: Option<Range<usize>>,
    span: CallSpan,
}

//! Writes and delivers responses. All handlers of a connection share a [`Responder`]. It decides
//! what the peer may see of an outcome, and where the response goes ([`ReplyTo`]): into a separate
//! message, or into the array of its batch ([`PendingBatch`], [`BatchResponse`]). A
//! [`ResponseSink`] receives the text: the send queue of the connection, or a caller that takes a
//! single response.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

use tokio::runtime::Handle;
#[cfg(feature = "tower")]
use tokio::sync::oneshot;
use tokio::sync::{mpsc, watch};

#[cfg(feature = "tower")]
use crate::error::CloseReason;
use crate::handshake::connection_limit::ConnectionPermit;
use crate::incoming::error_map::Audience;
use crate::incoming::in_flight::{InFlightRequest, InFlightRequests};
use crate::incoming::router::{RouteId, Router};
use crate::incoming::service::{Response, ResponseKind};
use crate::link::Link;
use crate::link::credit::{ProducedSubscription, Stage, StopReason};
use crate::protocol::encode::begin_result;
use crate::protocol::encode::{self, buffer};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::protocol::pieces::{Pieces, Place, SMALL};
use crate::util::BoxFuture;
use crate::util::catch_unwind::{Panicked, catch_unwind};

/// Held by everything for which a server's shutdown waits.
pub(crate) type Tracker = watch::Receiver<()>;

/// Answers the calls of one connection. All its handlers share it.
pub(crate) struct Responder {
    pub(crate) router: Arc<Router>,
    pub(crate) link: Arc<Link>,
    pub(crate) weights: Weights,
    /// Requests whose handlers are in flight.
    pub(crate) requests: InFlightRequests<ReplyTo>,
    sink: ResponseSink,
    /// Sends handlers to the runtime for handlers, if there is one. The limit on handlers in flight
    /// also bounds this channel.
    starter: OnceLock<mpsc::UnboundedSender<BoxFuture<()>>>,
    _tracker: Option<Tracker>,
    /// The permit of the connection. It is released only after all handlers have ended. Otherwise a
    /// peer could have an unlimited number of handlers in flight by reconnecting again and again.
    _permit: Option<ConnectionPermit>,
}

/// The number of bytes held by calls in flight.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Messages of the calls whose handlers are in flight.
    pub(crate) requests: AtomicUsize,
    /// Responses that wait for other responses of their batch.
    batch_response: AtomicUsize,
}

/// Where the response to a request goes.
pub(crate) enum ReplyTo {
    /// As a separate message.
    One,
    /// At this index of a batch's array.
    Batch(Arc<PendingBatch>, usize),
}

impl Responder {
    pub(crate) fn new(
        router: Arc<Router>,
        link: Arc<Link>,
        sink: ResponseSink,
        tracker: Option<Tracker>,
        place: Option<ConnectionPermit>,
    ) -> Arc<Self> {
        let (weights, requests) = (Weights::default(), InFlightRequests::default());
        let (_tracker, _permit) = (tracker, place);
        let starter = OnceLock::new();
        Arc::new(Responder { router, link, weights, requests, sink, starter, _tracker, _permit })
    }

    /// Runs a handler on the runtime for handlers, after those that were passed before. Returns the
    /// handler if that runtime is shut down.
    pub(crate) fn start_on(
        &self,
        runtime: &Handle,
        handler: BoxFuture<()>,
    ) -> Result<(), BoxFuture<()>> {
        let starter = self.starter.get_or_init(|| {
            let (starter, handlers) = mpsc::unbounded_channel();
            runtime.spawn(start_in_order(handlers));
            starter
        });
        starter.send(handler).map_err(|refused| refused.0)
    }

    /// Writes the response, and queues its message once that is complete.
    pub(crate) fn deliver(&self, call: InFlightRequest<ReplyTo>, response: ResponseKind) {
        match call.reply_to {
            ReplyTo::One => drop(self.send(response, &call.id)),
            ReplyTo::Batch(batch, index) => batch.put(index, &call.id, response, None),
        }
    }

    /// Answers a call with the id of a subscription. The subscription begins when the response is
    /// queued.
    pub(crate) fn accept(
        &self,
        call: InFlightRequest<ReplyTo>,
        subscription: &Arc<ProducedSubscription>,
    ) {
        let response = match begin_result(&subscription.name()) {
            Ok(text) => ResponseKind::Result(text),
            Err(_) => ResponseKind::Error(ErrorObject::internal()),
        };
        match call.reply_to {
            ReplyTo::One => {
                let id_sent = self.send(response, &call.id);
                open(subscription, id_sent);
            }
            ReplyTo::Batch(batch, index) => {
                batch.put(index, &call.id, response, Some(Arc::clone(subscription)));
            }
        }
    }

    /// Cancels a request of the peer: answers it with an error and notifies its handler, whose
    /// result will be dropped. Ignored for an unknown or already answered request.
    pub(crate) fn cancel(&self, id: &Id) {
        let mark = |number| self.link.cancellations.cancel(number);
        let Some((call, cancelled)) = self.requests.find(id, mark) else { return };
        cancelled.notify();
        self.deliver(call, ResponseKind::Error(ErrorObject::of(ErrorCode::REQUEST_CANCELLED)));
    }

    /// Queues the response to a single call. Returns `false` if the response is too large and an
    /// error was queued in its place.
    pub(crate) fn send(&self, response: ResponseKind, id: &Id) -> bool {
        let Some((text, whole)) = single(response, id, self.limit()) else { return true };
        self.sink.put(&self.link, text);
        whole
    }

    /// Queues an error response to something that is not a call. An id that is too large to be sent
    /// back is replaced by null.
    pub(crate) fn fail(&self, error: &ErrorObject, id: &Id) {
        let id = if id.weight() <= self.limit() { id } else { &Id::NULL };
        self.sink.put(&self.link, error_response(error, id));
    }

    /// Queues the responses to a batch, if it has any.
    pub(crate) fn send_array(&self, batch_response: BatchResponse) {
        if let Some(text) = batch_response.finish() {
            self.sink.put_pieces(&self.link, text);
        }
    }

    /// Whether a limit on calls in flight is reached, so that no more handlers may start.
    pub(crate) fn is_busy(&self) -> bool {
        let Link { config, in_flight, .. } = &*self.link;
        in_flight.load(Ordering::Relaxed) >= config.max_in_flight
            || self.weights.requests.load(Ordering::Relaxed) >= config.max_in_flight_bytes
    }

    /// The number of bytes of additional responses that may wait for other responses of their
    /// batch.
    pub(crate) fn batch_bytes_left(&self) -> usize {
        let batch_response = self.weights.batch_response.load(Ordering::Relaxed);
        self.link.config.max_in_flight_bytes.saturating_sub(batch_response)
    }

    /// The maximum size of a message.
    pub(crate) fn limit(&self) -> usize {
        self.link.config.max_outgoing_message
    }

    /// Converts an outcome to what the peer may see. The source of an unknown error is not sent.
    pub(crate) fn visible_to_peer(
        &self,
        outcome: Result<Response, Panicked>,
        route: Option<RouteId>,
    ) -> ResponseKind {
        match outcome {
            Ok(Response(ResponseKind::Error(error))) if error.source().is_some() => {
                ResponseKind::Error(self.translate(error, route))
            }
            Ok(Response(ResponseKind::Ended(Some(error)))) if error.source().is_some() => {
                ResponseKind::Ended(Some(self.translate(error, route)))
            }
            Ok(Response(kind)) => kind,
            Err(Panicked) => {
                let method = self.name(route);
                tracing::error!(method, "handler panicked; the caller gets -32603");
                ResponseKind::Error(self.router.error_map.panicked("the handler", self.audience()))
            }
        }
    }

    /// Drops the outcome of a cancelled call, and logs it: a panic as an error, everything else at
    /// debug level.
    pub(crate) fn discard(&self, outcome: Result<Response, Panicked>, route: RouteId) {
        let method = self.router.name(route);
        // The application's error may panic when it is dropped.
        let dropped = outcome.and_then(|response| catch_unwind(|| drop(response)));
        match dropped {
            Ok(()) => tracing::debug!(method, "handler finished after its call was cancelled"),
            Err(Panicked) => {
                tracing::error!(method, "handler panicked after its call was cancelled");
            }
        }
    }

    fn translate(&self, error: ErrorObject, route: Option<RouteId>) -> ErrorObject {
        self.router.error_map.visible_to_peer(error, self.name(route), self.audience())
    }

    fn audience(&self) -> Audience {
        Audience { no_socket: self.link.has_no_socket(), extended: self.link.extended }
    }

    fn name(&self, route: Option<RouteId>) -> &str {
        route.map_or("unknown", |route| self.router.name(route))
    }
}

/// Polls each handler once, in the order in which the calls were read. A handler that is not ready
/// moves to a separate task.
async fn start_in_order(mut handlers: mpsc::UnboundedReceiver<BoxFuture<()>>) {
    while let Some(mut handler) = handlers.recv().await {
        if handler.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(handler);
        }
    }
}

/// Opens a subscription after the response with its id is queued. If an error was queued instead,
/// the peer does not know the subscription, so it stops.
fn open(subscription: &ProducedSubscription, id_sent: bool) {
    if !id_sent {
        subscription.stop(StopReason::Peer);
    }
    subscription.enter(Stage::Open);
}

/// A batch with handlers in flight. The last handler sends the array. The handlers share the
/// message, so its bytes count until the last of them has finished.
pub(crate) struct PendingBatch {
    batch_response: Mutex<Option<BatchResponse>>,
    /// Subscriptions that begin when the array is queued, and whether their ids are in the array.
    produced: Mutex<Vec<(Arc<ProducedSubscription>, bool)>>,
    responder: Arc<Responder>,
    message: AtomicUsize,
    /// The bytes that the batch holds besides its message and its responses.
    overhead: usize,
}

impl PendingBatch {
    pub(crate) fn new(batch_response: BatchResponse, responder: &Arc<Responder>) -> Self {
        let responder = Arc::clone(responder);
        responder.weights.batch_response.fetch_add(batch_response.size(), Ordering::Relaxed);
        let overhead = batch_response.overhead();
        let (batch_response, message) = (Mutex::new(Some(batch_response)), AtomicUsize::new(0));
        let produced = Mutex::default();
        PendingBatch { batch_response, produced, responder, message, overhead }
    }

    /// Counts the bytes of the message. Called when all of its handlers have started; otherwise the
    /// message itself could be the reason to refuse them.
    pub(crate) fn count_message(&self, message: usize) {
        let message = message.saturating_add(self.overhead);
        self.message.store(message, Ordering::Relaxed);
        self.responder.weights.requests.fetch_add(message, Ordering::Relaxed);
    }

    /// Adds a response, and sends the array when it is complete.
    pub(crate) fn put(
        &self,
        index: usize,
        id: &Id,
        response: ResponseKind,
        subscription: Option<Arc<ProducedSubscription>>,
    ) {
        let mut batch_response = self.batch_response.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = batch_response.as_mut() else { return };
        let before = all.size();
        let room = self.responder.batch_bytes_left();
        let limit = self.responder.limit().min(before.saturating_add(room));
        let id_sent = all.put(index, id, response, limit);
        let mut produced = self.produced.lock().unwrap_or_else(PoisonError::into_inner);
        produced.extend(subscription.map(|subscription| (subscription, id_sent)));
        let produced = if all.is_complete() { std::mem::take(&mut *produced) } else { Vec::new() };
        let grown = all.size().saturating_sub(before);
        self.responder.weights.batch_response.fetch_add(grown, Ordering::Relaxed);
        if !all.is_complete() {
            return;
        }
        let all = batch_response.take();
        drop(batch_response);
        if let Some(all) = all {
            self.responder.weights.batch_response.fetch_sub(all.size(), Ordering::Relaxed);
            self.responder.send_array(all);
        }
        produced.iter().for_each(|(subscription, id_sent)| open(subscription, *id_sent));
    }
}

impl Drop for PendingBatch {
    fn drop(&mut self) {
        let batch_response = self.batch_response.get_mut().unwrap_or_else(PoisonError::into_inner);
        let left = batch_response.as_ref().map_or(0, BatchResponse::size);
        self.responder.weights.batch_response.fetch_sub(left, Ordering::Relaxed);
        self.responder.weights.requests.fetch_sub(*self.message.get_mut(), Ordering::Relaxed);
    }
}

/// Where responses go.
pub(crate) enum ResponseSink {
    /// The send queue of the link.
    SendQueue,
    /// A caller without a connection, which gets one response.
    #[cfg(feature = "tower")]
    OneResponse(Box<OneResponse>),
}

impl ResponseSink {
    #[inline]
    pub(crate) fn put(&self, link: &Link, text: Vec<u8>) {
        match self {
            ResponseSink::SendQueue => link.send_queue.answer(text),
            #[cfg(feature = "tower")]
            ResponseSink::OneResponse(once) => once.put_one(text),
        }
    }

    /// Like [`put`](Self::put), for a text that may be long.
    pub(crate) fn put_pieces(&self, link: &Link, text: Pieces) {
        match self {
            ResponseSink::SendQueue => link.send_queue.answer_pieces(text),
            #[cfg(feature = "tower")]
            ResponseSink::OneResponse(once) => once.put(text),
        }
    }
}

/// Delivers the response to a caller without a connection. It exists as long as the caller or one
/// of its handlers.
#[cfg(feature = "tower")]
pub(crate) struct OneResponse {
    link: Arc<Link>,
    answer: Mutex<Option<oneshot::Sender<Pieces>>>,
    /// Resources of the caller, held until the last of its handlers has ended.
    _kept: Box<dyn Send + Sync>,
}

#[cfg(feature = "tower")]
impl OneResponse {
    pub(crate) fn new(
        link: Arc<Link>,
        answer: oneshot::Sender<Pieces>,
        kept: Box<dyn Send + Sync>,
    ) -> Self {
        OneResponse { link, answer: Mutex::new(Some(answer)), _kept: kept }
    }

    #[inline(never)]
    fn put_one(&self, text: Vec<u8>) {
        self.put(text.into());
    }

    fn put(&self, text: Pieces) {
        // The waiting task is woken outside the lock.
        let answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(answer) = answer {
            // The caller may not exist any more.
            let _ = answer.send(text);
        }
    }
}

/// Notifies contexts that handlers have kept that the call has ended.
#[cfg(feature = "tower")]
impl Drop for OneResponse {
    fn drop(&mut self) {
        self.link.end(CloseReason::NoSocket);
    }
}

/// The maximum size of an error response in place of a result, without its id.
const ERROR_SIZE: usize = 96;

/// A response as a separate message. If it exceeds the limit, returns an error response and
/// `false`.
#[inline(always)]
pub(crate) fn single(response: ResponseKind, id: &Id, limit: usize) -> Option<(Vec<u8>, bool)> {
    let text = match response {
        ResponseKind::Silent | ResponseKind::Ended(_) | ResponseKind::Accepted(_) => return None,
        ResponseKind::Result(mut text) => {
            encode::end_response(&mut text, id);
            text
        }
        ResponseKind::Error(error) => error_response(&error, id),
    };
    if text.len() <= limit {
        return Some((text, true));
    }
    Some((in_place(id, limit), false))
}

/// The error in place of a response that exceeds the limit. An id that is too large to be sent back
/// is replaced by null.
#[cold]
#[inline(never)]
fn in_place(id: &Id, limit: usize) -> Vec<u8> {
    let error = ErrorObject::of(ErrorCode::RESULT_TOO_LARGE);
    let weight = id.weight();
    let fits = weight <= MAX_RESERVED || weight.saturating_add(ERROR_SIZE) <= limit;
    error_response(&error, if fits { id } else { &Id::NULL })
}

/// An error response as a separate message.
pub(crate) fn error_response(error: &ErrorObject, id: &Id) -> Vec<u8> {
    let mut text = buffer::take();
    encode::error_response(&mut text, error, id);
    text
}

/// Appends the response and a comma. If the response exceeds the limit, appends an error and
/// returns `false`. Returns `None` if there is no response.
fn write(out: &mut Pieces, response: ResponseKind, id: &Id, limit: usize) -> Option<(Place, bool)> {
    if matches!(&response, ResponseKind::Result(text) if text.len() > SMALL) {
        return write_large(out, response, id, limit);
    }
    let text = out.small();
    let start = text.len();
    match response {
        ResponseKind::Silent | ResponseKind::Ended(_) | ResponseKind::Accepted(_) => return None,
        ResponseKind::Result(result) => {
            text.extend_from_slice(&result);
            buffer::give_back(result);
            encode::end_response(text, id);
        }
        ResponseKind::Error(error) => encode::error_response(text, &error, id),
    }
    let whole = text.len() - start <= limit;
    if !whole {
        text.truncate(start);
        text.extend_from_slice(&in_place(id, limit));
        // The buffer has grown for the removed response, and may have to wait for a long time.
        text.shrink_to_fit();
    }
    text.push(b',');
    let place = start..text.len();
    Some(((out.number(), place), whole))
}

/// Like [`write`], for a large result, which is not copied.
#[cold]
#[inline(never)]
fn write_large(
    out: &mut Pieces,
    response: ResponseKind,
    id: &Id,
    limit: usize,
) -> Option<(Place, bool)> {
    let (mut text, whole) = single(response, id, limit)?;
    text.push(b',');
    Some((out.append(text), whole))
}

/// Space is always reserved for ids up to this length. A longer id becomes null if there is no
/// space for it.
const MAX_RESERVED: usize = 64;

/// The size of an error in place of the response with this id.
fn reserve(id: &Id) -> usize {
    let weight = id.weight();
    if weight <= MAX_RESERVED { weight + ERROR_SIZE } else { ERROR_SIZE }
}

/// The responses of one batch, in the order in which they arrive. Most arrive in the order of the
/// requests, and then the text already is the array.
pub(crate) struct BatchResponse {
    text: Pieces,
    /// The place in the text of the response to each request.
    places: Vec<Place>,
    count: usize,
    /// The total size of errors in place of the missing responses.
    reserved: usize,
    in_order: bool,
}

impl BatchResponse {
    /// For the responses to requests with these ids.
    pub(crate) fn new<'a>(ids: impl Iterator<Item = &'a Id>) -> Self {
        let (mut answers, mut reserved) = (0_usize, 0_usize);
        for id in ids {
            answers += 1;
            reserved = reserved.saturating_add(reserve(id));
        }
        let mut text = Vec::with_capacity(1 + answers.saturating_mul(48));
        text.push(b'[');
        let places = vec![(0, 0..0); answers];
        BatchResponse { text: text.into(), places, count: 0, reserved, in_order: true }
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// Whether each request has a response.
    pub(crate) fn is_complete(&self) -> bool {
        self.count >= self.places.len()
    }

    /// The size of the table of places in bytes.
    fn overhead(&self) -> usize {
        self.places.len().saturating_mul(size_of::<Place>())
    }

    /// Adds the response to the request with this index. Returns `false` if the response is too
    /// large and an error was added in its place.
    pub(crate) fn put(
        &mut self,
        index: usize,
        id: &Id,
        response: ResponseKind,
        limit: usize,
    ) -> bool {
        // The whole array must fit the limit, including an error for each missing response.
        self.reserved = self.reserved.saturating_sub(reserve(id));
        let taken = self.text.len().saturating_add("]".len()).saturating_add(self.reserved);
        let written = write(&mut self.text, response, id, limit.saturating_sub(taken));
        let Some((place, whole)) = written else { return true };
        if let Some(known) = self.places.get_mut(index) {
            *known = place;
        }
        self.in_order &= index == self.count;
        self.count += 1;
        whole
    }

    /// The array, if it is complete and has at least one response.
    pub(crate) fn finish(mut self) -> Option<Pieces> {
        if !self.is_complete() || self.count == 0 {
            return None;
        }
        if !self.in_order {
            let mut ordered = Pieces::from(vec![b'[']);
            self.places.into_iter().for_each(|place| self.text.move_to(&mut ordered, place));
            self.text = ordered;
        }
        self.text.set_last(b']');
        Some(self.text)
    }
}

#[cfg(test)]
mod batch_response_tests {
    use super::*;

    use std::iter;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::protocol::properties::run;

    /// The outcome of a handler: a result of at most this size, or an error.
    fn outcome(largest: usize) -> impl Strategy<Value = Result<usize, i64>> {
        prop_oneof![3 => (0..largest).prop_map(Ok), 1 => any::<i64>().prop_map(Err)]
    }

    fn pieces(mut text: Pieces) -> Vec<Vec<u8>> {
        iter::from_fn(|| text.take_first()).collect()
    }

    fn response(outcome: Result<usize, i64>) -> ResponseKind {
        match outcome {
            Ok(size) => ResponseKind::Result(encode::begin_result(&"x".repeat(size)).unwrap()),
            Err(code) => ResponseKind::Error(ErrorObject::new(code, "failed")),
        }
    }

    /// Whatever the order in which the handlers finish, the array has the order of the requests.
    /// Each request has its own response, or -32003 if that exceeds the limit.
    #[test]
    fn a_batch_is_answered_in_order_and_within_its_limit() {
        for (largest, limits, runs) in [(200, 2_500, 1_000), (12_000, 60_000, 200)] {
            let ends = vec((outcome(largest), any::<u16>()), 1..8);
            // An error for each request fits.
            run(runs, (ends, 8 * ERROR_SIZE..limits), |(ends, limit)| {
                let mut order: Vec<usize> = (0..ends.len()).collect();
                order.sort_by_key(|index| ends.get(*index).map(|(_, late)| *late));
                let ids: Vec<Id> = (0..ends.len() as u64).map(Id::from_number).collect();
                let mut batch_response = BatchResponse::new(ids.iter());
                for index in order {
                    assert!(!batch_response.is_complete());
                    let id = Id::from_number(index as u64);
                    batch_response.put(index, &id, response(ends[index].0), limit);
                }
                assert!(batch_response.is_complete());
                let size = batch_response.size();
                let text = batch_response.finish().unwrap();
                assert_eq!(text.len(), size);
                let text = pieces(text).concat();
                assert_eq!(text.len(), size);
                assert!(text.len() <= limit, "{} of {limit} bytes", text.len());
                let sizes = ends.iter().map(|(outcome, _)| outcome.unwrap_or(0) + ERROR_SIZE);
                let all_fit = sizes.sum::<usize>() < limit;
                let responses: Vec<Value> = serde_json::from_slice(&text).unwrap();
                assert_eq!(responses.len(), ends.len());
                for (index, (response, (outcome, _))) in responses.iter().zip(&ends).enumerate() {
                    let head = (&response["jsonrpc"], &response["id"]);
                    assert_eq!(head, (&"2.0".into(), &index.into()));
                    let (result, code) = (&response["result"], response["error"]["code"].as_i64());
                    match outcome {
                        _ if code == Some(-32003) => assert!(!all_fit, "there is room for it"),
                        Ok(size) => assert_eq!(result.as_str().map(str::len), Some(*size)),
                        Err(sent) => assert_eq!(code, Some(*sent)),
                    }
                }
            });
        }
    }

    /// A large array is not copied, neither while it grows nor when it is put in order: moving or
    /// freeing megabytes at once blocks the thread for milliseconds.
    #[test]
    fn a_large_array_is_never_one_buffer() {
        const LARGE: usize = 64 * 1024;
        for (count, size) in [(100_u64, LARGE), (2_000, 3_000), (2_000, 5_000)] {
            for backwards in [false, true] {
                let ids: Vec<Id> = (0..count).map(Id::from_number).collect();
                let mut batch_response = BatchResponse::new(ids.iter());
                let mut order: Vec<usize> = (0..ids.len()).collect();
                if backwards {
                    order.reverse();
                }
                for index in order {
                    assert!(batch_response.put(index, &ids[index], response(Ok(size)), usize::MAX));
                }
                let pieces = pieces(batch_response.finish().unwrap());
                let largest = pieces.iter().map(Vec::capacity).max().unwrap();
                assert!(largest < 2 * LARGE, "{largest}");
                let held: usize = pieces.iter().map(Vec::capacity).sum();
                let sent: usize = pieces.iter().map(Vec::len).sum();
                assert!(held - sent < sent / 4 + LARGE, "{held} for {sent}");
                let sizes = pieces.len() * 5_000;
                assert!(sizes < 2 * sent, "{} pieces of {sent} bytes", pieces.len());
            }
        }
    }
}

//! Where the outcome of a call goes: into a message of its own, into its place in a batch's array,
//! or nowhere; and what the peer may see of it.
//!
//! Must not know how the outcome came about.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Waker};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};

use crate::calling::call::BoxFuture;
use crate::calling::link::Link;
use crate::guard::{Panicked, guard};
use crate::opening::admission::Place;
use crate::protocol::encode::begin_result;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::serving::gather::{Gathered, error_response, single};
use crate::serving::outlet::Outlet;
use crate::serving::recognize::Caller;
use crate::serving::router::{RouteId, Router};
use crate::serving::service::{Kind, Response};
use crate::serving::started::{Call, Started};
use crate::subscriptions::flows::{Flow, Stage, Stop};

/// Lives as long as something a server's shutdown should wait for.
pub(crate) type Tracker = watch::Receiver<()>;

/// What it takes to answer the calls of one connection. All its handlers share it.
pub(crate) struct Responder {
    pub(crate) router: Arc<Router>,
    pub(crate) link: Arc<Link>,
    pub(crate) weights: Weights,
    /// Requests whose handlers are at work.
    pub(crate) started: Started<ReplyTo>,
    outlet: Outlet,
    /// The way to the runtime of handlers, if they have their own. No more wait there than may be in
    /// flight.
    starter: OnceLock<mpsc::UnboundedSender<BoxFuture<()>>>,
    _tracker: Option<Tracker>,
    /// That of the connection. It is given back when its handlers have ended, too: else a peer would
    /// have ever more of them at work by hanging up and coming again.
    _place: Option<Place>,
}

/// Bytes that calls in flight hold on to.
#[derive(Debug, Default)]
pub(crate) struct Weights {
    /// Messages that handlers at work were begun with.
    pub(crate) requests: AtomicUsize,
    /// Responses that wait for others of their batch.
    gathered: AtomicUsize,
}

/// Where the response to a request goes.
pub(crate) enum ReplyTo {
    /// Into a message of its own.
    One,
    /// Into this place of a batch's array.
    Batch(Arc<BatchAnswer>, usize),
}

impl Responder {
    pub(crate) fn new(
        router: Arc<Router>,
        link: Arc<Link>,
        outlet: Outlet,
        tracker: Option<Tracker>,
        place: Option<Place>,
    ) -> Arc<Self> {
        let (weights, started) = (Weights::default(), Started::default());
        let (_tracker, _place) = (tracker, place);
        let starter = OnceLock::new();
        Arc::new(Responder { router, link, weights, started, outlet, starter, _tracker, _place })
    }

    /// Runs a handler on the runtime of handlers, behind those that it was given before. Gives it back
    /// if that runtime is shut down.
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

    /// Writes the response and queues it, once it is complete.
    pub(crate) fn deliver(&self, call: Call<ReplyTo>, response: Kind) {
        match call.reply_to {
            ReplyTo::One => drop(self.send(response, &call.id)),
            ReplyTo::Batch(batch, index) => batch.put(index, &call.id, response, None),
        }
    }

    /// Answers a call with the id of a subscription, which begins when that is queued.
    pub(crate) fn consent(&self, call: Call<ReplyTo>, flow: &Arc<Flow>) {
        let response = match begin_result(&flow.name()) {
            Ok(text) => Kind::Result(text),
            Err(_) => Kind::Error(ErrorObject::internal()),
        };
        match call.reply_to {
            ReplyTo::One => {
                let told = self.send(response, &call.id);
                open(flow, told);
            }
            ReplyTo::Batch(batch, index) => {
                batch.put(index, &call.id, response, Some(Arc::clone(flow)));
            }
        }
    }

    /// The caller takes a request back. Its handler learns it, and goes on as it likes; what it
    /// brings comes too late. A request that is unknown, or answered by now, is none of its calls.
    pub(crate) fn cancel(&self, id: &Id) {
        let mark = |number| self.link.signals.raise(number);
        let Some((call, raised)) = self.started.find(id, mark) else { return };
        raised.tell();
        self.deliver(call, Kind::Error(ErrorObject::of(ErrorCode::REQUEST_CANCELLED)));
    }

    /// Queues the response to a single call. `false`: an error in its place, as it is too large.
    pub(crate) fn send(&self, response: Kind, id: &Id) -> bool {
        let Some((text, whole)) = single(response, id, self.limit()) else { return true };
        self.outlet.put(&self.link, text);
        whole
    }

    /// Queues an error response to what is no call. An id that is too large to come back is left out.
    pub(crate) fn fail(&self, error: &ErrorObject, id: &Id) {
        let id = if id.weight() <= self.limit() { id } else { &Id::NULL };
        self.outlet.put(&self.link, error_response(error, id));
    }

    /// Queues the responses to a batch, if any were asked for.
    pub(crate) fn send_array(&self, gathered: Gathered) {
        if let Some(text) = gathered.finish() {
            self.outlet.put(&self.link, text);
        }
    }

    /// Whether so much is at work that nothing more may be begun.
    pub(crate) fn is_busy(&self) -> bool {
        let Link { config, in_flight, .. } = &*self.link;
        in_flight.load(Ordering::Relaxed) >= config.max_in_flight
            || self.weights.requests.load(Ordering::Relaxed) >= config.max_in_flight_bytes
    }

    /// How much more may wait for others of its batch.
    pub(crate) fn room_to_gather(&self) -> usize {
        let gathered = self.weights.gathered.load(Ordering::Relaxed);
        self.link.config.max_in_flight_bytes.saturating_sub(gathered)
    }

    /// How large a message may be.
    pub(crate) fn limit(&self) -> usize {
        self.link.config.max_outgoing_message
    }

    /// What the peer may see. The inside of an error that no type is known for stays here.
    pub(crate) fn outward(
        &self,
        outcome: Result<Response, Panicked>,
        route: Option<RouteId>,
    ) -> Kind {
        match outcome {
            Ok(Response(Kind::Error(error))) if error.source().is_some() => {
                Kind::Error(self.translate(error, route))
            }
            Ok(Response(Kind::Ended(Some(error)))) if error.source().is_some() => {
                Kind::Ended(Some(self.translate(error, route)))
            }
            Ok(Response(kind)) => kind,
            Err(Panicked) => {
                let method = self.name(route);
                tracing::error!(method, "handler panicked; the caller gets -32603");
                Kind::Error(self.router.recognized.panicked("the handler", self.caller()))
            }
        }
    }

    /// What a handler brings whose call was taken back. To give up is no failure, to panic is.
    pub(crate) fn discard(&self, outcome: Result<Response, Panicked>, route: RouteId) {
        let method = self.router.name(route);
        // An error's own code may panic when it is dropped.
        let dropped = outcome.and_then(|response| guard(|| drop(response)));
        match dropped {
            Ok(()) => tracing::debug!(method, "a handler ended after its call was taken back"),
            Err(Panicked) => {
                tracing::error!(method, "handler panicked after its call was taken back");
            }
        }
    }

    fn translate(&self, error: ErrorObject, route: Option<RouteId>) -> ErrorObject {
        self.router.recognized.outward(error, self.name(route), self.caller())
    }

    fn caller(&self) -> Caller {
        Caller { no_socket: self.link.has_no_socket(), extended: self.link.extended }
    }

    fn name(&self, route: Option<RouteId>) -> &str {
        route.map_or("unknown", |route| self.router.name(route))
    }
}

/// Polls each handler once, in the order in which calls were read. Whoever is not ready goes on in a task of
/// its own.
async fn start_in_order(mut handlers: mpsc::UnboundedReceiver<BoxFuture<()>>) {
    while let Some(mut handler) = handlers.recv().await {
        if handler.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
            tokio::spawn(handler);
        }
    }
}

/// The response with a subscription's id is queued; or in its place an error, and nobody knows of it.
fn open(flow: &Flow, told: bool) {
    if !told {
        flow.stop(Stop::Peer);
    }
    flow.enter(Stage::Open);
}

/// A batch that some of its handlers still work at; the last one answers it. Its handlers share its
/// message, so it weighs as long as the last of them is there.
pub(crate) struct BatchAnswer {
    gathered: Mutex<Option<Gathered>>,
    /// Subscriptions that begin when the array is queued, and whether their ids are in it.
    flows: Mutex<Vec<(Arc<Flow>, bool)>>,
    responder: Arc<Responder>,
    message: AtomicUsize,
}

impl BatchAnswer {
    pub(crate) fn new(gathered: Gathered, responder: &Arc<Responder>) -> Self {
        let responder = Arc::clone(responder);
        responder.weights.gathered.fetch_add(gathered.size(), Ordering::Relaxed);
        let (gathered, message) = (Mutex::new(Some(gathered)), AtomicUsize::new(0));
        BatchAnswer { gathered, flows: Mutex::default(), responder, message }
    }

    /// All of its handlers have begun. From now on its message of this size counts: before that, the
    /// first of them would be a reason to refuse the others.
    pub(crate) fn weigh(&self, message: usize) {
        self.message.store(message, Ordering::Relaxed);
        self.responder.weights.requests.fetch_add(message, Ordering::Relaxed);
    }

    /// Sends the array when it is complete.
    pub(crate) fn put(&self, index: usize, id: &Id, response: Kind, flow: Option<Arc<Flow>>) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(all) = gathered.as_mut() else { return };
        let before = all.size();
        let room = self.responder.room_to_gather();
        let limit = self.responder.limit().min(before.saturating_add(room));
        let told = all.put(index, id, response, limit);
        let mut flows = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        flows.extend(flow.map(|flow| (flow, told)));
        let flows = if all.is_complete() { std::mem::take(&mut *flows) } else { Vec::new() };
        let grown = all.size().saturating_sub(before);
        self.responder.weights.gathered.fetch_add(grown, Ordering::Relaxed);
        if !all.is_complete() {
            return;
        }
        let all = gathered.take();
        drop(gathered);
        if let Some(all) = all {
            self.responder.weights.gathered.fetch_sub(all.size(), Ordering::Relaxed);
            self.responder.send_array(all);
        }
        flows.iter().for_each(|(flow, told)| open(flow, *told));
    }
}

impl Drop for BatchAnswer {
    fn drop(&mut self) {
        let gathered = self.gathered.get_mut().unwrap_or_else(PoisonError::into_inner);
        let left = gathered.as_ref().map_or(0, Gathered::size);
        self.responder.weights.gathered.fetch_sub(left, Ordering::Relaxed);
        self.responder.weights.requests.fetch_sub(*self.message.get_mut(), Ordering::Relaxed);
    }
}

//! Finds the service for a method's name. A [`Router`] is built once and shared by all connections
//! of an endpoint, together with the settings that handlers and connections need.
//!
//! Also detects handlers that block their thread, by the duration of a poll: [`PollTimers`]
//! measures handlers that are polled where their calls are read, and [`PollTimer`] measures a
//! handler in a separate task.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use crate::error::CloseReason;
use crate::error::connect_error::DuplicateMethod;
use crate::incoming::context::Context;
use crate::incoming::error_map::ErrorMap;
use crate::incoming::service::{Outcome, Request, Service};
use crate::incoming::topic::Topic;
use crate::link::outgoing_middleware::Chain;
use crate::util::catch_unwind::UserValues;
use crate::util::hasher::QuickHash;

/// The methods of one side, by name.
#[derive(Default)]
pub(crate) struct Router {
    by_name: HashMap<Cow<'static, str>, RouteId, QuickHash>,
    routes: UserValues<Route>,
    fallback: Option<RouteId>,
    pub(crate) error_map: Arc<ErrorMap>,
    /// Whether each poll of a handler is measured separately. Set when several handlers of a
    /// connection together took too long.
    measures_polls: AtomicBool,
    /// The middleware of this side's outgoing calls.
    pub(crate) outgoing: Option<Arc<Chain>>,
    /// Notified when connections open and close.
    pub(crate) observer: Option<Arc<dyn ConnectionObserver>>,
    /// The runtime for handlers, if they do not run on the runtime of their connections.
    pub(crate) handler_runtime: Option<Handle>,
    /// The descriptions of the methods.
    #[cfg(feature = "schema")]
    pub(crate) api: Arc<crate::incoming::discover::ApiSource>,
}

/// A service, and the number of the method in it.
struct Route {
    service: Arc<dyn Service>,
    method: usize,
    /// For the log.
    name: Cow<'static, str>,
    /// Whether a warning about blocking was logged.
    blocks: AtomicBool,
}

/// Observes connections. Its methods run in the connection's task and must not panic.
pub(crate) trait ConnectionObserver: Send + Sync {
    /// The handshake is done, and nothing is read yet.
    fn connected(&self, ctx: &Context);

    /// More bytes were received and sent.
    fn transferred(&self, ctx: &Context, received: u64, sent: u64);

    fn disconnected(&self, ctx: &Context, reason: &CloseReason);
}

/// The index of a route.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RouteId(usize);

fn is_unsubscribe(routes: &[Route], id: RouteId) -> bool {
    routes.get(id.0).is_some_and(|route| route.method == Topic::UNSUBSCRIBE)
}

impl Router {
    /// Adds a method of a service under a name.
    ///
    /// # Errors
    ///
    /// Fails if the name is already used.
    pub(crate) fn add(
        &mut self,
        name: Cow<'static, str>,
        service: Arc<dyn Service>,
        method: usize,
    ) -> std::result::Result<(), DuplicateMethod> {
        let id = self.route(service, method, name.clone());
        match self.by_name.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(id);
                Ok(())
            }
            // Several services may share an unsubscribe method.
            Entry::Occupied(entry)
                if method == Topic::UNSUBSCRIBE && is_unsubscribe(&self.routes, *entry.get()) =>
            {
                Ok(())
            }
            Entry::Occupied(entry) => {
                Err(DuplicateMethod { name: entry.key().clone().into_owned() })
            }
        }
    }

    /// Sets the service for all methods that were not added. `name` is for the log.
    pub(crate) fn set_fallback(&mut self, service: Arc<dyn Service>, name: &'static str) {
        self.fallback = Some(self.route(service, 0, name.into()));
    }

    fn route(
        &mut self,
        service: Arc<dyn Service>,
        method: usize,
        name: Cow<'static, str>,
    ) -> RouteId {
        self.routes.push(Route { service, method, name, blocks: AtomicBool::new(false) });
        RouteId(self.routes.len() - 1)
    }

    pub(crate) fn find(&self, method: &str) -> Option<RouteId> {
        self.by_name.get(method).copied().or(self.fallback)
    }

    /// Whether a method was registered under this name.
    pub(crate) fn has(&self, method: &str) -> bool {
        self.by_name.contains_key(method)
    }

    #[inline]
    pub(crate) fn call(&self, route: RouteId, request: Request) -> Outcome {
        match self.routes.get(route.0) {
            Some(Route { method: Topic::UNSUBSCRIBE, .. }) => Outcome::unsubscribe(&request),
            Some(route) => route.service.call(route.method, request),
            None => Outcome::unknown(request),
        }
    }

    #[inline]
    pub(crate) fn measures_polls(&self) -> bool {
        self.measures_polls.load(Ordering::Relaxed)
    }

    /// Starts to measure each poll separately. Returns `false` if that was on already.
    pub(crate) fn measure_polls(&self) -> bool {
        !self.measures_polls.swap(true, Ordering::Relaxed)
    }

    /// Logs, once for each method, that a poll of its handler took too long.
    #[cold]
    pub(crate) fn log_blocked(&self, route: RouteId, took: Duration) {
        let Some(route) = self.routes.get(route.0) else { return };
        if !route.blocks.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                method = &*route.name,
                ?took,
                "handler blocked its thread: add #[method(blocking)], or move the slow part to tokio::task::spawn_blocking"
            );
        }
    }

    /// The registered name of the method, which is safe to log, unlike a name that a peer sends.
    pub(crate) fn name(&self, route: RouteId) -> &str {
        self.routes.get(route.0).map_or("unknown", |route| &route.name)
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("methods", &self.routes.len()).finish_non_exhaustive()
    }
}

/// The number of methods that are named in the log when several handlers blocked together.
const NAMED: usize = 4;

/// The handlers that a connection polled in one round, where their calls were read. Reading the
/// clock for each handler would take a tenth of the time of a quick call, so only their total time
/// is measured.
pub(crate) struct PollTimers {
    limit: Option<Duration>,
    count: Cell<usize>,
    /// The routes of the first handlers.
    routes: [Cell<RouteId>; NAMED],
    /// When the first handler started.
    begun: Cell<Option<Instant>>,
    /// Whether each poll is measured separately.
    one_by_one: Cell<bool>,
}

impl PollTimers {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        let (count, routes, begun, one_by_one) = Default::default();
        PollTimers { limit, count, routes, begun, one_by_one }
    }

    pub(crate) fn begin_round(&self, router: &Router) {
        self.count.set(0);
        self.one_by_one.set(router.measures_polls());
    }

    /// Called before a handler is polled, which is after the previous handler was polled.
    #[inline]
    pub(crate) fn begin(&self, route: RouteId, router: &Router) {
        let count = self.count.get();
        if count < NAMED || self.one_by_one.get() {
            self.note(route, router);
        } else {
            self.count.set(count + 1);
        }
    }

    #[inline(never)]
    fn note(&self, route: RouteId, router: &Router) {
        if self.one_by_one.get() {
            self.end_round(router);
            self.count.set(0);
        }
        let count = self.count.get();
        if count == 0 && self.limit.is_some() {
            self.begun.set(Some(Instant::now()));
        }
        if let Some(place) = self.routes.get(count) {
            place.set(route);
        }
        self.count.set(count + 1);
    }

    #[inline]
    pub(crate) fn end_round(&self, router: &Router) {
        if self.count.get() > 0 {
            self.look(router);
        }
    }

    #[inline(never)]
    fn look(&self, router: &Router) {
        let (Some(limit), Some(begun)) = (self.limit, self.begun.get()) else { return };
        let took = begun.elapsed();
        if took < limit {
            return;
        }
        match self.count.get() {
            1 => router.log_blocked(self.routes[0].get(), took),
            count => self.suspect(count, took, router),
        }
    }

    #[cold]
    fn suspect(&self, count: usize, took: Duration, router: &Router) {
        if !router.measure_polls() {
            return;
        }
        let first = self.routes.iter().take(count);
        let mut methods: Vec<&str> = first.map(|route| router.name(route.get())).collect();
        methods.dedup();
        let more = if count > NAMED { ", …" } else { "" };
        let methods = format!("{}{more}", methods.join(", "));
        tracing::warn!(
            methods,
            ?took,
            "{count} handlers together blocked a connection for too long; from now on each handler is measured, to find the one that blocks its thread"
        );
    }
}

/// Measures one poll of a handler in a separate task.
pub(crate) struct PollTimer(Option<(Duration, Instant)>);

impl PollTimer {
    pub(crate) fn begin(limit: Option<Duration>) -> Self {
        PollTimer(limit.map(|limit| (limit, Instant::now())))
    }

    pub(crate) fn end(self, route: RouteId, router: &Router) {
        if let Some((limit, begun)) = self.0 {
            let took = begun.elapsed();
            if took >= limit {
                router.log_blocked(route, took);
            }
        }
    }
}

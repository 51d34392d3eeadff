//! Finds handlers that block their thread, by how long a poll of them takes. [`Polls`] measures
//! those polled where their calls are read, [`Poll`] one in a task of its own.

use std::cell::Cell;
use std::time::{Duration, Instant};

use crate::incoming::router::{RouteId, Router};

/// How many handlers can be named in the log when they blocked together.
const NAMED: usize = 4;

/// The handlers that a connection polled where their calls were read, between two yields. Reading
/// the clock for each handler would cost a tenth of a quick call, so only all of them together are
/// measured.
pub(crate) struct Polls {
    limit: Option<Duration>,
    count: Cell<usize>,
    /// The routes of the first handlers.
    routes: [Cell<RouteId>; NAMED],
    /// When the first handler started.
    begun: Cell<Option<Instant>>,
    /// Whether each poll is measured separately.
    one_by_one: Cell<bool>,
}

impl Polls {
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        let (count, routes, begun, one_by_one) = Default::default();
        Polls { limit, count, routes, begun, one_by_one }
    }

    pub(crate) fn begin_turn(&self, router: &Router) {
        self.count.set(0);
        self.one_by_one.set(router.measures_polls());
    }

    /// Called before a handler is polled, and so after the one before it.
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
            self.end_turn(router);
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
    pub(crate) fn end_turn(&self, router: &Router) {
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
            "{count} handlers took long in one turn of a connection; from now on each is measured, to find the one that blocks its thread"
        );
    }
}

/// Measures one poll of a handler that has a task of its own.
pub(crate) struct Poll(Option<(Duration, Instant)>);

impl Poll {
    pub(crate) fn begin(limit: Option<Duration>) -> Self {
        Poll(limit.map(|limit| (limit, Instant::now())))
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

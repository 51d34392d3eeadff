//! Finds the service for a method's name. Built once, then shared by all connections.
//!
//! Must not know connections or messages.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::guard::Each;
use crate::hasher::QuickHash;
use crate::middleware::incoming::{Middleware, Names, Nothing, Stack, around};
use crate::middleware::outgoing::{Chain, OutgoingMiddleware};
use crate::protocol::error::Result;
use crate::protocol::typed::RpcError;
use crate::serving::context::Context;
use crate::serving::methods::{Fallback, FallbackService, Methods};
use crate::serving::recognize::Recognized;
use crate::serving::service::{Outcome, Request, Service};
use crate::subscriptions::topic::Topic;
use crate::unopened::DuplicateMethod;

/// What a builder has collected so far.
#[derive(Default)]
pub(crate) struct RouterBuilder {
    services: Vec<Arc<dyn Service>>,
    methods: Methods,
    fallback: Option<Arc<dyn Service>>,
    recognized: Recognized,
    middleware: Vec<Arc<dyn Middleware>>,
    outgoing: Vec<Arc<dyn OutgoingMiddleware>>,
    handler_runtime: Option<Handle>,
}

/// The methods of one side, by name.
#[derive(Default)]
pub(crate) struct Router {
    by_name: HashMap<Cow<'static, str>, RouteId, QuickHash>,
    routes: Each<Route>,
    fallback: Option<RouteId>,
    pub(crate) recognized: Arc<Recognized>,
    /// Handlers took too long together. From then on each poll is measured.
    measures_polls: AtomicBool,
    /// What stands around calls, if anything does: those of the peer, and those of this side.
    pub(crate) middleware: Option<Stack>,
    pub(crate) outgoing: Option<Arc<Chain>>,
    /// Where handlers run, if not where their connections do.
    pub(crate) handler_runtime: Option<Handle>,
}

/// A service, and the number of the method in it.
struct Route {
    service: Arc<dyn Service>,
    method: usize,
    /// For the log.
    name: Cow<'static, str>,
    /// It was logged that it blocks its thread.
    blocks: AtomicBool,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RouteId(usize);

impl RouterBuilder {
    pub(crate) fn service(&mut self, service: impl Service) {
        self.services.push(Arc::new(service));
    }

    pub(crate) fn method<P, F, T>(
        &mut self,
        name: impl Into<Cow<'static, str>>,
        handler: impl Fn(Context, P) -> F + Send + Sync + 'static,
    ) where
        P: DeserializeOwned,
        F: Future<Output = Result<T>> + Send + 'static,
        T: Serialize,
    {
        self.methods = std::mem::take(&mut self.methods).method(name, handler);
    }

    pub(crate) fn fallback(&mut self, fallback: impl Fallback) {
        self.fallback = Some(Arc::new(FallbackService(Arc::new(fallback))));
    }

    /// As a fallback, that sees the request itself.
    #[cfg(feature = "testing")]
    pub(crate) fn catch_all(&mut self, service: impl Service) {
        self.fallback = Some(Arc::new(service));
    }

    pub(crate) fn recognize<E: RpcError + StdError + Send + Sync>(&mut self) {
        self.recognized.add::<E>();
    }

    pub(crate) fn expose_errors(&mut self, expose: bool) {
        self.recognized.expose(expose);
    }

    pub(crate) fn middleware(&mut self, middleware: impl Middleware) {
        self.middleware.push(Arc::new(middleware));
    }

    pub(crate) fn outgoing_middleware(&mut self, middleware: impl OutgoingMiddleware) {
        self.outgoing.push(Arc::new(middleware));
    }

    pub(crate) fn handler_runtime(&mut self, runtime: Handle) {
        self.handler_runtime = Some(runtime);
    }

    /// Adds what another one has collected.
    pub(crate) fn append(&mut self, other: Self) {
        self.services.extend(other.services);
        self.methods.append(other.methods);
        self.fallback = other.fallback.or(self.fallback.take());
        self.recognized.append(other.recognized);
        self.middleware.extend(other.middleware);
        self.outgoing.extend(other.outgoing);
    }

    pub(crate) fn build(mut self) -> std::result::Result<Router, DuplicateMethod> {
        self.services.push(Arc::new(self.methods));
        let mut router = Router {
            recognized: Arc::new(self.recognized),
            middleware: (!self.middleware.is_empty()).then(|| Arc::new(self.middleware.into())),
            outgoing: Chain::of(self.outgoing),
            handler_runtime: self.handler_runtime,
            ..Router::default()
        };
        for service in self.services {
            let methods = service.methods();
            let names = names_of(&methods);
            for (name, method) in methods {
                let names = names.get(&method).cloned();
                let id = router.add(Arc::clone(&service), method, name.clone(), names);
                match router.by_name.entry(name) {
                    Entry::Vacant(entry) => drop(entry.insert(id)),
                    // It ends the subscriptions of all services that name it.
                    Entry::Occupied(entry)
                        if method == Topic::UNSUBSCRIBE
                            && is_unsubscribe(&router.routes, *entry.get()) => {}
                    Entry::Occupied(entry) => {
                        return Err(DuplicateMethod { name: entry.key().clone().into_owned() });
                    }
                }
            }
        }
        router.fallback = match (self.fallback, &router.middleware) {
            (Some(service), _) => Some(router.add_nameless(service, "fallback")),
            // It sees calls of methods that nobody has, too.
            (None, Some(_)) => Some(router.add_nameless(Arc::new(Nothing), "unknown")),
            (None, None) => None,
        };
        Ok(router)
    }
}

/// A method's names: those of the same number.
fn names_of(methods: &[(Cow<'static, str>, usize)]) -> HashMap<usize, Names> {
    let mut names: HashMap<usize, Vec<Cow<'static, str>>> = HashMap::new();
    for (name, method) in methods {
        names.entry(*method).or_default().push(name.clone());
    }
    names.into_iter().map(|(method, names)| (method, names.into())).collect()
}

fn is_unsubscribe(routes: &[Route], id: RouteId) -> bool {
    routes.get(id.0).is_some_and(|route| route.method == Topic::UNSUBSCRIBE)
}

impl Router {
    fn add(
        &mut self,
        service: Arc<dyn Service>,
        method: usize,
        name: Cow<'static, str>,
        names: Option<Names>,
    ) -> RouteId {
        let service = match &self.middleware {
            Some(stack) if method != Topic::UNSUBSCRIBE => {
                around(stack, &self.recognized, (service, method), name.clone(), names)
            }
            _ => service,
        };
        self.route(service, method, name)
    }

    /// For calls of names that were not registered.
    fn add_nameless(&mut self, service: Arc<dyn Service>, name: &'static str) -> RouteId {
        let service = match &self.middleware {
            Some(stack) => around(stack, &self.recognized, (service, 0), name.into(), None),
            None => service,
        };
        self.route(service, 0, name.into())
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

    /// From now on each poll is measured. `false` if that is so already.
    pub(crate) fn measure_polls(&self) -> bool {
        !self.measures_polls.swap(true, Ordering::Relaxed)
    }

    /// A poll of its handler took too long. Logged once for each method.
    #[cold]
    pub(crate) fn log_blocked(&self, route: RouteId, took: Duration) {
        let Some(route) = self.routes.get(route.0) else { return };
        if !route.blocks.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                method = &*route.name,
                ?took,
                "handler blocked its thread; mark the method #[method(blocking)], or move the slow part to tokio::task::spawn_blocking"
            );
        }
    }

    /// The method's name as it was registered: fit for a log, unlike what a peer sends.
    pub(crate) fn name(&self, route: RouteId) -> &str {
        self.routes.get(route.0).map_or("unknown", |route| &route.name)
    }
}

impl fmt::Debug for RouterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder")
            .field("services", &self.services.len())
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("methods", &self.routes.len()).finish_non_exhaustive()
    }
}

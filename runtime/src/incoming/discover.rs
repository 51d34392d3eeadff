//! The descriptions of an endpoint's methods ([`ApiSource`]), and the method `rpc.discover`, which
//! serves them as a document ([`Discover`]).

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde_json::value::{RawValue, to_raw_value};

use crate::incoming::context::Context;
use crate::incoming::service::{Outcome, Request, Response, Service};
use crate::incoming::topic::Topic;
use crate::link::pending_calls::Side;
use crate::openrpc::{Api, Document, Info, Method, name_of};
use crate::protocol::error::ErrorObject;

/// The name that OpenRPC gives to the method.
const DISCOVER: &str = "rpc.discover";

/// How an endpoint serves its OpenRPC document as `rpc.discover`. An [`Info`] converts into one
/// that shows all methods to all callers.
///
/// ```
/// use wsjsonrpc::Server;
/// use wsjsonrpc::openrpc::Info;
/// use wsjsonrpc::service::Discover;
///
/// struct User {
///     is_admin: bool,
/// }
///
/// let discover = Discover::new(Info::new("Shop", "1.0.0")).filter(|ctx, method| {
///     !method.starts_with("admin.") || ctx.get::<User>().is_some_and(|user| user.is_admin)
/// });
/// let server = Server::builder().discover(discover);
/// # drop(server);
/// # let _ = User { is_admin: true }.is_admin;
/// ```
#[derive(Clone)]
pub struct Discover {
    info: Info,
    filter: Option<Filter>,
}

type Filter = Arc<dyn Fn(&Context, &str) -> bool + Send + Sync>;

impl Discover {
    /// Serves a document with this head.
    pub fn new(info: Info) -> Self {
        Discover { info, filter: None }
    }

    /// Leaves out the methods for which `may_use` returns `false`, and the schemas that only they
    /// use. `may_use` gets the context of the call of `rpc.discover` and the name of a method of
    /// this side. Default: all methods.
    ///
    /// The filter only changes the document. To refuse calls of these methods, check the caller in
    /// the handlers or in [`Middleware`](crate::middleware::Middleware).
    #[must_use]
    pub fn filter(
        mut self,
        may_use: impl Fn(&Context, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.filter = Some(Arc::new(may_use));
        self
    }
}

impl From<Info> for Discover {
    fn from(info: Info) -> Self {
        Discover::new(info)
    }
}

impl fmt::Debug for Discover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Discover").field("info", &self.info).finish_non_exhaustive()
    }
}

/// What a builder has collected about its API so far, besides its services.
#[derive(Default)]
pub(crate) struct ApiBuilder {
    /// The methods that this side calls on its peers.
    pub(crate) calls: Vec<fn() -> Vec<Method>>,
    pub(crate) discover: Option<Discover>,
}

impl ApiBuilder {
    pub(crate) fn append(&mut self, other: Self) {
        self.calls.extend(other.calls);
        self.discover = other.discover.or(self.discover.take());
    }

    /// Adds `rpc.discover` to the services if it is enabled.
    pub(crate) fn build(self, side: Side, services: &mut Vec<Arc<dyn Service>>) -> Arc<ApiSource> {
        let source = Arc::new(ApiSource { services: services.clone(), calls: self.calls, side });
        if let Some(discover) = self.discover {
            let shared =
                Discovery { source: Arc::clone(&source), discover, built: OnceLock::new() };
            services.push(Arc::new(DiscoverService(Arc::new(shared))));
        }
        source
    }
}

/// The services of an endpoint, which describe its methods.
#[derive(Default)]
pub(crate) struct ApiSource {
    services: Vec<Arc<dyn Service>>,
    calls: Vec<fn() -> Vec<Method>>,
    side: Side,
}

impl ApiSource {
    pub(crate) fn document(&self, info: &Info) -> Document {
        let mut own = Vec::new();
        let mut undescribed = Vec::new();
        for service in &self.services {
            let served: BTreeSet<Cow<'static, str>> = service
                .methods()
                .into_iter()
                .filter(|(_, number)| *number != Topic::UNSUBSCRIBE)
                .map(|(name, _)| name)
                .collect();
            let mut described = BTreeSet::new();
            for method in service.describe() {
                if !served.contains(method.name()) {
                    let method = method.name();
                    tracing::warn!(
                        method,
                        "a method is described but not served; the OpenRPC document leaves it out"
                    );
                    continue;
                }
                described.extend(method.names().map(str::to_owned));
                own.push(method);
            }
            undescribed.extend(
                served
                    .iter()
                    .filter(|name| !described.contains(&***name))
                    .map(|name| name.to_string()),
            );
        }
        let peers = self.calls.iter().flat_map(|methods| methods()).collect();
        Api { side: self.side, own, peers, undescribed }.document(info)
    }
}

/// `rpc.discover`, and its document once it has been requested.
struct Discovery {
    source: Arc<ApiSource>,
    discover: Discover,
    built: OnceLock<Built>,
}

struct Built {
    document: Document,
    text: Box<RawValue>,
}

impl Discovery {
    fn built(&self) -> &Built {
        self.built.get_or_init(|| {
            let document = self.source.document(&self.discover.info);
            if !document.undescribed().is_empty() {
                tracing::warn!(
                    methods = ?document.undescribed(),
                    "methods without a description; the OpenRPC document leaves them out"
                );
            }
            let text = to_raw_value(&document).unwrap_or_default();
            Built { document, text }
        })
    }

    fn answer(&self, request: &Request) -> Response {
        let no_params = request.args(&[]).and_then(|args| args.finish());
        if let Err(error) = no_params {
            return request.fail(error);
        }
        let built = self.built();
        let Some(filter) = &self.discover.filter else {
            return request.reply(Ok::<_, ErrorObject>(&*built.text));
        };
        let mut document = built.document.clone();
        let own = name_of(self.source.side);
        document.retain(|name, sides| !sides.contains(&own) || filter(request.context(), name));
        request.reply(Ok::<_, ErrorObject>(&document))
    }
}

struct DiscoverService(Arc<Discovery>);

impl Service for DiscoverService {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        vec![(DISCOVER.into(), 0)]
    }

    fn call(&self, _: usize, request: Request) -> Outcome {
        let discovery = Arc::clone(&self.0);
        match (self.0.built.get(), &self.0.discover.filter) {
            (Some(_), None) => Outcome::ready(move || discovery.answer(&request)),
            // To build or to filter a large document takes milliseconds.
            _ => Outcome::blocking(move || discovery.answer(&request)),
        }
    }
}

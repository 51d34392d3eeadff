//! What both builders have in common: services, closures, middleware, limits. [`RouterBuilder`]
//! collects them, wraps the services in the middleware, and builds the router.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;

use crate::error::connect_error::DuplicateMethod;
use crate::incoming::context::Context;
#[cfg(feature = "schema")]
use crate::incoming::discover::{ApiBuilder, Discover};
use crate::incoming::error_map::ErrorMap;
use crate::incoming::methods::{Fallback, FallbackService, Methods};
use crate::incoming::router::{ConnectionObserver, Router};
use crate::incoming::service::Service;
use crate::incoming::topic::Topic;
use crate::link::outgoing_middleware::{Chain, OutgoingMiddleware};
use crate::link::pending_calls::Side;
use crate::middleware::incoming::{Middleware, Names, Nothing, Stack, around};
use crate::protocol::error::Result;
use crate::protocol::typed::RpcError;

/// The methods of a builder with a field `router: RouterBuilder`.
macro_rules! service_methods {
    () => {
        /// Adds a service: the result of `into_service()` of an implemented `#[rpc]` trait, or
        /// [`Methods`](crate::Methods). Building fails if two services have a method of the same
        /// name.
        ///
        /// ```
        /// use wsjsonrpc::{Methods, Server};
        ///
        /// let methods = Methods::new().method("ping", |_ctx, (): ()| async { Ok("pong") });
        /// let server = Server::builder().service(methods);
        /// # drop(server);
        /// ```
        pub fn service(mut self, service: impl crate::service::Service) -> Self {
            self.router.service(service);
            self
        }

        /// Adds a method as a closure, for names that are known only at run time. See
        /// [`Methods::method`](crate::Methods::method) for its params and its result.
        ///
        /// ```
        /// use wsjsonrpc::Server;
        ///
        /// let server = Server::builder()
        ///     .method("math.sum", |_ctx, (x, y): (i64, i64)| async move { Ok(x + y) });
        /// # drop(server);
        /// ```
        pub fn method<P, F, T>(
            mut self,
            name: impl Into<std::borrow::Cow<'static, str>>,
            handler: impl Fn(crate::incoming::context::Context, P) -> F + Send + Sync + 'static,
        ) -> Self
        where
            P: serde::de::DeserializeOwned,
            F: Future<Output = crate::protocol::error::Result<T>> + Send + 'static,
            T: serde::Serialize,
        {
            self.router.method(name, handler);
            self
        }

        /// Handles the calls of all unknown methods; see [`Fallback`](crate::server::Fallback). The
        /// last call wins.
        ///
        /// ```
        /// use serde_json::value::{RawValue, to_raw_value};
        /// use wsjsonrpc::server::Fallback;
        /// use wsjsonrpc::service::Params;
        /// use wsjsonrpc::{Context, Result, Server, async_trait};
        ///
        /// struct Echo;
        ///
        /// #[async_trait]
        /// impl Fallback for Echo {
        ///     async fn call(&self, _: &Context, method: &str, _: Params<'_>) -> Result<Box<RawValue>> {
        ///         Ok(to_raw_value(&format!("you called {method}"))?)
        ///     }
        /// }
        ///
        /// let server = Server::builder().fallback(Echo);
        /// # drop(server);
        /// ```
        pub fn fallback(mut self, fallback: impl crate::incoming::methods::Fallback) -> Self {
            self.router.fallback(fallback);
            self
        }

        /// Wraps all incoming calls in this middleware. The first one is the outermost. See
        /// [`Middleware`](crate::middleware::Middleware).
        ///
        /// ```
        /// use wsjsonrpc::Server;
        /// use wsjsonrpc::middleware::LogCalls;
        ///
        /// let server = Server::builder().middleware(LogCalls::new());
        /// # drop(server);
        /// ```
        pub fn middleware(
            mut self,
            middleware: impl crate::middleware::incoming::Middleware,
        ) -> Self {
            self.router.middleware(middleware);
            self
        }

        /// Wraps all calls that this side makes in this middleware. The first one is the outermost.
        /// See [`OutgoingMiddleware`](crate::middleware::OutgoingMiddleware).
        ///
        /// ```
        /// use wsjsonrpc::Client;
        /// use wsjsonrpc::middleware::LogCalls;
        ///
        /// let client = Client::builder().outgoing_middleware(LogCalls::new());
        /// # drop(client);
        /// ```
        pub fn outgoing_middleware(
            mut self,
            middleware: impl crate::link::outgoing_middleware::OutgoingMiddleware,
        ) -> Self {
            self.router.outgoing_middleware(middleware);
            self
        }

        /// Lets errors of type `E` keep their own code when a handler that returns
        /// [`Result<T>`](crate::Result) passes them on with `?`. Other errors become -32603.
        ///
        /// An `E` in a `Box<dyn Error + Send + Sync>` is converted as well. An `E` that another
        /// error wraps is not, and neither is one in an `anyhow::Error`, which hides its type.
        /// Extract it first: `error.downcast::<E>().map_or_else(ErrorObject::from, |e|
        /// e.to_object())`.
        ///
        /// ```
        /// use wsjsonrpc::{RpcError, Server};
        ///
        /// #[derive(Debug, RpcError)]
        /// #[rpc_error(code = 1001)]
        /// struct OutOfStock;
        ///
        /// impl std::fmt::Display for OutOfStock {
        ///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        ///         f.write_str("out of stock")
        ///     }
        /// }
        ///
        /// impl std::error::Error for OutOfStock {}
        ///
        /// let server = Server::builder().map_error::<OutOfStock>();
        /// # drop(server);
        /// ```
        pub fn map_error<E>(mut self) -> Self
        where
            E: crate::protocol::typed::RpcError + std::error::Error + Send + Sync,
        {
            self.router.map_error::<E>();
            self
        }

        /// Describes a method that was added as a closure, for the OpenRPC document; see
        /// [`openrpc::Method`](crate::openrpc::Method). The document leaves out methods without a
        /// description. Traits with `#[rpc(schema)]` describe themselves.
        #[cfg(feature = "schema")]
        pub fn describe(mut self, method: crate::openrpc::Method) -> Self {
            self.router.describe(method);
            self
        }

        /// Declares that this side calls the methods of a trait, which its peers implement:
        /// `.calls::<EventsClient>()` for a trait `Events` with `#[rpc(schema)]`. The methods stand
        /// in the OpenRPC document with the peer's side in `x-implemented-by`.
        ///
        /// ```
        /// use wsjsonrpc::openrpc::Info;
        /// use wsjsonrpc::{Context, Server, rpc};
        ///
        /// #[rpc(schema)]
        /// trait Events {
        ///     /// Shows a message to the user.
        ///     async fn message(&self, ctx: &Context, text: String);
        /// }
        ///
        /// let endpoint = Server::builder().calls::<EventsClient>().build().unwrap();
        /// let document = endpoint.openrpc(&Info::new("Chat", "1.0.0"));
        /// let message = &document.as_value()["methods"][0];
        /// assert_eq!(message["name"], "message");
        /// assert_eq!(message["x-implemented-by"][0], "client");
        /// ```
        #[cfg(feature = "schema")]
        pub fn calls<C: crate::openrpc::Describe>(mut self) -> Self {
            self.router.calls(C::methods);
            self
        }

        /// Serves the OpenRPC document of this side as the method `rpc.discover`. Default: off,
        /// because a document tells a stranger about every method. With
        /// [`Discover::filter`](crate::service::Discover::filter), each caller gets only the
        /// methods that it may use.
        ///
        /// The document is built when it is first requested.
        ///
        /// ```
        /// # use wsjsonrpc::{Client, memory};
        /// use wsjsonrpc::openrpc::Info;
        /// use wsjsonrpc::{Context, Result, Server, rpc};
        ///
        /// #[rpc(schema)]
        /// trait Math {
        ///     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
        /// }
        ///
        /// struct Calculator;
        ///
        /// impl Math for Calculator {
        ///     async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        ///         Ok(x + y)
        ///     }
        /// }
        ///
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
        /// let server = Server::builder()
        ///     .service(Calculator.into_service())
        ///     .discover(Info::new("Calculator", env!("CARGO_PKG_VERSION")));
        /// # let (client, _) = memory::pair(Client::builder(), server)?;
        /// let document: serde_json::Value = client.peer().call("rpc.discover", ()).await?;
        /// assert_eq!(document["methods"][0]["name"], "sum");
        /// # Ok(())
        /// # }
        /// ```
        #[cfg(feature = "schema")]
        pub fn discover(mut self, discover: impl Into<crate::service::Discover>) -> Self {
            self.router.discover(discover.into());
            self
        }
    };
}

/// The methods of a builder with the fields `router: RouterBuilder` and `config: Config`.
macro_rules! common_builder_methods {
    () => {
        service_methods!();

        /// Adds everything in a [`Services`](crate::Services), so that a server and clients can
        /// share one list. Its middleware runs inside the middleware that this builder already has.
        /// Its fallback replaces the fallback of this builder.
        ///
        /// ```
        /// use wsjsonrpc::{Client, Server, Services};
        ///
        /// let shared = || Services::new().method("ping", |_ctx, (): ()| async { Ok("pong") });
        /// let server = Server::builder().services(shared());
        /// let client = Client::builder().services(shared());
        /// # drop((server, client));
        /// ```
        pub fn services(mut self, services: crate::Services) -> Self {
            self.router.append(services.router);
            self
        }

        /// Whether the peer gets the texts of errors. A handler's error that `?` converted, and
        /// that has no code of its own, is -32603 "Internal error" for the peer. With `true`, the
        /// `data` of that error is a list of texts: the error's message, then the messages of its
        /// sources, at most 8 texts of 500 bytes each, with control characters escaped. After a
        /// panic, the list says only that the handler panicked.
        ///
        /// `true` applies to every peer, `false` to none. Default: in builds with debug assertions
        /// (`cargo run`, `cargo test`), peers that announced this crate's extensions in the opening
        /// handshake get the texts, so that you see why a handler failed without any set-up. Other
        /// peers do not, HTTP POST included, because some clients drop the connection when an error
        /// object has a third member (for example the Python package wsjsonrpc). In release builds
        /// no peer gets them, because errors of a file system or a database may contain secrets.
        /// The error is always logged. Set this in tests that compare whole error objects.
        ///
        /// ```
        /// # use wsjsonrpc::{memory, Client, Context, Server};
        /// # #[tokio::main(flavor = "current_thread")]
        /// # async fn main() {
        /// let server = Server::builder()
        ///     .expose_errors(true)
        ///     .method("parse", |_: Context, (text,): (String,)| async move { Ok(text.parse::<u16>()?) });
        /// let (client, _) = memory::pair(Client::builder(), server).unwrap();
        /// let failed = client.peer().call::<u16>("parse", ["x"]).await.unwrap_err().into_object();
        /// assert_eq!(failed.to_string(), "Internal error (-32603): invalid digit found in string");
        /// assert_eq!(failed.data_as(), Some(["invalid digit found in string".to_owned()]));
        /// # }
        /// ```
        pub fn expose_errors(mut self, expose: bool) -> Self {
            self.router.expose_errors(expose);
            self
        }

        /// Runs handlers on another tokio runtime than the connections. A handler that blocks its
        /// thread then delays only other handlers. Reading, writing, keep-alive, timeouts and the
        /// calls of this side continue.
        ///
        /// By default a handler is polled where its call was read, which is faster. A handler that
        /// blocks there stops its connection. It may stop all other connections as well, even on a
        /// multi-threaded runtime, because the blocked thread may be the one that watches all
        /// sockets.
        ///
        /// The other runtime runs the handlers of methods, notifications and subscriptions with
        /// their streams, the fallback, and the middleware around them. Calls of one connection
        /// start one after another in the order in which they were read, so a handler that blocks
        /// before its first await delays those after it; `#[method(blocking)]` does not. Code about
        /// connections stays on the connections' runtime: `authorize`, hooks, and the connection
        /// methods of middleware. Each call counts in
        /// [`Config::max_in_flight`](crate::Config::max_in_flight) from when it was read, and costs
        /// two switches between threads. If the other runtime shuts down, calls get -32603.
        ///
        /// ```
        /// use tokio::runtime::Runtime;
        /// use wsjsonrpc::{Context, Server};
        ///
        /// // Must live as long as the server: dropping it cancels the handlers.
        /// let handlers = Runtime::new().unwrap();
        /// let server = Server::builder()
        ///     .handler_runtime(handlers.handle().clone())
        ///     .method("digest", |_: Context, (text,): (String,)| async move {
        ///         // Code that blocks by mistake delays no connection here.
        ///         Ok(text.len())
        ///     });
        /// # drop(server);
        /// ```
        pub fn handler_runtime(mut self, runtime: tokio::runtime::Handle) -> Self {
            self.router.handler_runtime(runtime);
            self
        }

        /// Sets all limits and timeouts.
        ///
        /// ```
        /// use wsjsonrpc::{Config, Server};
        ///
        /// let config = Config { max_incoming_message: 64 * 1024, ..Config::default() };
        /// let server = Server::builder().config(config);
        /// # drop(server);
        /// ```
        pub fn config(mut self, config: crate::config::Config) -> Self {
            self.config = config;
            self
        }

        /// How long calls made by this side wait for a response; `None` waits as long as the
        /// connection lives. Default 30 s.
        pub fn call_timeout(mut self, timeout: impl Into<Option<std::time::Duration>>) -> Self {
            self.config.call_timeout = timeout.into();
            self
        }
    };
}

pub(crate) use {common_builder_methods, service_methods};

/// Services, methods and middleware for a [`ServerBuilder`](crate::server::ServerBuilder), a
/// [`ClientBuilder`](crate::client::ClientBuilder), or both.
///
/// ```
/// use wsjsonrpc::{Client, Server, Services};
///
/// /// The methods of this program, whichever side opened the connection.
/// fn services() -> Services {
///     Services::new()
///         .method("version", |_ctx, (): ()| async { Ok(env!("CARGO_PKG_VERSION")) })
///         .method("double", |_ctx, x: i64| async move { Ok(2 * x) })
/// }
///
/// let server = Server::builder().services(services());
/// let client = Client::builder().services(services());
/// # drop((server, client));
/// ```
#[derive(Debug, Default)]
#[must_use = "services do nothing until they are passed to a builder with `.services(..)`"]
pub struct Services {
    pub(crate) router: RouterBuilder,
}

impl Services {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    service_methods!();
}

/// What a builder has collected so far.
#[derive(Default)]
pub(crate) struct RouterBuilder {
    services: Vec<Arc<dyn Service>>,
    methods: Methods,
    fallback: Option<Arc<dyn Service>>,
    error_map: ErrorMap,
    middleware: Vec<Arc<dyn Middleware>>,
    outgoing: Vec<Arc<dyn OutgoingMiddleware>>,
    handler_runtime: Option<Handle>,
    #[cfg(feature = "schema")]
    api: ApiBuilder,
}

impl RouterBuilder {
    #[cfg(feature = "schema")]
    pub(crate) fn describe(&mut self, method: crate::openrpc::Method) {
        self.methods = std::mem::take(&mut self.methods).describe(method);
    }

    #[cfg(feature = "schema")]
    pub(crate) fn calls(&mut self, methods: fn() -> Vec<crate::openrpc::Method>) {
        self.api.calls.push(methods);
    }

    #[cfg(feature = "schema")]
    pub(crate) fn discover(&mut self, discover: Discover) {
        self.api.discover = Some(discover);
    }

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

    /// Sets a fallback that gets the request itself.
    #[cfg(feature = "testing")]
    pub(crate) fn catch_all(&mut self, service: impl Service) {
        self.fallback = Some(Arc::new(service));
    }

    pub(crate) fn map_error<E: RpcError + StdError + Send + Sync>(&mut self) {
        self.error_map.add::<E>();
    }

    pub(crate) fn expose_errors(&mut self, expose: bool) {
        self.error_map.expose(expose);
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

    /// Adds everything that another builder has collected.
    pub(crate) fn append(&mut self, other: Self) {
        self.services.extend(other.services);
        self.methods.append(other.methods);
        self.fallback = other.fallback.or(self.fallback.take());
        self.error_map.append(other.error_map);
        self.middleware.extend(other.middleware);
        self.outgoing.extend(other.outgoing);
        #[cfg(feature = "schema")]
        self.api.append(other.api);
    }

    pub(crate) fn build(mut self, side: Side) -> std::result::Result<Router, DuplicateMethod> {
        self.services.push(Arc::new(self.methods));
        #[cfg(feature = "schema")]
        let api = self.api.build(side, &mut self.services);
        #[cfg(not(feature = "schema"))]
        let _ = side;
        let stack: Option<Stack> =
            (!self.middleware.is_empty()).then(|| Arc::new(self.middleware.into()));
        let error_map = Arc::new(self.error_map);
        let mut router = Router::default();
        router.error_map = Arc::clone(&error_map);
        router.outgoing = Chain::of(self.outgoing);
        router.observer = stack.clone().map(|stack| stack as Arc<dyn ConnectionObserver>);
        router.handler_runtime = self.handler_runtime;
        #[cfg(feature = "schema")]
        {
            router.api = api;
        }
        let wrap = |service: Arc<dyn Service>, method, name: Cow<'static, str>, names| match &stack
        {
            // Middleware cannot stop a peer from unsubscribing.
            Some(stack) if method != Topic::UNSUBSCRIBE => {
                around(stack, &error_map, (service, method), name, names)
            }
            _ => service,
        };
        for service in self.services {
            let methods = service.methods();
            let names = names_of(&methods);
            for (name, method) in methods {
                let names = names.get(&method).cloned();
                let service = wrap(Arc::clone(&service), method, name.clone(), names);
                router.add(name, service, method)?;
            }
        }
        let fallback = match (self.fallback, &stack) {
            (Some(service), _) => Some((service, "fallback")),
            // Middleware also sees calls of unknown methods.
            (None, Some(_)) => Some((Arc::new(Nothing) as Arc<dyn Service>, "unknown")),
            (None, None) => None,
        };
        if let Some((service, name)) = fallback {
            router.set_fallback(wrap(service, 0, name.into(), None), name);
        }
        Ok(router)
    }
}

/// The names of each method, that is, those with the same number.
fn names_of(methods: &[(Cow<'static, str>, usize)]) -> HashMap<usize, Names> {
    let mut names: HashMap<usize, Vec<Cow<'static, str>>> = HashMap::new();
    for (name, method) in methods {
        names.entry(*method).or_default().push(name.clone());
    }
    names.into_iter().map(|(method, names)| (method, names.into())).collect()
}

impl fmt::Debug for RouterBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RouterBuilder")
            .field("services", &self.services.len())
            .field("methods", &self.methods)
            .finish_non_exhaustive()
    }
}

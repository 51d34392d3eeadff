//! [`HttpService`]: an endpoint as a tower service for any HTTP server. It opens WebSockets, and
//! responds to JSON-RPC messages sent by POST.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::ALLOW;
use http::request::Parts;
use http::{Extensions, HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use tokio::time::Instant;

use crate::error::{Remote, Wordless};
use crate::handshake::connection_limit::{Acquired, ConnectionPermit};
use crate::handshake::refusal::Refusal;
use crate::handshake::rules::{Arrival, Welcome};
#[cfg(feature = "axum")]
use crate::http::axum;
use crate::http::request::{check, name_host, read};
use crate::http::response::{HttpBody, json, nothing, refuse};
use crate::http::upgraded::stream_of;
use crate::incoming::one_shot::OneShotOutcome;
use crate::server::endpoint::{Endpoint, Serving};
use crate::util::catch_unwind::{Panicked, catch_unwind};
use crate::util::runtime::deadline;
use crate::util::runtime::{self, timeout_at};

/// An [`Endpoint`] as one route of a web application: a tower service, and a service of hyper.
/// Created by [`Endpoint::http_service`]. Cheap to clone. Needs the feature `tower`.
///
/// In an axum application, write `Router::new().route_service("/rpc", endpoint.http_service())` and
/// enable the feature `axum`. Then the service reads the client's address from axum's
/// `ConnectInfo<SocketAddr>`, and keeps a small copy of axum's `OriginalUri` instead of the 8 KiB
/// that the request was read into.
///
/// - The service upgrades WebSocket requests. Handshake, `Origin` check,
///   [`Authorize`](crate::server::Authorize) hook and limits are those of a
///   [`Server`](crate::Server). After the upgrade the connection uses the raw socket in its own
///   task, if the HTTP server runs on TCP.
/// - A POST with `Content-Type: application/json` (or `application/json-rpc`,
///   `application/jsonrequest`) contains one JSON-RPC message, a single one or a batch. Every
///   JSON-RPC response, parse errors included, has status 200. A message that contains only
///   notifications gets status 204 without a body. Path, `Origin` and hook are checked for each
///   POST. Calling such a caller back fails with
///   [`CloseReason::NoSocket`](crate::error::CloseReason::NoSocket); the caller gets -32006, and
///   also for subscriptions. Handlers see a caller that disconnects as the end of a connection.
/// - Other methods get status 405.
///
/// Below axum's `nest_service`, the path for
/// [`ServerBuilder::path`](crate::server::ServerBuilder::path) and in
/// [`Handshake::target`](field@crate::server::Handshake::target) is the rest after the prefix.
///
/// Handlers read values that outer layers stored in the request's extensions with
/// [`Context::get`](crate::Context::get), and hooks in
/// [`Handshake::extensions`](crate::server::Handshake).
///
/// [`Config::max_connections`](crate::Config::max_connections) includes POSTs until the last of
/// their handlers has ended. Reading a POST must finish within
/// [`Config::handshake_timeout`](crate::Config::handshake_timeout) (otherwise status 408), and its
/// size is limited by [`Config::max_incoming_message`](crate::Config::max_incoming_message)
/// (otherwise 413). WebSockets over HTTP/2 (RFC 8441) are not supported; browsers use HTTP/1.1 for
/// WebSockets if the server does not offer that.
///
/// Limits per connection, such as [`Config::max_in_flight`](crate::Config::max_in_flight) and rate
/// limits, start anew with each POST. To serve no POSTs, wrap the service in
/// `axum::routing::get_service`. The HTTP server is responsible for TLS; a certificate in the
/// builder is ignored.
///
/// # Slow clients
///
/// Until a request has arrived, the HTTP server in front of the endpoint is responsible for
/// timeouts. Two common servers set none: with `axum::serve`, and with hyper-util's `auto::Builder`
/// while it waits for the first bytes, a silent client keeps its connection without a time limit.
/// Put a reverse proxy with timeouts in front, or serve with hyper's `http1::Builder` and a timer,
/// as below. `examples/web/axum_app.rs` does so with an axum application, and shuts it down gracefully.
///
/// A plain hyper server also has to allow upgrades:
///
/// ```
/// use std::time::Duration;
///
/// use hyper::server::conn::http1;
/// use hyper_util::rt::{TokioIo, TokioTimer};
/// use tokio::time::{sleep, timeout};
/// use wsjsonrpc::{Client, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Server::builder()
///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
///     .build()?;
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let url = format!("ws://{}/rpc", listener.local_addr()?);
///
/// let service = endpoint.http_service();
/// let mut http = http1::Builder::new();
/// // Limits the head of a request, and the wait for the next request.
/// http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
/// tokio::spawn(async move {
///     loop {
///         let Ok((stream, _)) = listener.accept().await else {
///             // For example, too many open files.
///             sleep(Duration::from_millis(100)).await;
///             continue;
///         };
///         let serving = http.serve_connection(TokioIo::new(stream), service.clone());
///         // Limits everything else, such as a client that does not read a response. Does not
///         // limit a WebSocket, which leaves hyper when it is upgraded.
///         tokio::spawn(timeout(Duration::from_secs(60), serving.with_upgrades()));
///     }
/// });
///
/// let client = Client::connect(&url).await?;
/// assert_eq!(client.peer().call::<i64>("double", (21,)).await?, 42);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpService {
    endpoint: Endpoint,
    options: Arc<Options>,
}

#[derive(Clone, Default)]
struct Options {
    remote_addr: Option<Arc<RemoteAddr>>,
    secure: bool,
    forget: Vec<fn(&mut Extensions)>,
}

type RemoteAddr = dyn Fn(&Parts) -> Option<SocketAddr> + Send + Sync;
type Responding = Pin<Box<dyn Future<Output = Result<Response<HttpBody>, Infallible>> + Send>>;

impl Endpoint {
    /// This endpoint as a route of a web application; see [`HttpService`]. Needs the feature
    /// `tower`.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let endpoint = wsjsonrpc::Server::builder()
    ///     .method("double", |_, (x,): (i64,)| async move { Ok(2 * x) })
    ///     .build()?;
    /// # #[cfg(feature = "axum")]
    /// let app: axum::Router = axum::Router::new().route_service("/rpc", endpoint.http_service());
    /// # Ok(())
    /// # }
    /// ```
    pub fn http_service(&self) -> HttpService {
        let options = Options { secure: self.rules().behind_tls, ..Options::default() };
        HttpService { endpoint: self.clone(), options: Arc::new(options) }
    }
}

impl HttpService {
    /// How to get the client's address from a request. Used for
    /// [`Handshake::remote_addr`](crate::server::Handshake::remote_addr), for log lines, and for
    /// [`Config::max_connections_per_address`](crate::Config::max_connections_per_address), which
    /// has no effect without an address. Behind a proxy the address may come from a header, if the
    /// proxy always sets it. If the closure panics, the panic is logged and the request gets status
    /// 500.
    ///
    /// Default: unknown. With the feature `axum`, the address that axum provides with
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # let endpoint = wsjsonrpc::Server::builder().build().unwrap();
    /// // The code that accepted the connection stored the address there.
    /// let service =
    ///     endpoint.http_service().remote_addr(|parts| parts.extensions.get::<SocketAddr>().copied());
    /// # drop(service);
    /// ```
    #[must_use]
    pub fn remote_addr(
        mut self,
        find: impl Fn(&Parts) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.options_mut().remote_addr = Some(Arc::new(find));
        self
    }

    /// Whether clients use TLS, terminated by the HTTP server or by a proxy in front of it. If so,
    /// a page that was loaded without TLS is not accepted as a page of the own host. Default: the
    /// value of [`ServerBuilder::secure`](crate::server::ServerBuilder::secure), which is `false`
    /// by default.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.options_mut().secure = secure;
        self
    }

    /// Drops this type of the request's extensions before a WebSocket opens; handlers cannot read
    /// it then. Values that a router stores for its own use take memory in each connection: an
    /// [`http::Uri`], or a header value that hyper created, keeps the 8 KiB alive that the request
    /// was read into.
    ///
    /// ```
    /// # let endpoint = wsjsonrpc::Server::builder().build().unwrap();
    /// let service = endpoint.http_service().forget::<http::Uri>();
    /// # drop(service);
    /// ```
    #[must_use]
    pub fn forget<T: Send + Sync + 'static>(mut self) -> Self {
        self.options_mut().forget.push(|extensions| drop(extensions.remove::<T>()));
        self
    }

    fn options_mut(&mut self) -> &mut Options {
        Arc::make_mut(&mut self.options)
    }

    fn respond<B>(&self, request: Request<B>) -> Responding
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let service = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let answered = match parts.method {
                _ if !is_in_runtime() => Err(Refusal::internal()),
                Method::GET => service.open(parts).await,
                Method::POST => service.answer(parts, body).await,
                _ => Err(wrong_method()),
            };
            Ok(answered.unwrap_or_else(|refusal| {
                // Only the status: the refusal's text may quote the client.
                let status = refusal.status().as_u16();
                tracing::debug!(status, "request refused");
                refuse(&refusal)
            }))
        })
    }

    /// What is known of a client before it is authorized, and its permit.
    fn arrival(&self, parts: &mut Parts) -> Result<(Arrival, Option<ConnectionPermit>), Refusal> {
        if self.endpoint.registry().is_draining() {
            return Err(shutting_down());
        }
        let remote_addr = match &self.options.remote_addr {
            Some(find) => catch_unwind(|| find(parts)).map_err(|Panicked| {
                tracing::error!("the `HttpService::remote_addr` closure panicked; request refused");
                Refusal::internal()
            })?,
            #[cfg(feature = "axum")]
            None => axum::remote_addr(parts),
            #[cfg(not(feature = "axum"))]
            None => None,
        };
        #[cfg(feature = "axum")]
        axum::detach_uri(parts);
        for forget in &self.options.forget {
            forget(&mut parts.extensions);
        }
        let (permit, refusal) = match self.endpoint.acquire(remote_addr) {
            Acquired::Granted(permit) => (Some(permit), None),
            Acquired::Refused(_, refusal) => (None, Some(refusal)),
            Acquired::Dropped => (None, Some(full())),
        };
        let deadline = deadline(Instant::now(), self.endpoint.config().handshake_timeout);
        Ok((Arrival { remote_addr, secure: self.options.secure, deadline, refusal }, permit))
    }

    /// Opens a WebSocket, which then runs in its own task.
    async fn open(self, mut parts: Parts) -> Result<Response<HttpBody>, Refusal> {
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let (arrival, permit) = self.arrival(&mut parts)?;
        let deadline = arrival.deadline;
        parts.headers = copied(&parts.headers);
        let rules = self.endpoint.rules();
        let welcome = rules.decide(Request::from_parts(parts, ()), arrival).await?;
        let Some(upgrade) = upgrade else {
            let words = "the HTTP server of this endpoint does not support upgrades; enable them \
                         (hyper: `with_upgrades`)";
            tracing::error!("{words}");
            return Err(Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, words));
        };
        let Welcome { response, handshake, grant } = welcome;
        let remote = Remote(handshake.remote_addr);
        // Boxed and dropped after the handshake, so that the task does not reserve space for it.
        let opening = Box::pin(async move {
            let Ok(Ok(upgraded)) = timeout_at(deadline, pin!(upgrade)).await else { return None };
            let (stream, part) = stream_of(upgraded);
            let (_, serving) = self.endpoint.run(stream, part, handshake, permit);
            serving.adopt(grant);
            Some(serving)
        });
        tokio::spawn(serve(opening, remote));
        Ok(response.map(|()| HttpBody::default()))
    }

    /// Responds to a posted message.
    async fn answer<B>(self, mut parts: Parts, body: B) -> Result<Response<HttpBody>, Refusal>
    where
        B: http_body::Body + Send + 'static,
        B::Data: Send,
    {
        let (arrival, permit) = self.arrival(&mut parts)?;
        let deadline = arrival.deadline;
        let limit = self.endpoint.config().max_incoming_message;
        name_host(&mut parts);
        let check = |headers: &HeaderMap| check(headers, limit);
        let (handshake, mut grant) =
            self.endpoint.rules().decide_message(parts, arrival, check).await?;
        let message = read(body, limit, deadline).await?;
        let headers = std::mem::take(&mut grant.headers);
        let caller = self.endpoint.one_shot(handshake, grant);
        let (tracker, http_caller) =
            self.endpoint.registry().receive(caller.context()).ok_or_else(shutting_down)?;
        match caller.handle(message, tracker, Box::new((http_caller, permit))).await {
            OneShotOutcome::Text(text) => Ok(json(text, headers)),
            OneShotOutcome::Nothing => Ok(nothing(headers)),
            OneShotOutcome::CutOff => Err(cut_off()),
        }
    }
}

/// From the announced upgrade to the end of the connection.
async fn serve(opening: Pin<Box<impl Future<Output = Option<Pin<Box<Serving>>>>>>, remote: Remote) {
    let Some(serving) = opening.await else {
        return tracing::debug!(%remote, "handshake failed: no upgrade by the HTTP server in time");
    };
    let reason = serving.await;
    tracing::debug!(%remote, reason = %Wordless(&reason), "connection ended");
}

/// Copies headers, because a request's headers may share the buffer that the request was read into.
fn copied(headers: &HeaderMap) -> HeaderMap {
    let copy = |value: &HeaderValue| {
        let mut copy = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        copy.set_sensitive(value.is_sensitive());
        Some(copy)
    };
    let mut copies = HeaderMap::with_capacity(headers.keys_len());
    for (name, value) in headers {
        if let Some(value) = copy(value) {
            copies.append(name, value);
        }
    }
    copies
}

/// The HTTP server of an endpoint may run on another executor.
fn is_in_runtime() -> bool {
    runtime::check().map_err(|error| tracing::error!(%error, "cannot serve the request")).is_ok()
}

fn wrong_method() -> Refusal {
    let words =
        "method not allowed; open a WebSocket with GET, or send a JSON-RPC message with POST";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words)
        .header(ALLOW, HeaderValue::from_static("GET, POST"))
}

fn shutting_down() -> Refusal {
    Refusal::full(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down")
}

/// Without `Retry-After`, because the request might then be executed twice.
fn cut_off() -> Refusal {
    let words =
        "the server shut down before the request was answered; it may still have been executed";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
}

fn full() -> Refusal {
    let words = "the server has reached its connection limit; try again later";
    Refusal::full(StatusCode::SERVICE_UNAVAILABLE, words)
}

impl<B> tower_service::Service<Request<B>> for HttpService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<HttpBody>;
    type Error = Infallible;
    type Future = Responding;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Responding {
        self.respond(request)
    }
}

impl<B> hyper::service::Service<Request<B>> for HttpService
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
{
    type Response = Response<HttpBody>;
    type Error = Infallible;
    type Future = Responding;

    fn call(&self, request: Request<B>) -> Responding {
        self.respond(request)
    }
}

impl fmt::Debug for HttpService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpService")
            .field("endpoint", &self.endpoint)
            .field("secure", &self.options.secure)
            .finish_non_exhaustive()
    }
}

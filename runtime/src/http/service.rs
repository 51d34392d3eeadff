//! [`HttpService`]: an endpoint as a tower service in any HTTP server. It opens WebSockets and
//! answers messages that are posted.

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

/// An [`Endpoint`] as one route of a web application: a tower service, and one of hyper's. Made by
/// [`Endpoint::http_service`]. Cheap to clone. Needs the feature `tower`.
///
/// - A WebSocket request is upgraded. The handshake, the `Origin` check, the
///   [`Authorize`](crate::server::Authorize) hook and the limits are those of a [`Server`](crate::Server);
///   after the upgrade the connection has the raw socket, in a task of its own, if the server around
///   it runs on TCP.
/// - A POST with `Content-Type: application/json` (or `application/json-rpc`,
///   `application/jsonrequest`) is one JSON-RPC message, single or batch, and its answer the body of
///   the response, with status 200 whatever it says; a message of notifications only has no answer,
///   and gets status 204. The path, the `Origin` and the hook are looked at for each. Such a caller has no socket: calling it
///   back fails with [`CloseReason::NoSocket`](crate::error::CloseReason::NoSocket), which it sees as
///   -32006, as it does for subscriptions. It may hang up, which handlers see as the end of a
///   connection.
/// - Other methods get status 405.
///
/// Below axum's `nest_service`, the path is what is left of it without the prefix, for
/// [`ServerBuilder::path`](crate::server::ServerBuilder::path) and in
/// [`Handshake::target`](field@crate::server::Handshake::target).
///
/// What outer layers leave in the request's extensions is found by
/// [`Context::get`](crate::Context::get) and in [`Handshake::extensions`](crate::server::Handshake).
///
/// [`Config::max_connections`](crate::Config::max_connections) counts POSTs, too, until the last of
/// their handlers has ended. [`Config::handshake_timeout`](crate::Config::handshake_timeout) bounds
/// the reading of a POST, and
/// [`Config::max_incoming_message`](crate::Config::max_incoming_message) its size: else it is 408, or
/// 413. WebSockets over HTTP/2 (RFC 8441) are not supported; browsers use HTTP/1.1 for them where a
/// server does not offer that.
///
/// What counts for each connection counts for each POST anew,
/// [`Config::max_in_flight`](crate::Config::max_in_flight) and a rate limit for one; a route of
/// `axum::routing::get_service` around it leaves POST out. TLS is the business of the server around it: a
/// certificate that the builder was given is not looked at.
///
/// In an axum application it is `Router::new().route_service("/rpc", endpoint.http_service())`. Take the
/// feature `axum` for that: it knows the client's address by axum's `ConnectInfo<SocketAddr>`, and keeps
/// a small copy of axum's `OriginalUri` in place of the 8 KiB that the request was read into.
///
/// # Slow clients
///
/// Until a request has come, the connection is the business of the server around the endpoint. Two
/// common ones set no timeout: with `axum::serve`, and with hyper-util's `auto::Builder` while it
/// waits for the first bytes, a client that says nothing keeps its connection for as long as it likes.
/// Put a reverse proxy with timeouts in front of them, or serve with hyper's `http1::Builder` and a timer,
/// as below. `examples/axum_app.rs` does so with an axum application, and shuts it down.
///
/// A bare hyper server also has to allow upgrades:
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
/// // For the head of a request; the wait for the next request counts, too.
/// http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
/// tokio::spawn(async move {
///     loop {
///         let Ok((stream, _)) = listener.accept().await else {
///             // No file descriptor is left, for example.
///             sleep(Duration::from_millis(100)).await;
///             continue;
///         };
///         let serving = http.serve_connection(TokioIo::new(stream), service.clone());
///         // For everything else, such as a client that does not read an answer. A WebSocket is not
///         // affected: it leaves hyper when it is upgraded.
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
    /// This endpoint as a route of a web application; see [`HttpService`]. Needs the feature `tower`.
    pub fn http_service(&self) -> HttpService {
        let options = Options { secure: self.rules().behind_tls, ..Options::default() };
        HttpService { endpoint: self.clone(), options: Arc::new(options) }
    }
}

impl HttpService {
    /// How to tell the client's address from a request: for
    /// [`Handshake::remote_addr`](crate::server::Handshake::remote_addr), the log, and
    /// [`Config::max_connections_per_address`](crate::Config::max_connections_per_address), which
    /// limits nobody without it. Behind a proxy it may come from a header, if the proxy sets it. A
    /// panic in it is logged, and refuses the request with status 500.
    ///
    /// Default: not known; with the feature `axum`, what an application has that was made with
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    ///
    /// ```
    /// # use std::net::SocketAddr;
    /// # let endpoint = wsjsonrpc::Server::builder().build().unwrap();
    /// // Put there by whoever has accepted the connection.
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

    /// Whether clients speak TLS, with the server around it or with a proxy in front of it: then a page
    /// that came without TLS is not one of the own host. Default:
    /// [`ServerBuilder::secure`](crate::server::ServerBuilder::secure), and that is `false`.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.options_mut().secure = secure;
        self
    }

    /// Does not keep this type of the request's extensions as long as a WebSocket lasts: nothing
    /// finds it. What a router leaves there for its own use takes memory in each connection: an
    /// [`http::Uri`] or a header's value that hyper has made holds on to the 8 KiB that the request was
    /// read into.
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
                tracing::debug!(status, "a request was refused");
                refuse(&refusal)
            }))
        })
    }

    /// What is known of a client before it is authorized, and its permit.
    fn arrival(&self, parts: &mut Parts) -> Result<(Arrival, Option<ConnectionPermit>), Refusal> {
        if self.endpoint.connections().is_draining() {
            return Err(shutting_down());
        }
        let remote_addr = match &self.options.remote_addr {
            Some(find) => catch_unwind(|| find(parts)).map_err(|Panicked| {
                tracing::error!("the closure of `HttpService::remote_addr` panicked");
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

    /// Opens a WebSocket, which then runs in a task of its own.
    async fn open(self, mut parts: Parts) -> Result<Response<HttpBody>, Refusal> {
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let (arrival, permit) = self.arrival(&mut parts)?;
        let deadline = arrival.deadline;
        parts.headers = copied(&parts.headers);
        let rules = self.endpoint.rules();
        let welcome = rules.decide(Request::from_parts(parts, ()), arrival).await?;
        let Some(upgrade) = upgrade else {
            let words = "the HTTP server around this endpoint can't upgrade connections";
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

    /// Answers a posted message.
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
            self.endpoint.connections().receive(caller.link()).ok_or_else(shutting_down)?;
        match caller.handle(message, tracker, Box::new((http_caller, permit))).await {
            OneShotOutcome::Text(text) => Ok(json(text, headers)),
            OneShotOutcome::Nothing => Ok(nothing(headers)),
            OneShotOutcome::CutOff => Err(cut_off()),
        }
    }
}

/// From the promised upgrade to the end of the connection.
async fn serve(opening: Pin<Box<impl Future<Output = Option<Pin<Box<Serving>>>>>>, remote: Remote) {
    let Some(serving) = opening.await else {
        return tracing::debug!(%remote, "no connection: it was not upgraded");
    };
    let reason = serving.await;
    tracing::debug!(%remote, reason = %Wordless(&reason), "connection ended");
}

/// Copies headers, as a request's headers may share the buffer that it was read into.
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

/// The HTTP server around an endpoint may run on another executor.
fn is_in_runtime() -> bool {
    runtime::check().map_err(|error| tracing::error!(%error, "a request can't be served")).is_ok()
}

fn wrong_method() -> Refusal {
    let words = "a WebSocket is opened with GET, and a JSON-RPC message is sent with POST";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words)
        .header(ALLOW, HeaderValue::from_static("GET, POST"))
}

fn shutting_down() -> Refusal {
    Refusal::full(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down")
}

/// Without `Retry-After`: the request might be executed twice.
fn cut_off() -> Refusal {
    let words = "the server shuts down, and its handlers go on without an answer";
    Refusal::new(StatusCode::SERVICE_UNAVAILABLE, words)
}

fn full() -> Refusal {
    let words = "the server is full, and busy with refusing others";
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

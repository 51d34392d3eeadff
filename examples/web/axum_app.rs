//! A web application with axum. Axum serves the pages, the login form and the sessions. The route `/rpc` serves
//! JSON-RPC over WebSocket and HTTP POST, for the user that the application's session layer has found. Metrics
//! are at `/metrics`.
//!
//! Run it with `cargo run -p examples-web --example axum_app [ADDR]` (default 127.0.0.1:8096; port 0 chooses a
//! free one) and open the address in two browser windows. Ctrl-C shuts it down gracefully.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{ConnectInfo, Form, Request, State};
use axum::http::StatusCode;
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use axum::{Extension, Router};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};
use wsjsonrpc::error::BindError;
use wsjsonrpc::group::Presence;
use wsjsonrpc::middleware::Metrics;
use wsjsonrpc::server::{Connection, Grant, Refusal, Rejection};
use wsjsonrpc::{Config, Context, Endpoint, Group, Result, Server, rpc};

/// What a page calls on the server.
#[rpc(namespace = "room")]
trait Room {
    /// The names of the users in the room.
    async fn users(&self, ctx: &Context) -> Result<Vec<String>>;
    /// Shows a text on all pages in the room and returns how many of them have shown it.
    async fn say(&self, ctx: &Context, text: &str) -> Result<usize>;
}

/// What the server calls on a page.
#[rpc(namespace = "page")]
trait Page {
    /// Shows a text and returns whether it is on the screen.
    async fn show(&self, ctx: &Context, from: &str, text: &str) -> Result<bool>;
}

/// The user of a session. The session layer stores it in the request's extensions.
#[derive(Clone)]
struct User {
    name: String,
    session: Session,
}

/// The cookie's value.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Session(Arc<str>);

/// How long `say` waits for a page. It does not count a page that has not answered by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// The pages of all users. A page leaves when its connection ends.
#[derive(Clone)]
struct Lobby(Presence<String>);

impl Lobby {
    fn pages(&self) -> PageClient {
        self.0.group().client()
    }

    /// Runs for each new page, before the server handles its calls.
    async fn enter(self, page: Connection) -> Result<(), Rejection> {
        let name = page.require::<User>()?.name.clone();
        page.client::<PageClient>().show("room", &format!("Welcome, {name}!")).await?;
        self.0.join(&page.peer(), name);
        Ok(())
    }

    /// Runs after the end of each page's connection.
    async fn leave(self, page: Connection) {
        let Some(user) = page.get::<User>() else { return };
        // The user may have another page.
        if !self.0.contains(&user.name) {
            let _ = self.pages().show("room", &format!("{} has left", user.name)).broadcast();
        }
    }
}

impl Room for Lobby {
    async fn users(&self, _: &Context) -> Result<Vec<String>> {
        Ok(self.0.users())
    }

    async fn say(&self, ctx: &Context, text: &str) -> Result<usize> {
        // The calls run concurrently, so that a page that is slow or gone does not delay the others.
        let call = self.pages().show(&ctx.require::<User>()?.name, text).timeout(PATIENCE);
        let (mut results, mut count) = (call.call_all(), 0);
        while let Some((_, shown)) = results.next().await {
            count += usize::from(shown.unwrap_or(false));
        }
        Ok(count)
    }
}

/// The sessions, and the time of the login. A real application keeps them in a database.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<Session, (User, Instant)>>>);

/// How long a session lasts.
const SESSION: Duration = Duration::from_secs(12 * 60 * 60);
/// Everyone can log in to this example, so the number of sessions is limited.
const MAX_SESSIONS: usize = 10_000;

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Session, (User, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a session. `None` if there are too many.
    fn start(&self, name: &str) -> Option<Session> {
        let session = Session(format!("{:032x}", rand::random::<u128>()).into());
        let mut sessions = self.lock();
        if sessions.len() >= MAX_SESSIONS {
            sessions.retain(|_, (_, start)| start.elapsed() < SESSION);
        }
        if sessions.len() >= MAX_SESSIONS {
            return None;
        }
        let user = User { name: name.to_owned(), session: session.clone() };
        sessions.insert(session.clone(), (user, Instant::now()));
        Some(session)
    }

    fn user(&self, request: &Request) -> Option<User> {
        // `to_str` would fail if a cookie of another application has bytes outside ASCII.
        let lines = request.headers().get_all(COOKIE).into_iter();
        let mut cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        let session = cookies.find_map(|cookie| cookie.trim_ascii().strip_prefix(b"session="))?;
        let session = Session(std::str::from_utf8(session).ok()?.into());
        let sessions = self.lock();
        let (user, start) = sessions.get(&session)?;
        (start.elapsed() < SESSION).then(|| user.clone())
    }
}

/// The session layer: finds the user for all routes.
async fn identify(State(sessions): State<Sessions>, mut request: Request, next: Next) -> Response {
    if let Some(user) = sessions.user(&request) {
        request.extensions_mut().insert(user);
    }
    next.run(request).await
}

async fn index(user: Option<Extension<User>>) -> Html<&'static str> {
    match user {
        Some(_) => Html(include_str!("axum_app/room.html")),
        None => Html(include_str!("axum_app/login.html")),
    }
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// A real application would check a password.
async fn login(State(sessions): State<Sessions>, Form(login): Form<Login>) -> Response {
    let name = login.name.trim();
    if name.is_empty() || name.len() > 64 {
        return (StatusCode::BAD_REQUEST, "a name must have 1 to 64 bytes").into_response();
    }
    let Some(session) = sessions.start(name) else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many users are logged in").into_response();
    };
    let age = SESSION.as_secs();
    let cookie = format!("session={}; Max-Age={age}; HttpOnly; SameSite=Strict; Path=/", session.0);
    ([(SET_COOKIE, cookie)], Redirect::to("/")).into_response()
}

/// Ends the session, and the connections of all pages that belong to it.
async fn logout(
    State((sessions, endpoint)): State<(Sessions, Endpoint)>,
    user: Option<Extension<User>>,
) -> Redirect {
    if let Some(Extension(User { session, .. })) = user {
        sessions.lock().remove(&session);
        for connection in endpoint.connections_of(&session) {
            connection.close(4001, "logged out");
        }
    }
    Redirect::to("/")
}

async fn metrics(State(metrics): State<PrometheusHandle>) -> String {
    metrics.render()
}

/// The JSON-RPC endpoint. It refuses a request without a session with status 401 and opens no connection.
pub(crate) fn endpoint() -> Result<Endpoint, BindError> {
    let lobby = Lobby(Presence::of(&Group::new()));
    let (entering, leaving) = (lobby.clone(), lobby.clone());
    Server::builder()
        .service(lobby.into_service())
        .middleware(Metrics::new())
        .authorize_fn(|handshake| async move {
            match handshake.extensions.get::<User>() {
                // `logout` finds the connection by its session.
                Some(user) => Ok(Grant::new().identify(user.session.clone())),
                None => Err(Refusal::unauthorized("log in first")),
            }
        })
        .on_connect(move |page| entering.clone().enter(page))
        .on_disconnect(move |page, _reason| leaving.clone().leave(page))
        .config(Config {
            // Enough for a line of text.
            max_incoming_message: 64 << 10,
            // Omit this limit behind a reverse proxy: there, all connections come from the proxy's address.
            max_connections_per_address: Some(100),
            ..Config::default()
        })
        .build()
}

/// The whole application.
pub(crate) fn app(endpoint: &Endpoint, recorder: PrometheusHandle) -> Router {
    let sessions = Sessions::default();
    Router::new()
        .route("/", get(index))
        .route("/login", post(login).with_state(sessions.clone()))
        .route("/logout", post(logout).with_state((sessions.clone(), endpoint.clone())))
        .route("/metrics", get(metrics).with_state(recorder))
        .route_service("/rpc", endpoint.http_service())
        .layer(from_fn_with_state(sessions, identify))
}

/// The maximum number of HTTP connections at the same time. Further clients wait.
const MAX_CONNECTIONS: usize = 1000;
/// How long a client may take to send the head of a request. It also bounds how long a connection may be idle.
const HEAD: Duration = Duration::from_secs(10);
/// The maximum age of an HTTP connection. After that, the server completes the current response and closes the
/// connection. This bounds clients that send a body or read a response byte by byte.
const AGE: Duration = Duration::from_secs(60);
/// How long the last response of a connection may take.
const GRACE: Duration = Duration::from_secs(10);

/// Serves the application until `stop` is ready and all HTTP connections have ended.
///
/// `axum::serve` would be one line, but it has no timeouts: a client that sends half a request and stops keeps
/// its connection and blocks a graceful shutdown. Use `axum::serve` behind a reverse proxy that has timeouts.
///
/// These limits end with the upgrade to a WebSocket. From then on, those of `Config` apply.
pub(crate) async fn serve(mut listener: TcpListener, app: Router, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(64 << 10);
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let (stopping, stopped) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let accepting = async {
            let permit = Arc::clone(&permits).acquire_owned().await;
            (permit, Listener::accept(&mut listener).await)
        };
        let (permit, (stream, address)) = tokio::select! {
            accepted = accepting => accepted,
            () = &mut stop => break,
        };
        let app = TowerToHyperService::new(app.clone());
        let service = service_fn(move |mut request: hyper::Request<Incoming>| {
            // The endpoint reads the client's address from here.
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(address));
            app.call(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                _ = connection.as_mut() => true,
                () = sleep(AGE) => false,
                _ = stopped.changed() => false,
            };
            if !ended {
                connection.as_mut().graceful_shutdown();
                let _ = timeout(GRACE, connection).await;
            }
            drop((permit, stopped));
        });
    }
    drop((listener, stopped));
    // Notifies all connections and waits until the last one has ended.
    let _ = stopping.send(());
    stopping.closed().await;
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let endpoint = endpoint()?;
    let app = app(&endpoint, PrometheusBuilder::new().install_recorder()?);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8096".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("Open http://{}/", listener.local_addr()?);

    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Cannot listen for Ctrl-C, shutting down: {error}");
        }
    };
    serve(listener, app, stop).await;
    // Then the WebSocket connections.
    let aborted = endpoint.shutdown().await;
    println!("The server has shut down; {aborted} handlers were aborted");
    Ok(())
}

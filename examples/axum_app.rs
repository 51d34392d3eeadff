//! One route of a web application: pages, forms and sessions are axum's; calls over a WebSocket or by
//! HTTP POST are this crate's, on `/rpc`, with the user that the application's own session layer has
//! found. Metrics are at `/metrics`.
//!
//! Run it with `cargo run --example axum_app [ADDR]` (default 127.0.0.1:8096) and open the address in
//! two browser windows. Ctrl-C shuts it down.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Form, Request, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde::Deserialize;
use tokio::net::TcpListener;
use wsjsonrpc::middleware::{Metrics, RequireIdentity};
use wsjsonrpc::{BindError, Context, Endpoint, Peer, Result, Server, rpc};

/// What a page calls.
#[rpc(namespace = "room")]
trait Room {
    /// Enters the room; gives who is in it. The page is called back before it is answered.
    async fn join(&self, ctx: &Context) -> Result<Vec<String>>;
    /// Shows a text on all pages in the room; gives how many have shown it.
    async fn say(&self, ctx: &Context, text: &str) -> Result<usize>;
}

/// What the server calls on a page.
#[rpc(namespace = "page")]
trait Page {
    /// Gives whether the text is on the screen.
    async fn show(&self, ctx: &Context, from: &str, text: &str) -> Result<bool>;
}

/// Who has logged in; the session layer leaves it on the request.
#[derive(Clone)]
struct User {
    name: Arc<str>,
}

#[derive(Default)]
struct Lobby {
    members: Mutex<Vec<(Arc<str>, Peer)>>,
}

impl Lobby {
    /// Those who are still connected.
    fn members(&self) -> MutexGuard<'_, Vec<(Arc<str>, Peer)>> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|(_, peer)| !peer.is_closed());
        members
    }
}

impl Room for Lobby {
    async fn join(&self, ctx: &Context) -> Result<Vec<String>> {
        let name = Arc::clone(&ctx.require::<User>()?.name);
        ctx.client::<PageClient>().show("room", &format!("Welcome, {name}!")).await?;
        let mut members = self.members();
        members.push((name, ctx.peer()));
        Ok(members.iter().map(|(name, _)| name.to_string()).collect())
    }

    async fn say(&self, ctx: &Context, text: &str) -> Result<usize> {
        let name = Arc::clone(&ctx.require::<User>()?.name);
        let pages: Vec<PageClient> =
            self.members().iter().map(|(_, peer)| PageClient::new(peer)).collect();
        let mut shown = 0;
        for page in pages {
            // One that has gone meanwhile shows nothing.
            shown += usize::from(page.show(&name, text).await.unwrap_or(false));
        }
        Ok(shown)
    }
}

/// The application's sessions: a cookie's value to its user. A real one has them in a database.
#[derive(Clone, Default)]
struct Sessions(Arc<Mutex<HashMap<String, User>>>);

impl Sessions {
    fn begin(&self, name: &str) -> String {
        let session = format!("{:032x}", rand::random::<u128>());
        let user = User { name: name.into() };
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.insert(session.clone(), user);
        session
    }

    fn user(&self, request: &Request) -> Option<User> {
        let cookies = request.headers().get(COOKIE)?.to_str().ok()?;
        let session = cookies.split("; ").find_map(|cookie| cookie.strip_prefix("session="))?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(session).cloned()
    }
}

/// The session layer: finds out who it is, for everything below it.
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

/// A password would be looked at here.
async fn login(State(sessions): State<Sessions>, Form(login): Form<Login>) -> impl IntoResponse {
    let session = sessions.begin(&login.name);
    let cookie = format!("session={session}; HttpOnly; SameSite=Strict; Path=/");
    ([(SET_COOKIE, cookie)], Redirect::to("/"))
}

async fn metrics(State(metrics): State<PrometheusHandle>) -> String {
    metrics.render()
}

/// The calls: without a session, none is handled.
pub(crate) fn endpoint() -> Result<Endpoint, BindError> {
    Server::builder()
        .service(Lobby::default().into_service())
        .middleware(Metrics::new())
        .middleware(RequireIdentity::<User>::new())
        .build()
}

/// The whole application.
pub(crate) fn app(endpoint: &Endpoint, recorder: PrometheusHandle) -> Router {
    let sessions = Sessions::default();
    Router::new()
        .route("/", get(index))
        .route("/login", post(login).with_state(sessions.clone()))
        .route("/metrics", get(metrics).with_state(recorder))
        .route_service("/rpc", endpoint.http_service())
        .layer(from_fn_with_state(sessions, identify))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let endpoint = endpoint()?;
    let app = app(&endpoint, PrometheusBuilder::new().install_recorder()?);
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8096".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("open http://{}/", listener.local_addr()?);

    let stop = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("can't wait for Ctrl-C: {error}");
        }
    };
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).with_graceful_shutdown(stop).await?;
    // What was upgraded is no connection of axum's any more.
    let cut_off = endpoint.shutdown().await;
    println!("stopped; {cut_off} calls cut off");
    Ok(())
}

//! A chat server with rooms, for web pages and for the program `chat_client`.
//!
//! Run it with `cargo run -p examples-web --example chat_server [ADDR]` (default 127.0.0.1:8098; port 0 chooses a
//! free one) and open the address in two browsers. Ctrl-C shuts it down gracefully.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{Router, response::Html, routing::get};
use tokio::net::TcpListener;
use wsjsonrpc::group::{Groups, Presence};
use wsjsonrpc::server::{Connection, Rejection, ServerBuilder};
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Channel, Config, Context, Endpoint, ErrorObject, Group, Result, Server, Stream};

use api::{Chat, GuestClient, Message, User, Users};

pub(crate) mod api;

struct Room {
    name: &'static str,
    users: Presence<String>,
    messages: Channel<Message>,
}

struct Rooms {
    rooms: [Room; 3],
    /// The connections of each name. The members of such a group are present with their user's key.
    names: Groups<String>,
    naming: Mutex<()>,
}

impl Rooms {
    fn room(&self, name: &str) -> Result<&Room> {
        let room = self.rooms.iter().find(|room| room.name == name);
        room.ok_or_else(|| ErrorObject::new(1001, "there is no such room"))
    }

    /// Asks a new client who it is. The code of a `Rejection` also stops a client that reconnects.
    async fn admit(self: Arc<Self>, connection: Connection) -> Result<(), Rejection> {
        let user = connection.client::<GuestClient>().user().await?;
        if !is_text(&user.name, 32) || !(16..=64).contains(&user.key.len()) {
            return Err(Rejection::new(4000, "a name has 1 to 32 characters, a key 16 to 64"));
        }
        // One client after another, so that two users cannot take the same name.
        let _naming = self.naming.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = Presence::of(&self.names.group(&user.name));
        if keys.users().iter().any(|key| *key != user.key) {
            return Err(Rejection::new(4001, "this name is taken"));
        }
        keys.join(&connection.peer(), user.key.clone());
        connection.set(user);
        Ok(())
    }
}

impl Chat for Rooms {
    async fn join(&self, ctx: &Context, room: &str) -> Result<()> {
        self.room(room)?.users.join(&ctx.peer(), ctx.require::<User>()?.name.clone());
        Ok(())
    }

    async fn leave(&self, ctx: &Context, room: &str) -> Result<bool> {
        Ok(self.room(room)?.users.leave(&ctx.peer()))
    }

    async fn say(&self, ctx: &Context, room: &str, text: String) -> Result<u64> {
        let room = self.room(room)?;
        if !is_text(&text, 1000) || !room.users.group().contains(&ctx.peer()) {
            return Err(ErrorObject::new(1002, "join the room, and say 1 to 1000 characters"));
        }
        let from = ctx.require::<User>()?.name.clone();
        Ok(room.messages.publish(&Message { from, text })?)
    }

    fn read(&self, ctx: &Context, room: &str) -> Result<impl Stream<Item = Positioned<Message>>> {
        Ok(self.room(room)?.messages.subscribe(ctx).last(50))
    }

    fn users(&self, ctx: &Context, room: &str) -> Result<impl Stream<Item = Positioned<Users>>> {
        Ok(self.room(room)?.users.subscribe(ctx))
    }
}

/// Whether a text has 1 to `max` characters, and none that control a terminal.
fn is_text(text: &str, max: usize) -> bool {
    !text.trim().is_empty() && text.chars().count() <= max && !text.contains(char::is_control)
}

pub(crate) fn server() -> ServerBuilder {
    let rooms = ["lobby", "rust", "music"].map(|name| {
        let messages = Channel::builder().replay(1000).build();
        Room { name, users: Presence::of(&Group::new()), messages }
    });
    let rooms = Arc::new(Rooms { rooms, names: Groups::new(), naming: Mutex::new(()) });
    let service = Arc::clone(&rooms).into_service();
    let config = Config { max_incoming_message: 16 << 10, ..Config::default() };
    let admit = move |connection| Arc::clone(&rooms).admit(connection);
    Server::builder().service(service).config(config).on_connect(admit)
}

pub(crate) fn app(endpoint: &Endpoint) -> Router {
    let page = get(|| async { Html(include_str!("page.html")) });
    Router::new().route("/", page).route_service("/rpc", endpoint.http_service())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8098".to_owned());
    let (endpoint, listener) = (server().build()?, TcpListener::bind(address).await?);
    println!("Open http://{}/", listener.local_addr()?);
    // Put a reverse proxy in front, because `axum::serve` has no timeouts, or serve as in `axum_app`.
    tokio::select! {
        served = axum::serve(listener, app(&endpoint)).into_future() => served?,
        stop = tokio::signal::ctrl_c() => stop?,
    }
    println!("The server has shut down; {} handlers were aborted", endpoint.shutdown().await);
    Ok(())
}

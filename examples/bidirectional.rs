//! A server that calls its clients. It asks each new client for a name (a request) before it handles any call of
//! that client, and broadcasts each line to all of them (notifications).
//!
//! Run it with `cargo run -p examples --example bidirectional`. It ends by itself. A larger chat is in
//! `examples/web/chat`.

use std::time::Duration;

use tokio::sync::mpsc;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::group::SlowMember;
use wsjsonrpc::server::{Connection, Rejection, ServerBuilder};
use wsjsonrpc::{Client, Context, Error, Group, Result, Server, rpc};

/// What clients call on the server.
#[rpc(namespace = "room")]
trait Room {
    /// The number of guests.
    async fn guests(&self, ctx: &Context) -> Result<usize>;
    /// Sends a line to all guests.
    async fn say(&self, ctx: &Context, text: &str) -> Result<()>;
}

/// What the server calls on a client.
#[rpc(namespace = "guest")]
trait Guest {
    async fn name(&self, ctx: &Context) -> Result<String>;
    async fn heard(&self, ctx: &Context, who: &str, text: &str) -> Result<()>;
}

/// The guests. A guest leaves the group when its connection ends.
#[derive(Clone)]
struct Lobby(Group);

/// The guest's name. `enter` stores it on the connection.
struct Name(String);

impl Lobby {
    /// Runs for each new connection.
    async fn enter(self, connection: Connection) -> Result<(), Rejection> {
        let name = connection.client::<GuestClient>().name().await?;
        if name.trim().is_empty() || name.len() > 64 {
            return Err(Rejection::new(4000, "a name must have 1 to 64 bytes"));
        }
        self.0.insert(&connection.peer());
        self.broadcast("room", &format!("{name} enters"))?;
        connection.set(Name(name));
        Ok(())
    }

    /// Runs after the end of each connection whose guest has entered.
    async fn leave(self, connection: Connection, reason: CloseReason) {
        let Some(name) = connection.get::<Name>() else { return };
        if let Err(error) = self.broadcast("room", &format!("{} leaves: {reason}", name.0)) {
            println!("The other guests do not know that {} has left: {error}", name.0);
        }
    }

    /// Queues a line for all guests. It does not wait for any of them.
    fn broadcast(&self, who: &str, text: &str) -> Result<(), Error> {
        let report = self.0.client::<GuestClient>().heard(who, text).broadcast()?;
        if report.dropped > 0 {
            println!("{} guests were too slow for a line", report.dropped);
        }
        Ok(())
    }
}

impl Room for Lobby {
    async fn guests(&self, _: &Context) -> Result<usize> {
        Ok(self.0.len())
    }

    async fn say(&self, ctx: &Context, text: &str) -> Result<()> {
        self.broadcast(&ctx.require::<Name>()?.0, text)?;
        Ok(())
    }
}

struct Person {
    name: &'static str,
    heard: mpsc::Sender<String>,
}

impl Guest for Person {
    async fn name(&self, _: &Context) -> Result<String> {
        Ok(self.name.to_owned())
    }

    async fn heard(&self, _: &Context, who: &str, text: &str) -> Result<()> {
        self.heard.send(format!("{} hears {who}: {text}", self.name)).await?;
        Ok(())
    }
}

pub(crate) fn server() -> ServerBuilder {
    // A line waits for at most 5 s for space in the send queue of a slow guest (`Config::max_send_queue`).
    let slow = SlowMember::Wait(Duration::from_secs(5));
    let lobby = Lobby(Group::builder().slow_member(slow).build());
    let (entered, left) = (lobby.clone(), lobby.clone());
    Server::builder()
        .service(lobby.into_service())
        .on_connect(move |connection| entered.clone().enter(connection))
        .on_disconnect(move |connection, reason| left.clone().leave(connection, reason))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server = server().bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());

    let (heard, mut lines) = mpsc::channel(16);
    let ada = Person { name: "Ada", heard: heard.clone() };
    let ada = Client::builder().service(ada.into_service()).connect(&url).await?;
    let ada = RoomClient::new(ada);
    println!("Guests after Ada entered: {}", ada.guests().await?);

    let bob = Person { name: "Bob", heard };
    let bob = Client::builder().service(bob.into_service()).connect(&url).await?;
    let bob = RoomClient::new(bob);
    println!("Guests after Bob entered: {}", bob.guests().await?);

    ada.say("Hello, Bob!").await?;
    bob.say("Hello, Ada!").await?;
    // One line for Ada when she entered, and two for each of the next three broadcasts.
    for _ in 0..7 {
        println!("{}", lines.recv().await.unwrap_or_default());
    }
    drop(bob);
    println!("{}", lines.recv().await.unwrap_or_default());
    Ok(())
}

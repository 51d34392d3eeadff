//! A chat: clients call the server, and the server calls its clients. It pushes each line to all of
//! them (a notification), and asks each newcomer for a name (a request) while that client's own call
//! waits for its answer.
//!
//! Run it with `cargo run --example bidirectional`. It ends by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, ErrorObject, Peer, Result, Server, rpc};

/// What the server does for its clients.
#[rpc(namespace = "room")]
trait Room {
    /// Returns the number of guests. Entering again only changes the name.
    async fn enter(&self, ctx: &Context) -> Result<usize>;
    async fn say(&self, ctx: &Context, text: &str) -> Result<()>;
}

/// What a client does for the server.
#[rpc(namespace = "guest")]
trait Guest {
    async fn name(&self, ctx: &Context) -> Result<String>;
    async fn heard(&self, ctx: &Context, who: &str, text: &str) -> Result<()>;
}

/// How long a line waits for room in a guest's send queue (`Config::max_send_queue`). Only a guest that
/// does not read has none for so long.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Lobby {
    guests: Mutex<Vec<Peer>>,
}

/// What `enter` leaves on the connection.
struct Name(String);

impl Lobby {
    /// The guests that are still connected.
    fn guests(&self) -> MutexGuard<'_, Vec<Peer>> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|guest| !guest.is_closed());
        guests
    }

    /// Pushes a line to all guests at the same time, so that a slow guest holds up no other.
    async fn tell_all(&self, who: &str, text: &str) {
        // A copy: no lock is held while lines wait.
        let guests = self.guests().clone();
        let lines = guests.iter().map(|guest| async move {
            let line = GuestClient::new(guest).heard(who, text).notify();
            if timeout(PATIENCE, line).await.is_err() {
                // It has to leave, and may connect again.
                guest.close(1013, "too slow");
                self.guests().retain(|other| !other.is_same(guest));
            }
        });
        join_all(lines).await;
    }
}

impl Room for Lobby {
    async fn enter(&self, ctx: &Context) -> Result<usize> {
        let name = ctx.client::<GuestClient>().name().await?;
        if name.trim().is_empty() || name.len() > 64 {
            return Err(ErrorObject::new(1001, "a name has 1 to 64 bytes"));
        }
        let line = format!("{name} came in");
        let newcomer = ctx.set(Name(name)).is_none();
        let present = {
            let mut guests = self.guests();
            if newcomer {
                guests.push(ctx.peer());
            }
            guests.len()
        };
        self.tell_all("room", &line).await;
        Ok(present)
    }

    async fn say(&self, ctx: &Context, text: &str) -> Result<()> {
        let name = ctx.require::<Name>()?;
        self.tell_all(&name.0, text).await;
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
    Server::builder().service(Lobby::default().into_service())
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
    println!("present: {}", ada.enter().await?);

    let bob = Person { name: "Bob", heard };
    let bob = Client::builder().service(bob.into_service()).connect(&url).await?;
    let bob = RoomClient::new(bob);
    println!("present: {}", bob.enter().await?);

    ada.say("Hello, Bob!").await?;
    bob.say("Hello, Ada!").await?;
    for _ in 0..7 {
        println!("{}", lines.recv().await.unwrap_or_default());
    }
    Ok(())
}

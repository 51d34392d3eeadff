//! A chat. Clients call the server, and the server calls its clients: it asks each new guest for a name (a
//! request) while the guest's own call is in flight, and pushes each line to all guests (notifications).
//!
//! Run it with `cargo run -p examples --example bidirectional`. It ends by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::time::timeout;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, ErrorObject, Peer, Result, Server, rpc};

/// What clients call on the server.
#[rpc(namespace = "room")]
trait Room {
    /// Enters the room and returns the number of guests. A second call only changes the name.
    async fn enter(&self, ctx: &Context) -> Result<usize>;
    /// Sends a line to all guests.
    async fn say(&self, ctx: &Context, text: &str) -> Result<()>;
}

/// What the server calls on a client.
#[rpc(namespace = "guest")]
trait Guest {
    async fn name(&self, ctx: &Context) -> Result<String>;
    async fn heard(&self, ctx: &Context, who: &str, text: &str) -> Result<()>;
}

/// How long a line may wait for space in a guest's send queue (`Config::max_send_queue`). The queue stays full
/// for so long only if the guest does not read.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Default)]
struct Lobby {
    guests: Mutex<Vec<Peer>>,
}

/// The guest's name. `enter` stores it on the connection.
struct Name(String);

impl Lobby {
    /// The guests that are still connected.
    fn guests(&self) -> MutexGuard<'_, Vec<Peer>> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|guest| !guest.is_closed());
        guests
    }

    /// Sends a line to all guests concurrently, so that a slow guest does not delay the others.
    async fn broadcast(&self, who: &str, text: &str) {
        // Clone the list: a lock must not be held across an await.
        let guests = self.guests().clone();
        let lines = guests.iter().map(|guest| async move {
            let line = GuestClient::new(guest).heard(who, text).notify();
            if timeout(PATIENCE, line).await.is_err() {
                // Disconnect the slow guest. It may reconnect.
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
            return Err(ErrorObject::new(1001, "a name must have 1 to 64 bytes"));
        }
        let line = format!("{name} enters");
        let is_new = ctx.set(Name(name)).is_none();
        let count = {
            let mut guests = self.guests();
            if is_new {
                guests.push(ctx.peer());
            }
            guests.len()
        };
        self.broadcast("room", &line).await;
        Ok(count)
    }

    async fn say(&self, ctx: &Context, text: &str) -> Result<()> {
        let name = ctx.require::<Name>()?;
        self.broadcast(&name.0, text).await;
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
    println!("Guests after Ada entered: {}", ada.enter().await?);

    let bob = Person { name: "Bob", heard };
    let bob = Client::builder().service(bob.into_service()).connect(&url).await?;
    let bob = RoomClient::new(bob);
    println!("Guests after Bob entered: {}", bob.enter().await?);

    ada.say("Hello, Bob!").await?;
    bob.say("Hello, Ada!").await?;
    // One line for the first guest when it entered, and two for each of the other three broadcasts.
    for _ in 0..7 {
        println!("{}", lines.recv().await.unwrap_or_default());
    }
    Ok(())
}

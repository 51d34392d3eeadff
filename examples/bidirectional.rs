//! A chat: clients call the server, and the server calls its clients. It pushes each line to all of
//! them (a notification), and asks each newcomer for a name (a request) while that client's own call
//! waits for its answer.
//!
//! Run it with `cargo run --example bidirectional`. It ends by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use tokio::sync::mpsc;
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

#[derive(Default)]
pub(crate) struct Lobby {
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

    /// Pushes a line to all guests, and waits for none of them.
    fn tell_all(&self, who: &str, text: &str) {
        // A copy, so that the lock is not held while lines are queued.
        let guests = self.guests().clone();
        for guest in guests {
            let line = GuestClient::new(&guest).heard(who, text).notify();
            // A notification is ready at once, unless the guest's send queue is full
            // (`Config::max_outbox`). Awaiting it would let one guest that does not read hold up all
            // the others. So such a guest has to leave; it may connect again.
            if line.into_future().now_or_never().is_none() {
                guest.close(1013, "too slow");
                self.guests().retain(|other| !other.is_same(&guest));
            }
        }
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
        self.tell_all("room", &line);
        Ok(present)
    }

    async fn say(&self, ctx: &Context, text: &str) -> Result<()> {
        let name = ctx.require::<Name>()?;
        self.tell_all(&name.0, text);
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

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let lobby = Lobby::default().into_service();
    let server = Server::builder().service(lobby).bind("127.0.0.1:0").await?;
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

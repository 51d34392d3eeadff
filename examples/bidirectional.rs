//! A chat: clients call the server, and the server calls its clients. It pushes every line to all
//! of them (a notification), and asks each newcomer for a name (a request) while that client's own
//! call waits for its answer.
//!
//! Run it with `cargo run --example bidirectional`. It ends by itself.

use std::sync::Mutex;

use tokio::sync::mpsc;
use wsjsonrpc::{Client, Context, ErrorObject, Peer, Result, Server, rpc};

/// What the server does for its clients.
#[rpc(namespace = "room")]
trait Room {
    /// Gives the number of those who are there.
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
struct Lobby {
    guests: Mutex<Vec<Peer>>,
}

/// What `enter` leaves on the connection.
struct Name(String);

impl Lobby {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Peer>> {
        self.guests.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    async fn tell_all(&self, who: &str, text: &str) {
        // A copy, so that no lock is held while messages are sent.
        let guests = self.lock().clone();
        for guest in guests {
            if GuestClient::new(&guest).heard(who, text).notify().await.is_err() {
                self.lock().retain(|known| !known.is_same(&guest));
            }
        }
    }
}

impl Room for Lobby {
    async fn enter(&self, ctx: &Context) -> Result<usize> {
        let name = ctx.client::<GuestClient>().name().await?;
        if name.trim().is_empty() {
            return Err(ErrorObject::new(1001, "a guest needs a name"));
        }
        self.lock().push(ctx.peer().clone());
        let present = self.lock().len();
        self.tell_all("room", &format!("{name} came in")).await;
        ctx.set(Name(name));
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
    heard: mpsc::UnboundedSender<String>,
}

impl Guest for Person {
    async fn name(&self, _: &Context) -> Result<String> {
        Ok(self.name.to_owned())
    }

    async fn heard(&self, _: &Context, who: &str, text: &str) -> Result<()> {
        self.heard.send(format!("{} hears {who}: {text}", self.name))?;
        Ok(())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let lobby = Lobby::default().into_service();
    let server = Server::builder().service(lobby).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());

    let (heard, mut lines) = mpsc::unbounded_channel();
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

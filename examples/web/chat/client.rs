//! A chat in the terminal. It reconnects, and then continues after the last message that it has shown.
//!
//! Run it with `cargo run -p examples-web --example chat_client NAME [ROOM] [URL]` (default lobby, and
//! ws://127.0.0.1:8098/rpc) while `cargo run -p examples-web --example chat_server` runs. Each line of the input is
//! a message. The end of the input (Ctrl-D) ends the client.

use tokio::sync::mpsc;
use wsjsonrpc::client::{ClientBuilder, ConnectionState, Reconnect};
use wsjsonrpc::group::PresenceEvent;
use wsjsonrpc::{Client, Context, Error, Result, Subscription};

use api::{ChatClient, Guest, Message, User, Users};

pub(crate) mod api;

impl Guest for User {
    async fn user(&self, _: &Context) -> Result<User> {
        Ok(self.clone())
    }
}

pub(crate) fn client(user: User, room: String) -> ClientBuilder {
    Client::builder()
        .service(user.into_service())
        .reconnect(Reconnect::default())
        // The server sees a new connection, so the client enters the room again.
        .on_connect(move |peer| {
            let room = room.clone();
            async move { Ok(ChatClient::new(peer).join(&room).await?) }
        })
        .on_state(|state| {
            if let ConnectionState::Down { reason, .. } = state {
                println!("* connection lost, reconnecting: {reason}");
            }
        })
}

/// The next item of a stream that resumes. Reports gaps.
async fn next<T>(stream: &mut Subscription<T>) -> anyhow::Result<T>
where
    T: serde::de::DeserializeOwned,
{
    loop {
        match stream.next().await {
            Some(Ok(item)) => return Ok(item),
            Some(Err(Error::Gap(gap))) => println!("* {gap}"),
            Some(Err(error)) => return Err(error.into()),
            None => anyhow::bail!("the server has ended the chat"),
        }
    }
}

async fn show_messages(mut messages: Subscription<Message>) -> anyhow::Result<()> {
    loop {
        let Message { from, text } = next(&mut messages).await?;
        println!("{from}: {text}");
    }
}

async fn show_users(mut users: Subscription<Users>) -> anyhow::Result<()> {
    loop {
        match next(&mut users).await? {
            PresenceEvent::Present(names) => println!("* here: {}", names.join(", ")),
            PresenceEvent::Joined(name) => println!("* {name} joins"),
            PresenceEvent::Left(name) => println!("* {name} leaves"),
        }
    }
}

/// Sends the lines of the input until its end.
async fn send(chat: &ChatClient, room: &str) -> anyhow::Result<()> {
    let (sender, mut lines) = mpsc::channel(16);
    // In a separate thread, because the program could not end while tokio's `Stdin` waits for a line.
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(std::io::Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = lines.recv().await {
        // Not idempotent: if the connection is lost meanwhile, the message may have arrived or not.
        if let Err(error) = chat.say(room, line).await {
            println!("* not confirmed: {error}");
        }
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let mut words = std::env::args().skip(1);
    let Some(name) = words.next() else { anyhow::bail!("usage: chat_client NAME [ROOM] [URL]") };
    let room = words.next().unwrap_or_else(|| "lobby".to_owned());
    let url = words.next().unwrap_or_else(|| "ws://127.0.0.1:8098/rpc".to_owned());
    let user = User { name, key: format!("{:032x}", rand::random::<u128>()) };

    let client = client(user, room.clone()).connect(&url).await?;
    let chat = ChatClient::new(&client);
    let (messages, users) = (chat.read(&room).resume().await?, chat.users(&room).resume().await?);
    tokio::select! {
        shown = show_messages(messages) => shown?,
        shown = show_users(users) => shown?,
        sent = send(&chat, &room) => sent?,
    }
    client.close().await;
    Ok(())
}

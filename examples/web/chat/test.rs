//! The chat after a minute, with a slow client, with clients that reconnect, and with two users of one name.
//! Connections are in memory, and the clock is paused: it advances when all tasks wait.

#![allow(clippy::duplicate_mod, reason = "the server and the client are programs of their own")]

use std::time::Duration;

use tokio::io::{DuplexStream, duplex};
use tokio::time::{Instant, sleep};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::group::PresenceEvent;
use wsjsonrpc::{Client, Endpoint, Error, Subscription};

use client::api::{ChatClient, Message, User, Users};
use guests::stoppable;

#[path = "client.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod client;
#[path = "../../lasting/guests.rs"]
#[allow(dead_code, reason = "the test uses only a part of it")]
mod guests;
#[path = "server.rs"]
#[allow(dead_code, reason = "the test does not run its main function")]
mod server;

fn stream(endpoint: &Endpoint) -> DuplexStream {
    let (client, server) = duplex(64 * 1024);
    let endpoint = endpoint.clone();
    tokio::spawn(async move { endpoint.serve(server, None).await });
    client
}

/// Connects as a user, and again whenever the connection is lost.
async fn connect(endpoint: &Endpoint, name: &str, key: char) -> Result<Client, ConnectError> {
    let user = User { name: name.to_owned(), key: key.to_string().repeat(16) };
    let endpoint = endpoint.clone();
    let open = move || {
        let stream = stream(&endpoint);
        async move { Ok(stream) }
    };
    client::client(user, "lobby".to_owned()).connect_with("ws://localhost/rpc", open).await
}

struct Guest {
    client: Client,
    chat: ChatClient,
    messages: Subscription<Message>,
    users: Subscription<Users>,
}

impl Guest {
    async fn new(endpoint: &Endpoint, name: &str, key: char) -> Self {
        Self::of(connect(endpoint, name, key).await.unwrap()).await
    }

    async fn of(client: Client) -> Self {
        let chat = ChatClient::new(&client);
        let messages = chat.read("lobby").resume().await.unwrap();
        let users = chat.users("lobby").resume().await.unwrap();
        Guest { client, chat, messages, users }
    }

    async fn say(&self, text: &str) {
        self.chat.say("lobby", text.to_owned()).await.unwrap();
    }

    async fn hears(&mut self, from: &str, text: &str) {
        let message = self.messages.next().await.unwrap().unwrap();
        assert_eq!((message.from.as_str(), message.text.as_str()), (from, text));
    }

    async fn sees(&mut self, event: PresenceEvent<&str>) {
        let seen = match self.users.next().await.unwrap().unwrap() {
            PresenceEvent::Present(mut names) => {
                names.sort();
                PresenceEvent::Present(names)
            }
            change => change,
        };
        assert_eq!(serde_json::to_value(seen).unwrap(), serde_json::to_value(event).unwrap());
    }
}

fn endpoint() -> Endpoint {
    server::server().build().unwrap()
}

/// The reason for which the server does not admit a client.
async fn refusal(endpoint: &Endpoint, name: &str, key: char) -> String {
    let Err(ConnectError::Hook(error)) = connect(endpoint, name, key).await else {
        panic!("{name} was admitted");
    };
    match error.source().and_then(|cause| cause.downcast_ref()) {
        Some(Error::<wsjsonrpc::ErrorObject>::Closed(CloseReason::Remote { reason, .. })) => {
            reason.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_slow_client() {
    let endpoint = endpoint();
    let mut ada = Guest::new(&endpoint, "Ada", 'a').await;
    let mut bob = Guest::new(&endpoint, "Bob", 'b').await;
    let (stream, stop) = stoppable(stream(&endpoint));
    let silent = User { name: "silent".to_owned(), key: "s".repeat(16) };
    let silent = client::client(silent, "lobby".to_owned()).connect_over("ws://localhost/", stream);
    let _silent = Guest::of(silent.await.unwrap()).await;
    sleep(Duration::from_secs(61)).await;
    stop.send(()).unwrap();
    let long = "ä".repeat(990);
    for number in 0..2000 {
        let (text, start) = (format!("{number} {long}"), Instant::now());
        ada.say(&text).await;
        bob.hears("Ada", &text).await;
        ada.hears("Ada", &text).await;
        assert_eq!(start.elapsed(), Duration::ZERO, "the clock advances only when a task waits");
    }
    // After a while the server notices that the client does not read, and disconnects it.
    ada.sees(PresenceEvent::Present(vec!["Ada"])).await;
    ada.sees(PresenceEvent::Joined("Bob")).await;
    ada.sees(PresenceEvent::Joined("silent")).await;
    ada.sees(PresenceEvent::Left("silent")).await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reconnects_misses_nothing() {
    let endpoint = endpoint();
    let ada = Guest::new(&endpoint, "Ada", 'a').await;
    let mut bob = Guest::new(&endpoint, "Bob", 'b').await;
    for number in 0..20 {
        let connections = endpoint.connections();
        connections.iter().for_each(|connection| connection.close(1012, "restart"));
        for connection in connections {
            connection.closed().await;
        }
        // Ada's call waits for her next connection. Bob's stream continues when he reads it.
        ada.say(&number.to_string()).await;
        if number % 3 == 0 {
            bob.hears("Ada", &number.to_string()).await;
        } else if number % 3 == 2 {
            bob.hears("Ada", &(number - 1).to_string()).await;
            bob.hears("Ada", &number.to_string()).await;
        }
    }
    bob.hears("Ada", "19").await;
    // Both are in the room again, and each of them once.
    bob.say("after").await;
    bob.hears("Bob", "after").await;
    let mut late = Guest::new(&endpoint, "Eve", 'e').await;
    late.sees(PresenceEvent::Present(vec!["Ada", "Bob", "Eve"])).await;
    late.hears("Ada", "0").await;
}

#[tokio::test(start_paused = true)]
async fn two_tabs_are_one_user() {
    let endpoint = endpoint();
    let mut bob = Guest::new(&endpoint, "Bob", 'b').await;
    bob.sees(PresenceEvent::Present(vec!["Bob"])).await;
    let first = Guest::new(&endpoint, "Ada", 'a').await;
    bob.sees(PresenceEvent::Joined("Ada")).await;
    let mut second = Guest::new(&endpoint, "Ada", 'a').await;
    second.sees(PresenceEvent::Present(vec!["Ada", "Bob"])).await;
    first.client.close().await;
    second.say("still here").await;
    bob.hears("Ada", "still here").await;
    // Bob has seen neither the second tab nor the end of the first one.
    assert!(second.chat.leave("lobby").await.unwrap());
    bob.sees(PresenceEvent::Left("Ada")).await;
    let error = second.chat.say("lobby", "from outside".to_owned()).await.unwrap_err();
    assert_eq!(error.to_string(), "join the room, and say 1 to 1000 characters (1002)");
}

#[tokio::test(start_paused = true)]
async fn a_name_belongs_to_one_user() {
    let endpoint = endpoint();
    let ada = Guest::new(&endpoint, "Ada", 'a').await;
    assert_eq!(refusal(&endpoint, "Ada", 'x').await, "this name is taken");
    // The refused client does not come back, and does not keep the name.
    sleep(Duration::from_secs(61)).await;
    assert_eq!(endpoint.connection_count(), 1);
    let again = Guest::new(&endpoint, "Ada", 'a').await;
    ada.client.close().await;
    assert_eq!(refusal(&endpoint, "Ada", 'x').await, "this name is taken");
    again.client.close().await;
    sleep(Duration::from_secs(1)).await;
    Guest::new(&endpoint, "Ada", 'x').await;
}

#[tokio::test(start_paused = true)]
async fn names_and_messages_have_limits() {
    let endpoint = endpoint();
    for name in ["", " ", "\u{1b}[2J", &"x".repeat(33)] {
        let reason = refusal(&endpoint, name, 'a').await;
        assert_eq!(reason, "a name has 1 to 32 characters, a key 16 to 64");
    }
    let ada = Guest::new(&endpoint, &"ä".repeat(32), 'a').await;
    ada.say(&"ä".repeat(1000)).await;
    for text in ["", " ", "\u{1b}[2J", &"x".repeat(1001)] {
        ada.chat.say("lobby", text.to_owned()).await.unwrap_err();
    }
    ada.chat.say("attic", "hello".to_owned()).await.unwrap_err();
    ada.chat.join("attic").await.unwrap_err();
    ada.chat.read("attic").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn two_thousand_users_chat() {
    let endpoint = endpoint();
    let mut streams = Vec::new();
    for number in 0..1_999 {
        let client = connect(&endpoint, &format!("user {number}"), 'u').await.unwrap();
        streams.push(ChatClient::new(&client).read("lobby").resume().await.unwrap());
    }
    let mut ada = Guest::new(&endpoint, "Ada", 'a').await;
    let PresenceEvent::Present(names) = ada.users.next().await.unwrap().unwrap() else {
        panic!("the list of users comes first");
    };
    assert_eq!(names.len(), 2_000);
    ada.say("hello, all").await;
    for messages in &mut streams {
        assert_eq!(messages.next().await.unwrap().unwrap().text, "hello, all");
    }
}

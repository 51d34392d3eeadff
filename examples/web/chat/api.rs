//! The contracts of the chat. The server, the terminal client and the test compile this file.

use serde::{Deserialize, Serialize};
use wsjsonrpc::group::PresenceEvent;
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Context, Result, Stream, rpc};

/// What clients call on the server.
#[rpc(namespace = "chat")]
pub(crate) trait Chat {
    /// Enters a room. A client may be in several rooms.
    async fn join(&self, ctx: &Context, room: &str) -> Result<()>;
    /// Returns whether the client was in the room.
    async fn leave(&self, ctx: &Context, room: &str) -> Result<bool>;
    /// Returns the number of the message.
    async fn say(&self, ctx: &Context, room: &str, text: String) -> Result<u64>;
    /// The latest messages of a room, and then new ones.
    #[subscription]
    fn read(&self, ctx: &Context, room: &str) -> Result<impl Stream<Item = Positioned<Message>>>;
    /// The users in a room, and then each that joins or leaves.
    #[subscription]
    fn users(&self, ctx: &Context, room: &str) -> Result<impl Stream<Item = Positioned<Users>>>;
}

/// What the server calls on a client.
#[rpc(namespace = "guest")]
pub(crate) trait Guest {
    async fn user(&self, ctx: &Context) -> Result<User>;
}

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct User {
    pub(crate) name: String,
    /// A secret of the user. Connections with the same name and the same key belong to one user.
    pub(crate) key: String,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) from: String,
    pub(crate) text: String,
}

/// Names of users.
pub(crate) type Users = PresenceEvent<String>;

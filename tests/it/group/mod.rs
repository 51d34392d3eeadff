//! Sets of peers: who is a member, what broadcasts and calls reach, and members that do not read.

mod broadcast;
mod call_all;
mod call_one;
mod keyed;
mod members;
mod presence;
mod slow;

use wsjsonrpc::{Call, Config, Group, Peer};
use wsjsonrpc_tests::{Raw, notification, server};

/// A raw client that is a member of the group, and the server's handle to it.
async fn member(group: &Group) -> (Raw, Peer) {
    member_with(group, Config::default()).await
}

async fn member_with(group: &Group, config: Config) -> (Raw, Peer) {
    let (raw, peer) = Raw::client_and_peer(server().config(config)).await;
    assert!(group.insert(&peer));
    (raw, peer)
}

/// A call without a meaning.
fn event(peer: &Peer, number: usize) -> Call<()> {
    peer.call("event", [number])
}

/// The same as the notification that arrives.
fn event_text(number: usize) -> String {
    notification("event", &format!("[{number}]"))
}

/// The number of an event that has arrived.
fn number_in(text: &str) -> usize {
    let digits = text.strip_prefix(r#"{"jsonrpc":"2.0","method":"event","params":["#);
    let digits = digits.unwrap_or_else(|| panic!("not an event: {text}"));
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap();
    digits[..end].parse().unwrap()
}

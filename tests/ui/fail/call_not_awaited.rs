//! A call that is not awaited sends nothing, and the compiler warns.
#![deny(unused_must_use)]

use wsjsonrpc::{Client, Peer};

fn forget(peer: &Peer) {
    peer.call::<i64>("sum", (1, 2));
    peer.notify("log", ("ready",));
    peer.batch([peer.call::<i64>("sum", (1, 2))]);
    peer.subscribe::<i64>("ticks", ());
    Client::builder();
}

fn main() {}

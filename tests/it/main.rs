//! All integration tests, in one binary. Each folder tests one subject, which its `mod.rs` names.

mod calls;
mod connections;
mod documents;
mod errors;
mod group;
mod handlers;
mod handshake;
mod http;
mod layers;
mod lifecycle;
mod limits;
mod macros;
mod middleware;
mod observability;
mod openrpc;
mod prose;
mod reconnect;
mod simulation;
mod subscriptions;
mod testing;
mod transport;
mod wire;

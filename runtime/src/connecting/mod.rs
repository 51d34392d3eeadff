//! Clients: how a connection is opened, and opened again.
//!
//! Knows nothing of servers.

pub(crate) mod addresses;
pub(crate) mod backoff;
pub(crate) mod client;
pub(crate) mod client_builder;
pub(crate) mod dial;
pub(crate) mod reconnect;

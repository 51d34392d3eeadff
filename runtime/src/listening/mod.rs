//! Servers: streams that are served, ports and Unix sockets that are listened on, and shutdown.
//!
//! Knows nothing of clients.

pub(crate) mod endpoint;
pub(crate) mod listener;
pub(crate) mod living;
pub(crate) mod server;
#[cfg(unix)]
pub(crate) mod server_unix;
#[cfg(unix)]
pub(crate) mod socket_file;

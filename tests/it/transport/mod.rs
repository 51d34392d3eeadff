//! Transports: WebSocket frames, TLS, Unix sockets, and how servers and clients are built on them.

mod broken_frames;
mod builders;
mod close_codes;
mod tls;
mod tls_hostile;
#[cfg(unix)]
mod unix;

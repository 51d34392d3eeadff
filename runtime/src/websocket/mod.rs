//! One WebSocket: from the bytes of a stream to whole messages and back, the send queue,
//! keep-alive.
//!
//! In reading order: `stream` is the byte stream, `frame` the frame format, `inbox` with `chunk`
//! and `transport` read messages as `received`; `send_queue` with `queue` holds messages until
//! `writer` writes them; `keep_alive` times the pings.

pub(crate) mod chunk;
mod frame;
mod inbox;
pub(crate) mod keep_alive;
mod queue;
pub(crate) mod received;
pub(crate) mod send_queue;
pub(crate) mod stream;
pub(crate) mod transport;
pub(crate) mod writer;

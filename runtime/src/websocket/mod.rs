//! A WebSocket: converts the bytes of a stream to messages and back, with a send queue and
//! keep-alive.
//!
//! In reading order: `stream` is the byte stream, and `frame` is the frame format. `transport`
//! reads messages, with `inbox` as its fast path. `send_queue` holds messages until the connection
//! writes them. `keep_alive` decides when to send pings.

mod frame;
pub(crate) mod inbox;
pub(crate) mod keep_alive;
pub(crate) mod send_queue;
pub(crate) mod stream;
pub(crate) mod transport;

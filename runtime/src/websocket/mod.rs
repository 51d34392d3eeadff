//! One WebSocket: from the bytes of a stream to whole messages and back, the send queue,
//! keep-alive.
//!
//! In reading order: `stream` is the byte stream, `frame` the frame format; `transport` reads
//! messages, with `inbox` as its fast path; `send_queue` holds messages until the connection writes
//! them; `keep_alive` times the pings.

mod frame;
pub(crate) mod inbox;
pub(crate) mod keep_alive;
pub(crate) mod send_queue;
pub(crate) mod stream;
pub(crate) mod transport;

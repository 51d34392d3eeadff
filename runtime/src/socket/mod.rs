//! One WebSocket: from the bytes of a stream to whole messages and back, and what waits to go out.
//!
//! Knows nothing of what messages say.

pub(crate) mod chunk;
pub(crate) mod frame;
pub(crate) mod inbox;
pub(crate) mod outbox;
pub(crate) mod pulse;
pub(crate) mod queue;
pub(crate) mod received;
pub(crate) mod stream;
pub(crate) mod transport;
pub(crate) mod turns;
pub(crate) mod writer;

//! The opening handshake of a WebSocket, from both ends: what is asked, what is answered, who is let in.
//!
//! Knows nothing of JSON-RPC: what comes out is an open stream and what was said about it.

pub(crate) mod accept;
pub(crate) mod admission;
pub(crate) mod authorize;
pub(crate) mod handshake;
pub(crate) mod head;
pub(crate) mod open;
pub(crate) mod origin;
pub(crate) mod percent;
pub(crate) mod refusal;
pub(crate) mod rules;
#[cfg(feature = "tls")]
pub(crate) mod tls;
pub(crate) mod url;

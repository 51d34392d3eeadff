//! The JSON-RPC 2.0 text format: what a message says and how one is written.
//!
//! Floor 0. Knows nothing of tokio, WebSocket, connections or handlers: text in, values out, and
//! the other way round. Everything in it can be tested with strings.

pub(crate) mod buffer;
pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod flaw;
pub(crate) mod id;
pub(crate) mod item;
pub(crate) mod params;
pub(crate) mod peer_error;
pub(crate) mod progress_queue;
#[cfg(test)]
pub(crate) mod properties;
#[cfg(any(test, fuzzing))]
#[allow(unreachable_pub, reason = "a fuzz target reaches it")]
pub(crate) mod reference;
pub(crate) mod request_extensions;
#[cfg(test)]
mod roundtrip;
pub(crate) mod scan;
mod skip_value;
pub(crate) mod text;
pub(crate) mod travel;
pub(crate) mod typed;
pub(crate) mod value;
pub(crate) mod whole;

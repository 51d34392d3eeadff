//! The JSON-RPC 2.0 text format: decodes and writes messages. The module uses neither tokio nor
//! WebSockets, so everything here can be tested with strings.
//!
//! In reading order: `decode` reads a message's envelope with `scan`; `params`, `value`
//! and `whole` decode arguments; `encode` writes messages; `id`, `error`, `typed` and
//! `item` are the values in them; `request_extensions` is the member that this crate adds.
//! `reference` is a second decoder for tests and fuzzing.

pub(crate) mod decode;
pub(crate) mod encode;
pub(crate) mod error;
pub(crate) mod escape;
pub(crate) mod flaw;
pub(crate) mod id;
pub(crate) mod item;
pub(crate) mod params;
pub(crate) mod peer_error;
pub(crate) mod pieces;
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
pub(crate) mod slices;
pub(crate) mod text;
pub(crate) mod travel;
pub(crate) mod typed;
pub(crate) mod value;
pub(crate) mod whole;

//! How much of what was read one small message keeps in memory, and how it lets go of the rest.
//!
//! Must not know who keeps it.

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// How much several small messages share. Whoever keeps one of them keeps as much.
pub(crate) const CHUNK: usize = 2 * 1024;

/// A message that is going to be kept for longer than a turn: one that is small against what it shares
/// gets memory of its own.
pub(crate) fn detach(message: Utf8Bytes) -> Utf8Bytes {
    if message.len() < CHUNK / 2 { message.as_str().into() } else { message }
}

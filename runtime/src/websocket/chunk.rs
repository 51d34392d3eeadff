//! How much memory small messages share, and how a message that is kept gets memory of its own.

use tokio_tungstenite::tungstenite::Utf8Bytes;

/// The size of the memory that several small messages share. Keeping one of them keeps all of it.
pub(crate) const CHUNK: usize = 2 * 1024;

/// Prepares a message to be kept for longer: if it is small compared with the memory that it
/// shares, it is copied.
pub(crate) fn detach(message: Utf8Bytes) -> Utf8Bytes {
    if message.len() < CHUNK / 2 { message.as_str().into() } else { message }
}

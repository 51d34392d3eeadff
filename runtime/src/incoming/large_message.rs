//! A message that is so large that it is decoded in slices ([`LargeMessage`]), so that other tasks
//! can run in between.

use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use crate::protocol::decode::Limits;
use crate::protocol::slices::Slices;

/// The number of bytes that are checked to be UTF-8 in one slice.
const CHECKED: usize = 32 * 1024;

/// A large message that is being decoded.
pub(crate) struct LargeMessage {
    text: Utf8Bytes,
    /// For a binary message: the bytes that are not checked yet to be UTF-8, and the text that is
    /// checked.
    unchecked: Bytes,
    checked: String,
    slices: Slices,
}

impl LargeMessage {
    pub(crate) fn text(text: Utf8Bytes) -> Box<Self> {
        Self::new(text, Bytes::new())
    }

    /// Creates it from bytes, which may be text.
    pub(crate) fn bytes(bytes: Bytes) -> Box<Self> {
        Self::new(Utf8Bytes::default(), bytes)
    }

    #[cold]
    #[inline(never)]
    fn new(text: Utf8Bytes, unchecked: Bytes) -> Box<Self> {
        let checked = String::with_capacity(unchecked.len());
        Box::new(LargeMessage { text, unchecked, checked, slices: Slices::new() })
    }

    /// Decodes the next slice. Returns `true` after the last one.
    pub(crate) fn advance(&mut self, limits: Limits<'_>) -> bool {
        if self.unchecked.is_empty() {
            return self.slices.advance(&self.text, limits);
        }
        let part = self.unchecked.get(..CHECKED).unwrap_or(&self.unchecked);
        let valid = match std::str::from_utf8(part) {
            Ok(text) => text,
            // A character may end after this part.
            Err(error) if error.error_len().is_none() && part.len() < self.unchecked.len() => part
                .get(..error.valid_up_to())
                .and_then(|text| std::str::from_utf8(text).ok())
                .unwrap_or_default(),
            // The bytes are not text. An empty text stands for them, because it is not JSON either.
            Err(_) => {
                self.unchecked = Bytes::new();
                return self.slices.advance("", limits);
            }
        };
        self.checked.push_str(valid);
        let count = valid.len();
        drop(self.unchecked.split_to(count));
        if self.unchecked.is_empty() {
            self.text = std::mem::take(&mut self.checked).into();
        }
        false
    }

    /// The decoded message, after the last slice.
    pub(crate) fn decoded(self: Box<Self>) -> (Utf8Bytes, Slices) {
        (self.text, self.slices)
    }
}

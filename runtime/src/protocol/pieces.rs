//! A text in pieces. A large text grows, is written and is freed piece by piece, because each of
//! these operations would block the thread for milliseconds with a single buffer.

use std::collections::VecDeque;
use std::ops::Range;

use super::encode::buffer;

/// A text larger than this becomes a separate piece, without being copied.
pub(crate) const SMALL: usize = 4 * 1024;
/// Smaller texts share a piece until the piece has this size.
const FULL: usize = 64 * 1024;

/// A text in pieces.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pieces {
    /// All pieces but the last.
    complete: VecDeque<Vec<u8>>,
    /// The number of bytes of the complete pieces.
    size: usize,
    last: Vec<u8>,
}

/// The number of a piece, and a range of its bytes.
pub(crate) type Place = (usize, Range<usize>);

impl From<Vec<u8>> for Pieces {
    fn from(last: Vec<u8>) -> Self {
        Pieces { complete: VecDeque::new(), size: 0, last }
    }
}

impl Pieces {
    /// The number of bytes of the text.
    pub(crate) fn len(&self) -> usize {
        self.size + self.last.len()
    }

    /// The number of the piece that [`small`](Self::small) returned last.
    pub(crate) fn number(&self) -> usize {
        self.complete.len()
    }

    /// The piece to which a small text can be appended.
    pub(crate) fn small(&mut self) -> &mut Vec<u8> {
        if self.last.len() >= FULL {
            self.complete_last();
        }
        &mut self.last
    }

    /// Appends a text. A large one becomes a separate piece.
    pub(crate) fn append(&mut self, text: Vec<u8>) -> Place {
        let size = text.len();
        if size > SMALL {
            self.complete_last();
            self.complete(text);
            return (self.complete.len() - 1, 0..size);
        }
        let last = self.small();
        let start = last.len();
        last.extend_from_slice(&text);
        (self.number(), start..start + size)
    }

    /// Moves the text at this place to the end of another text.
    pub(crate) fn move_to(&mut self, other: &mut Pieces, (piece, range): Place) {
        let piece = self.complete.get_mut(piece).unwrap_or(&mut self.last);
        if range == (0..piece.len()) {
            other.append(std::mem::take(piece));
        } else {
            other.small().extend_from_slice(piece.get(range).unwrap_or_default());
        }
    }

    /// Replaces the last byte.
    pub(crate) fn set_last(&mut self, byte: u8) {
        let last = self.last.last_mut().or_else(|| self.complete.back_mut()?.last_mut());
        last.into_iter().for_each(|last| *last = byte);
    }

    fn complete_last(&mut self) {
        if !self.last.is_empty() {
            let last = std::mem::take(&mut self.last);
            self.complete(last);
        }
    }

    fn complete(&mut self, mut text: Vec<u8>) {
        buffer::trim(&mut text);
        self.size += text.len();
        self.complete.push_back(text);
    }

    /// The text as one buffer, if it consists of only one piece.
    pub(crate) fn into_one(self) -> Result<Vec<u8>, Self> {
        if self.complete.is_empty() { Ok(self.last) } else { Err(self) }
    }

    /// Removes the first piece. Returns `None` if no text is left.
    pub(crate) fn take_first(&mut self) -> Option<Vec<u8>> {
        let Some(first) = self.complete.pop_front() else {
            return Some(std::mem::take(&mut self.last)).filter(|last| !last.is_empty());
        };
        self.size -= first.len();
        Some(first)
    }
}

//! Responses as text: a single one, and those of a batch, one behind the other.
//!
//! Must not know who gets them, nor when.

use std::ops::Range;

use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::protocol::{buffer, encode};
use crate::service::Kind;

/// What an error response takes at most, unless its id is long.
const ERROR_SIZE: usize = 96;

/// The response as text; an error in its place if it is over the limit.
pub(crate) fn write(response: Kind, id: &Id, limit: usize) -> Option<Vec<u8>> {
    let text = match response {
        Kind::Silent => return None,
        Kind::Result(text) => encode::end_result(text, id),
        Kind::Error(error) => encode::error_response(&error, id),
    };
    if text.len() <= limit {
        return Some(text);
    }
    Some(encode::error_response(&ErrorObject::of(ErrorCode::RESULT_TOO_LARGE), id))
}

/// The responses of one batch, one behind the other as they come. Most come in the order in which
/// they were asked for, so that this is the array already.
pub(crate) struct Gathered {
    text: Vec<u8>,
    /// Where in the text the response to each request is.
    places: Vec<Range<usize>>,
    count: usize,
    in_order: bool,
}

impl Gathered {
    pub(crate) fn new(answers: usize) -> Self {
        let mut text = Vec::with_capacity(1 + answers.saturating_mul(48));
        text.push(b'[');
        Gathered { text, places: vec![0..0; answers], count: 0, in_order: true }
    }

    /// How many bytes it has.
    pub(crate) fn size(&self) -> usize {
        self.text.len()
    }

    /// Whether there is a response to each request.
    pub(crate) fn is_complete(&self) -> bool {
        self.count >= self.places.len()
    }

    /// Puts in the response to the request with this index.
    pub(crate) fn put(&mut self, index: usize, id: &Id, response: Kind, limit: usize) {
        // Together they must fit the limit, too, and so must an error for each that is missing.
        let missing = self.places.len().saturating_sub(self.count + 1);
        let taken = self.text.len() + ",]".len() + missing * ERROR_SIZE;
        let Some(text) = write(response, id, limit.saturating_sub(taken)) else { return };
        if self.count > 0 {
            self.text.push(b',');
        }
        let start = self.text.len();
        self.text.extend_from_slice(&text);
        buffer::give_back(text);
        if let Some(place) = self.places.get_mut(index) {
            *place = start..self.text.len();
        }
        self.in_order &= index == self.count;
        self.count += 1;
    }

    /// The array, if nothing is missing, and not even then if nothing was asked for.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if !self.is_complete() || self.count == 0 {
            return None;
        }
        if self.in_order {
            self.text.push(b']');
            return Some(self.text);
        }
        let parts = self.places.into_iter().filter_map(|place| self.text.get(place));
        Some(encode::array(parts))
    }
}

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

/// A response as a message of its own; an error in its place if it is over the limit, and `false`.
pub(crate) fn single(response: Kind, id: &Id, limit: usize) -> Option<(Vec<u8>, bool)> {
    let text = match response {
        Kind::Silent | Kind::Ended(_) => return None,
        Kind::Result(mut text) => {
            encode::end_response(&mut text, id);
            text
        }
        Kind::Error(error) => error_response(&error, id),
    };
    if text.len() <= limit {
        return Some((text, true));
    }
    Some((error_response(&ErrorObject::of(ErrorCode::RESULT_TOO_LARGE), id), false))
}

/// An error response as a message of its own.
pub(crate) fn error_response(error: &ErrorObject, id: &Id) -> Vec<u8> {
    let mut text = buffer::take();
    encode::error_response(&mut text, error, id);
    text
}

/// Appends the response, or an error in its place if it is over the limit, and `false`. `None`: there
/// is none.
fn write(out: &mut Vec<u8>, response: Kind, id: &Id, limit: usize) -> Option<bool> {
    let start = out.len();
    match response {
        Kind::Silent | Kind::Ended(_) => return None,
        Kind::Result(text) => {
            out.extend_from_slice(&text);
            buffer::give_back(text);
            encode::end_response(out, id);
        }
        Kind::Error(error) => encode::error_response(out, &error, id),
    }
    if out.len() - start > limit {
        out.truncate(start);
        encode::error_response(out, &ErrorObject::of(ErrorCode::RESULT_TOO_LARGE), id);
        return Some(false);
    }
    Some(true)
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

    /// Puts in the response to the request with this index. `false`: an error in its place, as it is
    /// too large.
    pub(crate) fn put(&mut self, index: usize, id: &Id, response: Kind, limit: usize) -> bool {
        // Together they must fit the limit, too, and so must an error for each that is missing.
        let missing = self.places.len().saturating_sub(self.count + 1);
        let taken = self.text.len() + ",]".len() + missing * ERROR_SIZE;
        let end = self.text.len();
        if self.count > 0 {
            self.text.push(b',');
        }
        let start = self.text.len();
        let Some(whole) = write(&mut self.text, response, id, limit.saturating_sub(taken)) else {
            self.text.truncate(end);
            return true;
        };
        if let Some(place) = self.places.get_mut(index) {
            *place = start..self.text.len();
        }
        self.in_order &= index == self.count;
        self.count += 1;
        whole
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

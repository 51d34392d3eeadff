//! Responses as text: a single one, and those of a batch, one behind the other.
//!
//! Must not know who gets them, nor when.

use std::ops::Range;

use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::protocol::{buffer, encode};
use crate::serving::service::Kind;

/// What an error response in place of a result takes at most, beside its id.
const ERROR_SIZE: usize = 96;

/// A response as a message of its own; an error in its place if it is over the limit, and `false`.
pub(crate) fn single(response: Kind, id: &Id, limit: usize) -> Option<(Vec<u8>, bool)> {
    let text = match response {
        Kind::Silent | Kind::Ended(_) | Kind::Begun(_) => return None,
        Kind::Result(mut text) => {
            encode::end_response(&mut text, id);
            text
        }
        Kind::Error(error) => error_response(&error, id),
    };
    if text.len() <= limit {
        return Some((text, true));
    }
    Some((in_place(id, limit), false))
}

/// The error in place of a response that is over the limit. An id that is itself too large to come
/// back is left out.
#[cold]
#[inline(never)]
fn in_place(id: &Id, limit: usize) -> Vec<u8> {
    let error = ErrorObject::of(ErrorCode::RESULT_TOO_LARGE);
    let weight = id.weight();
    let fits = weight <= MAX_RESERVED || weight.saturating_add(ERROR_SIZE) <= limit;
    error_response(&error, if fits { id } else { &Id::NULL })
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
        Kind::Silent | Kind::Ended(_) | Kind::Begun(_) => return None,
        Kind::Result(text) => {
            out.extend_from_slice(&text);
            buffer::give_back(text);
            encode::end_response(out, id);
        }
        Kind::Error(error) => encode::error_response(out, &error, id),
    }
    if out.len() - start > limit {
        out.truncate(start);
        out.extend_from_slice(&in_place(id, limit));
        // It has grown for what was left out, and may wait for long.
        out.shrink_to_fit();
        return Some(false);
    }
    Some(true)
}

/// How long an id may be that comes back in any case, so that room is reserved for it. A longer one comes
/// back as null where there is no room.
const MAX_RESERVED: usize = 64;

/// What an error takes in place of the response with this id.
fn reserve(id: &Id) -> usize {
    let weight = id.weight();
    if weight <= MAX_RESERVED { weight + ERROR_SIZE } else { ERROR_SIZE }
}

/// The responses of one batch, one behind the other as they come. Most come in the order in which
/// they were asked for, so that this is the array already.
pub(crate) struct Gathered {
    text: Vec<u8>,
    /// Where in the text the response to each request is.
    places: Vec<Range<usize>>,
    count: usize,
    /// What errors in place of the missing responses would take.
    reserved: usize,
    in_order: bool,
}

impl Gathered {
    /// For the responses to requests with these ids.
    pub(crate) fn new<'a>(ids: impl Iterator<Item = &'a Id>) -> Self {
        let (mut answers, mut reserved) = (0_usize, 0_usize);
        for id in ids {
            answers += 1;
            reserved = reserved.saturating_add(reserve(id));
        }
        let mut text = Vec::with_capacity(1 + answers.saturating_mul(48));
        text.push(b'[');
        Gathered { text, places: vec![0..0; answers], count: 0, reserved, in_order: true }
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
        self.reserved = self.reserved.saturating_sub(reserve(id));
        let taken = self.text.len().saturating_add(",]".len()).saturating_add(self.reserved);
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

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::protocol::properties::run;

    /// What a handler came to: a result of this size, or an error.
    fn outcome() -> impl Strategy<Value = Result<usize, i64>> {
        prop_oneof![3 => (0..200_usize).prop_map(Ok), 1 => any::<i64>().prop_map(Err)]
    }

    fn response(outcome: Result<usize, i64>) -> Kind {
        match outcome {
            Ok(size) => Kind::Result(encode::begin_result(&"x".repeat(size)).unwrap()),
            Err(code) => Kind::Error(ErrorObject::new(code, "failed")),
        }
    }

    /// In whichever order its handlers end: one array, in the order of the requests, each with its
    /// own response, or with -32003 where that finds no room.
    #[test]
    fn a_batch_is_answered_in_order_and_within_its_limit() {
        let ends = vec((outcome(), any::<u16>()), 1..8);
        // An error for each fits.
        run(1_000, (ends, 8 * ERROR_SIZE..2_500), |(ends, limit)| {
            let mut order: Vec<usize> = (0..ends.len()).collect();
            order.sort_by_key(|index| ends.get(*index).map(|(_, late)| *late));
            let ids: Vec<Id> = (0..ends.len() as u64).map(Id::from_number).collect();
            let mut gathered = Gathered::new(ids.iter());
            for index in order {
                assert!(!gathered.is_complete());
                let id = Id::from_number(index as u64);
                gathered.put(index, &id, response(ends[index].0), limit);
            }
            assert!(gathered.is_complete());
            let text = gathered.finish().unwrap();
            assert!(text.len() <= limit, "{} of {limit} bytes", text.len());
            let sizes = ends.iter().map(|(outcome, _)| outcome.unwrap_or(0) + ERROR_SIZE);
            let all_fit = sizes.sum::<usize>() < limit;
            let responses: Vec<Value> = serde_json::from_slice(&text).unwrap();
            assert_eq!(responses.len(), ends.len());
            for (index, (response, (outcome, _))) in responses.iter().zip(&ends).enumerate() {
                assert_eq!((&response["jsonrpc"], &response["id"]), (&"2.0".into(), &index.into()));
                let (result, code) = (&response["result"], response["error"]["code"].as_i64());
                match outcome {
                    _ if code == Some(-32003) => assert!(!all_fit, "there is room for it"),
                    Ok(size) => assert_eq!(result.as_str().map(str::len), Some(*size)),
                    Err(sent) => assert_eq!(code, Some(*sent)),
                }
            }
        });
    }
}

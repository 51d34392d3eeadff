//! Where the outcome of a call goes: into a message of its own, into its place in a batch's array,
//! or nowhere.
//!
//! Must not know how the outcome came about.

use std::sync::{Arc, Mutex, PoisonError};

use crate::peer::Link;
use crate::protocol::encode;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::service::Kind;

pub(crate) enum ReplyTo {
    /// It was a notification.
    Nobody,
    One(Id),
    /// This place of a batch's array.
    Batch(Arc<BatchAnswer>, usize, Id),
}

impl ReplyTo {
    /// Writes the response and queues it, once it is complete.
    pub(crate) fn send(self, response: Kind, link: &Link) {
        let limit = link.config.max_outgoing_message;
        match self {
            ReplyTo::Nobody => {}
            ReplyTo::One(id) => {
                if let Some(text) = write(response, &id, limit) {
                    link.outbox.answer(text);
                }
            }
            ReplyTo::Batch(batch, index, id) => batch.put(index, &id, response, limit),
        }
    }
}

/// The response as text; an error in its place if it is over the limit.
fn write(response: Kind, id: &Id, limit: usize) -> Option<Vec<u8>> {
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

/// What an error response takes at most, unless its id is long.
const ERROR_SIZE: usize = 96;

/// Gathers the responses of one batch; the last one sends them all.
pub(crate) struct BatchAnswer {
    link: Arc<Link>,
    gathered: Mutex<Gathered>,
}

struct Gathered {
    texts: Vec<Vec<u8>>,
    bytes: usize,
    missing: usize,
}

impl BatchAnswer {
    pub(crate) fn new(link: Arc<Link>, answers: usize) -> Self {
        let gathered = Gathered { texts: vec![Vec::new(); answers], bytes: 0, missing: answers };
        BatchAnswer { link, gathered: Mutex::new(gathered) }
    }

    fn put(&self, index: usize, id: &Id, response: Kind, limit: usize) {
        let mut gathered = self.gathered.lock().unwrap_or_else(PoisonError::into_inner);
        // Together they must fit the limit, too, and so must an error for each that is missing.
        let reserved = gathered.missing.saturating_sub(1) * ERROR_SIZE;
        let left = limit.saturating_sub(gathered.bytes + reserved);
        let Some(text) = write(response, id, left) else { return };
        gathered.bytes += text.len() + 1;
        if let Some(place) = gathered.texts.get_mut(index) {
            *place = text;
        }
        gathered.missing = gathered.missing.saturating_sub(1);
        if gathered.missing > 0 {
            return;
        }
        let texts = std::mem::take(&mut gathered.texts);
        drop(gathered);
        self.link.outbox.answer(encode::array(texts.iter().map(Vec::as_slice)));
    }
}

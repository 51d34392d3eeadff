//! Errors of the peer about a whole message of this side: [`MessageErrors`] decides which calls
//! such an error ends.

use crate::link::Link;
use crate::protocol::decode::{BatchEntry, Entry, ResponseOutcome};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::escape::clip;
use crate::protocol::peer_error::of_peer;
use crate::util::drop_counter::DropCounter;

/// Counts errors that belong to no call.
pub(crate) struct MessageErrors(DropCounter);

impl Default for MessageErrors {
    fn default() -> Self {
        MessageErrors(DropCounter::errors())
    }
}

impl MessageErrors {
    /// Handles an error that is about a whole message of this side. `false`: it is about a call.
    ///
    /// An error without an id is about the one request or batch that is pending; if several are, it
    /// ends none. Some servers answer notifications, too, so an error that may answer a
    /// notification ends nothing, unless its code is about a whole message. Some servers,
    /// go-ethereum for one, put the id of the batch's first call on an error about the batch. A
    /// server that answers the calls of a batch one by one would do the same for an error of the
    /// first call, so only codes count that such a server has no reason to use.
    #[cold]
    #[inline(never)]
    pub(crate) fn take(&self, link: &Link, id: Option<&str>, json: &str, is_only: bool) -> bool {
        let pending = &link.pending;
        let error = of_peer(json);
        let ended = match id.filter(|_| !is_null(id)) {
            None => {
                // A server that looked up a method has read the id, so this answers a notification.
                let answers_notification = error.code() == ErrorCode::METHOD_NOT_FOUND;
                let is_whole = is_only && !answers_notification;
                let ended = if is_whole { pending.refuse_only(&error) } else { None };
                if ended.is_none() {
                    self.log(&error);
                }
                ended.unwrap_or_default()
            }
            Some(id) if is_only && error.code().is_about_a_message() => {
                match pending.refuse_batch(id, &error) {
                    Some(ended) => ended,
                    None => return false,
                }
            }
            Some(_) => return false,
        };
        ended.into_iter().for_each(|call| link.consumed.forget(call));
        true
    }

    /// Logs an error that belongs to no call, if it is the first.
    fn log(&self, error: &ErrorObject) {
        if !self.0.is_first() {
            return;
        }
        let error = error.to_string();
        let (start, more) = clip(&error, 200);
        tracing::warn!(
            error = %format_args!("{start}{more}"),
            "the peer has sent an error that belongs to no call"
        );
    }

    /// Takes an error without an id out of an array that answers a batch. The error is about a call
    /// that the peer could not read, and nothing else answers the batch. So the error ends the
    /// calls of the batch that the array does not answer, after the others have their responses.
    #[inline]
    pub(crate) fn of_batch(
        &self,
        link: &Link,
        entries: &mut Vec<BatchEntry<'_>>,
    ) -> Option<BatchError> {
        let place = entries.iter().position(|(_, entry)| nameless(entry).is_some())?;
        self.of_batch_at(link, entries, place)
    }

    #[cold]
    #[inline(never)]
    fn of_batch_at(
        &self,
        link: &Link,
        entries: &mut Vec<BatchEntry<'_>>,
        place: usize,
    ) -> Option<BatchError> {
        let error = of_peer(entries.get(place).and_then(|(_, entry)| nameless(entry))?);
        // It answers a notification, as in `take`.
        if error.code() == ErrorCode::METHOD_NOT_FOUND {
            return None;
        }
        let first = entries.iter().find_map(|(_, entry)| match entry {
            Entry::Response(response) => link.pending.batch_of(response.id?),
            _ => None,
        })?;
        entries.remove(place);
        Some(BatchError { first, error })
    }

    /// Ends the calls of the batch that have no response.
    #[cold]
    #[inline(never)]
    pub(crate) fn end_rest(&self, link: &Link, BatchError { first, error }: BatchError) {
        match link.pending.refuse_rest(first, &error) {
            Some(ended) => ended.into_iter().for_each(|call| link.consumed.forget(call)),
            None => self.log(&error),
        }
    }
}

/// An error about a call of the batch with this first call.
pub(crate) struct BatchError {
    first: u64,
    error: ErrorObject,
}

/// The error of a response without an id.
fn nameless<'a>(entry: &Entry<'a>) -> Option<&'a str> {
    match entry {
        Entry::Response(response) => match response.outcome {
            ResponseOutcome::Error(json) if is_null(response.id) => Some(json),
            _ => None,
        },
        _ => None,
    }
}

fn is_null(id: Option<&str>) -> bool {
    id.is_none_or(|id| id == "null")
}

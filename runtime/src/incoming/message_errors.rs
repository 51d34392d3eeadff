//! The peer's errors about a whole message of this side: [`MessageErrors`] decides which calls such
//! an error ends.

use crate::link::Link;
use crate::protocol::decode::{BatchEntry, Entry, ResponseOutcome};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::escape::clip;
use crate::protocol::peer_error::of_peer;
use crate::util::drop_counter::DropCounter;

/// Counts errors that match no call.
pub(crate) struct MessageErrors(DropCounter);

impl Default for MessageErrors {
    fn default() -> Self {
        MessageErrors(DropCounter::errors())
    }
}

impl MessageErrors {
    /// Handles an error that is about a whole message of this side. Returns `false` if the error is
    /// about a single call.
    ///
    /// An error without an id ends the pending request or batch if there is only one; if several
    /// are pending, it ends none. Some servers also answer notifications, so an error that may
    /// answer a notification ends nothing, unless its code is about a whole message. Some servers,
    /// such as go-ethereum, send an error about a batch with the id of the batch's first call. A
    /// server that answers the calls of a batch separately would do the same for an error of the
    /// first call, so only codes count that have no meaning for a single call.
    #[cold]
    #[inline(never)]
    pub(crate) fn take(&self, link: &Link, id: Option<&str>, json: &str, is_only: bool) -> bool {
        let pending = &link.pending;
        let error = of_peer(json);
        let ended = match id.filter(|_| !is_null(id)) {
            None => {
                // A server that has looked up a method has also read the id, so this error answers
                // a notification.
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

    /// Logs the first error of a connection that matches no call.
    fn log(&self, error: &ErrorObject) {
        if !self.0.is_first() {
            return;
        }
        let error = error.to_string();
        let (start, more) = clip(&error, 200);
        tracing::warn!(
            error = %format_args!("{start}{more}"),
            "dropped an error from the peer: it matches no pending call"
        );
    }

    /// Removes an error without an id from an array that answers a batch. The error is about a call
    /// that the peer could not read, and no other message answers the batch. So the error ends all
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
        // This error answers a notification, as in `take`.
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

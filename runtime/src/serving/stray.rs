//! Errors of the peer that are about a message of this side as a whole: which calls they end.
//!
//! Must not know how messages come in.

use crate::calling::link::Link;
use crate::protocol::error::ErrorCode;
use crate::protocol::peer_error::of_peer;
use crate::protocol::shown::clip;
use crate::serving::dropped::Dropped;

/// Counts those that belong to no call.
pub(crate) struct Stray(Dropped);

impl Default for Stray {
    fn default() -> Self {
        Stray(Dropped::errors())
    }
}

impl Stray {
    /// Takes in an error that is about a message of this side as a whole. `false`: it is about a call.
    ///
    /// An error without an id is about the one request or batch that waits for a response; if several
    /// do, nobody knows. Some servers answer notifications, too, so one that may answer a notification
    /// ends nothing, unless its code is about a message as a whole. Some servers, go-ethereum for one, put the id of its first call on the error
    /// about a batch. A server that answers the calls of a batch one by one would do the same for an
    /// error of the first, so only codes count that such a server has no reason to use.
    #[cold]
    #[inline(never)]
    pub(crate) fn take(&self, link: &Link, id: Option<&str>, json: &str, is_only: bool) -> bool {
        let pending = &link.pending;
        let error = of_peer(json);
        let ended = match id.filter(|id| *id != "null") {
            None => {
                // A server that looks for a method has read the id: it answers a notification.
                let answers_notification = error.code() == ErrorCode::METHOD_NOT_FOUND;
                let is_whole = is_only && !answers_notification;
                let ended = if is_whole { pending.refuse_only(&error) } else { None };
                if ended.is_none() && self.0.is_first() {
                    let error = error.to_string();
                    let (start, more) = clip(&error, 200);
                    tracing::warn!(
                        error = %format_args!("{start}{more}"),
                        "the peer has sent an error that belongs to no call"
                    );
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
        ended.into_iter().for_each(|call| link.feeds.forget(call));
        true
    }
}

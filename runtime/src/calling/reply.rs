//! What comes back for a call, or does not.
//!
//! Must not know who waits for it, or how it came.

use std::ops::Range;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::protocol::decode::{ResponseOutcome, range};
use crate::protocol::error::ErrorObject;
use crate::protocol::peer_error::of_peer;

/// How much of a message may be kept beside a result in it, until its caller takes that.
const MAX_BESIDE: usize = 16 * 1024;

/// What came back for a call.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The result is this part of the message.
    Result(Utf8Bytes, Range<usize>),
    Error(ErrorObject),
    /// An answer that is no response; it says what is wrong.
    Invalid(&'static str),
    /// Nothing, for too long.
    Timeout,
    /// The batch of the call was dropped before it was sent.
    NotSent,
}

impl Reply {
    /// What a response in this message says.
    #[inline]
    pub(crate) fn of(message: &Utf8Bytes, outcome: ResponseOutcome<'_>) -> Self {
        match outcome {
            ResponseOutcome::Result(json) if message.len() - json.len() > MAX_BESIDE => {
                Reply::Result(json.into(), 0..json.len())
            }
            ResponseOutcome::Result(json) => Reply::Result(message.clone(), range(message, json)),
            ResponseOutcome::Error(json) => Reply::Error(of_peer(json)),
            ResponseOutcome::Both => Reply::Invalid("it has both a result and an error"),
            ResponseOutcome::Empty | ResponseOutcome::Neither => {
                Reply::Invalid("it has neither a result nor an error")
            }
        }
    }

    /// As its caller sees it: the result is a part of a message. `late` makes the error of one that
    /// has not come in time.
    #[inline]
    pub(crate) fn into_result(
        self,
        late: impl FnOnce() -> Error,
    ) -> Result<(Utf8Bytes, Range<usize>), Error> {
        match self {
            Reply::Result(message, range) => Ok((message, range)),
            Reply::Error(object) => Err(Error::Call(object)),
            Reply::Invalid(what) => Err(Error::InvalidResponse(what)),
            Reply::Timeout => Err(late()),
            Reply::NotSent => Err(Error::NotSent),
        }
    }
}

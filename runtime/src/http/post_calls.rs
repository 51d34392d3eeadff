//! A call by HTTP: writes the request, and finds the response of each call in the body. Only with
//! the feature `http-client`.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::error::http_error::HttpError;
use crate::http::post::{Failure, Post, PostResponse, refused};
use crate::link::OutgoingCall;
use crate::link::pending_calls::CallOutcome;
use crate::outgoing::deadline::CallTimeout;
use crate::protocol::decode::{
    Entry, IncomingResponse, Limits, Payload, Position, ResponseOutcome, payload,
};
use crate::protocol::encode::OutgoingMessage;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::counted;
use crate::protocol::peer_error::of_peer;
use crate::protocol::request_extensions::SentExtensions;
use crate::span::CallSpan;

/// The outcome of a call; a result is a range of the message.
pub(crate) type Outcome = Result<(Utf8Bytes, Range<usize>), Error>;

/// Makes a call. The timeout starts with the first poll.
pub(crate) async fn call(
    post: Arc<Post>,
    mut message: OutgoingCall,
    limit: CallTimeout,
) -> Outcome {
    let method = std::mem::take(&mut message.outgoing.method);
    let (id, text, span) = write(&post, message, limit.timeout)?;
    post.check(&text)?;
    let in_flight = post.count(1);
    let answer = post.exchange(text, limit.timeout).await;
    drop(in_flight);
    let mut outcome = Err(Error::NotSent);
    deliver(answer, &[(id, &method)], |_, brought| outcome = brought);
    note(&span, &outcome);
    outcome
}

/// Sends a notification.
pub(crate) async fn notify(
    post: &Post,
    notification: OutgoingMessage,
    limit: CallTimeout,
) -> Result<(), Error> {
    let method = notification.method.clone();
    notify_all(post, notification.into_notification(), &method, 1, limit).await
}

/// Sends a batch of this many notifications. `method` is that of the first one.
pub(crate) async fn notify_all(
    post: &Post,
    text: Vec<u8>,
    method: &str,
    count: usize,
    limit: CallTimeout,
) -> Result<(), Error> {
    post.check(&text)?;
    limit.check(method)?;
    let told = post.notify(text, limit.timeout).await;
    told.map_err(|failure| failure.into_error(method, count))
}

/// The request as text, with an id of its own.
pub(crate) fn write(
    post: &Post,
    message: OutgoingCall,
    timeout: Option<Duration>,
) -> Result<(u64, Vec<u8>, CallSpan), Error> {
    if message.buffer.is_some() {
        return Err(Error::Http(HttpError::subscription()));
    }
    let (outgoing, id) = (message.outgoing, post.next_id());
    let span = CallSpan::client(|| outgoing.method.to_string(), || id.to_string());
    // There is no handshake in which the server could announce extensions.
    let config = &post.config;
    let timeout = timeout.filter(|_| config.send_timeout.includes(false));
    let told = SentExtensions { timeout, ..SentExtensions::default() };
    let write_trace = |out: &mut Vec<u8>| {
        if config.send_trace.includes(false) {
            span.write(out);
        }
    };
    let write_id = |out: &mut Vec<u8>| {
        out.extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
    };
    let text = outgoing.into_request(&told, write_trace, write_id);
    Ok((id, text, span))
}

/// Records the outcome in the call's span.
pub(crate) fn note(span: &CallSpan, outcome: &Outcome) {
    match outcome {
        Ok(_) => {}
        Err(Error::Call(object)) => span.failed(Some(object.code().0)),
        Err(_) => span.failed(None),
    }
}

/// Delivers one outcome to each call, given by id and method. The ids count up; `give` gets the
/// index of the call.
pub(crate) fn deliver(
    answer: Result<PostResponse, Failure>,
    calls: &[(u64, &str)],
    mut give: impl FnMut(usize, Outcome),
) {
    let mut left = vec![true; calls.len()];
    let mut take = |place: usize| left.get_mut(place).is_some_and(std::mem::take);
    let rest = match answer.and_then(|answer| {
        sort(answer, calls, |place, outcome| {
            if take(place) {
                give(place, outcome);
            }
        })
    }) {
        Ok(rest) => rest,
        Err(failure) => Rest::Failed(failure),
    };
    for (place, (_, method)) in calls.iter().enumerate() {
        if left.get(place) == Some(&true) {
            give(place, Err(rest.error(method)));
        }
    }
}

/// Why a call has no response.
enum Rest {
    Failed(Failure),
    Invalid(&'static str),
    /// The server sent an error about the whole message.
    Object(ErrorObject),
}

impl Rest {
    fn error(&self, method: &str) -> Error {
        match self {
            Rest::Failed(failure) => failure.clone().into_error(method, 1),
            Rest::Invalid(what) => Error::InvalidResponse(what),
            Rest::Object(object) => Error::Call(object.clone()),
        }
    }
}

/// Delivers the responses in the body, and returns the outcome of the calls that have none.
fn sort(
    answer: PostResponse,
    calls: &[(u64, &str)],
    mut give: impl FnMut(usize, Outcome),
) -> Result<Rest, Failure> {
    let PostResponse { status, body } = answer;
    let text = match String::from_utf8(body) {
        Ok(text) => Utf8Bytes::from(text),
        Err(error) if !status.is_success() => return Err(refused(status, error.into_bytes())),
        Err(_) => return Ok(Rest::Invalid("it is not UTF-8")),
    };
    let limits = Limits { max_calls: calls.len(), max_responses: &|| calls.len() };
    let (entries, nothing) = match payload(&text, limits) {
        Payload::One(entry) => (vec![(Position::default(), entry)], "it has another id"),
        Payload::Batch(entries) => (entries, "the array has no response with the call's id"),
        Payload::EmptyBatch => (Vec::new(), "the array has no response with the call's id"),
        Payload::LargeBatch => (Vec::new(), "it is not an array of responses"),
        Payload::NotJson if text.is_empty() => (Vec::new(), "it is empty"),
        Payload::NotJson => (Vec::new(), "it is not JSON"),
    };
    let is_one = entries.len() == 1;
    let is_success = status.is_success();
    let (mut found, mut about_all) = (false, None);
    for (_, entry) in entries {
        let Entry::Response(response) = entry else { continue };
        let IncomingResponse { id, outcome } = response;
        let place = |id: u64| calls.binary_search_by_key(&id, |(id, _)| *id).ok();
        match id.and_then(|id| place(counted(id, || {})?)) {
            Some(place) => {
                found = true;
                // go-ethereum responds in this way to a batch that is too large.
                if let (true, 0, ResponseOutcome::Error(json)) = (is_one, place, outcome) {
                    about_all =
                        Some(of_peer(json)).filter(|error| error.code().is_about_a_message());
                }
                give(place, CallOutcome::of(&text, outcome).into_result(|| Error::NotSent));
            }
            // A server responds in this way if it could not read the id. In an array, this is the
            // error of a call that has no other response.
            None if id.is_none_or(|id| id == "null") && about_all.is_none() => {
                if let ResponseOutcome::Error(json) = outcome {
                    // With an error status, an object with a member of this name is only text.
                    about_all = match serde_json::from_str(json) {
                        Err(_) if is_success => Some(of_peer(json)),
                        read => read.ok(),
                    };
                    // Next to other responses, it belongs to a notification.
                    about_all = about_all.filter(|error: &ErrorObject| {
                        is_one || error.code() != ErrorCode::METHOD_NOT_FOUND
                    });
                }
            }
            None => {}
        }
    }
    if let Some(object) = about_all {
        return Ok(Rest::Object(object));
    }
    if !found && !is_success {
        return Err(refused(status, text.as_bytes().to_vec()));
    }
    Ok(Rest::Invalid(nothing))
}

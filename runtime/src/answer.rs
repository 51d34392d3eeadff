//! Where the outcome of a call goes: into a message of its own, into its place in a batch's array,
//! or nowhere; and what the peer may see of it.
//!
//! Must not know how the outcome came about.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::guard::{Panicked, guard};
use crate::link::Link;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::id::Id;
use crate::protocol::{buffer, encode};
use crate::router::{RouteId, Router};
use crate::service::{Kind, Response};

/// Lives as long as something a server's shutdown should wait for.
pub(crate) type Tracker = watch::Receiver<()>;

/// What it takes to answer the calls of one connection. All its handlers share it.
pub(crate) struct Responder {
    pub(crate) router: Arc<Router>,
    pub(crate) link: Arc<Link>,
    pub(crate) _tracker: Option<Tracker>,
}

/// Where the outcome of a call goes.
pub(crate) struct Answer {
    pub(crate) reply_to: ReplyTo,
    /// For the log.
    pub(crate) route: Option<RouteId>,
}

pub(crate) enum ReplyTo {
    /// It was a notification.
    Nobody,
    One(Id),
    /// This place of a batch's array.
    Batch(Arc<BatchAnswer>, usize, Id),
}

impl Responder {
    /// Writes the response and queues it, once it is complete.
    pub(crate) fn deliver(&self, answer: Answer, outcome: Result<Response, Panicked>) {
        let response = self.outward(outcome, answer.route);
        match answer.reply_to {
            ReplyTo::Nobody => {}
            ReplyTo::One(id) => self.send(response, &id),
            ReplyTo::Batch(batch, index, id) => {
                if let Some(complete) = batch.put(index, &id, response, self.limit()) {
                    self.link.outbox.answer(complete);
                }
            }
        }
    }

    /// Queues the response to a single call.
    pub(crate) fn send(&self, response: Kind, id: &Id) {
        let mut text = match response {
            Kind::Silent => return,
            Kind::Result(mut text) => {
                encode::end_response(&mut text, id);
                text
            }
            Kind::Error(error) => error_response(&error, id),
        };
        if text.len() > self.limit() {
            text = error_response(&ErrorObject::of(ErrorCode::RESULT_TOO_LARGE), id);
        }
        self.link.outbox.answer(text);
    }

    /// Queues an error response, to a call or to what is none.
    pub(crate) fn fail(&self, error: &ErrorObject, id: &Id) {
        self.link.outbox.answer(error_response(error, id));
    }

    /// How large a message may be.
    pub(crate) fn limit(&self) -> usize {
        self.link.config.max_outgoing_message
    }

    /// What the peer may see. The inside of an error that no type is known for stays here.
    pub(crate) fn outward(
        &self,
        outcome: Result<Response, Panicked>,
        route: Option<RouteId>,
    ) -> Kind {
        match outcome {
            Ok(Response(Kind::Error(error))) if error.source().is_some() => {
                Kind::Error(self.translate(error, route))
            }
            Ok(Response(kind)) => kind,
            Err(Panicked) => {
                let method = self.name(route);
                tracing::error!(method, "handler panicked; the caller gets -32603");
                Kind::Error(ErrorObject::of(ErrorCode::INTERNAL_ERROR))
            }
        }
    }

    /// Runs the application's own code: its conversion, and what the error says of itself in the
    /// log.
    fn translate(&self, error: ErrorObject, route: Option<RouteId>) -> ErrorObject {
        let translated = guard(|| {
            let Some(source) = error.source() else { return error };
            if let Some(known) = self.router.recognize(&error) {
                return known;
            }
            tracing::error!(
                method = self.name(route),
                error = source as &dyn std::error::Error,
                "handler failed; the caller gets {}",
                error.code()
            );
            error
        });
        translated.unwrap_or_else(|Panicked| {
            let method = self.name(route);
            tracing::error!(method, "an error's own code panicked; the caller gets -32603");
            ErrorObject::internal()
        })
    }

    fn name(&self, route: Option<RouteId>) -> &str {
        route.map_or("unknown", |route| self.router.name(route))
    }
}

fn error_response(error: &ErrorObject, id: &Id) -> Vec<u8> {
    let mut text = buffer::take();
    encode::error_response(&mut text, error, id);
    text
}

/// Appends the response, or an error in its place if it is over the limit. `false`: there is none.
fn write(out: &mut Vec<u8>, response: Kind, id: &Id, limit: usize) -> bool {
    let start = out.len();
    match response {
        Kind::Silent => return false,
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
    }
    true
}

/// What an error response takes at most, unless its id is long.
const ERROR_SIZE: usize = 96;

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

    /// Puts in the response to the request with this index.
    pub(crate) fn put(&mut self, index: usize, id: &Id, response: Kind, limit: usize) {
        // Together they must fit the limit, too, and so must an error for each that is missing.
        let missing = self.places.len().saturating_sub(self.count + 1);
        let taken = self.text.len() + ",]".len() + missing * ERROR_SIZE;
        let end = self.text.len();
        if self.count > 0 {
            self.text.push(b',');
        }
        let start = self.text.len();
        if !write(&mut self.text, response, id, limit.saturating_sub(taken)) {
            return self.text.truncate(end);
        }
        if let Some(place) = self.places.get_mut(index) {
            *place = start..self.text.len();
        }
        self.in_order &= index == self.count;
        self.count += 1;
    }

    /// The array, if nothing is missing, and not even then if nothing was asked for.
    pub(crate) fn finish(mut self) -> Option<Vec<u8>> {
        if self.count < self.places.len() || self.count == 0 {
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

/// A batch that some of its handlers still work at; the last one answers it.
pub(crate) struct BatchAnswer(Mutex<Option<Gathered>>);

impl BatchAnswer {
    pub(crate) fn new(gathered: Gathered) -> Self {
        BatchAnswer(Mutex::new(Some(gathered)))
    }

    /// Gives the array when it is complete.
    fn put(&self, index: usize, id: &Id, response: Kind, limit: usize) -> Option<Vec<u8>> {
        let mut gathered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let all = gathered.as_mut()?;
        all.put(index, id, response, limit);
        if all.count < all.places.len() {
            return None;
        }
        let all = gathered.take();
        drop(gathered);
        all?.finish()
    }
}

//! A batch that travels by HTTP: one POST, whose answer brings what each of its calls waits for.
//!
//! Must not know how a batch is put together, or the types of results. Only with the feature
//! `http-client`.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::calling::exchange::Exchange;
use crate::calling::inherited::Inherited;
use crate::calling::link::Message;
use crate::config::deadline;
use crate::error::{CloseReason, Error};
use crate::protocol::encode::array;
use crate::race::{Either, race};
use crate::span::CallSpan;
use crate::web::post::Post;
use crate::web::posted::{Outcome, deliver, note, tell, write};

pub(crate) struct PostBatch {
    post: Arc<Post>,
    /// What bounds it if it has no calls, whose times do that otherwise.
    inherited: Inherited,
    messages: Vec<Vec<u8>>,
    /// Their ids count up.
    calls: Vec<Waiting>,
}

/// A call in it.
struct Waiting {
    id: u64,
    timeout: Option<Duration>,
    span: CallSpan,
    caller: oneshot::Sender<Outcome>,
}

impl PostBatch {
    pub(crate) fn new(post: Arc<Post>, inherited: Inherited) -> Self {
        PostBatch { post, inherited, messages: Vec::new(), calls: Vec::new() }
    }

    pub(crate) fn notification(&mut self, message: Vec<u8>) {
        self.messages.push(message);
    }

    pub(crate) fn call(
        &mut self,
        message: Message,
        timeout: Option<Duration>,
    ) -> Result<Exchange, Error> {
        let (id, text, span) = write(&self.post, message, timeout)?;
        self.messages.push(text);
        let (caller, called) = oneshot::channel();
        self.calls.push(Waiting { id, timeout, span, caller });
        let outcome = async move { called.await.unwrap_or(Err(Error::NotSent)) };
        Ok(Exchange::Boxed(Box::pin(outcome)))
    }

    /// Sends it, and waits for its answer, or until the time of all its calls is over. From the
    /// moment in which it goes out, what goes wrong is told to each call.
    pub(crate) async fn send(self) -> Result<(), Error> {
        let PostBatch { post, inherited, messages, calls } = self;
        // Every call in it may have failed to encode: they say so themselves.
        if messages.is_empty() {
            return Ok(());
        }
        let text = array(messages.iter().map(Vec::as_slice));
        drop(messages);
        if calls.is_empty() {
            return tell(&post, text, inherited.limit(post.config.call_timeout)).await;
        }
        post.check(&text)?;
        let _under_way = post.count(calls.len());
        let mut sent = Sent::new(calls);
        let mut answer = pin!(post.exchange(text, None));
        loop {
            let outcome = match sent.next_deadline() {
                Some(next) => race(answer.as_mut(), pin!(sleep_until(next))).await,
                None => Either::Left(answer.as_mut().await),
            };
            match outcome {
                Either::Left(answer) => {
                    let ids: Vec<u64> = sent.calls.iter().map(|(call, _)| call.id).collect();
                    let mut calls: Vec<_> =
                        std::mem::take(&mut sent.calls).into_iter().map(Some).collect();
                    deliver(answer, &ids, |place, outcome| {
                        if let Some((call, _)) = calls.get_mut(place).and_then(Option::take) {
                            call.settle(outcome);
                        }
                    });
                    return Ok(());
                }
                Either::Right(()) => sent.expire(Instant::now()),
            }
            if sent.calls.is_empty() {
                return Ok(());
            }
        }
    }
}

impl Waiting {
    fn settle(self, outcome: Outcome) {
        note(&self.span, &outcome);
        // Nobody may wait for it any more.
        let _ = self.caller.send(outcome);
    }
}

/// Calls that may have reached the server, and until when each waits.
struct Sent {
    calls: Vec<(Waiting, Option<Instant>)>,
}

impl Sent {
    fn new(calls: Vec<Waiting>) -> Self {
        let now = Instant::now();
        let with_deadline = |call: Waiting| {
            let until = call.timeout.map(|timeout| deadline(now, timeout));
            (call, until)
        };
        Sent { calls: calls.into_iter().map(with_deadline).collect() }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.calls.iter().filter_map(|(_, until)| *until).min()
    }

    fn expire(&mut self, now: Instant) {
        let calls = std::mem::take(&mut self.calls);
        let is_over = |until: &Option<Instant>| until.is_some_and(|until| until <= now);
        let (over, left) = calls.into_iter().partition(|(_, until)| is_over(until));
        self.calls = left;
        let over: Vec<_> = over;
        over.into_iter().for_each(|(call, _)| call.settle(Err(Error::Timeout)));
    }
}

/// The request was aborted: nobody knows what the server has made of it.
impl Drop for Sent {
    fn drop(&mut self) {
        for (call, _) in self.calls.drain(..) {
            call.settle(Err(Error::Closed(CloseReason::Local)));
        }
    }
}

//! A batch by HTTP: one POST, whose response contains the result of each call. Only with the
//! feature `http-client`.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::{CloseReason, Error};
use crate::http::post::Post;
use crate::http::post_calls::{Outcome, deliver, note, notify_all, write};
use crate::link::OutgoingCall;
use crate::outgoing::deadline::{CallTimeout, InheritedDeadline};
use crate::outgoing::exchange::Exchange;
use crate::outgoing::peer::RouteBatch;
use crate::protocol::encode::{OutgoingMessage, array};
use crate::span::CallSpan;
use crate::util::BoxFuture;
use crate::util::race::{Either, race};
use crate::util::runtime::Timer;
use crate::util::runtime::deadline;

pub(crate) struct PostBatch {
    post: Arc<Post>,
    /// The time limit of a batch without calls. Otherwise the timeouts of its calls apply.
    inherited: InheritedDeadline,
    messages: Vec<Vec<u8>>,
    /// The method of the first entry.
    first: Cow<'static, str>,
    /// In the order of their ids.
    calls: Vec<Waiting>,
}

/// A call of the batch.
struct Waiting {
    id: u64,
    method: Cow<'static, str>,
    limit: CallTimeout,
    span: CallSpan,
    caller: oneshot::Sender<Outcome>,
}

impl PostBatch {
    pub(crate) fn new(post: Arc<Post>, inherited: InheritedDeadline) -> Self {
        let first = Cow::Borrowed("");
        PostBatch { post, inherited, messages: Vec::new(), first, calls: Vec::new() }
    }

    /// Sends the batch, and waits for the response or until all its calls have timed out. Once the
    /// batch is sent, errors go to each call.
    async fn send_now(self) -> Result<(), Error> {
        let PostBatch { post, inherited, messages, first, calls } = self;
        // If all calls failed to encode, each of them reports that itself.
        if messages.is_empty() {
            return Ok(());
        }
        let text = array(messages.iter().map(Vec::as_slice));
        let count = messages.len();
        drop(messages);
        if calls.is_empty() {
            let limit = inherited.limit(post.config.call_timeout);
            return notify_all(&post, text, &first, count, limit).await;
        }
        post.check(&text)?;
        let _in_flight = post.count(calls.len());
        let mut sent = Sent::new(calls);
        let mut answer = pin!(post.exchange(text, None));
        loop {
            let outcome = match sent.next_deadline() {
                Some(next) => race(answer.as_mut(), Timer::new(next)).await,
                None => Either::Left(answer.as_mut().await),
            };
            match outcome {
                Either::Left(answer) => {
                    let calls = std::mem::take(&mut sent.calls);
                    let mut outcomes: Vec<_> = calls.iter().map(|_| Err(Error::NotSent)).collect();
                    let known: Vec<(u64, &str)> =
                        calls.iter().map(|(call, _)| (call.id, &*call.method)).collect();
                    deliver(answer, &known, |place, outcome| {
                        if let Some(brought) = outcomes.get_mut(place) {
                            *brought = outcome;
                        }
                    });
                    drop(known);
                    let outcomes = calls.into_iter().zip(outcomes);
                    outcomes.for_each(|((call, _), outcome)| call.settle(outcome));
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

impl RouteBatch for PostBatch {
    fn notify(&mut self, notification: OutgoingMessage) {
        if self.messages.is_empty() {
            self.first = notification.method.clone();
        }
        self.messages.push(notification.into_notification());
    }

    fn call(&mut self, mut message: OutgoingCall, limit: CallTimeout) -> Result<Exchange, Error> {
        let method = std::mem::take(&mut message.outgoing.method);
        let (id, text, span) = write(&self.post, message, limit.timeout)?;
        self.messages.push(text);
        let (caller, called) = oneshot::channel();
        self.calls.push(Waiting { id, method, limit, span, caller });
        let outcome = async move { called.await.unwrap_or(Err(Error::NotSent)) };
        Ok(Exchange::Boxed(Box::pin(outcome)))
    }

    fn send(self: Box<Self>) -> BoxFuture<Result<(), Error>> {
        Box::pin(self.send_now())
    }
}

impl Waiting {
    fn settle(self, outcome: Outcome) {
        note(&self.span, &outcome);
        // The caller may have dropped the call.
        let _ = self.caller.send(outcome);
    }
}

/// Calls that may have reached the server, with their deadlines.
struct Sent {
    calls: Vec<(Waiting, Option<Instant>)>,
}

impl Sent {
    fn new(calls: Vec<Waiting>) -> Self {
        let now = Instant::now();
        let with_deadline = |call: Waiting| {
            let until = call.limit.timeout.map(|timeout| deadline(now, timeout));
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
        for (call, _) in over {
            let late = call.limit.unanswered(&call.method);
            call.settle(Err(late));
        }
    }
}

/// Ends the calls of an aborted request. It is unknown whether the server handled them.
impl Drop for Sent {
    fn drop(&mut self) {
        for (call, _) in self.calls.drain(..) {
            call.settle(Err(Error::Closed(CloseReason::Local)));
        }
    }
}

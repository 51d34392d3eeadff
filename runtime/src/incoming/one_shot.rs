//! One message of a caller without a connection: from its text to the text of its answer.
//!
//! Must not know HTTP, or how else the message came.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::incoming::admission::Admission;
use crate::incoming::context::Context;
use crate::incoming::dispatch::Dispatcher;
use crate::incoming::responder::{OneResponse, ResponseSink};
use crate::incoming::responder::{Responder, Tracker};
use crate::incoming::router::Router;
use crate::link::Link;
use crate::link::pending_calls::Side;
use crate::util::race::{Either, race};
use crate::util::type_map::TypeMap;

/// Reading a message of so many bytes takes as long as a turn.
const LARGE: usize = 16 << 10;

/// One who has one message to give, and takes one answer.
pub(crate) struct OneShotCall {
    link: Arc<Link>,
    router: Arc<Router>,
    context: Context,
}

/// What the caller gets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Text(Vec<u8>),
    /// Nothing was asked.
    Nothing,
    /// The handlers did not get to it.
    CutOff,
}

impl OneShotCall {
    pub(crate) fn new(
        config: Arc<Config>,
        router: Arc<Router>,
        handshake: Handshake,
        state: TypeMap,
    ) -> Self {
        let link = Arc::new(Link::new(Side::Server, config, router.outgoing.clone(), false));
        // It can't be called back.
        link.begin_close(CloseReason::NoSocket);
        let context = Context::new(Arc::clone(&link), handshake);
        context.adopt(state);
        OneShotCall { link, router, context }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Has its message handled. Dropped before the answer is there, it tells the handlers so, which
    /// go on by themselves. `kept` is dropped with the last of them.
    pub(crate) async fn handle(
        self,
        message: Bytes,
        tracker: Tracker,
        kept: Box<dyn Send + Sync>,
    ) -> Answer {
        let OneShotCall { link, router, context } = self;
        let waiting = Waiting(Some(Arc::clone(&link)));
        let (sender, mut answer) = oneshot::channel();
        let sink =
            ResponseSink::OneResponse(Box::new(OneResponse::new(Arc::clone(&link), sender, kept)));
        let responder = Responder::new(router, Arc::clone(&link), sink, Some(tracker), None);
        begin(&responder, context, message).await;
        // What is ready was answered by now. If no request is at work, nobody will answer any more,
        // though handlers of notifications may go on for long.
        let unanswered = responder.requests.was_used();
        drop(responder);
        let answer = if unanswered {
            wait(&mut answer, pin!(link.closed())).await
        } else {
            answer.try_recv().map_or(Answer::Nothing, Answer::Text)
        };
        waiting.no_more();
        answer
    }
}

/// Until the answer comes, or there can be none any more.
async fn wait(
    answer: &mut oneshot::Receiver<Vec<u8>>,
    ended: impl Future<Output = CloseReason> + Unpin,
) -> Answer {
    match race(&mut *answer, ended).await {
        Either::Left(Ok(text)) => Answer::Text(text),
        Either::Left(Err(_)) => Answer::CutOff,
        // The last handler answers and then ends the link; both may fall between two looks.
        Either::Right(_) => answer.try_recv().map_or(Answer::CutOff, Answer::Text),
    }
}

/// Starts the handlers. What takes more than a turn is a task of its own: an HTTP server may poll this
/// again without having let others have theirs.
async fn begin(responder: &Arc<Responder>, context: Context, message: Bytes) {
    let dispatcher = Dispatcher::new(Arc::clone(responder), context);
    if message.len() < LARGE {
        receive(&dispatcher, message);
        if dispatcher.is_midway() {
            drop(tokio::spawn(go_on(dispatcher)).await);
        }
        return;
    }
    let beginning = tokio::spawn(async move {
        // The HTTP server has just read it.
        tokio::task::yield_now().await;
        receive(&dispatcher, message);
        go_on(dispatcher).await;
    });
    // Only the end of the runtime ends it before.
    drop(beginning.await);
}

fn receive(dispatcher: &Dispatcher, message: Bytes) {
    dispatcher.begin_turn();
    match Utf8Bytes::try_from(message) {
        Ok(message) => dispatcher.receive(message, Admission::Open),
        Err(_) => dispatcher.malformed(),
    }
    dispatcher.end_turn();
}

/// Begins the rest of a batch, and lets others have their turn before each part of it.
async fn go_on(dispatcher: Dispatcher) {
    while dispatcher.is_midway() {
        tokio::task::yield_now().await;
        dispatcher.refill();
        dispatcher.begin_turn();
        dispatcher.resume();
        dispatcher.end_turn();
    }
    // The HTTP server writes the answer, and reads the next message.
    tokio::task::yield_now().await;
}

/// Somebody waits for the answer. Dropped, it tells the handlers that nobody does any more.
struct Waiting(Option<Arc<Link>>);

impl Waiting {
    /// There is no answer to wait for.
    fn no_more(mut self) {
        self.0 = None;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(link) = &self.0 {
            link.end(CloseReason::NoSocket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};
    use std::task::Poll;

    use super::*;

    /// Another thread answers, and ends the link, when the answer was looked at and the end was not.
    #[tokio::test]
    async fn an_answer_that_comes_with_the_end_is_not_lost() {
        let (sender, mut answer) = oneshot::channel();
        let mut sender = Some(sender);
        let ended = poll_fn(|_| {
            let _ = sender.take().map(|sender| sender.send(b"text".to_vec()));
            Poll::Ready(CloseReason::NoSocket)
        });
        assert_eq!(wait(&mut answer, ended).await, Answer::Text(b"text".to_vec()));
    }

    #[tokio::test]
    async fn without_an_answer_it_is_cut_off() {
        let (sender, mut answer) = oneshot::channel();
        assert_eq!(wait(&mut answer, ready(CloseReason::NoSocket)).await, Answer::CutOff);
        drop(sender);
        assert_eq!(wait(&mut answer, pending()).await, Answer::CutOff);
    }
}

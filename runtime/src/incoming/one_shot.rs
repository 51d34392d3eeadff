//! Handles one message from a caller without a connection, from its text to the text of its
//! response. HTTP POST uses it. The link of such a caller is closed from the start, so handlers
//! cannot call back.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::incoming::context::Context;
use crate::incoming::dispatch::Admission;
use crate::incoming::dispatch::Dispatcher;
use crate::incoming::large_message::LargeMessage;
use crate::incoming::responder::{OneResponse, ResponseSink};
use crate::incoming::responder::{Responder, Tracker};
use crate::incoming::router::Router;
use crate::link::Link;
use crate::link::pending_calls::Side;
use crate::protocol::pieces::Pieces;
use crate::protocol::slices;
use crate::util::race::{Either, race};
use crate::util::type_map::TypeMap;

/// A message of this size takes about as long to read as a connection's budget before it yields.
const LARGE: usize = 16 << 10;

/// A call, or a batch of calls, from a caller without a connection.
pub(crate) struct OneShotCall {
    link: Arc<Link>,
    router: Arc<Router>,
    context: Context,
}

/// The response to the caller.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum OneShotOutcome {
    Text(Pieces),
    /// The message has no response.
    Nothing,
    /// The handlers were dropped before they answered.
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
        // The caller cannot be called back.
        link.begin_close(CloseReason::NoSocket);
        let context = Context::new(Arc::clone(&link), handshake, None);
        context.adopt(state);
        OneShotCall { link, router, context }
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Handles the message. If the future is dropped before the response is ready, the calls are
    /// cancelled, and their handlers continue in their tasks. `kept` is dropped with the last
    /// handler.
    pub(crate) async fn handle(
        self,
        message: Bytes,
        tracker: Tracker,
        kept: Box<dyn Send + Sync>,
    ) -> OneShotOutcome {
        let OneShotCall { link, router, context } = self;
        let waiting = Waiting(Some(Arc::clone(&link)));
        let (sender, mut answer) = oneshot::channel();
        let sink =
            ResponseSink::OneResponse(Box::new(OneResponse::new(Arc::clone(&link), sender, kept)));
        let responder = Responder::new(router, Arc::clone(&link), sink, Some(tracker), None);
        begin(&responder, context, message).await;
        // Calls whose handlers were ready are answered by now. If no request is in flight, no
        // response will follow, although handlers of notifications may still run for a long time.
        let unanswered = responder.requests.was_used();
        drop(responder);
        let answer = if unanswered {
            wait(&mut answer, pin!(link.closed())).await
        } else {
            answer.try_recv().map_or(OneShotOutcome::Nothing, OneShotOutcome::Text)
        };
        waiting.no_more();
        answer
    }
}

/// Waits for the response, or until no response is possible.
async fn wait(
    answer: &mut oneshot::Receiver<Pieces>,
    ended: impl Future<Output = CloseReason> + Unpin,
) -> OneShotOutcome {
    match race(&mut *answer, ended).await {
        Either::Left(Ok(text)) => OneShotOutcome::Text(text),
        Either::Left(Err(_)) => OneShotOutcome::CutOff,
        // The last handler answers and then ends the link, and both may happen between two polls.
        Either::Right(_) => answer.try_recv().map_or(OneShotOutcome::CutOff, OneShotOutcome::Text),
    }
}

/// Starts the handlers. A large message is handled in a separate task, so that it can yield: an
/// HTTP server may poll this future again at once without letting other tasks run.
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
        // The HTTP server has just read the message, so yield first.
        tokio::task::yield_now().await;
        if message.len() > slices::LARGE {
            let mut large = LargeMessage::bytes(message);
            while !dispatcher.advance(&mut large) {
                tokio::task::yield_now().await;
            }
            let (message, slices) = large.decoded();
            dispatcher.begin_round();
            dispatcher.receive_large(message, &slices, Admission::Open);
            dispatcher.end_round();
        } else {
            receive(&dispatcher, message);
        }
        go_on(dispatcher).await;
    });
    // This fails only if the runtime is shut down.
    drop(beginning.await);
}

fn receive(dispatcher: &Dispatcher, message: Bytes) {
    dispatcher.begin_round();
    match Utf8Bytes::try_from(message) {
        Ok(message) => dispatcher.receive(message, Admission::Open),
        Err(_) => dispatcher.malformed(),
    }
    dispatcher.end_round();
}

/// Starts the rest of a batch, and yields before each part of it.
async fn go_on(dispatcher: Dispatcher) {
    while dispatcher.is_midway() {
        tokio::task::yield_now().await;
        dispatcher.refill();
        dispatcher.begin_round();
        dispatcher.resume();
        dispatcher.end_round();
    }
    // The HTTP server writes the response and reads the next message, so yield once more.
    tokio::task::yield_now().await;
}

/// Held while the caller waits for the response. Dropping it cancels the calls.
struct Waiting(Option<Arc<Link>>);

impl Waiting {
    /// Called when there is no response to wait for.
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

    /// Another thread answers and ends the link between the two checks for the response and for the
    /// end.
    #[tokio::test]
    async fn an_answer_that_comes_with_the_end_is_not_lost() {
        let (sender, mut answer) = oneshot::channel();
        let mut sender = Some(sender);
        let ended = poll_fn(|_| {
            let _ = sender.take().map(|sender| sender.send(b"text".to_vec().into()));
            Poll::Ready(CloseReason::NoSocket)
        });
        assert_eq!(wait(&mut answer, ended).await, OneShotOutcome::Text(b"text".to_vec().into()));
    }

    #[tokio::test]
    async fn without_an_answer_it_is_cut_off() {
        let (sender, mut answer) = oneshot::channel();
        assert_eq!(wait(&mut answer, ready(CloseReason::NoSocket)).await, OneShotOutcome::CutOff);
        drop(sender);
        assert_eq!(wait(&mut answer, pending()).await, OneShotOutcome::CutOff);
    }
}

//! The reading half of a connection: what comes in, and what has to wait.
//!
//! Must not know how a connection ends, nor what is written when.
//!
//! Messages that were read and wait to be handled.
//!
//! Must not know why.

use std::collections::VecDeque;
use std::task::{Context as TaskContext, Poll};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::incoming::admission::Admission;
use crate::incoming::dispatch::Dispatcher;
use crate::link::Link;
use crate::websocket::chunk::detach;
use crate::websocket::received::Received;
use crate::websocket::transport::Transport;
use crate::websocket::writer::Writer;

/// A control frame counts for as many messages: each answer to a ping is a system call of its own.
const CONTROL: usize = 4;

#[derive(Default)]
pub(crate) struct Reader {
    /// Read while the peer was not taking its answers.
    held: HeldMessages,
    /// Bytes of refusals that were queued since then.
    refused: usize,
    /// Nothing is read, whatever there may be.
    pauses: bool,
    /// Takes messages before the dispatcher does.
    #[cfg(test)]
    pub(crate) takes: Option<fn(&Received, &Link) -> bool>,
}

/// Why reading has stopped.
pub(crate) enum Stopped {
    /// There is nothing more, or it has to wait.
    Dry,
    /// There may be more; others get their turn.
    Spent,
    /// Something other than a message came.
    At(Received),
}

/// Where what is read goes, and what decides whether it may.
pub(crate) struct Destination<'a> {
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) link: &'a Link,
    pub(crate) admission: Admission,
}

impl Reader {
    /// Whether the peer may be silent only because nobody listens.
    pub(crate) fn pauses(&self) -> bool {
        self.pauses
    }

    /// Reads what is there.
    pub(crate) fn read_available(
        &mut self,
        cx: &mut TaskContext<'_>,
        transport: &mut Transport,
        writer: &mut Writer,
        to: &Destination<'_>,
    ) -> Stopped {
        to.dispatcher.begin_turn();
        let stopped = self.read(cx, transport, writer, to);
        to.dispatcher.end_turn();
        stopped
    }

    fn read(
        &mut self,
        cx: &mut TaskContext<'_>,
        transport: &mut Transport,
        writer: &mut Writer,
        to: &Destination<'_>,
    ) -> Stopped {
        let Destination { dispatcher, link, admission } = to;
        let limit = link.config.max_send_queue.max(1);
        self.pauses = false;
        if dispatcher.is_midway() {
            let before = link.send_queue.answer_bytes();
            dispatcher.resume();
            self.refused += link.send_queue.answer_bytes().saturating_sub(before);
            // Reading the next batch takes as long again.
            return Stopped::Spent;
        }
        while dispatcher.budget() > 0 {
            dispatcher.spend(1);
            let clogged = link.send_queue.answer_bytes() >= limit;
            if !clogged {
                self.refused = 0;
                if let Some(message) = self.held.release() {
                    dispatcher.receive(message, *admission);
                    continue;
                }
            }
            let full = clogged && self.held.is_full(&link.config);
            // Nobody here waits for a response, so the peer may wait. Otherwise its responses must
            // come in, past requests for which there is only one answer left.
            let may_pause = clogged && (link.pending.len() == 0 || (full && self.refused >= limit));
            if may_pause || writer.pauses_reading() {
                self.pauses = true;
                return Stopped::Dry;
            }
            let received = match transport.poll_receive(cx) {
                Poll::Pending if transport.take_rest() => return Stopped::Spent,
                Poll::Pending => return Stopped::Dry,
                Poll::Ready(received) => received,
            };
            #[cfg(test)]
            if self.takes.is_some_and(|takes| takes(&received, link)) {
                continue;
            }
            match received.into_text() {
                Received::Text(message) if clogged => {
                    if dispatcher.receive_news(&message) {
                        continue;
                    }
                    if full {
                        let before = link.send_queue.answer_bytes();
                        dispatcher.receive(message, Admission::Busy);
                        self.refused += link.send_queue.answer_bytes().saturating_sub(before);
                    } else {
                        self.held.hold(message);
                    }
                }
                // As good as any text that is not JSON.
                Received::Binary(_) if clogged => self.held.hold(Utf8Bytes::from_static("]")),
                Received::Text(message) => dispatcher.receive(message, *admission),
                Received::Binary(_) => dispatcher.malformed(),
                Received::Control => {
                    dispatcher.spend(CONTROL - 1);
                    writer.saw_control();
                }
                other => return Stopped::At(other),
            }
        }
        Stopped::Spent
    }

    /// Handles what was held back as far as there is room for the answers, when nothing more is read:
    /// of handlers that are ready at once, they are sent. `true`: others get their turn, there may be
    /// more.
    pub(crate) fn release(&mut self, to: &Destination<'_>) -> bool {
        let Destination { dispatcher, link, admission } = to;
        let limit = link.config.max_send_queue.max(1);
        dispatcher.begin_turn();
        let mut done = true;
        link.send_queue.let_speak(|| done = dispatcher.resume());
        while done && dispatcher.budget() > 0 && link.send_queue.answer_bytes() < limit {
            let Some(message) = self.held.release() else { break };
            dispatcher.spend(1);
            link.send_queue.let_speak(|| dispatcher.receive(message, *admission));
            done = !dispatcher.is_midway();
        }
        dispatcher.end_turn();
        dispatcher.budget() == 0
    }

    /// Whether something that was read waits for room.
    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// The connection is over: what was held back is handled as far as it can be.
    pub(crate) fn finish(&mut self, dispatcher: &Dispatcher) {
        dispatcher.finish();
        while let Some(message) = self.held.release() {
            dispatcher.receive(message, Admission::Unanswerable);
        }
    }
}

/// What a message costs beside its text, or a million messages of one byte would count as a
/// megabyte.
const OVERHEAD: usize = 128;

/// What a peer asks while it does not take its answers. It gets nothing more to wait for until it
/// does; but its responses are taken in all the while, or two sides that wait for each other to
/// read would wait for ever.
#[derive(Default)]
pub(crate) struct HeldMessages {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl HeldMessages {
    /// Whether there is as much as may wait: what may wait to be sent, and the overhead of as many
    /// small ones as may be in flight.
    pub(crate) fn is_full(&self, config: &Config) -> bool {
        let overhead = config.max_in_flight.saturating_mul(OVERHEAD);
        self.bytes >= config.max_send_queue.saturating_add(overhead)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(crate) fn hold(&mut self, message: Utf8Bytes) {
        self.bytes += message.len() + OVERHEAD;
        self.messages.push_back(detach(message));
    }

    pub(crate) fn release(&mut self) -> Option<Utf8Bytes> {
        let message = self.messages.pop_front()?;
        self.bytes -= message.len() + OVERHEAD;
        Some(message)
    }
}

//! The reading half of a connection: [`Reader`] takes messages from the transport and passes them
//! to the dispatcher, or holds them back ([`HeldMessages`]) while the peer does not read its
//! responses.

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

/// A control frame counts for as many messages: each pong is a system call of its own.
const CONTROL: usize = 4;

#[derive(Default)]
pub(crate) struct Reader {
    /// Messages read while the peer was not reading its responses.
    held: HeldMessages,
    /// Bytes of refusals queued since then.
    refused: usize,
    /// Whether reading is paused, whatever may have arrived.
    pauses: bool,
    /// In tests, takes messages before the dispatcher does.
    #[cfg(test)]
    pub(crate) takes: Option<fn(&Received, &Link) -> bool>,
}

/// Why reading has stopped.
pub(crate) enum Stopped {
    /// There is nothing more to read, or reading has to wait.
    Dry,
    /// The budget is used up; there may be more.
    Spent,
    /// Something other than a message arrived.
    At(Received),
}

/// Where messages go, and whether they may.
pub(crate) struct Destination<'a> {
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) link: &'a Link,
    pub(crate) admission: Admission,
}

impl Reader {
    /// Whether the peer may seem silent only because this side does not read.
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
            // If no call of this side is pending, the peer may wait. Otherwise its responses must
            // be read, past requests that can only be refused.
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
                // Like any text that is not JSON.
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

    /// Handles messages that were held back, as far as there is space for the responses, when
    /// nothing more is read: responses of handlers that are ready at once are sent. `true`: time to
    /// yield, there may be more.
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

    /// Whether messages are held back.
    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty()
    }

    /// Handles the messages held back as far as possible when the connection is over.
    pub(crate) fn finish(&mut self, dispatcher: &Dispatcher) {
        dispatcher.finish();
        while let Some(message) = self.held.release() {
            dispatcher.receive(message, Admission::Unanswerable);
        }
    }
}

/// What a message costs besides its text; otherwise a million messages of one byte would count as a
/// megabyte.
const OVERHEAD: usize = 128;

/// Requests of a peer that does not read its responses. They get no responses until it does; but
/// its own responses are read all the while, or two sides that wait for each other to read would
/// deadlock.
#[derive(Default)]
pub(crate) struct HeldMessages {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl HeldMessages {
    /// Whether the limit is reached: the size of the send queue, and the overhead of as many small
    /// messages as may be in flight.
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

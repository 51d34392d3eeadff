//! The two halves of a connection. [`Reader`] takes messages from the transport and passes them to
//! the dispatcher, or holds them back ([`HeldMessages`]) while the peer does not read its responses
//! and while the server's `on_connect` hook runs. [`Writer`] moves messages from the send queue to
//! the network, and decides when to write and flush.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::task::{Context as TaskContext, Poll};

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::connection::gate::Verdict;
use crate::error::CloseReason;
use crate::incoming::dispatch::{Admission, Dispatcher};
use crate::incoming::large_message::LargeMessage;
use crate::link::Link;
use crate::protocol::slices::{LARGE, Slices};
use crate::websocket::inbox::detach;
use crate::websocket::send_queue::{SendQueue, Sending, Sent};
use crate::websocket::transport::{Received, Transport};

/// A control frame costs as much of the budget as this number of messages: each pong is a separate
/// system call.
const CONTROL: usize = 4;

/// Whether calls of the peer are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Calls {
    #[default]
    Handled,
    /// Not yet: the server's `on_connect` hook is running.
    Held,
    /// Never: the hook has refused the connection, which is about to close.
    Dropped,
}

#[derive(Default)]
pub(crate) struct Reader {
    /// Messages that were received while the peer was not reading its responses, or before the
    /// connection was accepted.
    held: HeldMessages,
    calls: Calls,
    /// The number of messages that were dropped because the connection was not accepted.
    dropped: usize,
    /// A large message that is being decoded, and whether it was held back before.
    large: Option<(Box<LargeMessage>, bool)>,
    /// Bytes of refusals that were queued meanwhile.
    refused: usize,
    /// Whether this side has paused reading.
    pauses: bool,
    /// In tests, handles messages in place of the dispatcher.
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

/// How many bytes of responses this queues.
fn queued_by(link: &Link, handle: impl FnOnce()) -> usize {
    let before = link.send_queue.answer_bytes();
    handle();
    link.send_queue.answer_bytes().saturating_sub(before)
}

/// Where messages go, and which of them are accepted.
pub(crate) struct Destination<'a> {
    pub(crate) dispatcher: &'a Dispatcher,
    pub(crate) link: &'a Link,
    pub(crate) admission: Admission,
}

impl Reader {
    /// `gated`: calls of the peer are held until [`leave_gate`](Self::leave_gate).
    pub(crate) fn new(gated: bool) -> Self {
        let calls = if gated { Calls::Held } else { Calls::Handled };
        Reader { calls, ..Reader::default() }
    }

    /// Called when the `on_connect` hook has ended.
    pub(crate) fn leave_gate(&mut self, verdict: Verdict) {
        self.calls = match verdict {
            Verdict::Accepted => Calls::Handled,
            Verdict::Refused => Calls::Dropped,
        };
        if verdict == Verdict::Refused {
            self.drop_held();
        }
    }

    #[cold]
    fn drop_held(&mut self) {
        self.dropped += usize::from(self.large.take().is_some());
        while self.held.release().is_some() {
            self.dropped += 1;
        }
    }

    /// Whether calls have to wait for the `on_connect` hook. During a shutdown they do not: they are
    /// refused in any case.
    #[inline]
    fn is_gated(&self, admission: Admission) -> bool {
        self.calls != Calls::Handled && admission != Admission::Refused
    }

    /// Whether reading, or handling a message, waits until responses are written.
    #[inline]
    pub(crate) fn waits_for_room(&self) -> bool {
        self.pauses || self.holds_any()
    }

    /// Whether this side has paused reading, so that a silent peer proves nothing.
    pub(crate) fn pauses(&self) -> bool {
        self.pauses
    }

    /// Reads messages until there are no more, or until reading has to pause or yield.
    pub(crate) fn read_available(
        &mut self,
        cx: &mut TaskContext<'_>,
        transport: &mut Transport,
        writer: &mut Writer,
        to: &Destination<'_>,
    ) -> Stopped {
        to.dispatcher.begin_round();
        let stopped = self.read(cx, transport, writer, to);
        to.dispatcher.end_round();
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
        let gated = self.is_gated(*admission);
        self.pauses = false;
        if dispatcher.is_midway() {
            self.refused += queued_by(link, || {
                dispatcher.resume();
            });
            // The next message may be a batch as large as this one, so yield first.
            return Stopped::Spent;
        }
        if self.large.is_some() && !self.go_on(to) {
            return Stopped::Spent;
        }
        while dispatcher.budget() > 0 {
            dispatcher.spend(1);
            let clogged = link.send_queue.answer_bytes() >= limit;
            let holds = clogged || gated;
            if !holds {
                self.refused = 0;
                if let Some(message) = self.held.release() {
                    if message.len() > LARGE {
                        self.large = Some((LargeMessage::text(message), true));
                        return Stopped::Spent;
                    }
                    dispatcher.receive(message, *admission);
                    continue;
                }
            }
            let full = holds && self.held.is_full(&link.config);
            // If no call of this side is pending, reading can pause. Otherwise the peer's responses
            // must be read; requests that arrive before them can only be refused. While the hook
            // runs, reading does not pause before the limit, so that the end of the stream is seen.
            let nothing_pending = holds && link.pending.len() == 0;
            let may_pause = (clogged && !gated && nothing_pending)
                || (full && (nothing_pending || self.refused >= limit));
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
                Received::Text(message) if message.len() > LARGE => {
                    self.large = Some((LargeMessage::text(message), false));
                    return Stopped::Spent;
                }
                Received::Binary(bytes) if bytes.len() > LARGE => {
                    self.large = Some((LargeMessage::bytes(bytes), false));
                    return Stopped::Spent;
                }
                Received::Text(message) if holds => self.receive_held(message, None, full, to),
                // Stands for a text that is not JSON.
                Received::Binary(_) if holds => {
                    self.receive_held(Utf8Bytes::from_static("]"), None, full, to);
                }
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

    /// Handles a message whose calls must wait. `full`: no more messages may be held back.
    fn receive_held(
        &mut self,
        message: Utf8Bytes,
        slices: Option<&Slices>,
        full: bool,
        to: &Destination<'_>,
    ) {
        let Destination { dispatcher, link, .. } = to;
        if dispatcher.receive_news(&message, slices) {
            return;
        }
        if self.calls == Calls::Dropped {
            self.dropped += 1;
        } else if full {
            self.refused += queued_by(link, || match slices {
                None => dispatcher.receive(message, Admission::Busy),
                Some(slices) => dispatcher.receive_large(message, slices, Admission::Busy),
            });
        } else {
            self.held.hold(message);
        }
    }

    /// Decodes the next slice of a large message, and handles the message after the last slice.
    /// Returns `false` if the connection has to yield first.
    #[cold]
    #[inline(never)]
    fn go_on(&mut self, to: &Destination<'_>) -> bool {
        let Destination { dispatcher, link, admission } = to;
        let Some((mut large, was_held)) = self.large.take() else { return true };
        if !dispatcher.advance(&mut large) {
            self.large = Some((large, was_held));
            return false;
        }
        let (message, slices) = large.decoded();
        let clogged = link.send_queue.answer_bytes() >= link.config.max_send_queue.max(1);
        let holds = clogged || self.is_gated(*admission);
        if !was_held && (holds || !self.held.is_empty()) {
            let full = self.held.is_full(&link.config);
            self.receive_held(message, Some(&slices), full, to);
        } else {
            dispatcher.receive_large(message, &slices, *admission);
        }
        !dispatcher.is_midway()
    }

    /// Handles messages that were held back, as long as there is space for the responses. Called
    /// when nothing more is read: responses of handlers that are ready at once are still sent.
    /// Returns `true` if there may be more and the task has to yield.
    pub(crate) fn release(&mut self, to: &Destination<'_>) -> bool {
        let Destination { dispatcher, link, admission } = to;
        let limit = link.config.max_send_queue.max(1);
        dispatcher.begin_round();
        let mut done = true;
        link.send_queue.let_speak(|| done = dispatcher.resume());
        if done && self.large.is_some() {
            link.send_queue.let_speak(|| done = self.go_on(to));
        }
        let gated = self.is_gated(*admission);
        while done && !gated && dispatcher.budget() > 0 && link.send_queue.answer_bytes() < limit {
            let Some(message) = self.held.release() else { break };
            dispatcher.spend(1);
            if message.len() > LARGE {
                self.large = Some((LargeMessage::text(message), true));
                break;
            }
            link.send_queue.let_speak(|| dispatcher.receive(message, *admission));
            done = !dispatcher.is_midway();
        }
        dispatcher.end_round();
        dispatcher.budget() == 0 || self.large.is_some()
    }

    /// Whether messages are held back.
    pub(crate) fn holds_any(&self) -> bool {
        !self.held.is_empty() || self.large.is_some()
    }

    /// Handles the messages that were held back, as far as that is possible after the connection
    /// has ended. Large messages are dropped, because decoding them would delay other tasks. All of
    /// them are dropped if the connection was not accepted.
    pub(crate) fn finish(&mut self, dispatcher: &Dispatcher) {
        dispatcher.finish();
        if self.calls != Calls::Handled {
            self.drop_held();
            if self.dropped > 0 {
                let messages = self.dropped;
                tracing::debug!(
                    messages,
                    "dropped the messages of a connection that no `on_connect` hook has accepted"
                );
            }
            return;
        }
        let mut dropped = self.large.take().is_some();
        while let Some(message) = self.held.release() {
            if message.len() > LARGE {
                dropped = true;
            } else {
                dispatcher.receive(message, Admission::Unanswerable);
            }
        }
        if dropped {
            tracing::debug!("dropped a large message: its connection ended before it was decoded");
        }
    }
}

/// The memory of a message besides its text. Without it, a million messages of one byte would count
/// as one megabyte.
const OVERHEAD: usize = 128;

/// Requests of a peer that does not read its responses, or that is not accepted yet. They are handled
/// once the peer reads again, or is accepted. The peer's own responses are still read meanwhile;
/// otherwise two sides that wait for each other to read would deadlock.
#[derive(Default)]
pub(crate) struct HeldMessages {
    messages: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl HeldMessages {
    /// Whether the limit is reached: `max_send_queue` bytes, plus the overhead of `max_in_flight`
    /// messages.
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

/// The number of consecutive rounds that may postpone writing while there is more to read. A system
/// call for a few responses costs more than the responses themselves.
const PUT_OFF: usize = 8;
/// With this many bytes of responses queued, writing is not postponed.
const ENOUGH: usize = 64 * 1024;
/// The maximum number of bytes written in a round and in one system call, which copies all of them.
const MOST: usize = 128 * 1024;
/// The maximum number of separate buffers in one system call.
const MOST_SLICES: usize = 64;
/// The number of pongs in tungstenite's buffer at which reading pauses.
const MAX_PONGS: usize = 64;

/// The writing half of a connection.
#[derive(Default)]
pub(crate) struct Writer {
    /// Messages taken from the send queue that are not written yet.
    sending: Sending,
    /// Whether something was written and not yet flushed.
    unflushed: bool,
    /// The number of rounds since writing was first postponed.
    put_off: usize,
    /// Control frames received since the last flush; their pongs wait in tungstenite's buffer.
    pongs: usize,
}

/// What one round of writing achieved.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Reading may resume: run another round.
    pub(crate) progress: bool,
    /// Messages were written. If reading waits for space in the send queue, run another round.
    pub(crate) made_room: bool,
    /// Something is queued that the socket does not accept at the moment.
    pub(crate) blocked: bool,
    /// Something is queued that the socket may accept: yield first.
    pub(crate) rest: bool,
}

impl Writer {
    /// Writes all that is queued, and flushes once. Writing may be postponed while there is more to
    /// read.
    pub(crate) fn write_queued(
        &mut self,
        cx: &mut TaskContext<'_>,
        transport: &mut Transport,
        send_queue: &SendQueue,
        more_to_read: bool,
    ) -> Result<Written, CloseReason> {
        let mut written = Written::default();
        if more_to_read && self.put_off < PUT_OFF && send_queue.answer_bytes() < ENOUGH {
            self.put_off += 1;
            return Ok(written);
        }
        self.put_off = 0;
        let mut sent = Sent::default();
        let fed = self.feed(cx, transport, send_queue, &mut sent);
        if sent.messages > 0 {
            send_queue.sent(&sent);
            written.made_room = true;
        }
        match fed? {
            Poll::Pending => written.blocked = true,
            Poll::Ready(rest) => written.rest = rest,
        }
        if self.unflushed && !written.blocked {
            match transport.poll_flush(cx) {
                Poll::Pending => written.blocked = true,
                Poll::Ready(flushed) => {
                    flushed?;
                    written.progress |= self.pauses_reading();
                    self.unflushed = false;
                    self.pongs = 0;
                }
            }
        }
        Ok(written)
    }

    /// Writes from the send queue. Ready with `true` if there may be more to write after yielding.
    fn feed(
        &mut self,
        cx: &mut TaskContext<'_>,
        transport: &mut Transport,
        send_queue: &SendQueue,
        sent: &mut Sent,
    ) -> Result<Poll<bool>, CloseReason> {
        let mut left = MOST;
        while left > 0 {
            if self.sending.is_empty() {
                send_queue.take(&mut self.sending);
                if self.sending.is_empty() {
                    return Ok(Poll::Ready(false));
                }
            }
            self.unflushed = true;
            let polled = if self.sending.is_scattered() {
                self.write_scattered(cx, transport, left)
            } else {
                let chunk = self.sending.chunk();
                transport.poll_write(cx, chunk.get(..left).unwrap_or(chunk))
            };
            match polled {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(count) => {
                    let count = count?;
                    left = left.saturating_sub(count);
                    self.sending.advance(count, sent);
                }
            }
            transport.set_midway(self.sending.is_midway());
        }
        Ok(Poll::Ready(!self.sending.is_empty() || !send_queue.is_empty()))
    }

    /// Writes bytes that are in several places with one system call.
    #[inline(never)]
    fn write_scattered(
        &self,
        cx: &mut TaskContext<'_>,
        transport: &mut Transport,
        most: usize,
    ) -> Poll<Result<usize, CloseReason>> {
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let count = self.sending.slices(&mut slices, most);
        match slices.get(..count).unwrap_or_default() {
            [one] => transport.poll_write(cx, one),
            several => transport.poll_write_vectored(cx, several),
        }
    }

    /// Called when something was put into tungstenite's buffer directly.
    pub(crate) fn must_flush(&mut self) {
        self.unflushed = true;
    }

    /// Called when a control frame arrived; a ping has put a pong into tungstenite's buffer.
    pub(crate) fn saw_control(&mut self) {
        self.unflushed = true;
        self.pongs += 1;
    }

    /// Whether reading must pause because too many pongs are queued.
    pub(crate) fn pauses_reading(&self) -> bool {
        self.pongs >= MAX_PONGS
    }

    /// Whether everything that was taken from the send queue is written and flushed.
    pub(crate) fn is_done(&self) -> bool {
        !self.unflushed && self.sending.is_empty()
    }

    /// Drops everything but the rest of a frame that is partly written.
    pub(crate) fn clear(&mut self) {
        self.sending.clear();
    }

    /// Drops everything. Called when the socket accepts no more bytes.
    pub(crate) fn give_up(&mut self) {
        self.sending.give_up();
        self.unflushed = false;
    }
}

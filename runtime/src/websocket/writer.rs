//! The writing half of a connection: [`Writer`] moves messages from the send queue to the network,
//! and decides when to write and flush.

use std::task::{Context, Poll};

use crate::error::CloseReason;
use crate::websocket::queue::{Sending, Sent};
use crate::websocket::send_queue::SendQueue;
use crate::websocket::transport::Transport;

/// How many rounds in a row may leave the writing to the next one, while there is more to read. A
/// system call for a few responses costs more than the responses.
const PUT_OFF: usize = 8;
/// With so many bytes of responses, nothing is put off.
const ENOUGH: usize = 64 * 1024;
/// How much is written in a round, and at once: the kernel copies it meanwhile.
const MOST: usize = 128 * 1024;
/// How many pongs may wait in tungstenite's buffer before reading pauses.
const MAX_PONGS: usize = 64;

/// The writing half of a connection.
#[derive(Default)]
pub(crate) struct Writer {
    /// Taken from the send queue, and not yet written.
    sending: Sending,
    /// Whether something was written and not yet flushed.
    unflushed: bool,
    /// Rounds since something was written.
    put_off: usize,
    /// Control frames received since the last flush; their pongs wait in tungstenite's buffer.
    pongs: usize,
}

/// The result of a round.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Something was written, or there is space again: run another round.
    pub(crate) progress: bool,
    /// Something is queued that the socket does not take.
    pub(crate) blocked: bool,
    /// Something is queued that the socket may take: yield first.
    pub(crate) rest: bool,
}

impl Writer {
    /// Writes all that is queued, and flushes once; this can wait while there is more to read.
    pub(crate) fn write_queued(
        &mut self,
        cx: &mut Context<'_>,
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
            written.progress = true;
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

    /// `true`: there may be more to write; yield first.
    fn feed(
        &mut self,
        cx: &mut Context<'_>,
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
            let chunk = self.sending.chunk();
            match transport.poll_write(cx, chunk.get(..left).unwrap_or(chunk)) {
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

    /// Called when something was put into tungstenite's buffer directly.
    pub(crate) fn must_flush(&mut self) {
        self.unflushed = true;
    }

    /// Called when a control frame arrived; a ping has put a pong into tungstenite's buffer.
    pub(crate) fn saw_control(&mut self) {
        self.unflushed = true;
        self.pongs += 1;
    }

    /// Whether so many pongs are queued that reading must pause.
    pub(crate) fn pauses_reading(&self) -> bool {
        self.pongs >= MAX_PONGS
    }

    /// Whether everything that was taken is written.
    pub(crate) fn is_done(&self) -> bool {
        !self.unflushed && self.sending.is_empty()
    }

    /// Drops everything but the rest of a frame that is partly written.
    pub(crate) fn clear(&mut self) {
        self.sending.clear();
    }

    /// Drops everything, as the socket takes nothing any more.
    pub(crate) fn give_up(&mut self) {
        self.sending.give_up();
        self.unflushed = false;
    }
}

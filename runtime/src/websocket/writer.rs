//! What is on its way from the outbox to the network, and when it is written.
//!
//! Must not know what is read, nor when a connection ends.

use std::task::{Context, Poll};

use crate::error::CloseReason;
use crate::websocket::queue::{Sending, Sent};
use crate::websocket::send_queue::SendQueue;
use crate::websocket::transport::Transport;

/// How many turns in a row may leave the writing to the next, while there is always more to read.
/// A system call for few answers costs more than the answers do.
const PUT_OFF: usize = 8;
/// With so many bytes of answers, nothing is put off.
const ENOUGH: usize = 64 * 1024;
/// How much is written in a turn, and at once: the kernel copies it meanwhile.
const MOST: usize = 128 * 1024;
/// How many answers to pings may wait in the socket's buffer before reading pauses.
const MAX_PONGS: usize = 64;

/// The writing half of a connection.
#[derive(Default)]
pub(crate) struct Writer {
    /// Taken from the outbox, not yet taken by the network.
    sending: Sending,
    /// Something was written and not yet flushed.
    unflushed: bool,
    /// Turns since something was written.
    put_off: usize,
    /// Control frames that came in since the last flush; their answers wait in the socket's buffer.
    pongs: usize,
}

/// What a turn has done.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// Something went out, or there is room again: look around once more.
    pub(crate) progress: bool,
    /// Something waits that the socket does not take.
    pub(crate) blocked: bool,
    /// Something waits that the socket may take: others get their turn first.
    pub(crate) rest: bool,
}

impl Writer {
    /// Writes all that waits, and flushes once; that can wait while there is more to read.
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

    /// `true`: there may be more to write, and others get their turn first.
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

    /// Something was put into the socket's buffer past this.
    pub(crate) fn must_flush(&mut self) {
        self.unflushed = true;
    }

    /// A control frame came in; a ping has put its answer into the socket's buffer.
    pub(crate) fn saw_control(&mut self) {
        self.unflushed = true;
        self.pongs += 1;
    }

    /// Whether so many answers to pings wait that nothing more should be read.
    pub(crate) fn pauses_reading(&self) -> bool {
        self.pongs >= MAX_PONGS
    }

    /// Whether all that was taken has gone out.
    pub(crate) fn is_done(&self) -> bool {
        !self.unflushed && self.sending.is_empty()
    }

    /// Nothing more is to be sent but the rest of what the network has a part of.
    pub(crate) fn clear(&mut self) {
        self.sending.clear();
    }

    /// The socket takes nothing any more.
    pub(crate) fn give_up(&mut self) {
        self.sending.give_up();
        self.unflushed = false;
    }
}

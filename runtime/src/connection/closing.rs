//! What a connection is about, from open to closed.
//!
//! Must not know what leads from one phase to the next.
//!
//! How a connection gets from one phase to the next, up to its end.
//!
//! Must not know what is read or written.

use super::*;
use tokio::time::Instant;

/// What the connection is about.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Reads and writes. The timer watches a peer that does not read.
    Open,
    /// The server shuts down: handlers finish, responses come in, new requests are refused. The
    /// timer bounds it.
    Draining,
    /// Sends what is queued, then closes. The timer is that of `Open`, and bounds it as a whole.
    Flushing(Box<PendingClose>),
    /// The peer sends nothing more, but may still read: requests that wait for room are handled, answers
    /// that are queued go out, then the connection closes. The timer bounds it.
    Answering {
        /// Its direction of the stream has ended, without a close frame.
        half_closed: bool,
    },
    /// Nothing can be sent any more: a close frame went out or came in, or the stream does not
    /// take anything. What still comes in is read up to the end. The timer bounds it.
    Closing,
    /// The peer broke the protocol and was told so; what it still sends is thrown away. The timer
    /// bounds it.
    Lingering,
}

/// What the close frame says, and when it has to go out whatever still waits.
#[derive(Debug)]
pub(crate) struct PendingClose {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) deadline: Instant,
}

impl Connection {
    pub(super) fn apply(&mut self, command: Command) {
        match (&self.phase, command) {
            (Phase::Open | Phase::Draining, Command::Close { code, reason }) => {
                let deadline = deadline(Instant::now(), self.link.config.shutdown_timeout);
                self.enter(Phase::Flushing(Box::new(PendingClose { code, reason, deadline })));
            }
            (Phase::Open, Command::Drain { deadline }) => {
                self.link.produced.drain();
                self.enter(Phase::Draining);
                self.timer = Some(Timer::new(deadline));
            }
            _ => {}
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.timer = None;
    }

    /// Nothing can be sent any more. It ends in any case after a while.
    pub(super) fn enter_last(&mut self, phase: Phase, reason: CloseReason) {
        self.link.begin_close(reason);
        self.writer.clear();
        self.timers.stop_keep_alive();
        self.enter(phase);
        self.set_timer(deadline(Instant::now(), self.link.config.close_timeout));
    }

    /// What was answered by now still goes out, and what was read by now is still handled.
    pub(super) fn enter_answering(&mut self, half_closed: bool, reason: CloseReason) {
        self.transport.begin_last_words();
        self.link.stop_sending(reason);
        self.timers.stop_keep_alive();
        self.enter(Phase::Answering { half_closed });
        self.set_timer(deadline(Instant::now(), self.link.config.close_timeout));
    }

    pub(super) fn set_timer(&mut self, at: Instant) {
        match &mut self.timer {
            Some(timer) => timer.reset(at),
            None => self.timer = Some(Timer::new(at)),
        }
    }

    /// Once the close frame is out, waits for the peer to hang up.
    pub(super) fn linger(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        let told = matches!(self.phase, Phase::Lingering) && self.writer.is_done();
        if told && self.transport.poll_linger(cx).is_ready() {
            return Err(Ended(CloseReason::Local));
        }
        Ok(())
    }

    /// Goes from one phase to the next. `true` if it did.
    pub(super) fn advance(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Ended> {
        // Looked at before the outbox: a handler answers first and ends then.
        let at_work = self.link.in_flight.load(Ordering::Acquire);
        let flushed = self.is_flushed();
        let (code, reason) = match &mut self.phase {
            Phase::Flushing(pending_close) if flushed => {
                (pending_close.code, std::mem::take(&mut pending_close.reason))
            }
            Phase::Draining if flushed && at_work == 0 && self.link.produced.is_empty() => {
                (CloseCode::Away.into(), "shutting down".to_owned())
            }
            &mut Phase::Answering { half_closed }
                if flushed && !self.reader.holds_any() && !self.dispatcher.is_midway() =>
            {
                self.transport.end_last_words();
                self.writer.must_flush();
                let last = if half_closed { Phase::Lingering } else { Phase::Closing };
                self.enter_last(last, self.link.reason());
                return Ok(true);
            }
            _ => return Ok(false),
        };
        self.close(cx, code, &reason)?;
        Ok(true)
    }

    /// Whether nothing waits to be sent, and no rest of a batch to be begun.
    pub(super) fn is_flushed(&self) -> bool {
        self.writer.is_done() && self.link.send_queue.is_empty() && !self.dispatcher.is_midway()
    }

    pub(super) fn close(
        &mut self,
        cx: &mut TaskContext<'_>,
        code: u16,
        reason: &str,
    ) -> Result<(), Ended> {
        self.transport.start_close(cx, code, reason).map_err(Ended)?;
        self.writer.must_flush();
        self.enter_last(Phase::Closing, CloseReason::Local);
        Ok(())
    }

    /// Looks at the clock, where something is slow. `true` if that led to another phase.
    pub(super) fn check_stall(
        &mut self,
        cx: &mut TaskContext<'_>,
        blocked: bool,
    ) -> Result<bool, Ended> {
        let stallable = matches!(self.phase, Phase::Open | Phase::Flushing(_));
        if stallable && !blocked {
            self.timer = None;
            return Ok(false);
        }
        if stallable && self.timer.is_none() {
            self.start_stall_timer();
        }
        while let Some(timer) = &mut self.timer {
            let Poll::Ready(now) = timer.poll_fired(cx) else { break };
            let overslept = timer.take_overslept();
            match &mut self.phase {
                Phase::Answering { .. } => {
                    tracing::warn!("closing with answers left: the peer takes them too slowly");
                    return Err(Ended(CloseReason::Local));
                }
                Phase::Closing | Phase::Lingering => return Err(Ended(CloseReason::Local)),
                Phase::Draining => {
                    self.close(cx, CloseCode::Away.into(), "shutting down")?;
                    return Ok(true);
                }
                // A slow reader is no stuck one: as long as bytes leave, it may go on.
                // It gets all of its time again if it was this side that paused.
                Phase::Open | Phase::Flushing(_)
                    if self.transport.written() == self.written && !overslept =>
                {
                    return Err(Ended(CloseReason::Stalled));
                }
                Phase::Flushing(pending_close) if pending_close.deadline <= now => {
                    let (code, reason) =
                        (pending_close.code, std::mem::take(&mut pending_close.reason));
                    tracing::warn!("closing with messages left: the peer takes them too slowly");
                    self.close(cx, code, &reason)?;
                    return Ok(true);
                }
                Phase::Open | Phase::Flushing(_) => self.start_stall_timer(),
            }
        }
        Ok(false)
    }

    /// By the time that the timer fires, the network must have taken something.
    pub(super) fn start_stall_timer(&mut self) {
        self.written = self.transport.written();
        let stalled = deadline(Instant::now(), self.link.config.write_timeout);
        self.set_timer(match &self.phase {
            Phase::Flushing(pending_close) => stalled.min(pending_close.deadline),
            _ => stalled,
        });
    }
}

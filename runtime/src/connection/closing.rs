//! How a connection ends: its phases from open to closed ([`Phase`]), and the transitions between
//! them.

use super::*;
use tokio::time::Instant;

/// What the connection is doing.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Reads and writes. The timer watches a peer that does not read.
    Open,
    /// The server shuts down: handlers finish, responses are read, new requests are refused. The
    /// timer bounds the phase.
    Draining,
    /// Sends what is queued, then closes. The timer is that of `Open`, and bounds the phase as a
    /// whole.
    Flushing(Box<PendingClose>),
    /// The peer sends nothing more, but may still read: requests that were held back are handled,
    /// queued responses are sent, then the connection closes. The timer bounds the phase.
    Answering {
        /// Whether the peer has ended its direction of the stream without a close frame.
        half_closed: bool,
    },
    /// Nothing can be sent any more: a close frame was sent or received, or the stream accepts no
    /// bytes. What still arrives is read up to the end. The timer bounds the phase.
    Closing,
    /// The peer broke the protocol and got a close frame; what it still sends is dropped. The timer
    /// bounds the phase.
    Lingering,
}

/// The close frame, and the time by which it is sent even if messages are still queued.
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

    /// Enters a phase in which nothing can be sent any more. The timer ends the connection in any
    /// case.
    pub(super) fn enter_last(&mut self, phase: Phase, reason: CloseReason) {
        self.link.begin_close(reason);
        self.writer.clear();
        self.timers.stop_keep_alive();
        self.enter(phase);
        self.set_timer(deadline(Instant::now(), self.link.config.close_timeout));
    }

    /// Enters `Answering`: responses queued by now are still sent, and messages read by now are
    /// still handled.
    pub(super) fn enter_answering(&mut self, half_closed: bool, reason: CloseReason) {
        self.transport.begin_half_closed();
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

    /// Once the close frame is sent, waits for the peer to close the stream.
    pub(super) fn linger(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        let told = matches!(self.phase, Phase::Lingering) && self.writer.is_done();
        if told && self.transport.poll_linger(cx).is_ready() {
            return Err(Ended(CloseReason::Local));
        }
        Ok(())
    }

    /// Goes to the next phase, if it is time. `true` if it did.
    pub(super) fn advance(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Ended> {
        // Read before the send queue is checked: a handler first answers and then ends.
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
                self.transport.end_half_closed();
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

    /// Whether nothing is queued and no batch is partly started.
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

    /// Checks the timer, where something is slow. `true` if that led to another phase.
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
                // A slow reader is not stuck: as long as bytes leave, it may go on. It gets the
                // whole timeout again if it was this side that paused.
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

    /// Sets the timer by which the network must have taken some bytes.
    pub(super) fn start_stall_timer(&mut self) {
        self.written = self.transport.written();
        let stalled = deadline(Instant::now(), self.link.config.write_timeout);
        self.set_timer(match &self.phase {
            Phase::Flushing(pending_close) => stalled.min(pending_close.deadline),
            _ => stalled,
        });
    }
}

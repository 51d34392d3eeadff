//! The phases of a connection from open to closed ([`Phase`]), and the transitions between them.

use super::*;
use tokio::time::Instant;

/// The phase of a connection.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Reads and writes. The timer detects a peer that does not read.
    Open,
    /// The server shuts down: handlers finish, responses are read, new requests are refused. The
    /// timer bounds the phase.
    Draining,
    /// Sends what is queued, then closes. The timer detects a peer that does not read, as in
    /// `Open`, and also bounds the phase as a whole.
    Flushing(Box<PendingClose>),
    /// The peer sends nothing more, but may still read: requests that were held back are handled,
    /// queued responses are sent, then the connection closes. The timer bounds the phase.
    Answering {
        /// Whether the peer has ended its direction of the stream without a close frame.
        half_closed: bool,
    },
    /// Nothing can be sent any more: a close frame was sent or received, or the stream accepts no
    /// bytes. The connection reads what still arrives until the stream ends. The timer bounds the
    /// phase.
    Closing,
    /// The peer broke the protocol and was sent a close frame. Whatever it still sends is dropped.
    /// The timer bounds the phase.
    Lingering,
}

/// A close frame, and the time at which it is sent even if messages are still queued.
#[derive(Debug)]
pub(crate) struct PendingClose {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) deadline: Instant,
}

impl ConnectionTask {
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

    /// Enters a phase in which nothing can be sent any more. The timer guarantees that the
    /// connection ends.
    pub(super) fn enter_last(&mut self, phase: Phase, reason: CloseReason) {
        self.link.begin_close(reason);
        self.writer.clear();
        self.timers.stop_keep_alive();
        self.enter(phase);
        self.set_timer(deadline(Instant::now(), self.link.config.close_timeout));
    }

    /// Enters `Answering`: responses that are already queued are still sent, and messages that were
    /// already read are still handled.
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

    /// After the close frame is sent, waits for the peer to close the stream.
    pub(super) fn linger(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        let close_sent = matches!(self.phase, Phase::Lingering) && self.writer.is_done();
        if close_sent && self.transport.poll_linger(cx).is_ready() {
            return Err(Ended(CloseReason::Local));
        }
        Ok(())
    }

    /// Enters the next phase once its condition is met. Returns whether it did.
    pub(super) fn advance(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Ended> {
        // Read before the send queue is checked: a handler queues its response before it leaves the
        // count.
        let in_flight = self.link.in_flight.load(Ordering::Acquire);
        let flushed = self.is_flushed();
        let (code, reason) = match &mut self.phase {
            Phase::Flushing(pending_close) if flushed => {
                (pending_close.code, std::mem::take(&mut pending_close.reason))
            }
            Phase::Draining
                if flushed
                    && in_flight == 0
                    && self.gate.is_none()
                    && self.link.produced.is_empty() =>
            {
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

    /// Checks the timer of a phase that takes long. Returns whether the connection entered another
    /// phase.
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
                    // If the hook takes too long, the reader logs what it drops.
                    if self.gate.is_none() {
                        tracing::warn!(
                            "connection closed before all responses were sent: the peer reads too slowly"
                        );
                    }
                    return Err(Ended(CloseReason::Local));
                }
                Phase::Closing | Phase::Lingering => return Err(Ended(CloseReason::Local)),
                Phase::Draining => {
                    self.close(cx, CloseCode::Away.into(), "shutting down")?;
                    return Ok(true);
                }
                // A slow reader is not stuck: as long as some bytes are written, the connection
                // stays open. If this process was paused meanwhile, the peer gets the whole timeout
                // again.
                Phase::Open | Phase::Flushing(_)
                    if self.transport.written() == self.written && !overslept =>
                {
                    return Err(Ended(CloseReason::Stalled));
                }
                Phase::Flushing(pending_close) if pending_close.deadline <= now => {
                    let (code, reason) =
                        (pending_close.code, std::mem::take(&mut pending_close.reason));
                    tracing::warn!(
                        "connection closed before all messages were sent: the peer reads too slowly"
                    );
                    self.close(cx, code, &reason)?;
                    return Ok(true);
                }
                Phase::Open | Phase::Flushing(_) => self.start_stall_timer(),
            }
        }
        Ok(false)
    }

    /// Starts the write timeout: some bytes must be written before it ends.
    pub(super) fn start_stall_timer(&mut self) {
        self.written = self.transport.written();
        let stalled = deadline(Instant::now(), self.link.config.write_timeout);
        self.set_timer(match &self.phase {
            Phase::Flushing(pending_close) => stalled.min(pending_close.deadline),
            _ => stalled,
        });
    }
}

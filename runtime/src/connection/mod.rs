//! The task that owns one socket: [`ConnectionTask`] reads, dispatches, writes and closes.
//!
//! This is the only place where reading and writing meet. A poll consists of rounds. In each round
//! the connection reads the messages that are available (up to a budget), writes all that is
//! queued, and flushes once. It never waits for a handler, a permit or another connection.
//!
//! In reading order: `io` is the reading and the writing half, `gate` waits for the server's
//! `on_connect` hook, `timers` runs deadlines and keep-alive, `closing` has the phases from open to
//! closed, and `observer` reports the connection to metrics.

mod closing;
#[cfg(test)]
mod echo;
pub(crate) mod gate;
mod io;
mod observer;
mod timers;

use std::future::Future;
use std::io::ErrorKind::UnexpectedEof;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::config::Config;
use crate::connection::closing::Phase;
use crate::connection::gate::Gate;
use crate::connection::io::{Destination, Reader, Stopped, Writer, Written};
use crate::connection::observer::Observed;
use crate::connection::timers::Timers;
use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::handshake::connection_limit::ConnectionPermit;
use crate::incoming::context::{Context, IdentityIndex};
use crate::incoming::dispatch::{Admission, Dispatcher};
use crate::incoming::responder::{Responder, ResponseSink, Tracker};
use crate::incoming::router::Router;
use crate::link::Link;
use crate::link::pending_calls::Side;
use crate::util::runtime::Timer;
use crate::util::runtime::deadline;
use crate::util::yield_now::wake_after_others;
use crate::websocket::keep_alive::{Seen, Verdict};
use crate::websocket::send_queue::Command;
use crate::websocket::transport::Received;
use crate::websocket::transport::Transport;

/// The number of rounds of reading and writing after which the task yields.
const ROUNDS: usize = 32;

/// A future that drives one socket. It completes when the connection ends, with the reason.
#[must_use = "a connection lives only while it is polled"]
pub(crate) struct ConnectionTask {
    transport: Transport,
    dispatcher: Dispatcher,
    link: Arc<Link>,
    phase: Phase,
    reader: Reader,
    writer: Writer,
    /// The timer of the phase, see [`Phase`]. Created only when something takes long.
    timer: Option<Timer>,
    /// The number of bytes that had been written when the timer was set.
    written: u64,
    /// Whether the runtime runs a task that was just woken before tasks that have waited longer.
    jumps_queue: bool,
    /// Whether the task has yielded since it was woken.
    waited: bool,
    /// The peer sends nothing more. Pending calls end after this poll, which first tries to write
    /// the reply to the peer's close frame.
    calls_end: bool,
    /// The timers of pending calls and of keep-alive.
    timers: Timers,
    observed: Option<Box<Observed>>,
    /// Present until the hook that decides about this connection has ended. Until then, calls of the
    /// peer are held back.
    gate: Option<Arc<Gate>>,
}

/// Ends the connection. The reason counts unless one was set before.
struct Ended(CloseReason);

/// Everything that a connection needs to start.
pub(crate) struct Setup {
    pub(crate) side: Side,
    pub(crate) config: Arc<Config>,
    pub(crate) router: Arc<Router>,
    pub(crate) handshake: Handshake,
    pub(crate) tracker: Option<Tracker>,
    /// The permit of the server's connection limit.
    pub(crate) permit: Option<ConnectionPermit>,
    /// The index of the server's connections.
    pub(crate) index: Option<Arc<dyn IdentityIndex>>,
    /// Present if a hook decides whether the peer's calls are handled.
    pub(crate) gate: Option<Arc<Gate>>,
}

impl ConnectionTask {
    pub(crate) fn new(transport: Transport, setup: Setup) -> Self {
        let timers = Timers::new(setup.config.ping_interval);
        let (outgoing, extended) = (setup.router.outgoing.clone(), setup.handshake.is_extended());
        let link = Arc::new(Link::new(setup.side, setup.config, outgoing, extended));
        let observed = setup.router.observer.as_ref().map(Observed::new);
        let context = Context::new(Arc::clone(&link), setup.handshake, setup.index);
        let (tracker, permit) = (setup.tracker, setup.permit);
        let responder = Responder::new(
            setup.router,
            Arc::clone(&link),
            ResponseSink::SendQueue,
            tracker,
            permit,
        );
        let dispatcher = Dispatcher::new(responder, context);
        ConnectionTask {
            transport,
            dispatcher,
            link,
            phase: Phase::Open,
            reader: Reader::new(setup.gate.is_some()),
            writer: Writer::default(),
            timer: None,
            written: 0,
            jumps_queue: Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread),
            waited: false,
            calls_end: false,
            timers,
            observed,
            gate: setup.gate,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn context(&self) -> &Context {
        self.dispatcher.context()
    }

    /// While this is held, the connection counts in the server's limit, and shutdown waits.
    pub(crate) fn responder(&self) -> &Arc<Responder> {
        self.dispatcher.responder()
    }

    /// Reads and writes until there is nothing left to do, or until the task yields.
    fn drive(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        let queued = self.link.send_queue.unpark();
        if queued && self.jumps_queue && !self.waited && self.link.is_busy() {
            // A multi-threaded runtime runs this task right after the one that has queued
            // something. Each message would cost a system call, so yield first.
            self.waited = true;
            cx.waker().wake_by_ref();
            return Ok(());
        }
        self.waited = false;
        self.dispatcher.refill();
        for round in 0..ROUNDS {
            if let Some(command) = self.link.send_queue.take_command() {
                self.apply(command);
            }
            self.check_gate();
            let more_to_read = self.read(cx)?;
            // Responses come before timers. The timers wake this task, so one check in a poll is
            // enough, unless a call has an earlier deadline or keep-alive waits for activity.
            let heard = self.timers.listens() && self.transport.has_activity();
            if round == 0 || heard || self.link.pending.has_new_deadline() {
                self.check_timers(cx)?;
            }
            let written = self.write(cx, more_to_read)?;
            self.linger(cx)?;
            let closing = self.advance(cx)? || self.check_stall(cx, written.blocked)?;
            if more_to_read || written.rest {
                break;
            }
            // Writing may have made space, so that reading can resume. The deadline of a call that was
            // queued and written after the timers were checked has no timer yet.
            let again = written.progress
                || (written.made_room && self.reader.waits_for_room())
                || self.link.pending.has_new_deadline();
            if !again && !closing && self.link.send_queue.park(cx.waker(), written.blocked) {
                return Ok(());
            }
        }
        // There is more to do: yield. This task needs no other waker.
        wake_after_others(cx);
        Ok(())
    }

    /// Lets the reader handle the peer's calls once the hook has accepted the connection.
    #[inline]
    fn check_gate(&mut self) {
        let verdict = self.gate.as_ref().and_then(|gate| gate.verdict());
        if let Some(verdict) = verdict {
            self.gate = None;
            self.reader.leave_gate(verdict);
        }
    }

    /// Reads the messages that are available. Returns `true` if the budget is used up and there may
    /// be more.
    fn read(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Ended> {
        loop {
            let admission = match self.phase {
                Phase::Open | Phase::Answering { .. } => Admission::Open,
                // Otherwise the peer could prolong the phase.
                Phase::Draining => Admission::Refused,
                Phase::Flushing(_) => Admission::NoRequests,
                Phase::Closing => Admission::Unanswerable,
                Phase::Lingering => return Ok(false),
            };
            let to = Destination { dispatcher: &self.dispatcher, link: &self.link, admission };
            if matches!(self.phase, Phase::Answering { .. }) {
                return Ok(self.reader.release(&to));
            }
            let (transport, writer) = (&mut self.transport, &mut self.writer);
            match self.reader.read_available(cx, transport, writer, &to) {
                Stopped::Dry => return Ok(false),
                Stopped::Spent => return Ok(true),
                Stopped::At(received) => self.react(cx, received)?,
            }
        }
    }

    /// Handles everything received that is not a message.
    fn react(&mut self, cx: &mut TaskContext<'_>, received: Received) -> Result<(), Ended> {
        match received {
            // If this side began to close, this is only the reply.
            Received::Close(_) if matches!(self.phase, Phase::Closing) => self.calls_end = true,
            Received::Close(reason) => {
                self.calls_end = true;
                self.enter_answering(false, reason);
            }
            Received::End(reason) => {
                // After an error, nothing can be sent. At the end of the stream, the other
                // direction may still be open.
                let ended =
                    matches!(&reason, CloseReason::Lost(error) if error.kind() == UnexpectedEof);
                let closing = matches!(self.phase, Phase::Closing);
                let done = self.is_flushed() && !self.reader.holds_any();
                if !ended || closing || done {
                    return Err(Ended(reason));
                }
                self.calls_end = true;
                self.enter_answering(true, reason);
            }
            Received::Broken { code, reason } => {
                let over = CloseReason::Protocol(reason.clone());
                // Sends the responses to earlier messages, as far as they can be written at once.
                // The next write reports an error again.
                let send_queue = &self.link.send_queue;
                while self
                    .writer
                    .write_queued(cx, &mut self.transport, send_queue, false)
                    .is_ok_and(|written| written.rest)
                {}
                if self.transport.start_close(cx, code, &reason).is_err() {
                    return Err(Ended(over));
                }
                self.writer.must_flush();
                self.calls_end = true;
                self.enter_last(Phase::Lingering, over);
            }
            Received::Text(_) | Received::Binary(_) | Received::Control => {}
        }
        Ok(())
    }

    /// Ends pending calls whose deadline has passed, and runs keep-alive.
    fn check_timers(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        // While this side has paused reading, a silent peer proves nothing; the write timeout
        // applies.
        let signs = self.transport.has_activity() || self.reader.pauses();
        let seen = Seen { signs, room: self.transport.has_drained(), overslept: false };
        match self.timers.poll(cx, &self.link.pending, seen) {
            Verdict::Wait => {}
            Verdict::Counted => self.transport.clear_activity(),
            Verdict::Extended => self.transport.clear_drained(),
            Verdict::Ask => {
                // If this fails, the next write fails too and handles the error.
                let _ = self.transport.start_ping(cx);
                self.writer.must_flush();
            }
            Verdict::GiveUp => {
                // The peer may still be able to read the reason, which helps its operator.
                let why = "keep-alive timed out";
                let _ = self.transport.start_close(cx, CloseCode::Error.into(), why);
                return Err(Ended(CloseReason::Unresponsive));
            }
        }
        Ok(())
    }

    /// Writes what is queued. After an error, the stream may still have something to read.
    fn write(&mut self, cx: &mut TaskContext<'_>, more_to_read: bool) -> Result<Written, Ended> {
        let send_queue = &self.link.send_queue;
        match (
            self.writer.write_queued(cx, &mut self.transport, send_queue, more_to_read),
            &self.phase,
        ) {
            (Ok(written), _) => Ok(written),
            (Err(lost), Phase::Answering { .. } | Phase::Lingering) => Err(Ended(lost)),
            (Err(_), Phase::Closing) => {
                self.writer.give_up();
                Ok(Written::default())
            }
            (Err(lost), _) => {
                self.writer.give_up();
                self.enter_last(Phase::Closing, lost);
                // Reported as progress, so that reading continues.
                Ok(Written { progress: true, ..Written::default() })
            }
        }
    }

    fn end_observation(&mut self, reason: &CloseReason) {
        if let Some(observed) = self.observed.take() {
            observed.end(self.dispatcher.context(), &self.transport, reason);
        }
    }
}

impl Future for ConnectionTask {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        if let Some(observed) = &mut this.observed {
            observed.begin(this.dispatcher.context());
        }
        let driven = this.drive(cx);
        this.link.transferred.set(this.transport.brought(), this.transport.written());
        if let Some(observed) = &mut this.observed {
            observed.count(this.dispatcher.context(), &this.transport);
        }
        let Err(Ended(reason)) = driven else {
            if std::mem::take(&mut this.calls_end) {
                this.link.end_all_calls();
            }
            return Poll::Pending;
        };
        this.check_gate();
        this.reader.finish(&this.dispatcher);
        let reason = this.link.end(reason);
        this.end_observation(&reason);
        Poll::Ready(reason)
    }
}

/// Ends all that waits for this connection when its task is dropped.
impl Drop for ConnectionTask {
    fn drop(&mut self) {
        let reason = self.link.end(CloseReason::Aborted);
        self.end_observation(&reason);
    }
}

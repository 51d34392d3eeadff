//! The task that owns one socket: reads, dispatches, writes, closes.
//!
//! The only place where reading and writing meet. In each turn it reads what is there (up to a
//! budget), then feeds all that waits to go out, then flushes once. It never waits for a handler,
//! a permit or another connection. Must not know who opened the connection.

mod closing;
#[cfg(test)]
mod echo;
mod observer;
mod reader;
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
use crate::connection::observer::Observed;
use crate::connection::reader::{Destination, Reader, Stopped};
use crate::connection::timers::Timers;
use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::handshake::connection_limit::ConnectionPermit;
use crate::incoming::admission::Admission;
use crate::incoming::context::Context;
use crate::incoming::dispatch::Dispatcher;
use crate::incoming::responder::{Responder, ResponseSink, Tracker};
use crate::incoming::router::Router;
use crate::link::Link;
use crate::link::pending_calls::Side;
use crate::util::runtime::Timer;
use crate::util::runtime::deadline;
use crate::util::yield_now::wake_after_others;
use crate::websocket::keep_alive::{Seen, Verdict};
use crate::websocket::received::Received;
use crate::websocket::send_queue::Command;
use crate::websocket::transport::Transport;
use crate::websocket::writer::{Writer, Written};

/// How often reading and writing may take turns before others get theirs.
const ROUNDS: usize = 32;

/// One socket, as a future that ends with it and says why.
#[must_use = "a connection lives only while it is polled"]
pub(crate) struct Connection {
    transport: Transport,
    dispatcher: Dispatcher,
    link: Arc<Link>,
    phase: Phase,
    reader: Reader,
    writer: Writer,
    /// What it is for is the phase's business. Made only when something is slow.
    timer: Option<Timer>,
    /// How much the network had taken when the timer was set.
    written: u64,
    /// Whether the runtime runs a task that was just woken before those that wait for longer.
    jumps_queue: bool,
    /// Others were let go first.
    waited: bool,
    /// The peer sends nothing more: calls end with this turn, when the reply to its close frame was
    /// tried to be written.
    calls_end: bool,
    /// The deadlines of calls, and the keep-alive.
    timers: Timers,
    observed: Option<Box<Observed>>,
}

/// The connection ends here, with this reason unless one is known already.
struct Ended(CloseReason);

/// All that a connection needs to begin.
pub(crate) struct Setup {
    pub(crate) side: Side,
    pub(crate) config: Arc<Config>,
    pub(crate) router: Arc<Router>,
    pub(crate) handshake: Handshake,
    pub(crate) tracker: Option<Tracker>,
    /// On its server.
    pub(crate) permit: Option<ConnectionPermit>,
}

impl Connection {
    pub(crate) fn new(transport: Transport, setup: Setup) -> Self {
        let timers = Timers::new(setup.config.ping_interval);
        let (outgoing, extended) = (setup.router.outgoing.clone(), setup.handshake.is_extended());
        let link = Arc::new(Link::new(setup.side, setup.config, outgoing, extended));
        let observed = setup.router.observer.as_ref().map(Observed::new);
        let context = Context::new(Arc::clone(&link), setup.handshake);
        let (tracker, permit) = (setup.tracker, setup.permit);
        let responder = Responder::new(
            setup.router,
            Arc::clone(&link),
            ResponseSink::SendQueue,
            tracker,
            permit,
        );
        let dispatcher = Dispatcher::new(responder, context);
        Connection {
            transport,
            dispatcher,
            link,
            phase: Phase::Open,
            reader: Reader::default(),
            writer: Writer::default(),
            timer: None,
            written: 0,
            jumps_queue: Handle::try_current()
                .is_ok_and(|runtime| runtime.runtime_flavor() != RuntimeFlavor::CurrentThread),
            waited: false,
            calls_end: false,
            timers,
            observed,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn context(&self) -> &Context {
        self.dispatcher.context()
    }

    /// One turn after another until there is nothing to do.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        let queued = self.link.send_queue.unpark();
        if queued && self.jumps_queue && !self.waited && self.link.is_busy() {
            // A multi-threaded runtime runs this task right behind the one that has queued
            // something, with a system call for each message; the others are let go first.
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
            let more_to_read = self.read(cx)?;
            // Responses first. Its timer wakes this task, so one look a turn is enough, unless
            // somebody wants it set to an earlier time, or has waited for the peer to say something.
            let heard = self.timers.listens() && self.transport.lives();
            if round == 0 || heard || self.link.pending.has_new_deadline() {
                self.check_timers(cx)?;
            }
            let written = self.write(cx, more_to_read)?;
            self.linger(cx)?;
            let closing = self.advance(cx)? || self.check_stall(cx, written.blocked)?;
            if more_to_read || written.rest {
                break;
            }
            // What was sent may have made room for reading.
            if !written.progress
                && !closing
                && self.link.send_queue.park(cx.waker(), written.blocked)
            {
                return Ok(());
            }
        }
        // There is more to do, but others get their turn. Nobody else needs to wake this task.
        wake_after_others(cx);
        Ok(())
    }

    /// Reads what is there. `true`: the budget is used up, there may be more.
    fn read(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Ended> {
        loop {
            let admission = match self.phase {
                Phase::Open | Phase::Answering { .. } => Admission::Open,
                // Else it would last as long as the peer likes.
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

    /// To what is no message.
    fn react(&mut self, cx: &mut TaskContext<'_>, received: Received) -> Result<(), Ended> {
        match received {
            // If the close began here, this is only the answer to it.
            Received::Close(_) if matches!(self.phase, Phase::Closing) => self.calls_end = true,
            Received::Close(reason) => {
                self.calls_end = true;
                self.enter_answering(false, reason);
            }
            Received::End(reason) => {
                // After an error, nothing can be sent. An end may be that of one direction.
                let ended =
                    matches!(&reason, CloseReason::Lost(error) if error.kind() == UnexpectedEof);
                let closing = matches!(self.phase, Phase::Closing);
                if !ended || closing || self.is_flushed() {
                    return Err(Ended(reason));
                }
                self.calls_end = true;
                self.enter_answering(true, reason);
            }
            Received::Broken { code, reason } => {
                let over = CloseReason::Protocol(reason.clone());
                // Answers to what came before it, as many as the network takes at once. An error
                // comes back with the next thing that is written.
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

    /// Ends calls whose time is over, and sees to it that a silent peer is noticed.
    fn check_timers(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Ended> {
        // While nothing is read on purpose, its silence means nothing; the write timeout counts.
        let signs = self.transport.lives() || self.reader.pauses();
        let seen = Seen { signs, room: self.transport.makes_room(), overslept: false };
        match self.timers.poll(cx, &self.link.pending, seen) {
            Verdict::Wait => {}
            Verdict::Counted => self.transport.forget_signs(),
            Verdict::Extended => self.transport.forget_room(),
            Verdict::Ask => {
                // Should it fail, so does whatever is written next, and that knows what to do.
                let _ = self.transport.start_ping(cx);
                self.writer.must_flush();
            }
            Verdict::GiveUp => {
                // It may be able to hear, and whoever runs it wants to know.
                let _ = self.transport.start_close(cx, CloseCode::Error.into(), "no sign of life");
                return Err(Ended(CloseReason::Unresponsive));
            }
        }
        Ok(())
    }

    /// Writes what waits. A stream that takes nothing any more may still have something to read.
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
                // As if something was sent: there is reading to be done.
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

impl Future for Connection {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<CloseReason> {
        let this = &mut *self;
        if let Some(observed) = &mut this.observed {
            observed.begin(this.dispatcher.context());
        }
        let turned = this.turn(cx);
        if let Some(observed) = &mut this.observed {
            observed.count(this.dispatcher.context(), &this.transport);
        }
        let Err(Ended(reason)) = turned else {
            if std::mem::take(&mut this.calls_end) {
                this.link.end_all_calls();
            }
            return Poll::Pending;
        };
        this.reader.finish(&this.dispatcher);
        let reason = this.link.end(reason);
        this.end_observation(&reason);
        Poll::Ready(reason)
    }
}

/// Whoever waits for this connection must not wait for ever when its task is dropped.
impl Drop for Connection {
    fn drop(&mut self) {
        let reason = self.link.end(CloseReason::Aborted);
        self.end_observation(&reason);
    }
}

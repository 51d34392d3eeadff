//! The task that owns one socket: reads, dispatches, writes, closes.
//!
//! The only place where reading and writing meet. In each turn it reads what is there (up to a
//! budget), then feeds all that waits to go out, then flushes once. It never waits for a handler,
//! a permit or another connection. Must not know who opened the connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::config::Config;
use crate::context::Context;
use crate::dispatch::{Admission, Dispatcher, Tracker};
use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::outbox::{Command, Item, Sent};
use crate::peer::{Link, Peer};
use crate::pending::Side;
use crate::protocol::error::ErrorCode;
use crate::router::Router;
use crate::transport::{Received, Transport};

/// How many messages are read before others get their turn.
const READ_BUDGET: usize = 64;

/// One socket, as a future that ends with it and says why.
#[must_use = "a connection lives only while it is polled"]
pub(crate) struct Connection {
    transport: Transport,
    dispatcher: Dispatcher,
    link: Arc<Link>,
    phase: Phase,
    /// Taken from the outbox, not yet taken by the socket.
    sending: VecDeque<Item>,
    /// Something was given to the socket and not yet flushed.
    unflushed: bool,
    /// What it is for is the phase's business. Made only when something is slow.
    timer: Option<Pin<Box<Sleep>>>,
    /// How much the network had taken when the timer was set.
    written: u64,
}

/// What the connection is about.
#[derive(Debug)]
enum Phase {
    /// Reads and writes. The timer watches a peer that does not read.
    Open,
    /// The server shuts down: handlers finish, responses come in, new requests are refused. The
    /// timer bounds it.
    Draining,
    /// Sends what is queued, then closes. The timer is that of `Open`.
    Flushing { code: u16, reason: String },
    /// A close frame was sent or received; the other side's is awaited, or its end of the stream.
    /// The timer bounds it.
    Closing(CloseReason),
    /// The peer broke the protocol and was told so; what it still sends is thrown away. The timer
    /// bounds it.
    Lingering(CloseReason),
}

/// The turn of the connection's task ends here, with this reason.
struct Over(CloseReason);

/// All that a connection needs to begin.
pub(crate) struct Setup {
    pub(crate) side: Side,
    pub(crate) config: Arc<Config>,
    pub(crate) router: Arc<Router>,
    pub(crate) handshake: Handshake,
    pub(crate) tracker: Option<Tracker>,
}

impl Connection {
    pub(crate) fn new(transport: Transport, setup: Setup) -> Self {
        let link = Arc::new(Link::new(setup.side, setup.config));
        let dispatcher = Dispatcher {
            router: setup.router,
            context: Context::new(Peer::new(Arc::clone(&link)), setup.handshake),
            link: Arc::clone(&link),
            tracker: setup.tracker,
        };
        Connection {
            transport,
            dispatcher,
            link,
            phase: Phase::Open,
            sending: VecDeque::new(),
            unflushed: false,
            timer: None,
            written: 0,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn context(&self) -> &Context {
        &self.dispatcher.context
    }

    /// One turn after another until there is nothing to do.
    fn turn(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Over> {
        self.link.outbox.unpark();
        loop {
            if let Some(command) = self.link.outbox.take_command() {
                self.obey(command);
            }
            let more_to_read = self.read(cx)?;
            let (sent, blocked) = self.write(cx)?;
            self.linger(cx)?;
            let closing = self.advance()?;
            self.watch(cx, blocked)?;
            if more_to_read {
                // Others get their turn; nobody needs to wake this task, it has just done so.
                cx.waker().wake_by_ref();
                return Ok(());
            }
            // What was sent may have made room for reading.
            if !sent && !closing && self.link.outbox.park(cx.waker()) {
                return Ok(());
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match (&self.phase, command) {
            (Phase::Open | Phase::Draining, Command::Close { code, reason }) => {
                self.enter(Phase::Flushing { code, reason });
            }
            (Phase::Open, Command::Drain { deadline }) => {
                self.enter(Phase::Draining);
                self.timer = Some(Box::pin(tokio::time::sleep_until(deadline)));
            }
            _ => {}
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.timer = None;
    }

    /// Closing and lingering end in any case after a while.
    fn enter_bounded(&mut self, phase: Phase) {
        self.enter(phase);
        self.set_timer(self.link.config.close_timeout);
    }

    fn set_timer(&mut self, duration: Duration) {
        let at = Instant::now() + duration;
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    /// Reads what is there. `true`: the budget is used up, there may be more.
    fn read(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Over> {
        for _ in 0..READ_BUDGET {
            let admission = match self.phase {
                Phase::Open => Admission::Open,
                Phase::Draining | Phase::Flushing { .. } => Admission::Refused,
                Phase::Closing(_) => Admission::Closed,
                Phase::Lingering(_) => return Ok(false),
            };
            // A peer that does not take its answers gets nothing more to ask until it does.
            if admission != Admission::Closed && self.link.outbox.is_clogged() {
                return Ok(false);
            }
            match self.transport.poll_receive(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(Received::Text(message)) => {
                    self.dispatcher.receive(&message, admission)
                }
                Poll::Ready(Received::NotText) => {
                    self.dispatcher.malformed(ErrorCode::PARSE_ERROR);
                }
                Poll::Ready(Received::Control) => {}
                Poll::Ready(Received::Close { code, reason }) => {
                    // If the close began here, this is only the answer to it.
                    if !matches!(self.phase, Phase::Closing(_)) {
                        self.enter_bounded(Phase::Closing(CloseReason::Remote { code, reason }));
                    }
                }
                Poll::Ready(Received::End(reason)) => return Err(Over(self.reason_or(reason))),
                Poll::Ready(Received::Broken { code, reason }) => {
                    let over = self.reason_or(CloseReason::Protocol(reason.clone()));
                    if self.transport.start_close(code, &reason).is_err() {
                        return Err(Over(over));
                    }
                    self.unflushed = true;
                    self.enter_bounded(Phase::Lingering(over));
                }
            }
        }
        Ok(true)
    }

    /// The reason that is known already, or this one.
    fn reason_or(&self, other: CloseReason) -> CloseReason {
        match &self.phase {
            Phase::Closing(reason) | Phase::Lingering(reason) => reason.clone(),
            _ => other,
        }
    }

    /// Feeds the socket all that waits, and flushes once. Says whether anything went out, and
    /// whether something could not.
    fn write(&mut self, cx: &mut TaskContext<'_>) -> Result<(bool, bool), Over> {
        // After a close frame nothing may follow.
        if !matches!(self.phase, Phase::Closing(_) | Phase::Lingering(_)) {
            if self.sending.is_empty() {
                self.link.outbox.take(&mut self.sending);
            }
            let mut sent = Sent::default();
            while !self.sending.is_empty() {
                match self.transport.poll_ready(cx) {
                    Poll::Pending => break,
                    Poll::Ready(ready) => ready.map_err(Over)?,
                }
                if let Some(item) = self.sending.pop_front() {
                    sent.add(&item);
                    self.unflushed = true;
                    self.transport.send(item.text).map_err(Over)?;
                }
            }
            if self.unflushed && !sent.is_empty() {
                self.link.outbox.sent(&sent);
                return Ok((true, self.flush(cx)?));
            }
        }
        Ok((false, self.flush(cx)?))
    }

    /// Whether something can't go out at the moment.
    fn flush(&mut self, cx: &mut TaskContext<'_>) -> Result<bool, Over> {
        if self.unflushed {
            match self.transport.poll_flush(cx) {
                Poll::Pending => return Ok(true),
                Poll::Ready(flushed) => flushed.map_err(|lost| Over(self.reason_or(lost)))?,
            }
            self.unflushed = false;
        }
        Ok(!self.sending.is_empty())
    }

    /// Once the close frame is out, waits for the peer to hang up.
    fn linger(&mut self, cx: &mut TaskContext<'_>) -> Result<(), Over> {
        match &self.phase {
            Phase::Lingering(reason) if !self.unflushed => match self.transport.poll_linger(cx) {
                Poll::Ready(()) => Err(Over(reason.clone())),
                Poll::Pending => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// Goes from one phase to the next. `true` if it did.
    fn advance(&mut self) -> Result<bool, Over> {
        let flushed = !self.unflushed && self.sending.is_empty() && self.link.outbox.is_empty();
        let (code, reason) = match &mut self.phase {
            Phase::Flushing { code, reason } if flushed => (*code, std::mem::take(reason)),
            Phase::Draining if flushed && self.link.in_flight.load(Ordering::Acquire) == 0 => {
                (CloseCode::Away.into(), "shutting down".to_owned())
            }
            _ => return Ok(false),
        };
        self.close(code, &reason)?;
        Ok(true)
    }

    fn close(&mut self, code: u16, reason: &str) -> Result<(), Over> {
        self.transport.start_close(code, reason).map_err(Over)?;
        self.unflushed = true;
        self.enter_bounded(Phase::Closing(CloseReason::Local));
        Ok(())
    }

    /// Looks at the clock, where something is slow.
    fn watch(&mut self, cx: &mut TaskContext<'_>, blocked: bool) -> Result<(), Over> {
        let stallable = matches!(self.phase, Phase::Open | Phase::Flushing { .. });
        if stallable && !blocked {
            self.timer = None;
            return Ok(());
        }
        if stallable && self.timer.is_none() {
            self.written = self.transport.written();
            self.set_timer(self.link.config.write_timeout);
        }
        while let Some(timer) = &mut self.timer {
            if timer.as_mut().poll(cx).is_pending() {
                break;
            }
            match &self.phase {
                Phase::Closing(reason) | Phase::Lingering(reason) => {
                    return Err(Over(reason.clone()));
                }
                Phase::Draining => self.close(CloseCode::Away.into(), "shutting down")?,
                Phase::Open | Phase::Flushing { .. } => {
                    // A slow reader is no stuck one: as long as bytes leave, it may go on.
                    if self.transport.written() == self.written {
                        return Err(Over(CloseReason::Stalled));
                    }
                    self.written = self.transport.written();
                    self.set_timer(self.link.config.write_timeout);
                }
            }
        }
        Ok(())
    }
}

impl Future for Connection {
    type Output = CloseReason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<CloseReason> {
        match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(Over(reason)) => {
                self.link.end(&reason);
                Poll::Ready(reason)
            }
        }
    }
}

/// Whoever waits for this connection must not wait for ever when its task is dropped.
impl Drop for Connection {
    fn drop(&mut self) {
        self.link.end(&CloseReason::Aborted);
    }
}

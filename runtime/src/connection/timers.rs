//! One timer for each connection, which serves the deadlines of all pending calls and keep-alive.
//! The connection's task polls it.

use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::link::pending_calls::PendingCalls;
use crate::util::runtime::Timer;
use crate::websocket::keep_alive::{KeepAlive, Seen, Verdict};

/// Has no timer while no call has a deadline and keep-alive is off.
#[derive(Debug)]
pub(crate) struct Timers {
    timer: Option<Timer>,
    /// The earliest deadline of a pending call.
    calls: Option<Instant>,
    keep_alive: KeepAlive,
}

impl Timers {
    pub(crate) fn new(ping_interval: Option<Duration>) -> Self {
        Timers {
            timer: None,
            calls: None,
            keep_alive: KeepAlive::new(ping_interval, Instant::now()),
        }
    }

    /// Stops keep-alive.
    pub(crate) fn stop_keep_alive(&mut self) {
        self.keep_alive.stop();
    }

    /// Whether it must be polled as soon as the peer sends anything.
    pub(crate) fn listens(&self) -> bool {
        self.keep_alive.listens()
    }

    /// Ends calls whose deadline has passed, returns what to do about a silent peer, and registers
    /// the task to be woken at the next of these times.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        pending: &PendingCalls,
        seen: Seen,
    ) -> Verdict {
        let Seen { signs, .. } = seen;
        let mut verdict = Verdict::Wait;
        if signs && self.keep_alive.listens() {
            self.keep_alive.sign(Instant::now());
            verdict = Verdict::Counted;
        }
        loop {
            if let Some(at) = pending.take_deadline() {
                self.calls = at;
            }
            self.set();
            let Some(timer) = &mut self.timer else { return verdict };
            let Poll::Ready(now) = timer.poll_fired(cx) else { return verdict };
            let overslept = timer.take_overslept();
            if self.calls.is_some_and(|at| at <= now) {
                pending.expire(now);
            }
            if self.keep_alive.next().is_some_and(|at| at <= now) {
                let signs = signs && verdict == Verdict::Wait;
                verdict = match self.keep_alive.look(now, Seen { signs, overslept, ..seen }) {
                    Verdict::Wait => verdict,
                    Verdict::GiveUp => return Verdict::GiveUp,
                    news => news,
                };
            }
        }
    }

    /// Sets the timer to the earlier of the two times.
    fn set(&mut self) {
        let both = [self.calls, self.keep_alive.next()];
        match (&mut self.timer, both.into_iter().flatten().min()) {
            (Some(timer), Some(at)) => timer.set(at),
            (timer, Some(at)) => *timer = Some(Timer::new(at)),
            (timer, None) => *timer = None,
        }
    }
}

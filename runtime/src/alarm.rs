//! The one timer for all calls of a connection, polled by the connection's task.
//!
//! Must not know what else that task does.

use std::future::Future;
use std::pin::Pin;
use std::task::Context;

use tokio::time::{Instant, Sleep};

use crate::pending::Pending;

/// No timer at all where no call has a deadline.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    timer: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ends the calls whose time is over, and sees to it that the task is woken for the next.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, pending: &Pending) {
        loop {
            if let Some(alarm) = pending.take_alarm() {
                self.set(alarm);
            }
            let Some(timer) = &mut self.timer else { return };
            if timer.as_mut().poll(cx).is_pending() {
                return;
            }
            // A timer that is ready is over, whatever the clock says: it must not fire for ever.
            let now = Instant::now().max(timer.deadline());
            pending.expire(now);
        }
    }

    fn set(&mut self, alarm: Option<Instant>) {
        match (&mut self.timer, alarm) {
            (Some(timer), Some(at)) => timer.as_mut().reset(at),
            (timer, Some(at)) => *timer = Some(Box::pin(tokio::time::sleep_until(at))),
            (timer, None) => *timer = None,
        }
    }
}

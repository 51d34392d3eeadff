//! Ordered methods: a connection handles the calls of its ordered methods one after another.
//! [`OrderedCalls`] is the queue.

use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::link::Link;
use crate::util::race::{Either, race};

/// How long a call waits behind another one before a possible deadlock is logged.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// The ordered calls of one connection.
#[derive(Default)]
pub(crate) struct OrderedCalls {
    /// Held by the call that is being handled.
    lock: Mutex<()>,
    /// The number and the method of the last call that got the lock, which it may still hold.
    latest: StdMutex<(u64, Box<str>)>,
    /// Whether a possible deadlock was logged.
    warned: AtomicBool,
}

impl OrderedCalls {
    /// Waits until all earlier calls have finished. Returns `None` if this call was cancelled while
    /// it waited.
    pub(crate) async fn acquire(
        &self,
        number: u64,
        method: Box<str>,
        link: &Link,
    ) -> Option<MutexGuard<'_, ()>> {
        let permit = match self.lock.try_lock() {
            Ok(permit) => permit,
            Err(_) => self.wait(number, &method, link).await?,
        };
        if link.cancellations.is_cancelled(number) {
            return None;
        }
        *self.latest() = (number, method);
        Some(permit)
    }

    async fn wait(&self, number: u64, method: &str, link: &Link) -> Option<MutexGuard<'_, ()>> {
        // A call enters the queue when it is first polled, which happens in the order in which
        // calls are read.
        let permit = pin!(self.lock.lock());
        let cancelled = pin!(link.cancellations.cancelled(number));
        let watching = pin!(async {
            // Boxed, because most calls need no timer.
            if link.pending.len() > 0 && !self.warned.load(Ordering::Relaxed) {
                Box::pin(self.suspect(method, link)).await;
            }
            pending::<()>().await
        });
        match race(permit, pin!(race(cancelled, watching))).await {
            Either::Left(permit) => Some(permit),
            Either::Right(_) => None,
        }
    }

    /// Logs a call that has waited long behind another one, if this side has calls to the peer
    /// pending: the other call may be waiting for this one. Whether one of the pending calls has
    /// caused this call is not visible on the wire.
    async fn suspect(&self, method: &str, link: &Link) {
        let before = self.latest().0;
        sleep(LONG_WAIT).await;
        let (number, behind) = &*self.latest();
        let still = *number == before && link.pending.len() > 0;
        if still && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                method,
                behind = &**behind,
                "possible deadlock: an ordered method has waited 5 s for another one, which may be waiting for its own call to the peer; make one of them unordered"
            );
        }
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn latest(&self) -> StdMutexGuard<'_, (u64, Box<str>)> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

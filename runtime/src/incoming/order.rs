//! Ordered methods: a connection's calls of them are handled one after another.
//!
//! Must not know what a handler does in its turn.

use std::future::pending;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex as StdMutex, MutexGuard as StdMutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::sleep;

use crate::link::Link;
use crate::util::race::{Either, race};

/// How long a call waits behind one that may wait for it before that is logged.
const LONG_WAIT: Duration = Duration::from_secs(5);

/// The ordered calls of one connection.
#[derive(Default)]
pub(crate) struct OrderedCalls {
    /// Locked by the call that is handled.
    lock: Mutex<()>,
    /// The number and the method of the call that had the last turn, and has it still perhaps.
    latest: StdMutex<(u64, Box<str>)>,
    /// It was logged that one call may wait for another that waits for it.
    warned: AtomicBool,
}

impl OrderedCalls {
    /// Waits until no call before this one has its turn. `None`: this call was cancelled before.
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
        // A call is in the queue from its first poll on, which is where it was read.
        let permit = pin!(self.lock.lock());
        let cancelled = pin!(link.cancellations.cancelled(number));
        let watching = pin!(async {
            // On the heap, as most calls need no timer.
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

    /// Logs a call that waits for long behind one that may wait for it: calls to the peer are pending.
    /// Whether one of them has led to this call is not known; nothing on the wire says so.
    async fn suspect(&self, method: &str, link: &Link) {
        let before = self.latest().0;
        sleep(LONG_WAIT).await;
        let (number, behind) = &*self.latest();
        let still = *number == before && link.pending.len() > 0;
        if still && !self.warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                method,
                behind = &**behind,
                "ordered method waits behind another one, while a call to the peer is pending; if the peer's handler of that call has called back, both methods wait for each other: make one of them unordered"
            );
        }
    }

    /// Only a move happens under the lock, so a poisoned one is as good as any.
    fn latest(&self) -> StdMutexGuard<'_, (u64, Box<str>)> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

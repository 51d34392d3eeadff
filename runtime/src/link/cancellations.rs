//! Which calls at work were taken back by their callers, and who waits to hear of it.
//!
//! Must not know how a call is taken back, or what comes of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The signals of one connection's calls, by the numbers that they have here.
///
/// There is one for each call that was taken back and whose handler is at work, and for each that
/// somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Cancellations {
    calls: Mutex<BTreeMap<u64, Arc<Cancellation>>>,
    /// How many there are. Each call that waited looks here when it ends, so without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Cancellation {
    cancelled: AtomicBool,
    notify: Notify,
}

/// A signal that is not heard yet. Wakers are foreign code, which may not run under a lock.
#[derive(Debug)]
#[must_use]
pub(crate) struct Cancelled(Arc<Cancellation>);

impl Cancelled {
    pub(crate) fn notify(self) {
        self.0.notify.notify_waiters();
    }
}

impl Cancellations {
    /// The call was taken back. Its handler is at work, and [`remove`](Self::remove) follows. Those
    /// who wait are to be told.
    pub(crate) fn cancel(&self, call: u64) -> Cancelled {
        let cancellation = self.cancellation(call);
        cancellation.cancelled.store(true, Ordering::Release);
        Cancelled(cancellation)
    }

    /// The call is over.
    pub(crate) fn remove(&self, call: u64) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut calls = self.lock();
            let forgotten = calls.remove(&call);
            self.count.store(calls.len(), Ordering::Release);
            drop(calls);
            drop(forgotten);
        }
    }

    pub(crate) fn is_cancelled(&self, call: u64) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self
                .lock()
                .get(&call)
                .is_some_and(|cancellation| cancellation.cancelled.load(Ordering::Acquire))
    }

    /// Waits until the call is taken back; for ever, if it is over before.
    pub(crate) async fn cancelled(&self, call: u64) {
        let waiting = Waiting { cancellations: self, call, cancellation: self.cancellation(call) };
        // Registered before the look at the flag, so that no signal falls in between.
        let notified = waiting.cancellation.notify.notified();
        if !waiting.cancellation.cancelled.load(Ordering::Acquire) {
            notified.await;
        }
    }

    fn cancellation(&self, call: u64) -> Arc<Cancellation> {
        let mut calls = self.lock();
        let cancellation = Arc::clone(calls.entry(call).or_default());
        self.count.store(calls.len(), Ordering::Release);
        cancellation
    }

    /// No user code runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Cancellation>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits: the last one takes the signal along, unless it was raised.
struct Waiting<'a> {
    cancellations: &'a Cancellations,
    call: u64,
    cancellation: Arc<Cancellation>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut cancellations = self.cancellations.lock();
        // The map's own, and this one.
        let last = Arc::strong_count(&self.cancellation) <= 2;
        if last && !self.cancellation.cancelled.load(Ordering::Acquire) {
            let mine = cancellations
                .get(&self.call)
                .is_some_and(|known| Arc::ptr_eq(known, &self.cancellation));
            if mine {
                cancellations.remove(&self.call);
                self.cancellations.count.store(cancellations.len(), Ordering::Release);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn poll(future: std::pin::Pin<&mut impl Future<Output = ()>>) -> Poll<()> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn whoever_waits_hears_it_and_nothing_is_left() {
        let cancellations = Cancellations::default();
        {
            let mut first = pin!(cancellations.cancelled(1));
            let mut second = pin!(cancellations.cancelled(1));
            let mut other = pin!(cancellations.cancelled(2));
            assert!(poll(first.as_mut()).is_pending());
            assert!(poll(second.as_mut()).is_pending());
            assert!(poll(other.as_mut()).is_pending());
            assert!(!cancellations.is_cancelled(1));
            cancellations.cancel(1).notify();
            assert!(cancellations.is_cancelled(1) && !cancellations.is_cancelled(2));
            assert!(poll(first.as_mut()).is_ready());
            assert!(poll(second.as_mut()).is_ready());
            assert!(poll(other.as_mut()).is_pending());
            assert!(poll(pin!(cancellations.cancelled(1))).is_ready(), "late");
        }
        assert_eq!(cancellations.lock().len(), 1, "only that of the call which was taken back");
        cancellations.remove(1);
        assert_eq!(cancellations.lock().len(), 0);
        cancellations.remove(1);
        assert!(!cancellations.is_cancelled(1));
    }
}

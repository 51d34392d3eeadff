//! The peer's calls that were cancelled while their handlers were in flight, and the tasks that
//! wait for a cancellation.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The cancellations of the incoming calls on one connection, by the numbers that this side gave
/// them.
///
/// A call has an entry if it was cancelled and its handler is in flight, or if a task waits for its
/// cancellation.
#[derive(Debug, Default)]
pub(crate) struct Cancellations {
    calls: Mutex<BTreeMap<u64, Arc<Cancellation>>>,
    /// The number of entries. It is read without the lock, because each call in a separate task
    /// reads it when it ends.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Cancellation {
    cancelled: AtomicBool,
    notify: Notify,
}

/// A cancellation whose waiters are not woken yet. Wakers are foreign code, which must not run
/// under a lock.
#[derive(Debug)]
#[must_use]
pub(crate) struct Cancelled(Arc<Cancellation>);

impl Cancelled {
    pub(crate) fn notify(self) {
        self.0.notify.notify_waiters();
    }
}

impl Cancellations {
    /// Marks a call as cancelled. Its handler must be in flight, so that [`remove`](Self::remove)
    /// follows. The caller wakes the waiters with the returned value.
    pub(crate) fn cancel(&self, call: u64) -> Cancelled {
        let cancellation = self.cancellation(call);
        cancellation.cancelled.store(true, Ordering::Release);
        Cancelled(cancellation)
    }

    /// Removes the entry of a call that has ended.
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

    /// Waits until the call is cancelled. The future is never ready if the call ends before.
    pub(crate) async fn cancelled(&self, call: u64) {
        let waiting = Waiting { cancellations: self, call, cancellation: self.cancellation(call) };
        // Registered before the flag is read, so that no cancellation is lost in between.
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

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Cancellation>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiting task. When the last one is dropped, it removes the entry, unless the call was
/// cancelled.
struct Waiting<'a> {
    cancellations: &'a Cancellations,
    call: u64,
    cancellation: Arc<Cancellation>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut cancellations = self.cancellations.lock();
        // One reference is the map's, the other this waiter's.
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
        assert_eq!(cancellations.lock().len(), 1, "only the cancelled call has an entry");
        cancellations.remove(1);
        assert_eq!(cancellations.lock().len(), 0);
        cancellations.remove(1);
        assert!(!cancellations.is_cancelled(1));
    }
}

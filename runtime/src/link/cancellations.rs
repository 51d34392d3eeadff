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
pub(crate) struct Signals {
    calls: Mutex<BTreeMap<u64, Arc<Signal>>>,
    /// How many there are. Each call that waited looks here when it ends, so without the lock.
    count: AtomicUsize,
}

#[derive(Debug, Default)]
struct Signal {
    raised: AtomicBool,
    notify: Notify,
}

/// A signal that is not heard yet. Wakers are foreign code, which may not run under a lock.
#[derive(Debug)]
#[must_use]
pub(crate) struct Raised(Arc<Signal>);

impl Raised {
    pub(crate) fn tell(self) {
        self.0.notify.notify_waiters();
    }
}

impl Signals {
    /// The call was taken back. Its handler is at work, and [`forget`](Self::forget) follows. Those
    /// who wait are to be told.
    pub(crate) fn raise(&self, call: u64) -> Raised {
        let signal = self.signal(call);
        signal.raised.store(true, Ordering::Release);
        Raised(signal)
    }

    /// The call is over.
    pub(crate) fn forget(&self, call: u64) {
        if self.count.load(Ordering::Acquire) > 0 {
            let mut calls = self.lock();
            let forgotten = calls.remove(&call);
            self.count.store(calls.len(), Ordering::Release);
            drop(calls);
            drop(forgotten);
        }
    }

    pub(crate) fn is_raised(&self, call: u64) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.lock().get(&call).is_some_and(|signal| signal.raised.load(Ordering::Acquire))
    }

    /// Waits until the call is taken back; for ever, if it is over before.
    pub(crate) async fn raised(&self, call: u64) {
        let waiting = Waiting { signals: self, call, signal: self.signal(call) };
        // Registered before the look at the flag, so that no signal falls in between.
        let notified = waiting.signal.notify.notified();
        if !waiting.signal.raised.load(Ordering::Acquire) {
            notified.await;
        }
    }

    fn signal(&self, call: u64) -> Arc<Signal> {
        let mut calls = self.lock();
        let signal = Arc::clone(calls.entry(call).or_default());
        self.count.store(calls.len(), Ordering::Release);
        signal
    }

    /// No user code runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Signal>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits: the last one takes the signal along, unless it was raised.
struct Waiting<'a> {
    signals: &'a Signals,
    call: u64,
    signal: Arc<Signal>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut signals = self.signals.lock();
        // The map's own, and this one.
        let last = Arc::strong_count(&self.signal) <= 2;
        if last && !self.signal.raised.load(Ordering::Acquire) {
            let mine =
                signals.get(&self.call).is_some_and(|known| Arc::ptr_eq(known, &self.signal));
            if mine {
                signals.remove(&self.call);
                self.signals.count.store(signals.len(), Ordering::Release);
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
        let signals = Signals::default();
        {
            let mut first = pin!(signals.raised(1));
            let mut second = pin!(signals.raised(1));
            let mut other = pin!(signals.raised(2));
            assert!(poll(first.as_mut()).is_pending());
            assert!(poll(second.as_mut()).is_pending());
            assert!(poll(other.as_mut()).is_pending());
            assert!(!signals.is_raised(1));
            signals.raise(1).tell();
            assert!(signals.is_raised(1) && !signals.is_raised(2));
            assert!(poll(first.as_mut()).is_ready());
            assert!(poll(second.as_mut()).is_ready());
            assert!(poll(other.as_mut()).is_pending());
            assert!(poll(pin!(signals.raised(1))).is_ready(), "late");
        }
        assert_eq!(signals.lock().len(), 1, "only that of the call which was taken back");
        signals.forget(1);
        assert_eq!(signals.lock().len(), 0);
        signals.forget(1);
        assert!(!signals.is_raised(1));
    }
}

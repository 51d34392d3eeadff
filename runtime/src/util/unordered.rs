//! Polls many futures within one task, and returns their results in the order in which they become
//! ready: [`Unordered`]. A wake-up costs one poll of one future, however many there are.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A set of futures.
pub(crate) struct Unordered<F> {
    /// A place without a future is in `free`.
    places: Vec<Option<(F, Arc<PlaceWaker>)>>,
    free: Vec<usize>,
    ready: Arc<Ready>,
}

/// The futures that must be polled.
#[derive(Default)]
struct Ready(Mutex<ReadyPlaces>);

#[derive(Default)]
struct ReadyPlaces {
    places: VecDeque<usize>,
    /// The task that polls the set.
    task: Option<Waker>,
}

struct PlaceWaker {
    place: usize,
    /// Whether the place is in the queue of places to be polled.
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for PlaceWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let mut ready = self.ready.lock();
        ready.places.push_back(self.place);
        let task = ready.task.take();
        drop(ready);
        if let Some(task) = task {
            task.wake();
        }
    }
}

impl Ready {
    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, ReadyPlaces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Default for Unordered<F> {
    fn default() -> Self {
        Unordered { places: Vec::new(), free: Vec::new(), ready: Arc::default() }
    }
}

impl<F> Unordered<F> {
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Adds a future. The next call of [`poll_next`](Self::poll_next) polls it.
    pub(crate) fn push(&mut self, future: F) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        let (queued, ready) = (AtomicBool::new(false), Arc::clone(&self.ready));
        let waker = Arc::new(PlaceWaker { place, queued, ready });
        waker.wake_by_ref();
        if let Some(free) = self.places.get_mut(place) {
            *free = Some((future, waker));
        }
    }
}

impl<F: Future + Unpin> Unordered<F> {
    /// The output of the next future that is ready. `None` if there are no futures.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        // A future that wakes itself is polled once, so that other tasks run.
        for _ in 0..=self.len() {
            let mut ready = self.ready.lock();
            let Some(place) = ready.places.pop_front() else {
                if self.len() == 0 {
                    return Poll::Ready(None);
                }
                let before = ready.task.replace(cx.waker().clone());
                drop(ready);
                drop(before);
                return Poll::Pending;
            };
            drop(ready);
            // A future that has ended may be woken late.
            let Some(slot) = self.places.get_mut(place) else { continue };
            let Some((future, waker)) = slot else { continue };
            waker.queued.store(false, Ordering::Release);
            let own = Waker::from(Arc::clone(waker));
            if let Poll::Ready(output) = Pin::new(future).poll(&mut Context::from_waker(&own)) {
                *slot = None;
                self.free.push(place);
                return Poll::Ready(Some(output));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::future::poll_fn;
    use std::time::Duration;

    use crate::util::BoxFuture;

    #[tokio::test(start_paused = true)]
    async fn results_come_in_the_order_in_which_they_are_ready() {
        let mut set: Unordered<BoxFuture<u64>> = Unordered::default();
        for number in [3, 1, 2] {
            set.push(Box::pin(async move {
                tokio::time::sleep(Duration::from_secs(number)).await;
                number
            }));
        }
        set.push(Box::pin(async { 0 }));
        let mut order = Vec::new();
        while let Some(number) = poll_fn(|cx| set.poll_next(cx)).await {
            order.push(number);
            if number == 1 {
                set.push(Box::pin(async { 10 }));
            }
        }
        assert_eq!(order, [0, 1, 10, 2, 3]);
        assert_eq!((set.len(), set.places.len()), (0, 4), "places are used again");
    }

    #[tokio::test]
    async fn only_futures_that_were_woken_are_polled() {
        let polls = Arc::new(Mutex::new(vec![0; 100]));
        let mut gates = Vec::new();
        let mut set: Unordered<BoxFuture<usize>> = Unordered::default();
        for number in 0..100 {
            let (open, mut gate) = tokio::sync::oneshot::channel::<()>();
            let polls = Arc::clone(&polls);
            gates.push(open);
            set.push(Box::pin(poll_fn(move |cx| {
                polls.lock().unwrap()[number] += 1;
                Pin::new(&mut gate).poll(cx).map(|_| number)
            })));
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(set.poll_next(&mut cx).is_pending());
        gates.remove(42).send(()).unwrap();
        assert_eq!(set.poll_next(&mut cx), Poll::Ready(Some(42)));
        let polls = polls.lock().unwrap();
        assert!(polls.iter().enumerate().all(|(at, polls)| *polls == 1 + usize::from(at == 42)));
    }

    #[tokio::test]
    async fn a_future_that_wakes_itself_lets_other_tasks_run() {
        let mut set: Unordered<BoxFuture<()>> = Unordered::default();
        set.push(Box::pin(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        })));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(set.poll_next(&mut cx).is_pending());
    }
}

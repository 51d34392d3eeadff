//! Calls whose handlers are at work, each with where its answer goes.
//!
//! Whoever takes a call out of here answers it, its handler or its caller's cancellation, so it is
//! answered once. Must not know handlers, or how an answer travels.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::protocol::id::Id;
use crate::slots::Slots;

/// The calls of one connection. Where no call has had to wait, nothing is held for them.
#[derive(Debug)]
pub(crate) struct Started<T>(Mutex<Option<Box<Slots<Call<T>>>>>);

/// A call that was begun and is not answered.
#[derive(Debug)]
pub(crate) struct Call<T> {
    pub(crate) id: Id,
    /// The number that its connection has given it.
    pub(crate) number: u64,
    pub(crate) reply_to: T,
}

impl<T> Default for Started<T> {
    fn default() -> Self {
        Started(Mutex::new(None))
    }
}

impl<T> Started<T> {
    /// Puts a call in; gives the key to it.
    pub(crate) fn put(&self, call: Call<T>) -> u64 {
        let mut calls = self.lock();
        let calls = calls.get_or_insert_with(|| Box::new(Slots::new()));
        let key = calls.push(call);
        while calls.retire().is_some() {}
        key
    }

    pub(crate) fn take(&self, key: u64) -> Option<Call<T>> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        let call = calls.remove(key);
        while calls.retire().is_some() {}
        calls.release_large();
        call
    }

    /// Takes out the call with this id: the first one, should a peer use it twice. There are so few
    /// cancellations that they may look for it. `mark` is told its number before anybody else can
    /// find out that it is gone.
    pub(crate) fn find<M>(&self, id: &Id, mark: impl FnOnce(u64) -> M) -> Option<(Call<T>, M)> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        let (key, _) =
            calls.iter().filter(|(_, call)| call.id == *id).min_by_key(|(key, _)| *key)?;
        let call = calls.remove(key)?;
        while calls.retire().is_some() {}
        calls.release_large();
        let mark = mark(call.number);
        Some((call, mark))
    }

    /// Nothing is dropped under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Option<Box<Slots<Call<T>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_is_taken_once() {
        let started = Started::default();
        let put = |id, number| started.put(Call { id: Id::from_number(id), number, reply_to: () });
        let (first, second, twin) = (put(1, 10), put(2, 11), put(2, 12));
        let find =
            |id| started.find(&Id::from_number(id), |number| number).map(|(_, number)| number);
        assert_eq!((find(7), find(2), find(2), find(2)), (None, Some(11), Some(12), None));
        let take = |key| started.take(key).map(|call| call.number);
        assert_eq!(
            (take(second), take(twin), take(first), take(first)),
            (None, None, Some(10), None)
        );
    }
}

//! Calls whose handlers are at work, each with where its answer goes.
//!
//! Whoever takes a call out of here answers it, its handler or its caller's cancellation, so it is
//! answered once. Must not know handlers, or how an answer travels.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::protocol::id::Id;

/// The calls of one connection. Where no call has had to wait, nothing is held for them.
#[derive(Debug)]
pub(crate) struct Started<T>(Mutex<Option<Box<Calls<T>>>>);

/// A call that was begun and is not answered.
#[derive(Debug)]
pub(crate) struct Call<T> {
    pub(crate) id: Id,
    /// The number that its connection has given it.
    pub(crate) number: u64,
    pub(crate) reply_to: T,
}

/// Each at a place of its own, which another one gets after it.
#[derive(Debug)]
struct Calls<T> {
    places: Vec<Place<T>>,
    /// The first free place; behind the last one, if there is none.
    free: usize,
    count: usize,
}

#[derive(Debug)]
enum Place<T> {
    Taken(Call<T>),
    Free { next: usize },
}

/// More places than these are given back when nobody has one.
const KEPT: usize = 64;

impl<T> Default for Started<T> {
    fn default() -> Self {
        Started(Mutex::new(None))
    }
}

impl<T> Started<T> {
    /// Puts a call in; gives its place.
    pub(crate) fn put(&self, call: Call<T>) -> usize {
        self.lock().get_or_insert_with(Box::default).put(call)
    }

    /// Whether any call was ever put in.
    #[cfg(feature = "tower")]
    pub(crate) fn was_used(&self) -> bool {
        self.lock().is_some()
    }

    /// Takes out the call with this number, which has this place, or had it.
    pub(crate) fn take(&self, place: usize, number: u64) -> Option<Call<T>> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        match calls.places.get(place) {
            Some(Place::Taken(call)) if call.number == number => calls.take(place),
            _ => None,
        }
    }

    /// Takes out the call with this id: the first one, should a peer use it twice, and one whose id is
    /// written in the same way before one whose id only means the same. There are so few cancellations
    /// that they may look for it. `mark` is told its number before anybody else can find out that it is
    /// gone.
    pub(crate) fn find<M>(&self, id: &Id, mark: impl FnOnce(u64) -> M) -> Option<(Call<T>, M)> {
        let mut calls = self.lock();
        let calls = calls.as_mut()?;
        let at =
            calls.first(|known| known == id).or_else(|| calls.first(|known| known.is_same(id)))?;
        let call = calls.take(at)?;
        let mark = mark(call.number);
        Some((call, mark))
    }

    /// Nothing is dropped under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Option<Box<Calls<T>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Calls { places: Vec::new(), free: 0, count: 0 }
    }
}

impl<T> Calls<T> {
    /// The place of the first call whose id is one of these.
    fn first(&self, is: impl Fn(&Id) -> bool) -> Option<usize> {
        let known = self.places.iter().enumerate().filter_map(|(at, place)| match place {
            Place::Taken(call) if is(&call.id) => Some((call.number, at)),
            _ => None,
        });
        known.min().map(|(_, at)| at)
    }

    fn put(&mut self, call: Call<T>) -> usize {
        let at = self.free;
        self.count += 1;
        match self.places.get_mut(at) {
            Some(place) => {
                if let Place::Free { next } = std::mem::replace(place, Place::Taken(call)) {
                    self.free = next;
                }
            }
            None => {
                self.places.push(Place::Taken(call));
                self.free = self.places.len();
            }
        }
        at
    }

    fn take(&mut self, at: usize) -> Option<Call<T>> {
        let place = self.places.get_mut(at)?;
        let Place::Taken(call) = std::mem::replace(place, Place::Free { next: self.free }) else {
            return None;
        };
        self.free = at;
        self.count -= 1;
        if self.count == 0 && self.places.len() > KEPT {
            *self = Calls::default();
        }
        Some(call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn call(id: u64, number: u64) -> Call<()> {
        Call { id: Id::from_number(id), number, reply_to: () }
    }

    #[test]
    fn each_call_is_taken_once() {
        let started = Started::default();
        let (first, second) = (started.put(call(1, 10)), started.put(call(2, 11)));
        let twin = started.put(call(2, 12));
        let find =
            |id| started.find(&Id::from_number(id), |number| number).map(|(_, number)| number);
        assert_eq!((find(7), find(2)), (None, Some(11)));
        // Its place has a new call, which is not the old one's to take.
        let heir = started.put(call(3, 13));
        assert_eq!(heir, second);
        let take = |place, number| started.take(place, number).map(|call| call.number);
        assert_eq!((take(second, 11), take(heir, 13), take(heir, 13)), (None, Some(13), None));
        assert_eq!((find(2), find(2), take(twin, 12)), (Some(12), None, None));
        assert_eq!((take(first, 10), take(first, 10), take(99, 1)), (Some(10), None, None));
    }

    /// Calls that come and go at random, against a map.
    #[test]
    fn calls_are_where_they_were_put() {
        let started = Started::default();
        let mut model = HashMap::new();
        let mut random = 0x9E37_79B9_u64;
        for number in 0..20_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            if random % 5 < 2 {
                let place = started.put(call(number, number));
                assert!(model.insert(number, place).is_none());
            } else if let Some((&number, &place)) = model.iter().next() {
                model.remove(&number);
                assert_eq!(started.take(place, number).map(|call| call.number), Some(number));
            }
        }
        for (number, place) in model {
            assert!(started.take(place, number).is_some());
        }
        let calls = started.lock();
        let calls = calls.as_ref().unwrap();
        assert!(calls.count == 0 && calls.places.len() <= KEPT, "a burst leaves no memory behind");
    }
}

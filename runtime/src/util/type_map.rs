//! A map with one value for each type. Handlers use it to store values on a connection for later
//! calls.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::util::catch_unwind::drop_contained;

type Value = Arc<dyn Any + Send + Sync>;

/// A connection rarely has more than two or three values. So a list is better than a hash map,
/// especially for the memory of connections without values.
#[derive(Default)]
pub(crate) struct TypeMap(Mutex<Vec<Entry>>);

/// Without a value, the entry hides a value for this type that an outer map would provide.
type Entry = (TypeId, Option<Value>);

/// The result of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Here(Arc<T>),
    /// No value, and outer values are hidden.
    Hidden,
    /// No value here; an outer value may be used.
    Nothing,
}

impl<T: Send + Sync + 'static> Found<T> {
    fn of(value: Option<Value>) -> Self {
        match value.map(Arc::downcast) {
            Some(Ok(value)) => Found::Here(value),
            _ => Found::Hidden,
        }
    }
}

impl TypeMap {
    /// Sets a value and returns the previous one.
    pub(crate) fn set<T: Send + Sync + 'static>(&self, value: T) -> Found<T> {
        self.put(TypeId::of::<T>(), Some(Arc::new(value)))
    }

    /// Removes the value for this type and hides outer ones. Returns the previous one.
    pub(crate) fn hide<T: Send + Sync + 'static>(&self) -> Found<T> {
        self.put(TypeId::of::<T>(), None)
    }

    fn put<T: Send + Sync + 'static>(&self, id: TypeId, value: Option<Value>) -> Found<T> {
        let mut entries = self.lock();
        match entries.iter_mut().find(|(known, _)| *known == id) {
            Some((_, old)) => Found::of(std::mem::replace(old, value)),
            None => {
                entries.push((id, value));
                Found::Nothing
            }
        }
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Found<T> {
        let entries = self.lock();
        match entries.iter().find(|(id, _)| *id == TypeId::of::<T>()) {
            Some((_, value)) => Found::of(value.clone()),
            None => Found::Nothing,
        }
    }

    /// The existing value, or this one if there was none.
    pub(crate) fn get_or_set<T: Send + Sync + 'static>(&self, value: Arc<T>) -> Arc<T> {
        let (id, new) = (TypeId::of::<T>(), Arc::clone(&value) as Value);
        let mut entries = self.lock();
        match entries.iter_mut().find(|(known, _)| *known == id) {
            Some((_, Some(known))) => match Arc::clone(known).downcast() {
                Ok(known) => known,
                Err(_) => value,
            },
            Some((_, none)) => {
                *none = Some(new);
                value
            }
            None => {
                entries.push((id, Some(new)));
                value
            }
        }
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&self) -> Found<T> {
        let mut entries = self.lock();
        match entries.iter().position(|(id, _)| *id == TypeId::of::<T>()) {
            Some(at) => Found::of(entries.swap_remove(at).1),
            None => Found::Nothing,
        }
    }

    /// Moves all values of another map here, replacing those of the same types.
    pub(crate) fn adopt(&self, other: TypeMap) {
        let theirs = std::mem::take(&mut *other.lock());
        for (id, value) in theirs {
            let mut entries = self.lock();
            let old = match entries.iter_mut().find(|(known, _)| *known == id) {
                Some((_, old)) => Some(std::mem::replace(old, value)),
                None => {
                    entries.push((id, value));
                    None
                }
            };
            drop(entries);
            drop_contained(old, "a value stored on a connection");
        }
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Drops the values one by one. A panic in one drop must not affect the connection or the other
/// values, and two simultaneous panics would abort the process.
impl Drop for TypeMap {
    fn drop(&mut self) {
        let entries = std::mem::take(&mut *self.lock());
        for (_, value) in entries {
            drop_contained(value, "a value stored on a connection");
        }
    }
}

impl fmt::Debug for TypeMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("entries", &self.lock().len()).finish()
    }
}

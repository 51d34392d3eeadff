//! Values that handlers leave on a connection for its later calls, one for each type.
//!
//! Must not know connections: it is a map with a lock.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

type Value = Arc<dyn Any + Send + Sync>;

/// A connection rarely has more than two or three, so a list beats a hash map, above all in the
/// memory of a connection that has none.
#[derive(Default)]
pub(crate) struct State(Mutex<Vec<(TypeId, Value)>>);

impl State {
    pub(crate) fn set<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let (id, value): (_, Value) = (TypeId::of::<T>(), Arc::new(value));
        let mut entries = self.lock();
        match entries.iter_mut().find(|(known, _)| *known == id) {
            Some((_, old)) => std::mem::replace(old, value).downcast().ok(),
            None => {
                entries.push((id, value));
                None
            }
        }
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let entries = self.lock();
        let (_, value) = entries.iter().find(|(id, _)| *id == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    pub(crate) fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let mut entries = self.lock();
        let at = entries.iter().position(|(id, _)| *id == TypeId::of::<T>())?;
        entries.swap_remove(at).1.downcast().ok()
    }

    /// Takes over what another has, in place of what is here of the same types.
    pub(crate) fn adopt(&self, other: State) {
        let theirs = other.0.into_inner().unwrap_or_else(PoisonError::into_inner);
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
            drop(old);
        }
    }

    /// No user code runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Vec<(TypeId, Value)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("entries", &self.lock().len()).finish()
    }
}

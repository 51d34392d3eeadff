//! [`Identity`]: a key of any type that says whose connection a connection is.

use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use crate::util::catch_unwind::drop_contained;

/// A key that the application has chosen, for example the id of a user. Cheap to clone.
///
/// Hashing and comparing keys runs code of the application, so it must not happen under a lock.
#[derive(Clone)]
pub(crate) struct Identity(Arc<dyn Key>);

trait Key: Send + Sync {
    fn kind(&self) -> TypeId;
    fn hash(&self, state: &RandomState) -> u64;
    fn value(&self) -> Option<&dyn Any>;
}

/// The value is present until it is dropped. A panic in its drop is contained.
struct Contained<K>(Option<K>);

impl<K: Hash + Send + Sync + 'static> Key for Contained<K> {
    fn kind(&self) -> TypeId {
        TypeId::of::<K>()
    }

    fn hash(&self, state: &RandomState) -> u64 {
        self.0.as_ref().map_or(0, |key| state.hash_one(key))
    }

    fn value(&self) -> Option<&dyn Any> {
        self.0.as_ref().map(|key| key as &dyn Any)
    }
}

impl<K> Drop for Contained<K> {
    fn drop(&mut self) {
        drop_contained(self.0.take(), "an identity of a connection");
    }
}

impl Identity {
    pub(crate) fn new<K: Eq + Hash + Send + Sync + 'static>(key: K) -> Self {
        Identity(Arc::new(Contained(Some(key))))
    }

    /// The type of the key. A connection has at most one identity of each type.
    pub(crate) fn kind(&self) -> TypeId {
        self.0.kind()
    }

    /// The same as that of the key itself.
    pub(crate) fn hash(&self, state: &RandomState) -> u64 {
        self.0.hash(state)
    }

    pub(crate) fn is<K: Eq + 'static>(&self, key: &K) -> bool {
        self.0.value().and_then(<dyn Any>::downcast_ref::<K>).is_some_and(|own| own == key)
    }
}

/// Leaves out the key, which may be secret.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

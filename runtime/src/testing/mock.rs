//! The parts of generated mocks: a [`Slot`] for each method, with its closure and the number of
//! calls.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::Stream;

use crate::client::Client;
use crate::incoming::service::Service;
use crate::memory;
use crate::outgoing::peer::Peer;
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::server::Server;

/// What a mock's closure for a subscription returns: `Box::pin(stream)`.
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// A method's closure, if it has one. Clones are the same slot.
pub struct Slot<F: ?Sized> {
    shared: Arc<Shared<F>>,
}

struct Shared<F: ?Sized> {
    calls: AtomicU64,
    /// Two locks: while a closure runs, which may take long, the slot can be checked or given
    /// another closure.
    closure: Mutex<Option<Closure<F>>>,
}

type Closure<F> = Arc<Mutex<Box<F>>>;

impl<F: ?Sized> Slot<F> {
    /// Puts a closure in, in place of the one that is there.
    pub fn set(&self, closure: Box<F>) {
        let previous = self.slot().replace(Arc::new(Mutex::new(closure)));
        // Outside the lock: whatever the closure has captured is the user's.
        drop(previous);
    }

    fn slot(&self) -> MutexGuard<'_, Option<Closure<F>>> {
        self.shared.closure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often the method was called.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// What is answered if there is no closure. The call counts then; else [`run`](Self::run) counts it.
    pub fn refusal(&self, mock: &str, method: &str) -> Option<ErrorObject> {
        if self.slot().is_some() {
            return None;
        }
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        Some(ErrorObject::new(ErrorCode::METHOD_NOT_FOUND, no_closure(mock, method)))
    }

    /// Runs the closure for one call.
    ///
    /// # Panics
    /// If there is none. Calls over a connection do not get here then.
    #[track_caller]
    pub fn run<R>(&self, mock: &str, method: &str, run: impl FnOnce(&mut F) -> R) -> R {
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let closure = self.slot().clone();
        let Some(closure) = closure else { panic!("{}", no_closure(mock, method)) };
        // Held while the closure runs, as it is `FnMut`: calls run one after another. A closure
        // that has panicked may be called again.
        let mut closure = closure.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut closure)
    }
}

fn no_closure(mock: &str, method: &str) -> String {
    format!("`{mock}` has no closure for `{method}`: give it one with `.{method}(|ctx, …| …)`")
}

/// A test asks for the calls of a method that is not there: else a slip of the pen would count as
/// none.
#[track_caller]
pub fn no_such_method(mock: &str, method: &str) -> u64 {
    panic!("`{mock}` has no method `{method}`: the name is the one that it has in Rust")
}

/// A peer that calls a service, over a connection of its own in memory.
///
/// # Panics
/// Outside of a tokio runtime.
#[track_caller]
pub fn client_of(service: impl Service) -> Peer {
    match memory::pair(Client::builder(), Server::builder().service(service)) {
        Ok((client, _)) => client.peer(),
        Err(error) => panic!("a service can't be served: {error}"),
    }
}

impl<F: ?Sized> Default for Slot<F> {
    fn default() -> Self {
        let shared = Shared { calls: AtomicU64::new(0), closure: Mutex::new(None) };
        Slot { shared: Arc::new(shared) }
    }
}

impl<F: ?Sized> Clone for Slot<F> {
    fn clone(&self) -> Self {
        Slot { shared: Arc::clone(&self.shared) }
    }
}

impl<F: ?Sized> fmt::Debug for Slot<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_set = self.slot().is_some();
        match (is_set, self.calls()) {
            (true, calls) => write!(f, "{calls} calls"),
            (false, calls) => write!(f, "no closure, {calls} calls"),
        }
    }
}

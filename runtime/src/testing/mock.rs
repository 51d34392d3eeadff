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
///
/// ```
/// use futures_util::stream;
/// use wsjsonrpc::{Context, Result, Stream, rpc};
///
/// #[rpc(mock)]
/// pub trait Clock {
///     #[subscription]
///     async fn ticks(&self, ctx: &Context) -> Result<impl Stream<Item = u32> + Send>;
/// }
///
/// let mock = ClockMock::new().ticks(|_ctx| Ok(Box::pin(stream::iter([1, 2, 3]))));
/// # drop(mock);
/// ```
pub type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// The closure of a method, if it has one. Clones share the slot.
pub struct Slot<F: ?Sized> {
    shared: Arc<Shared<F>>,
}

struct Shared<F: ?Sized> {
    calls: AtomicU64,
    /// Two locks, because a closure may run for long: meanwhile the slot can be checked or get
    /// another closure.
    closure: Mutex<Option<Closure<F>>>,
}

type Closure<F> = Arc<Mutex<Box<F>>>;

impl<F: ?Sized> Slot<F> {
    /// Replaces the closure.
    pub fn set(&self, closure: Box<F>) {
        let previous = self.slot().replace(Arc::new(Mutex::new(closure)));
        // Outside the lock, because the values captured by the closure are the user's.
        drop(previous);
    }

    fn slot(&self) -> MutexGuard<'_, Option<Closure<F>>> {
        self.shared.closure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many times the method was called.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::Relaxed)
    }

    /// The error if there is no closure; the call is counted here. Otherwise [`run`](Self::run)
    /// counts it.
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
    /// If there is no closure. Calls over a connection never get here in that case.
    #[track_caller]
    pub fn run<R>(&self, mock: &str, method: &str, run: impl FnOnce(&mut F) -> R) -> R {
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let closure = self.slot().clone();
        let Some(closure) = closure else { panic!("{}", no_closure(mock, method)) };
        // Locked while the closure runs, because it is `FnMut`: calls run one after another. A
        // closure that panicked may be called again.
        let mut closure = closure.lock().unwrap_or_else(PoisonError::into_inner);
        run(&mut closure)
    }
}

fn no_closure(mock: &str, method: &str) -> String {
    format!("`{mock}` has no closure for `{method}`; set one with `.{method}(|ctx, …| …)`")
}

/// Panics for the calls of a method that does not exist, because a misspelled name would otherwise
/// count zero calls.
#[track_caller]
pub fn no_such_method(mock: &str, method: &str) -> u64 {
    panic!(
        "`{mock}` has no method `{method}`; use the method's Rust name, not its name on the wire"
    )
}

/// A peer that calls a service, over its own connection in memory.
///
/// # Panics
/// Outside a tokio runtime.
#[track_caller]
pub fn client_of(service: impl Service) -> Peer {
    match memory::pair(Client::builder(), Server::builder().service(service)) {
        Ok((client, _)) => client.peer(),
        Err(error) => panic!("cannot serve the mock: {error}"),
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

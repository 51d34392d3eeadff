//! Handlers that wait until the test lets them finish.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;
use wsjsonrpc::{Context, Result};

/// Holds handlers until the test opens it. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate {
    started: Arc<AtomicUsize>,
    arrived: Arc<Semaphore>,
    open: Arc<Semaphore>,
}

impl Default for Gate {
    fn default() -> Self {
        Gate {
            started: Arc::default(),
            arrived: Arc::new(Semaphore::new(0)),
            open: Arc::new(Semaphore::new(0)),
        }
    }
}

impl Gate {
    /// A handler that waits at the gate and then returns this value.
    pub fn handler<T>(
        &self,
        value: T,
    ) -> impl Fn(Context, ()) -> Pin<Box<dyn Future<Output = Result<T>> + Send>> + Clone + use<T>
    where
        T: Clone + Send + Sync + 'static,
    {
        let gate = self.clone();
        move |_, ()| {
            gate.started.fetch_add(1, Ordering::Relaxed);
            let (gate, value) = (gate.clone(), value.clone());
            Box::pin(async move {
                gate.pass().await;
                Ok(value)
            })
        }
    }

    /// How many calls of [`handler`](Self::handler)s have started.
    pub fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }

    /// For a handler: counts as arrived, and waits until the gate opens for it.
    pub async fn pass(&self) {
        self.arrived.add_permits(1);
        self.open.acquire().await.expect("never closed").forget();
    }

    /// Waits until this many more handlers have arrived.
    pub async fn arrived(&self, handlers: u32) {
        self.arrived.acquire_many(handlers).await.expect("never closed").forget();
    }

    /// Lets this many handlers through, now or later.
    pub fn open(&self, handlers: usize) {
        self.open.add_permits(handlers);
    }
}

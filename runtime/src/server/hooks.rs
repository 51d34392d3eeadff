//! The hooks `on_connect` and `on_disconnect`. [`Hooks`] are those of a server. [`ConnectionHooks`]
//! run them for one connection, each in a separate task, within a time limit.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::connection::gate::Gate;
use crate::error::{Causes, CloseReason, Remote};
use crate::incoming::responder::Responder;
use crate::server::connection::Connection;
use crate::server::connections::HookLease;
use crate::server::rejection::Rejection;
use crate::util::BoxFuture;
use crate::util::catch_unwind::{Panicked, catch_unwind_async, drop_contained};
use crate::util::runtime::timeout;

type OnConnect = dyn Fn(Connection) -> BoxFuture<Result<(), Rejection>> + Send + Sync;
type OnDisconnect = dyn Fn(Connection, CloseReason) -> BoxFuture<()> + Send + Sync;

/// The hooks of a server.
#[derive(Default)]
pub(crate) struct Hooks {
    on_connect: Option<Box<OnConnect>>,
    on_disconnect: Option<Box<OnDisconnect>>,
}

impl Hooks {
    pub(crate) fn on_connect<F>(&mut self, hook: impl Fn(Connection) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Result<(), Rejection>> + Send + 'static,
    {
        let earlier = self.on_connect.replace(Box::new(move |it| Box::pin(hook(it))));
        drop_contained(earlier, "the `on_connect` hook");
    }

    pub(crate) fn on_disconnect<F>(
        &mut self,
        hook: impl Fn(Connection, CloseReason) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let earlier =
            self.on_disconnect.replace(Box::new(move |it, reason| Box::pin(hook(it, reason))));
        drop_contained(earlier, "the `on_disconnect` hook");
    }

    /// The hooks in the form in which connections share them, if there are any.
    pub(crate) fn shared(self) -> Option<Arc<Self>> {
        let any = self.on_connect.is_some() || self.on_disconnect.is_some();
        any.then(|| Arc::new(self))
    }

    /// The gate of a new connection, if its calls have to wait for a hook.
    pub(crate) fn gate(&self) -> Option<Arc<Gate>> {
        self.on_connect.as_ref().map(|_| Arc::default())
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        drop_contained(self.on_connect.take(), "the `on_connect` hook");
        drop_contained(self.on_disconnect.take(), "the `on_disconnect` hook");
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks")
            .field("on_connect", &self.on_connect.is_some())
            .field("on_disconnect", &self.on_disconnect.is_some())
            .finish()
    }
}

/// The hooks of one connection. Dropped when the connection has ended and is no longer registered,
/// which runs `on_disconnect`.
pub(crate) struct ConnectionHooks(Arc<Running>);

struct Running {
    hooks: Arc<Hooks>,
    connection: Connection,
    gate: Arc<Gate>,
    /// The runtime of the connection, known once it is served.
    runtime: OnceLock<Handle>,
    /// While this is held, the connection counts in the server's limit, and shutdown waits.
    _responder: Arc<Responder>,
    /// Makes shutdown wait for a hook that begins after its deadline.
    _lease: HookLease,
}

impl ConnectionHooks {
    pub(crate) fn new(
        hooks: Arc<Hooks>,
        connection: Connection,
        gate: Option<Arc<Gate>>,
        responder: &Arc<Responder>,
        lease: HookLease,
    ) -> Self {
        ConnectionHooks(Arc::new(Running {
            hooks,
            connection,
            gate: gate.unwrap_or_default(),
            runtime: OnceLock::new(),
            _responder: Arc::clone(responder),
            _lease: lease,
        }))
    }

    /// Called after each poll of the connection. The first call runs `on_connect`.
    #[inline]
    pub(crate) fn connected(&self) {
        if self.0.runtime.get().is_none() {
            self.begin();
        }
    }

    #[cold]
    fn begin(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        if self.0.hooks.on_connect.is_some() {
            runtime.spawn(Arc::clone(&self.0).connect());
        } else {
            self.0.gate.accept();
        }
        let _ = self.0.runtime.set(runtime);
    }
}

impl Drop for ConnectionHooks {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.runtime.get().filter(|_| self.0.gate.end()) {
            // If the runtime is shut down, the future is dropped.
            runtime.spawn(Arc::clone(&self.0).disconnect());
        }
    }
}

impl Running {
    /// Runs `on_connect`, and closes the connection if the hook refuses it or fails.
    async fn connect(self: Arc<Self>) {
        let Some(hook) = &self.hooks.on_connect else { return };
        let connection = self.connection.clone();
        let limit = self.connection.link().config.hook_timeout;
        let outcome = timeout(limit, pin!(catch_unwind_async(|| hook(connection)))).await;
        let (id, remote) = (self.connection.id(), Remote(self.connection.remote_addr()));
        let rejection = match outcome {
            Ok(Ok(Ok(()))) => {
                if self.gate.accept() {
                    self.connection.link().send_queue.wake();
                } else {
                    // The connection has ended while the hook ran.
                    self.disconnect().await;
                }
                return;
            }
            Ok(Ok(Err(rejection))) => {
                match rejection.source() {
                    Some(error) => {
                        let error = Causes(error);
                        tracing::error!(%id, %remote, %error, "`on_connect` hook failed; connection closed");
                    }
                    None => {
                        let code = rejection.code();
                        tracing::debug!(%id, %remote, code, "`on_connect` hook refused the connection");
                    }
                }
                rejection
            }
            Ok(Err(Panicked)) => {
                tracing::error!(%id, %remote, "`on_connect` hook panicked; connection closed");
                Rejection::internal()
            }
            Err(_) => {
                tracing::error!(
                    %id,
                    %remote,
                    "`on_connect` hook exceeded `Config::hook_timeout`; connection closed"
                );
                let words = "the server did not accept this connection in time; try again later";
                Rejection::new(CloseCode::Again.into(), words)
            }
        };
        self.gate.refuse();
        self.connection.close(rejection.code(), rejection.reason());
        drop_contained(rejection, "the error of an `on_connect` hook");
    }

    async fn disconnect(self: Arc<Self>) {
        let Some(hook) = &self.hooks.on_disconnect else { return };
        let (connection, reason) = (self.connection.clone(), self.connection.link().reason());
        let limit = self.connection.link().config.hook_timeout;
        let outcome = timeout(limit, pin!(catch_unwind_async(|| hook(connection, reason)))).await;
        let (id, remote) = (self.connection.id(), Remote(self.connection.remote_addr()));
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(Panicked)) => tracing::error!(%id, %remote, "`on_disconnect` hook panicked"),
            Err(_) => {
                tracing::error!(%id, %remote, "`on_disconnect` hook exceeded `Config::hook_timeout`");
            }
        }
    }
}

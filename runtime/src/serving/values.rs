//! The values that belong to a connection, as handlers see them.
//!
//! Must not know who leaves them there.

use std::sync::Arc;

use crate::opening::handshake::Handshake;
use crate::protocol::error::{ErrorObject, Result};
use crate::serving::attached::Attached;
use crate::serving::context::Context;
use crate::serving::state::Found;

impl Context {
    /// Leaves a value on the connection for its later calls, one for each type. Gives back the one
    /// that was there.
    pub fn set<T: Send + Sync + 'static>(&self, value: T) -> Option<Attached<T>> {
        let (state, handshake) = self.values();
        seen(state.set(value), handshake)
    }

    /// The value of this type that an earlier call of this connection has left, or its
    /// authorization ([`Grant::set`](crate::Grant::set)), or else a layer around the endpoint
    /// ([`Handshake::extensions`](field@Handshake::extensions)).
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Attached<T>> {
        let (state, handshake) = self.values();
        seen(state.get(), handshake)
    }

    /// The value of this type; if there is none, this one is left on the connection. Of several
    /// calls at the same time, one leaves its own, and all get that.
    ///
    /// ```
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// # use wsjsonrpc::{Context, Result};
    /// #[derive(Default)]
    /// struct Visits(AtomicU64);
    ///
    /// fn visit(ctx: &Context) -> u64 {
    ///     ctx.get_or_set(Visits::default()).0.fetch_add(1, Ordering::Relaxed)
    /// }
    /// ```
    pub fn get_or_set<T: Send + Sync + 'static>(&self, value: T) -> Attached<T> {
        // Nobody takes away what hides an extension, so this can't change in between.
        let (state, handshake) = self.values();
        let outer = Attached::outer(handshake);
        match outer.filter(|_| matches!(state.get::<T>(), Found::Nothing)) {
            Some(outer) => outer,
            None => Attached::own(state.get_or_set(Arc::new(value))),
        }
    }

    /// Takes the value of this type off the connection, as a logout does. One that a layer around
    /// the endpoint has put there is not seen any more.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Attached<T>> {
        let (state, handshake) = self.values();
        let is_outer = handshake.extensions.get::<T>().is_some();
        seen(if is_outer { state.hide() } else { state.remove() }, handshake)
    }

    /// The value of this type, for handlers that can't do without.
    ///
    /// # Errors
    /// -32001 "Unauthorized" if [`get`](Self::get) finds none. The log names the type, at debug level.
    pub fn require<T: Send + Sync + 'static>(&self) -> Result<Attached<T>> {
        self.get().ok_or_else(|| {
            tracing::debug!(
                type_name = std::any::type_name::<T>(),
                "the connection has no value of the type that a handler requires; the caller gets -32001"
            );
            ErrorObject::unauthorized("Unauthorized")
        })
    }
}

/// The connection's own value counts, then that of the layers around it.
fn seen<T: Send + Sync + 'static>(
    found: Found<T>,
    handshake: &Arc<Handshake>,
) -> Option<Attached<T>> {
    match found {
        Found::Here(value) => Some(Attached::own(value)),
        Found::Hidden => None,
        Found::Nothing => Attached::outer(handshake),
    }
}

//! Tells middleware of a connection: that it is open, how much goes through it, that it has ended.
//!
//! Runs user code in the connection's task, so a panic in it ends here. Must not know calls.

use std::sync::Arc;

use crate::error::CloseReason;
use crate::guard::guard;
use crate::middleware::incoming::{Middleware, Stack};
use crate::serving::context::Context;
use crate::socket::transport::Transport;

/// What was told so far.
pub(crate) struct Watch {
    stack: Stack,
    connected: bool,
    read: u64,
    written: u64,
}

impl Watch {
    pub(crate) fn new(stack: &Stack) -> Box<Self> {
        Box::new(Watch { stack: Arc::clone(stack), connected: false, read: 0, written: 0 })
    }

    /// Before anything is read: the connection was polled for the first time.
    pub(crate) fn begin(&mut self, ctx: &Context) {
        if !std::mem::replace(&mut self.connected, true) {
            self.tell(|middleware| middleware.connected(ctx));
        }
    }

    /// What went through it since the last time.
    pub(crate) fn look(&mut self, ctx: &Context, transport: &Transport) {
        let (read, written) = (transport.brought(), transport.written());
        let (received, sent) = (read - self.read, written - self.written);
        if received > 0 || sent > 0 {
            (self.read, self.written) = (read, written);
            self.tell(|middleware| middleware.transferred(ctx, received, sent));
        }
    }

    pub(crate) fn end(mut self, ctx: &Context, transport: &Transport, reason: &CloseReason) {
        if self.connected {
            self.look(ctx, transport);
            self.tell(|middleware| middleware.disconnected(ctx, reason));
        }
    }

    fn tell(&self, event: impl Fn(&dyn Middleware)) {
        for middleware in self.stack.iter() {
            if guard(|| event(&**middleware)).is_err() {
                tracing::error!("middleware panicked when it was told of a connection");
            }
        }
    }
}

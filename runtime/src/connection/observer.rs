//! Reports one connection to its [`ConnectionObserver`]: that it is open, how many bytes go through it, and
//! that it has ended.

use std::sync::Arc;

use crate::error::CloseReason;
use crate::incoming::context::Context;
use crate::incoming::router::ConnectionObserver;
use crate::websocket::transport::Transport;

/// What was reported so far.
pub(crate) struct Observed {
    observer: Arc<dyn ConnectionObserver>,
    connected: bool,
    read: u64,
    written: u64,
}

impl Observed {
    pub(crate) fn new(observer: &Arc<dyn ConnectionObserver>) -> Box<Self> {
        let observer = Arc::clone(observer);
        Box::new(Observed { observer, connected: false, read: 0, written: 0 })
    }

    /// The connection was polled for the first time; nothing was read yet.
    pub(crate) fn begin(&mut self, ctx: &Context) {
        if !std::mem::replace(&mut self.connected, true) {
            self.observer.connected(ctx);
        }
    }

    /// Reports the bytes since the last time.
    pub(crate) fn count(&mut self, ctx: &Context, transport: &Transport) {
        let (read, written) = (transport.brought(), transport.written());
        let (received, sent) = (read - self.read, written - self.written);
        if received > 0 || sent > 0 {
            (self.read, self.written) = (read, written);
            self.observer.transferred(ctx, received, sent);
        }
    }

    pub(crate) fn end(mut self, ctx: &Context, transport: &Transport, reason: &CloseReason) {
        if self.connected {
            self.count(ctx, transport);
            self.observer.disconnected(ctx, reason);
        }
    }
}

//! Reports one connection to its [`ConnectionObserver`]: its start, the bytes transferred, and its
//! end.

use std::sync::Arc;

use crate::error::CloseReason;
use crate::incoming::context::Context;
use crate::incoming::router::ConnectionObserver;
use crate::websocket::transport::Transport;

/// The observer, and the totals reported so far.
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

    /// Reports the connection when it is polled for the first time; nothing has been read yet.
    pub(crate) fn begin(&mut self, ctx: &Context) {
        if !std::mem::replace(&mut self.connected, true) {
            self.observer.connected(ctx);
        }
    }

    /// Reports the bytes since the last call.
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

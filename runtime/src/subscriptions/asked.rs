//! A subscription that a peer has asked for, as long as it is there.
//!
//! Must not know where its items come from.

use std::borrow::Cow;
use std::sync::Arc;

use crate::calling::link::Link;
use crate::protocol::error::ErrorObject;
use crate::protocol::item::{head, write_end};
use crate::subscriptions::flows::{Flow, Stop};

/// From when it was asked for to the end of its stream.
pub(crate) struct Asked {
    pub(crate) link: Arc<Link>,
    pub(crate) flow: Arc<Flow>,
    pub(crate) notification: Cow<'static, str>,
    /// Whether its peer is told of an end without an error.
    pub(crate) tell_end: bool,
}

impl Asked {
    /// Tells the peer that it has ended, and why, unless it knows.
    pub(crate) fn end(&self, error: Option<&ErrorObject>) {
        let unwanted = self.flow.stopped() == Some(Stop::Peer);
        if !unwanted && (error.is_some() || self.tell_end) {
            let head = head(&self.notification, &self.flow.id());
            // There is one for each subscription, and not another one before it is gone.
            self.link.outbox.send_anyway(write_end(&head, error));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.link.flows.remove(&self.flow) {
            // A connection that drains may wait for this one.
            self.link.outbox.nudge();
        }
    }
}

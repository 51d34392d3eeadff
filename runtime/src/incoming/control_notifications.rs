//! Control notifications (`$/…`) and the items of subscriptions: [`ControlNotification`] decodes a
//! notification and applies it to its call or subscription.

use std::borrow::Cow;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::incoming::responder::Responder;
use crate::link::Link;
use crate::link::subscription_buffer::SubscriptionBuffer;
use crate::protocol::decode::{IncomingCall, range};
use crate::protocol::id::Id;
use crate::protocol::item::{self, CREDIT, Content, Item};
use crate::protocol::request_extensions::{self, CANCEL, PROGRESS};

/// A decoded control notification.
pub(crate) enum ControlNotification<'a> {
    /// The peer cancels the call with this id.
    Cancel(Id),
    /// Progress of a call of this side: its token and a value.
    Progress((&'a str, &'a str)),
    /// An item or the end of a subscription that this side consumes.
    Item(Arc<SubscriptionBuffer<Link>>, Item<'a>),
    /// An item or the end of a subscription whose id is not known yet, with the name of the
    /// notification.
    Early(Cow<'a, str>, Item<'a>),
    /// Credit for a subscription that this side produces: its id and the bytes.
    Credit((&'a str, u64)),
    /// It could not be decoded.
    Malformed,
}

impl<'a> ControlNotification<'a> {
    /// Decodes a control notification. Returns `None` for an ordinary call, including any method
    /// that the application has registered.
    #[inline]
    pub(crate) fn read(call: &IncomingCall<'a>, to: &Responder) -> Option<Self> {
        if call.id.is_some() || !(call.method.starts_with("$/") || to.link.consumed.any()) {
            return None;
        }
        Self::read_slowly(call, to)
    }

    #[inline(never)]
    fn read_slowly(call: &IncomingCall<'a>, to: &Responder) -> Option<Self> {
        if to.link.consumed.has(&call.method) {
            if let Some(item) = call.params.and_then(Item::read) {
                if let Some(buffer) = to.link.consumed.find(&call.method, item.subscription) {
                    return Some(ControlNotification::Item(buffer, item));
                }
                // A notification that matches no known subscription goes to the registered method,
                // if there is one.
                if to.link.consumed.awaits(&call.method) && !to.router.has(&call.method) {
                    return Some(ControlNotification::Early(call.method.clone(), item));
                }
            }
        }
        let own = match &*call.method {
            CANCEL => {
                call.params.and_then(request_extensions::cancelled).map(ControlNotification::Cancel)
            }
            PROGRESS => call
                .params
                .and_then(request_extensions::progressed)
                .map(ControlNotification::Progress),
            CREDIT => call.params.and_then(item::credit).map(ControlNotification::Credit),
            _ => return None,
        };
        (!to.router.has(&call.method)).then(|| own.unwrap_or(ControlNotification::Malformed))
    }

    /// Whether it must be handled in order with the responses, and does not cause a response.
    pub(crate) fn is_news(&self) -> bool {
        !matches!(self, ControlNotification::Cancel(_))
    }

    /// Applies the notification, which was part of this message.
    pub(crate) fn handle(&self, message: &Utf8Bytes, to: &Responder) {
        match self {
            ControlNotification::Cancel(id) => to.cancel(id),
            ControlNotification::Progress((token, value)) => {
                if !to.link.pending.report_progress(token, value) {
                    tracing::debug!(
                        "dropped a progress notification: its token matches no pending call that wants progress"
                    );
                }
            }
            ControlNotification::Item(buffer, item) => match item.content {
                Content::Result(json) => {
                    to.link.item(buffer, message.clone(), range(message, json), item.marks);
                }
                Content::Error(json) => {
                    to.link.consumed.finish(buffer, json, item.marks.dropped);
                }
                Content::Position(json) => buffer.set_start(json),
            },
            ControlNotification::Early(name, item) => to.link.consumed.keep(name, item),
            ControlNotification::Credit((id, bytes)) => to.link.produced.add_credit(id, *bytes),
            ControlNotification::Malformed => {
                tracing::debug!("dropped a control notification: its params are invalid");
            }
        }
    }
}

//! The fast path for items of consumed subscriptions: moves an item from its message to its buffer
//! without the full decoder.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::link::Link;
use crate::link::subscription_buffer::SubscriptionBuffer;
use crate::protocol::decode::range;
use crate::protocol::item::{Content, Item, Marks, behind_head, head};

/// Remembers the subscription of the last item, because the next item often belongs to the same
/// one.
#[derive(Default)]
pub(crate) struct ItemRouter(Cell<Option<Box<Known>>>);

struct Known {
    buffer: Arc<SubscriptionBuffer<Link>>,
    /// The start of the subscription's messages. Empty until the second message.
    head: Vec<u8>,
}

impl ItemRouter {
    /// Handles the message if it is an item in the common form; otherwise returns it.
    #[inline]
    pub(crate) fn unless_item(&self, link: &Link, message: Utf8Bytes) -> Option<Utf8Bytes> {
        if !link.consumed.any() {
            return Some(message);
        }
        let Some((known, place, marks)) = self.find(link, &message) else {
            return Some(message);
        };
        link.item(&known.buffer, message, place, marks);
        self.0.set(Some(known));
        None
    }

    fn find(&self, link: &Link, message: &str) -> Option<(Box<Known>, Range<usize>, Marks)> {
        let latest = self.0.take().filter(|known| known.buffer.is_live());
        let (mut latest, begins) = match latest {
            Some(known) => {
                let begins = !known.head.is_empty() && message.as_bytes().starts_with(&known.head);
                (Some(known), begins)
            }
            None => (None, false),
        };
        if let Some(known) = latest.take_if(|_| begins) {
            let (item, marks) = behind_head(message.get(known.head.len()..)?)?;
            return Some((known, range(message, item), marks));
        }
        let (name, item) = Item::of_message(message)?;
        let Content::Result(json) = item.content else { return None };
        let known = match latest.filter(|known| known.buffer.is(name, item.subscription)) {
            Some(mut known) => {
                known.head = head(name, item.subscription);
                known
            }
            None => {
                let buffer = link.consumed.find(name, item.subscription)?;
                Box::new(Known { buffer, head: Vec::new() })
            }
        };
        Some((known, range(message, json), item.marks))
    }
}

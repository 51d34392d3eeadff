//! From messages that come in to the subscriptions of this side.
//!
//! Must not know what else may come in.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::feed::Feed;
use crate::link::Link;
use crate::protocol::item::{Content, Item, behind_head, head};

/// The subscription that the last item was of: the next one often is, too.
#[derive(Default)]
pub(crate) struct Latest(Cell<Option<Box<Known>>>);

struct Known {
    feed: Arc<Feed<Link>>,
    /// How its messages begin; empty until a second one has come.
    head: Vec<u8>,
}

impl Latest {
    /// Takes in an item, if the message is written as nearly all with items are; else gives it back.
    #[inline]
    pub(crate) fn unless_item(&self, link: &Link, message: Utf8Bytes) -> Option<Utf8Bytes> {
        if !link.feeds.any() {
            return Some(message);
        }
        let Some((known, place, dropped)) = self.find(link, &message) else {
            return Some(message);
        };
        link.item(&known.feed, message, place, dropped);
        self.0.set(Some(known));
        None
    }

    fn find(&self, link: &Link, message: &str) -> Option<(Box<Known>, Range<usize>, u64)> {
        let latest = self.0.take().filter(|known| known.feed.is_live());
        let (mut latest, begins) = match latest {
            Some(known) => {
                let begins = !known.head.is_empty() && message.as_bytes().starts_with(&known.head);
                (Some(known), begins)
            }
            None => (None, false),
        };
        if let Some(known) = latest.take_if(|_| begins) {
            let (item, dropped) = behind_head(message.get(known.head.len()..)?)?;
            return Some((known, range(message, item), dropped));
        }
        let (name, item) = Item::of_message(message)?;
        let Content::Result(json) = item.content else { return None };
        let known = match latest.filter(|known| known.feed.is(name, item.subscription)) {
            Some(mut known) => {
                known.head = head(name, item.subscription);
                known
            }
            None => {
                let feed = link.feeds.find(name, item.subscription)?;
                Box::new(Known { feed, head: Vec::new() })
            }
        };
        Some((known, range(message, json), item.dropped))
    }
}

/// Takes in an item or an end, if these are the name and the params of such a notification, which is a
/// part of the message. `false`: it is something else, or nobody's.
pub(crate) fn take(link: &Link, method: &str, params: &str, message: &Utf8Bytes) -> bool {
    if !link.feeds.has(method) {
        return false;
    }
    Item::read(params).is_some_and(|item| heed(link, method, &item, message))
}

/// Takes in an item or an end, which is a part of the message. `false`: it is nobody's.
fn heed(link: &Link, method: &str, item: &Item<'_>, message: &Utf8Bytes) -> bool {
    let Some(feed) = link.feeds.find(method, item.subscription) else { return false };
    match item.content {
        Content::Result(json) => {
            link.item(&feed, message.clone(), range(message, json), item.dropped);
        }
        Content::Error(json) => link.feeds.finish(&feed, json),
    }
    true
}

/// Where a part of a message is in it.
pub(crate) fn range(message: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(message.as_ptr() as usize);
    start..start + part.len()
}

//! From messages that come in to the subscriptions of this side.
//!
//! Must not know what else may come in.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::feed::Feed;
use crate::link::Link;
use crate::protocol::item::{Content, Item};

/// The subscription that the last item was of: the next one often is, too.
#[derive(Default)]
pub(crate) struct Latest(Cell<Option<Arc<Feed<Link>>>>);

impl Latest {
    /// Takes in an item, if the message is written as nearly all with items are; else gives it back.
    pub(crate) fn unless_item(&self, link: &Link, message: Utf8Bytes) -> Option<Utf8Bytes> {
        if !link.feeds.any() {
            return Some(message);
        }
        let found = Item::of_message(&message).and_then(|(name, item)| {
            let Content::Result(json) = item.content else { return None };
            let latest = self.0.take().filter(|feed| feed.is(name, item.subscription));
            let feed = latest.or_else(|| link.feeds.find(name, item.subscription))?;
            Some((feed, range(&message, json), item.dropped))
        });
        let Some((feed, place, dropped)) = found else { return Some(message) };
        link.item(&feed, message, place, dropped);
        self.0.set(Some(feed));
        None
    }
}

/// Takes in an item or an end, if these are the name and the params of such a notification, which is a
/// part of the message. `false`: it is something else, or nobody's.
pub(crate) fn take(link: &Link, method: &str, params: &str, message: &Utf8Bytes) -> bool {
    if !link.feeds.has(method) {
        return false;
    }
    let Some(item) = Item::read(params) else { return false };
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

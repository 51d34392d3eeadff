//! Items that arrive before the response that names their subscription: [`EarlyItems`].
//!
//! Some servers send the first items of a subscription before its id. Such items are kept while a
//! subscribe call is pending to which they may belong. `subscription_buffer` determines these
//! calls.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::protocol::item::{Content, Item, Marks, cost};
use crate::util::drop_counter::DropCounter;

/// The maximum number of kept items on a connection.
const MAX_ITEMS: usize = 1024;

/// The kept items of one connection, by the notification's name and the subscription's id.
#[derive(Debug, Default)]
pub(crate) struct EarlyItems {
    kept: HashMap<Arc<str>, HashMap<Box<str>, Kept>>,
    count: usize,
    bytes: u64,
    dropped: DropCounter,
}

/// The items kept for one id.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) items: Vec<(Utf8Bytes, Marks)>,
    /// The position after which the items start, as JSON.
    pub(crate) start: Option<Box<str>>,
    /// If the subscription has already ended, its error as JSON.
    pub(crate) end: Option<Box<str>>,
    pub(crate) dropped_at_end: u64,
    /// Whether items after these were dropped.
    pub(crate) overflowed: bool,
    bytes: u64,
}

impl Kept {
    fn count(&self) -> usize {
        self.items.len() + usize::from(self.end.is_some()) + usize::from(self.start.is_some())
    }
}

impl EarlyItems {
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Keeps a copy of an item if fewer than `window` bytes of items are kept, and otherwise drops
    /// it. Returns `true` if it is the first item that this connection has dropped, which the
    /// caller logs.
    pub(crate) fn keep(&mut self, notification: &Arc<str>, item: &Item<'_>, window: u64) -> bool {
        let json = match item.content {
            Content::Result(json) | Content::Error(json) | Content::Position(json) => json,
        };
        let full = self.count >= MAX_ITEMS || self.bytes >= window;
        let by_id = match self.kept.get_mut(notification) {
            Some(by_id) => by_id,
            None if full => return self.dropped.is_first(),
            None => self.kept.entry(Arc::clone(notification)).or_default(),
        };
        let kept = match by_id.get_mut(item.subscription) {
            Some(kept) => kept,
            None if full => return self.dropped.is_first(),
            None => by_id.entry(item.subscription.into()).or_default(),
        };
        // Nothing is kept after an end or a gap, and one position.
        let again = matches!(item.content, Content::Position(_)) && kept.start.is_some();
        if kept.end.is_some() || again {
            return false;
        }
        if full || kept.overflowed {
            kept.overflowed = true;
            return self.dropped.is_first();
        }
        match item.content {
            Content::Result(json) => kept.items.push((json.into(), item.marks)),
            Content::Position(json) => kept.start = Some(json.into()),
            Content::Error(json) => {
                kept.end = Some(json.into());
                kept.dropped_at_end = item.marks.dropped;
            }
        }
        let bytes = cost(item.subscription.len().saturating_add(json.len()));
        kept.bytes = kept.bytes.saturating_add(bytes);
        self.bytes = self.bytes.saturating_add(bytes);
        self.count += 1;
        false
    }

    /// Removes and returns the items kept for the subscription with this id.
    pub(crate) fn take(&mut self, notification: &str, id: &str) -> Option<Kept> {
        let by_id = self.kept.get_mut(notification)?;
        let kept = by_id.remove(id)?;
        if by_id.is_empty() {
            self.kept.remove(notification);
        }
        self.count -= kept.count();
        self.bytes -= kept.bytes;
        Some(kept)
    }

    /// Drops the items kept under this name, because no pending call can name their subscriptions
    /// any more. Returns their number.
    pub(crate) fn clear(&mut self, notification: &str) -> usize {
        let Some(by_id) = self.kept.remove(notification) else { return 0 };
        let (mut count, mut bytes) = (0, 0);
        for kept in by_id.values() {
            count += kept.count();
            bytes += kept.bytes;
        }
        self.count -= count;
        self.bytes -= bytes;
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item<'a>(subscription: &'a str, json: &'a str) -> Item<'a> {
        Item { subscription, content: Content::Result(json), marks: Marks::default() }
    }

    #[test]
    fn both_bounds_hold_and_taking_makes_room() {
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let mut early = EarlyItems::default();
        let json = "x".repeat(99);
        // 100 bytes with the id, and 64 for each item.
        let dropped: Vec<bool> =
            (0..4).map(|_| early.keep(&a, &item("1", &json), 2 * 164)).collect();
        assert_eq!(dropped, [false, false, true, false], "one line in the log is enough");
        early.keep(&b, &item("1", "0"), 2 * 164);
        assert_eq!((early.count, early.bytes), (2, 2 * 164));
        assert!(early.take("b", "1").is_none() && early.take("a", "2").is_none());
        let kept = early.take("a", "1").unwrap();
        assert!(kept.items.len() == 2 && kept.overflowed);
        assert_eq!((early.count, early.bytes, early.is_empty()), (0, 0, true));

        for number in 0..2 * MAX_ITEMS {
            early.keep(&a, &item(&number.to_string(), "0"), u64::MAX);
        }
        assert_eq!(early.count, MAX_ITEMS);
        assert!(!early.take("a", "0").unwrap().overflowed);
        early.keep(&b, &item("1", "0"), u64::MAX);
        assert_eq!(early.clear("a"), MAX_ITEMS - 1);
        assert_eq!((early.clear("a"), early.clear("b")), (0, 1));
        assert_eq!((early.count, early.bytes, early.is_empty()), (0, 0, true));
    }

    #[test]
    fn nothing_follows_an_end() {
        let name: Arc<str> = "a".into();
        let mut early = EarlyItems::default();
        early.keep(&name, &item("1", "5"), 1000);
        let marks = Marks::default();
        let end = Item { subscription: "1", content: Content::Error("null"), marks };
        early.keep(&name, &end, 1000);
        early.keep(&name, &end, 1000);
        early.keep(&name, &item("1", "6"), 1000);
        assert_eq!(early.count, 2);
        let kept = early.take("a", "1").unwrap();
        assert_eq!((kept.items.len(), kept.end.as_deref()), (1, Some("null")));
        assert!(early.is_empty() && early.bytes == 0);
    }
}

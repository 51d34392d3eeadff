//! The notifications of a subscription: items, the end, and credit.
//!
//! They follow the convention of Ethereum nodes and jsonrpsee: the params are `{"subscription": id,
//! "result": item}`, or `{"subscription": id, "error": …}` at the end. A consumer that resumes also
//! gets `{"subscription": id, "position": …}` at the start, and the `offset` of each item.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::encode::buffer;
use super::error::ErrorObject;
use super::scan::Cursor;
use super::text;

/// The notification by which a consumer sends credit: `{"subscription": id, "bytes": n}`. It is
/// sent only to peers that understand it.
pub(crate) const CREDIT: &str = "$/credit";

/// The cost of an item besides its bytes, so that the number of small items is bounded.
pub(crate) const OVERHEAD: usize = 64;

/// The part of the window that an item with this many bytes of JSON uses. Both sides use the same
/// formula.
pub(crate) fn cost(bytes: usize) -> u64 {
    (bytes + OVERHEAD) as u64
}

/// A decoded notification of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item<'a> {
    /// As JSON, like the other members.
    pub(crate) subscription: &'a str,
    pub(crate) content: Content<'a>,
    pub(crate) marks: Marks,
}

/// What a producer sends with an item besides its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// The number of items that were dropped before this one.
    pub(crate) dropped: u64,
    /// The item's position in the producer's log.
    pub(crate) offset: Option<u64>,
}

/// A position in a producer's log: after the item with this offset.
///
/// A producer that loses its log, for example because its process restarts, continues with another
/// `epoch`. Offsets of one epoch only grow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// The name of the log, at most 1024 bytes.
    pub epoch: String,
    /// The offset of the last item before the position; 0 if there is none. Below 2^53, because
    /// JavaScript rounds larger numbers.
    pub offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content<'a> {
    Result(&'a str),
    /// The end of the subscription, with the error that caused it, or null.
    Error(&'a str),
    /// The [`Position`] after which the items start.
    Position(&'a str),
}

impl<'a> Item<'a> {
    /// Decodes a whole message with an item if it has the most common form. Also returns the name
    /// of the notification. Returns `None` for any other message or form.
    pub(crate) fn of_message(text: &'a str) -> Option<(&'a str, Self)> {
        let mut cursor = Cursor::new(text);
        cursor.take_all(b"{\"jsonrpc\":\"2.0\",\"method\":")?;
        let notification = cursor.plain_string()?;
        cursor.take_all(b",\"params\":{\"subscription\":")?;
        let subscription = cursor.value()?;
        cursor.take(b',')?;
        let (result, marks) = behind_head(cursor.rest())?;
        Some((notification, Item { subscription, content: Content::Result(result), marks }))
    }

    /// Decodes the params. Returns `None` if they are not those of an item.
    pub(crate) fn read(params: &'a str) -> Option<Self> {
        let mut cursor = Cursor::new(params);
        cursor.take(b'{')?;
        let (mut subscription, mut result, mut error, mut position) = (None, None, None, None);
        let mut marks = Marks::default();
        loop {
            cursor.peek()?;
            let key = cursor.plain_string()?;
            cursor.take(b':')?;
            let value = cursor.value()?;
            match key {
                "subscription" => subscription = Some(value),
                "result" => result = Some(value),
                "error" => error = Some(value),
                "position" => position = Some(value),
                "dropped" => marks.dropped = value.parse().unwrap_or(0),
                "offset" => marks.offset = value.parse().ok(),
                _ => {}
            }
            if cursor.next()? != b',' {
                break;
            }
        }
        let content = result.map(Content::Result).or(error.map(Content::Error));
        let content = content.or(position.map(Content::Position))?;
        Some(Item { subscription: subscription?, content, marks })
    }
}

/// Decodes the part after the [`head`] of a message with an item, if it has the most common form.
/// Returns the item and its marks.
#[inline]
pub(crate) fn behind_head(text: &str) -> Option<(&str, Marks)> {
    let mut cursor = Cursor::new(text);
    let mut marks = Marks::default();
    if cursor.take_word("\"dropped\":") {
        marks.dropped = cursor.integer()?;
        cursor.take_all(b",")?;
    }
    if cursor.take_word("\"offset\":") {
        marks.offset = Some(cursor.integer()?);
        cursor.take_all(b",")?;
    }
    cursor.take_all(b"\"result\":")?;
    let result = cursor.value()?;
    (cursor.rest() == "}}").then_some((result, marks))
}

/// The subscription's id, and the number of bytes that it may send in addition.
pub(crate) fn credit(params: &str) -> Option<(&str, u64)> {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        subscription: &'a RawValue,
        bytes: u64,
    }
    let params: Params<'_> = serde_json::from_str(params).ok()?;
    Some((params.subscription.get(), params.bytes))
}

/// A subscription's notification up to its result or error.
pub(crate) fn head(notification: &str, subscription: &str) -> Vec<u8> {
    let mut out = b"{\"jsonrpc\":\"2.0\",\"method\":".to_vec();
    text::write(&mut out, notification);
    out.extend_from_slice(b",\"params\":{\"subscription\":");
    out.extend_from_slice(subscription.as_bytes());
    out.push(b',');
    out
}

/// A whole notification with an item, and the item's size in bytes.
pub(crate) fn write<T: Serialize + ?Sized>(
    head: &[u8],
    item: &T,
    marks: Marks,
) -> serde_json::Result<(Vec<u8>, usize)> {
    let mut out = buffer::take();
    begin(&mut out, head, marks.dropped);
    let bytes = write_rest(&mut out, item, marks.offset)?;
    Ok((out, bytes))
}

/// Like [`write`], with an item that is already JSON.
pub(crate) fn write_json(head: &[u8], json: &[u8], marks: Marks) -> (Vec<u8>, usize) {
    let mut out = buffer::take();
    begin(&mut out, head, marks.dropped);
    write_offset(&mut out, marks.offset);
    out.extend_from_slice(RESULT);
    out.extend_from_slice(json);
    out.extend_from_slice(b"}}");
    (out, json.len())
}

const RESULT: &[u8] = b"\"result\":";

/// A notification up to the offset of its item.
pub(crate) fn begin(out: &mut Vec<u8>, head: &[u8], dropped: u64) {
    out.extend_from_slice(head);
    if dropped > 0 {
        out.extend_from_slice(b"\"dropped\":");
        out.extend_from_slice(itoa::Buffer::new().format(dropped).as_bytes());
        out.push(b',');
    }
}

/// The rest of a notification: the item's offset, and the item. Returns the size of the item in
/// bytes.
pub(crate) fn write_rest<T: Serialize + ?Sized>(
    out: &mut Vec<u8>,
    item: &T,
    offset: Option<u64>,
) -> serde_json::Result<usize> {
    write_offset(out, offset);
    out.extend_from_slice(RESULT);
    let start = out.len();
    serde_json::to_writer(&mut *out, item)?;
    let bytes = out.len() - start;
    out.extend_from_slice(b"}}");
    Ok(bytes)
}

pub(crate) fn write_offset(out: &mut Vec<u8>, offset: Option<u64>) {
    if let Some(offset) = offset {
        out.extend_from_slice(b"\"offset\":");
        out.extend_from_slice(itoa::Buffer::new().format(offset).as_bytes());
        out.push(b',');
    }
}

/// The notification with the position after which the items start.
pub(crate) fn write_position(head: &[u8], position: &Position) -> Vec<u8> {
    let mut out = buffer::take();
    out.extend_from_slice(head);
    out.extend_from_slice(b"\"position\":");
    position.write(&mut out);
    out.extend_from_slice(b"}}");
    out
}

/// The maximum length of an epoch. It is limited because each subscription holds one.
const MAX_EPOCH: usize = 1024;

impl Position {
    /// Decodes a position of the peer. Returns `None` if it is invalid.
    pub(crate) fn read(json: &str) -> Option<Self> {
        let position: Self = serde_json::from_str(json).ok()?;
        (position.epoch.len() <= MAX_EPOCH).then_some(position)
    }

    /// Appends the position as JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"epoch\":");
        text::write(out, &self.epoch);
        out.extend_from_slice(b",\"offset\":");
        out.extend_from_slice(itoa::Buffer::new().format(self.offset).as_bytes());
        out.push(b'}');
    }
}

/// The notification that a subscription has ended, and how many items were dropped before the end.
pub(crate) fn write_end(head: &[u8], error: Option<&ErrorObject>, dropped: u64) -> Vec<u8> {
    let mut out = buffer::take();
    begin(&mut out, head, dropped);
    out.extend_from_slice(b"\"error\":");
    match error {
        Some(error) => error.write(&mut out),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b"}}");
    out
}

/// The notification with credit.
pub(crate) fn write_credit(subscription: &str, bytes: u64) -> Vec<u8> {
    let mut out = head(CREDIT, subscription);
    out.extend_from_slice(b"\"bytes\":");
    out.extend_from_slice(itoa::Buffer::new().format(bytes).as_bytes());
    out.extend_from_slice(b"}}");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(message: &[u8]) -> String {
        let message: serde_json::Value = serde_json::from_slice(message).unwrap();
        message["params"].to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let head = head("eth_subscription", "\"0x1\"");
        let (text, bytes) = write(&head, &[1, 2], Marks::default()).unwrap();
        let expected = r#"{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":"0x1","result":[1,2]}}"#;
        assert_eq!((String::from_utf8(text).unwrap().as_str(), bytes), (expected, 5));
        let (text, _) = write(&head, "x", Marks { dropped: 7, offset: Some(9) }).unwrap();
        let read = params(&text);
        let item = Item::read(&read).unwrap();
        assert_eq!((item.subscription, item.content), ("\"0x1\"", Content::Result("\"x\"")));
        assert_eq!(item.marks, Marks { dropped: 7, offset: Some(9) });
        let text = String::from_utf8(text).unwrap();
        assert_eq!(Item::of_message(&text), Some(("eth_subscription", item)));
        let position = Position { epoch: "e\"1".to_owned(), offset: 41 };
        let start = params(&write_position(&head, &position));
        let Content::Position(json) = Item::read(&start).unwrap().content else {
            panic!("{start}")
        };
        assert_eq!(Position::read(json), Some(position));
        let long = Position { epoch: "e".repeat(1025), offset: 1 };
        assert_eq!(Position::read(&serde_json::to_string(&long).unwrap()), None);
        let end = params(&write_end(&head, None, 0));
        assert_eq!(Item::read(&end).unwrap().content, Content::Error("null"));
        let error = ErrorObject::new(1, "m");
        let end = params(&write_end(&head, Some(&error), 3));
        let Content::Error(json) = Item::read(&end).unwrap().content else { panic!("{end}") };
        assert_eq!(serde_json::from_str::<ErrorObject>(json).unwrap(), error);
        assert_eq!(credit(&params(&write_credit("7", 9))), Some(("7", 9)));
    }

    #[test]
    fn what_is_written_in_another_way_is_left_alone() {
        let head = r#"{"jsonrpc":"2.0","method":"m","params":{"subscription":1,"#;
        let message = |rest: &str| format!("{head}{rest}");
        assert!(Item::of_message(&message(r#""result":{"x":[1]}}}"#)).is_some());
        for rest in [
            r#""error":null}}"#,
            r#""result":1}"#,
            r#""result":1}}}"#,
            r#""result":1},"id":1}"#,
            r#""result":1},"x":{}}"#,
            r#""result":1,"more":2}}"#,
            r#""result": 1 }}"#,
            r#""result":nil}}"#,
            r#""dropped":-1,"result":1}}"#,
            r#""dropped":1}}"#,
            r#""offset":-1,"result":1}}"#,
            r#""offset":1}}"#,
            r#""offset":1,"dropped":1,"result":1}}"#,
        ] {
            assert_eq!(Item::of_message(&message(rest)), None, "{rest}");
        }
        let other = r#"{"jsonrpc":"2.0","method":"\u006d","params":{"subscription":1,"result":1}}"#;
        assert_eq!(Item::of_message(other), None);
    }

    #[test]
    fn what_others_write_is_read() {
        let item = Item::read(r#" { "result" : null , "more": {}, "subscription" : 7 }"#).unwrap();
        assert_eq!((item.subscription, item.content), ("7", Content::Result("null")));
        for json in ["[]", "{}", r#"{"subscription":1}"#, r#"{"result":1}"#, r#"{"result":1"#] {
            assert_eq!(Item::read(json), None, "{json}");
        }
    }
}

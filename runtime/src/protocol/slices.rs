//! Decodes a large message in slices ([`Slices`]), so that other tasks can run between two slices.
//! The result is the same as that of [`decode`](super::decode).
//!
//! A single pass over the text records the positions of the known members ([`Parts`]). The
//! remaining work at the end does not depend on the size of the values.

use std::borrow::Cow;

use super::decode::{BatchEntry, Entry, Envelope, Limits, Payload, Position, entry_at, no_object};
use super::flaw::{Flaw, MEMBERS, UNIQUE};
use super::id::Id;
use super::scan::{Cursor, Nesting, special};
use super::text;

/// Messages larger than this are decoded in slices.
pub(crate) const LARGE: usize = 64 * 1024;

/// The budget of a slice: a number of characters, brackets or short values. A slice takes about
/// 0.05 ms.
const SLICE: usize = 16 * 1024;
/// The number of bytes inside a string that cost 1.
const STRING: usize = 16;

/// An entry of an array that is not larger than this is decoded at once, and decoded again when it
/// is needed.
const SMALL_ENTRY: usize = 1024;
/// The number of bytes of such an entry that cost 1.
const SMALL_PART: usize = 4;

/// A member's name with all characters escaped has at most so many bytes.
const MAX_NAME: usize = 11 * 6 + 2;
/// The index of this name in [`MEMBERS`].
const METHOD: usize = 2;

/// A range in the text. A message has less than 4 GiB.
type Place = (u32, u32);

/// The positions of the members of one message, or what is wrong with it.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    /// `None` if the message is not an object.
    members: Option<[Option<Place>; MEMBERS.len()]>,
    start: usize,
    /// The first member that occurs twice.
    twice: Option<&'static str>,
}

impl Parts {
    /// Whether the message looks like a response: it has no method.
    fn is_response(&self) -> bool {
        self.twice.is_none() && self.members.is_some_and(|members| members[METHOD].is_none())
    }

    /// The decoded message. `text` is the text that contains it.
    pub(crate) fn entry<'a>(&self, text: &'a str) -> Entry<'a> {
        let Some(members) = &self.members else {
            return no_object(text.get(self.start..).unwrap_or_default());
        };
        if let Some(name) = self.twice {
            return Entry::Invalid(Id::NULL, Flaw::Twice(name));
        }
        let mut envelope = Envelope::default();
        for (name, place) in MEMBERS.iter().zip(members) {
            if let Some((start, end)) = *place {
                envelope.set(name, text.get(start as usize..end as usize).unwrap_or_default());
            }
        }
        envelope.entry()
    }
}

/// What is expected next in the text.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Next {
    Value,
    /// A value, or the end of an empty list.
    FirstItem,
    /// A key, or the end of an empty object.
    FirstKey,
    Key,
    Colon,
    /// After a value: a comma, or the end of the container.
    Behind,
    /// The rest of a string.
    Text {
        is_key: bool,
    },
    /// The rest of a number.
    Digits(Digits),
    /// Only whitespace.
    End,
}

/// The part of a number that is being read.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Digits {
    /// A leading zero, after which no digit may follow.
    Zero,
    Whole,
    Fraction,
    Exponent,
}

/// The state of the decoder.
#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Reading,
    Done,
    NotJson,
    LargeBatch,
}

/// A large message that is being decoded.
#[derive(Debug)]
pub(crate) struct Slices {
    at: usize,
    next: Next,
    nesting: Nesting,
    /// The number of open containers.
    depth: usize,
    /// Whether the message is an array.
    is_batch: bool,
    /// The start of the last key or value at the level of members.
    start: usize,
    /// The index of the last key in `MEMBERS`.
    name: Option<usize>,
    /// The message that is being read.
    parts: Parts,
    /// The messages that were read.
    entries: Vec<Position>,
    calls: usize,
    responses: usize,
    state: State,
}

impl Slices {
    pub(crate) fn new() -> Self {
        Slices {
            at: 0,
            next: Next::Value,
            nesting: Nesting::new(),
            depth: 0,
            is_batch: false,
            start: 0,
            name: None,
            parts: Parts { members: None, start: 0, twice: None },
            entries: Vec::new(),
            calls: 0,
            responses: 0,
            state: State::Reading,
        }
    }

    /// Decodes the next slice of the text, which must be the same text each time. Returns `true`
    /// after the last slice.
    pub(crate) fn advance(&mut self, text: &str, limits: Limits<'_>) -> bool {
        self.advance_by(SLICE, text, limits)
    }

    pub(super) fn advance_by(&mut self, slice: usize, text: &str, limits: Limits<'_>) -> bool {
        if self.state == State::Reading && self.slice(slice, text, limits).is_none() {
            self.state = State::NotJson;
        }
        self.state != State::Reading
    }

    /// The decoded message, after the last slice.
    pub(crate) fn payload<'a>(&self, text: &'a str) -> Payload<'a> {
        match self.state {
            State::Reading | State::NotJson => Payload::NotJson,
            State::LargeBatch => Payload::LargeBatch,
            State::Done if !self.is_batch => Payload::One(self.parts.entry(text)),
            State::Done if self.entries.is_empty() => Payload::EmptyBatch,
            State::Done => Payload::Batch(self.batch(text)),
        }
    }

    fn batch<'a>(&self, text: &'a str) -> Vec<BatchEntry<'a>> {
        let entry = |position: &Position| Some((position.clone(), entry_at(text, position)?));
        self.entries.iter().filter_map(entry).collect()
    }

    /// Decodes a slice. Returns `None` if the text is not JSON.
    fn slice(&mut self, mut left: usize, text: &str, limits: Limits<'_>) -> Option<()> {
        let bytes = text.as_bytes();
        while left > 0 && self.state == State::Reading {
            left -= 1;
            let Some(byte) = bytes.get(self.at).copied() else {
                return self.finish(limits);
            };
            match self.next {
                Next::Text { is_key } => {
                    let end = bytes.len().min(self.at + (left + 1) * STRING);
                    let window = bytes.get(self.at..end)?;
                    let rest = special(window);
                    let plain = window.len() - rest.len();
                    left = left.saturating_sub(plain / STRING);
                    self.at += plain;
                    match rest.first() {
                        None => {}
                        Some(b'"') => {
                            self.at += 1;
                            if is_key { self.end_key(text)? } else { self.end_value(limits) }
                        }
                        Some(b'\\') => self.at += escape(bytes.get(self.at..)?)?,
                        // Control characters must be escaped.
                        Some(_) => return None,
                    }
                }
                Next::Digits(part) => self.digit(part, bytes, byte, limits)?,
                _ if matches!(byte, b' ' | b'\n' | b'\t' | b'\r') => self.at += 1,
                Next::FirstItem if byte == b']' => self.close(limits),
                Next::Value | Next::FirstItem if byte == b'{' && self.is_entry() => {
                    match small_entry(text, self.at) {
                        Some((size, is_response)) => {
                            left = left.saturating_sub(size / SMALL_PART);
                            let position = Position { start: self.at, parts: None };
                            self.at += size;
                            self.next = Next::Behind;
                            self.end_entry(position, is_response, limits);
                        }
                        None => self.value(bytes, byte, limits)?,
                    }
                }
                Next::Value | Next::FirstItem => self.value(bytes, byte, limits)?,
                Next::FirstKey if byte == b'}' => self.close(limits),
                Next::Key | Next::FirstKey if byte == b'"' => {
                    self.start = if self.is_member() { self.at } else { self.start };
                    self.at += 1;
                    self.next = Next::Text { is_key: true };
                }
                Next::Colon if byte == b':' => {
                    self.at += 1;
                    self.next = Next::Value;
                }
                Next::Behind => match (byte, self.nesting.in_object()) {
                    (b',', true) => {
                        self.at += 1;
                        self.next = Next::Key;
                    }
                    (b',', false) => {
                        self.at += 1;
                        self.next = Next::Value;
                    }
                    (b'}', true) | (b']', false) => self.close(limits),
                    _ => return None,
                },
                Next::Key | Next::FirstKey | Next::Colon | Next::End => return None,
            }
        }
        Some(())
    }

    /// Whether the current position is between the members of a message.
    fn is_member(&self) -> bool {
        self.depth == 1 + usize::from(self.is_batch) && self.nesting.in_object()
    }

    /// Whether the current position is between the messages of an array.
    fn is_entry(&self) -> bool {
        self.is_batch && self.depth == 1
    }

    /// Reads the start of a value.
    fn value(&mut self, bytes: &[u8], byte: u8, limits: Limits<'_>) -> Option<()> {
        let is_message = self.depth == 0 || self.is_entry();
        if is_message {
            let members = if byte == b'{' { Some(Default::default()) } else { None };
            self.parts = Parts { members, start: self.at, twice: None };
            self.is_batch |= self.depth == 0 && byte == b'[';
        } else if self.is_member() {
            self.start = self.at;
        }
        let word =
            |word: &'static [u8]| bytes.get(self.at..)?.starts_with(word).then_some(word.len());
        let size = match byte {
            b'[' | b'{' => {
                self.at += 1;
                self.depth += 1;
                self.nesting.push(byte == b'{');
                self.next = if byte == b'{' { Next::FirstKey } else { Next::FirstItem };
                return Some(());
            }
            b'"' => {
                self.at += 1;
                self.next = Next::Text { is_key: false };
                return Some(());
            }
            b'-' | b'0'..=b'9' => {
                self.at += usize::from(byte == b'-');
                let digit = *bytes.get(self.at).filter(|byte| byte.is_ascii_digit())?;
                self.at += 1;
                let part = if digit == b'0' { Digits::Zero } else { Digits::Whole };
                self.next = Next::Digits(part);
                return Some(());
            }
            b't' => word(b"true")?,
            b'f' => word(b"false")?,
            b'n' => word(b"null")?,
            _ => return None,
        };
        self.at += size;
        self.end_value(limits);
        Some(())
    }

    /// Continues a number. `byte` is the next byte.
    fn digit(&mut self, part: Digits, bytes: &[u8], byte: u8, limits: Limits<'_>) -> Option<()> {
        let next = match (part, byte) {
            (Digits::Whole | Digits::Fraction | Digits::Exponent, b'0'..=b'9') => {
                self.at += 1;
                return Some(());
            }
            (Digits::Zero, b'0'..=b'9') => return None,
            (Digits::Zero | Digits::Whole, b'.') => Digits::Fraction,
            (Digits::Zero | Digits::Whole | Digits::Fraction, b'e' | b'E') => {
                let sign = bytes.get(self.at + 1).is_some_and(|byte| matches!(byte, b'+' | b'-'));
                self.at += usize::from(sign);
                Digits::Exponent
            }
            _ => {
                self.end_value(limits);
                return Some(());
            }
        };
        // At least one digit.
        bytes.get(self.at + 1).filter(|byte| byte.is_ascii_digit())?;
        self.at += 2;
        self.next = Next::Digits(next);
        Some(())
    }

    fn end_key(&mut self, text: &str) -> Option<()> {
        self.next = Next::Colon;
        if self.is_member() {
            let json = text.get(self.start..self.at)?;
            // A name like `"m\u0065thod"` is unusual, but means the same.
            let key = if json.len() <= MAX_NAME { text::content(json) } else { None };
            let key = key.unwrap_or(Cow::Borrowed(""));
            self.name = MEMBERS.iter().position(|name| *name == key);
        }
        Some(())
    }

    /// Closes the innermost container.
    fn close(&mut self, limits: Limits<'_>) {
        self.at += 1;
        self.depth -= 1;
        self.nesting.pop();
        self.end_value(limits);
    }

    /// Called after a value.
    fn end_value(&mut self, limits: Limits<'_>) {
        self.next = if self.depth == 0 { Next::End } else { Next::Behind };
        if self.depth == 0 {
            return;
        }
        if self.is_entry() {
            let start = self.parts.start;
            let is_small = self.at - start <= SMALL_ENTRY;
            let parts = if is_small { None } else { Some(Box::new(self.parts.clone())) };
            let position = Position { start, parts };
            return self.end_entry(position, self.parts.is_response(), limits);
        }
        if !self.is_member() {
            return;
        }
        let (Some(name), Some(members)) = (self.name.take(), &mut self.parts.members) else {
            return;
        };
        let Some(member) = members.get_mut(name) else { return };
        if member.is_none() {
            *member = Some((self.start as u32, self.at as u32));
        } else if name < UNIQUE {
            // Of the other members, the first one counts.
            self.parts.twice = self.parts.twice.or(MEMBERS.get(name).copied());
        }
    }

    /// Called after an entry of an array.
    fn end_entry(&mut self, position: Position, is_response: bool, limits: Limits<'_>) {
        let (count, limit) = match is_response {
            true => (&mut self.responses, (limits.max_responses)()),
            false => (&mut self.calls, limits.max_calls),
        };
        *count += 1;
        if *count <= limit {
            self.entries.push(position);
        } else if !is_response {
            self.state = State::LargeBatch;
        }
    }

    /// Called at the end of the text.
    fn finish(&mut self, limits: Limits<'_>) -> Option<()> {
        if let Next::Digits(_) = self.next {
            self.end_value(limits);
        }
        match (self.state, self.next) {
            (State::Reading, Next::End) => self.state = State::Done,
            (State::Reading, _) => return None,
            _ => {}
        }
        Some(())
    }
}

/// The size of the message at this position, and whether it is a response. `None` if it is not
/// small.
fn small_entry(text: &str, start: usize) -> Option<(usize, bool)> {
    let mut end = text.len().min(start + SMALL_ENTRY);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut cursor = Cursor::new(text.get(start..end)?);
    let is_response = Envelope::default().is_response(&mut cursor)?;
    Some((cursor.position(), is_response))
}

/// The length of the escape at the start of these bytes.
fn escape(bytes: &[u8]) -> Option<usize> {
    match bytes {
        [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => Some(2),
        [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) => {
            Some(6)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits<'_> = Limits { max_calls: 1000, max_responses: &|| 10 };

    fn slices(text: &str) -> (usize, Slices) {
        let (mut count, mut slices) = (1, Slices::new());
        while !slices.advance(text, LIMITS) {
            count += 1;
        }
        (count, slices)
    }

    /// Whatever the text contains, a slice of it is small.
    #[test]
    fn large_texts_take_many_slices() {
        const SIZE: usize = 1 << 20;
        let long = |part: &str| part.repeat(SIZE / part.len());
        for text in [
            long("["),
            long("{\"a\":"),
            long("[\n"),
            long(" "),
            long("1"),
            format!("\"{}\"", long("\\n")),
            format!("[[{}1]]", long("1,")),
            format!("{{\"params\":[{}]}}", long("[1],") + "1"),
            format!("1.{}", long("3")),
            format!("1e{}", long("3")),
        ] {
            let (count, _) = slices(&text);
            assert!(count >= SIZE / SLICE / 16, "{count}: {:.20}", text);
        }
        // Plain text is fast.
        let (count, decoded) = slices(&format!("\"{}\"", long("a")));
        assert!(count >= SIZE / SLICE / STRING, "{count}");
        assert_eq!(decoded.state, State::Done);
    }

    #[test]
    fn a_refused_batch_is_not_read_to_its_end() {
        let (count, decoded) = slices(&format!("[{}", "1,".repeat(1 << 20)));
        assert_eq!((count, decoded.state), (1, State::LargeBatch));
    }

    /// The members of large entries are found again without reading their values again.
    #[test]
    fn large_entries_keep_where_their_members_are() {
        let large = "x".repeat(10_000);
        let text = format!(
            r#"[{{"id":1,"method":"m","params":["{large}"],"jsonrpc":"2.0"}}, {{"id":2,"result":"{large}"}}, 1]"#
        );
        let (_, decoded) = slices(&text);
        let Payload::Batch(entries) = decoded.payload(&text) else { panic!("{text:.40}") };
        let kept: Vec<bool> = entries.iter().map(|(at, _)| at.parts.is_some()).collect();
        assert_eq!(kept, [true, true, false]);
        for (position, entry) in &entries {
            assert_eq!(entry_at(&text, position).as_ref(), Some(entry));
        }
        let (Entry::Call(call), Entry::Response(_)) = (&entries[0].1, &entries[1].1) else {
            panic!("{:.100?}", entries)
        };
        assert_eq!((&*call.method, call.params.map(str::len)), ("m", Some(10_004)));
    }
}

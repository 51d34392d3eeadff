//! Decodes the envelope of a message: its kind, and the positions of its parts in the text
//! ([`payload`]).
//!
//! Everything borrows from the message. Params, results and error objects stay JSON text; other
//! modules decode them once their types are known.

use std::borrow::Cow;
use std::ops::Range;

use super::flaw::{Flaw, kind_of, repeated};
use super::id::Id;
use super::request_extensions::{self, Trace};
use super::scan::{self, Cursor, Quoted};
use super::slices::Parts;
use super::text;

/// One message, or several in an array.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    One(Entry<'a>),
    /// At least one.
    Batch(Vec<BatchEntry<'a>>),
    EmptyBatch,
    /// More entries than allowed.
    LargeBatch,
    NotJson,
}

/// One message.
#[derive(Debug, PartialEq)]
pub(crate) enum Entry<'a> {
    Call(IncomingCall<'a>),
    Response(IncomingResponse<'a>),
    /// JSON that is neither a call nor a response, with its id if that is valid, else null.
    Invalid(Id, Flaw),
}

/// The position of an entry of an array, and the entry.
pub(crate) type BatchEntry<'a> = (Position, Entry<'a>);

/// The position of a message in its text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Position {
    pub(super) start: usize,
    /// The positions of its members, if it is large.
    pub(super) parts: Option<Box<Parts>>,
}

impl Entry<'_> {
    /// The id that a response must have, if a response is expected.
    pub(crate) fn answered(&self) -> Option<&Id> {
        match self {
            Entry::Call(call) => call.id.as_ref(),
            Entry::Response(_) => None,
            Entry::Invalid(id, _) => Some(id),
        }
    }
}

/// A request or a notification.
#[derive(Debug, PartialEq)]
pub(crate) struct IncomingCall<'a> {
    /// `None` without an `id` member: the call is a notification.
    pub(crate) id: Option<Id>,
    pub(crate) method: Cow<'a, str>,
    /// A list or an object, as JSON.
    pub(crate) params: Option<&'a str>,
    /// The member `wsjsonrpc`, as JSON of any kind.
    pub(crate) extra: Option<&'a str>,
    pub(crate) trace: Trace<'a>,
}

/// A response to a call of this side, or something that looks like one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct IncomingResponse<'a> {
    /// The id as JSON of any kind; `None` if there is none.
    pub(crate) id: Option<&'a str>,
    pub(crate) outcome: ResponseOutcome<'a>,
}

impl IncomingResponse<'_> {
    /// The id for an error response, for a value that is not a valid response.
    pub(crate) fn answered(&self) -> Id {
        self.id.and_then(Id::from_json).unwrap_or(Id::NULL)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseOutcome<'a> {
    Result(&'a str),
    Error(&'a str),
    Both,
    /// `"error": null` and nothing else.
    Empty,
    /// Neither member is present.
    Neither,
}

/// Limits on the entries of an array, so that a small text cannot cause large allocations.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// An array with more requests, notifications and invalid entries together is refused as a
    /// whole.
    pub(crate) max_calls: usize,
    /// Responses beyond this number are dropped: fewer calls are pending.
    pub(crate) max_responses: &'a dyn Fn() -> usize,
}

/// The size of a small call.
const SMALL: usize = 64;

/// The range of a part in its message.
pub(crate) fn range(message: &str, part: &str) -> Range<usize> {
    let start = (part.as_ptr() as usize).saturating_sub(message.as_ptr() as usize);
    start..start + part.len()
}

/// Decodes one whole message.
pub(crate) fn payload<'a>(text: &'a str, limits: Limits<'_>) -> Payload<'a> {
    let mut cursor = Cursor::new(text);
    let payload = match cursor.peek() {
        // Classified in place, because moving an entry is expensive.
        Some(b'{') => {
            let mut envelope = Envelope::default();
            let read = envelope.read(&mut cursor);
            if read.is_none() || !cursor.is_at_end() {
                return Payload::NotJson;
            }
            return envelope.classify(Cursor::new(text), Payload::One);
        }
        Some(b'[') => batch(&mut cursor, limits),
        _ => cursor.value().map(|json| Payload::One(no_object(json))),
    };
    match payload {
        Some(Payload::LargeBatch) => Payload::LargeBatch,
        Some(payload) if cursor.is_at_end() => payload,
        _ => Payload::NotJson,
    }
}

fn batch<'a>(cursor: &mut Cursor<'a>, limits: Limits<'_>) -> Option<Payload<'a>> {
    cursor.take(b'[')?;
    if cursor.take(b']').is_some() {
        return Some(Payload::EmptyBatch);
    }
    // Growing the vector step by step would take as long as reading the entries.
    let mut entries = Vec::with_capacity((cursor.left() / SMALL).min(limits.max_calls));
    let (mut calls, mut responses) = (0_usize, 0_usize);
    let max_responses = (limits.max_responses)();
    loop {
        cursor.peek()?;
        let start = cursor.position();
        let entry = entry(cursor)?;
        let (count, limit) = match entry {
            Entry::Response(_) => (&mut responses, max_responses),
            Entry::Call(_) | Entry::Invalid(..) => (&mut calls, limits.max_calls),
        };
        *count += 1;
        if *count <= limit {
            entries.push((Position { start, parts: None }, entry));
        } else if calls > limits.max_calls {
            // The rest is not read, even if it is not JSON.
            return Some(Payload::LargeBatch);
        }
        if cursor.take(b',').is_none() {
            break;
        }
    }
    cursor.take(b']')?;
    Some(Payload::Batch(entries))
}

/// Decodes the entry of an array at this position once more.
#[inline(never)]
pub(crate) fn entry_at<'a>(text: &'a str, position: &Position) -> Option<Entry<'a>> {
    match &position.parts {
        Some(parts) => Some(parts.entry(text)),
        None => entry(&mut Cursor::new(text.get(position.start..)?)),
    }
}

/// Decodes one message. An array is not a message, not even inside an array. Returns `None` if the
/// text is not JSON.
#[inline(always)]
fn entry<'a>(cursor: &mut Cursor<'a>) -> Option<Entry<'a>> {
    if cursor.peek()? != b'{' {
        return cursor.value().map(no_object);
    }
    let (start, mut envelope) = (*cursor, Envelope::default());
    envelope.read(cursor)?;
    Some(envelope.classify(start, |entry| entry))
}

pub(super) fn no_object(json: &str) -> Entry<'_> {
    Entry::Invalid(Id::NULL, Flaw::NoObject(kind_of(json)))
}

/// The known members. All others are skipped.
#[derive(Default)]
pub(super) struct Envelope<'a> {
    /// Whether the version is "2.0".
    jsonrpc: Option<bool>,
    id: Option<RawId<'a>>,
    method: Option<Method<'a>>,
    /// These four are JSON text.
    params: Option<&'a str>,
    result: Option<&'a str>,
    error: Option<&'a str>,
    extra: Option<&'a str>,
    trace: Trace<'a>,
    /// Whether a member occurred twice. JSON does not define which one counts, so the message is
    /// invalid.
    repeated: bool,
}

struct RawId<'a> {
    json: &'a str,
    /// Set if the id was read as an integer.
    number: Option<u64>,
}

enum Method<'a> {
    Plain(&'a str),
    /// As JSON of any kind.
    Other(&'a str),
}

impl<'a> Envelope<'a> {
    #[inline(always)]
    fn read(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        let mut at = *cursor;
        // Nearly all messages start like this.
        if at.take_all(b"{\"jsonrpc\":\"2.0\",").is_some() {
            self.jsonrpc = Some(true);
        } else {
            at.take(b'{')?;
            if at.take(b'}').is_some() {
                *cursor = at;
                return Some(());
            }
        }
        loop {
            if self.plain_member(&mut at).is_none() {
                if at.skip_space() {
                    continue;
                }
                at = self.member(at)?;
            }
            match at.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
        *cursor = at;
        Some(())
    }

    /// Takes a member in its most common form. Returns `None`, and takes nothing, for any other
    /// member or form.
    #[inline(always)]
    fn plain_member(&mut self, cursor: &mut Cursor<'a>) -> Option<()> {
        const JSONRPC: u64 = scan::word_of(b"\"jsonrpc");
        const METHOD: u64 = scan::word_of(b"\"method\"");
        const PARAMS: u64 = scan::word_of(b"\"params\"");
        const RESULT: u64 = scan::word_of(b"\"result\"");
        const ERROR: u64 = scan::word_of(b"\"error\":");
        const EXTRA: u64 = scan::word_of(b"\"wsjsonr");
        let mut at = *cursor;
        let repeated = match at.eight() {
            Some(JSONRPC) => {
                at.advance(8);
                at.take_all(b"\"")?;
                at.colon()?;
                at.take_all(b"\"2.0\"")?;
                self.jsonrpc.replace(true).is_some()
            }
            Some(METHOD) => {
                at.advance(8);
                at.colon()?;
                self.method.replace(Method::Plain(at.plain_string()?)).is_some()
            }
            Some(PARAMS) => {
                at.advance(8);
                at.colon()?;
                self.params.replace(at.value()?).is_some()
            }
            Some(RESULT) => {
                at.advance(8);
                at.colon()?;
                self.result.replace(at.value()?).is_some()
            }
            Some(ERROR) => {
                at.advance(8);
                at.peek()?;
                self.error.replace(at.value()?).is_some()
            }
            Some(EXTRA) => {
                at.advance(8);
                at.take_all(b"pc\"")?;
                at.colon()?;
                let start = at;
                let json = match request_extensions::take_plain_timeout(&mut at) {
                    Some(_) => start.until(&at)?,
                    None => {
                        at = start;
                        at.value()?
                    }
                };
                self.extra.replace(json).is_some()
            }
            _ => {
                at.take_all(b"\"id\"")?;
                at.colon()?;
                let start = at;
                let id = match at.integer() {
                    Some(number) => RawId { json: start.until(&at)?, number: Some(number) },
                    None => RawId { json: at.value()?, number: None },
                };
                self.id.replace(id).is_some()
            }
        };
        self.repeated |= repeated;
        *cursor = at;
        Some(())
    }

    /// Takes any member.
    #[inline(never)]
    fn member(&mut self, mut at: Cursor<'a>) -> Option<Cursor<'a>> {
        // A name like `"m\u0065thod"` is unusual, but means the same.
        let key = match at.string()? {
            Quoted::Plain(key) => Cow::Borrowed(key),
            Quoted::Escaped(key) => text::content(key).unwrap_or_default(),
        };
        at.take(b':')?;
        let value = at.value()?;
        self.set(&key, value);
        Some(at)
    }

    /// Sets the member with this name.
    pub(super) fn set(&mut self, name: &str, value: &'a str) {
        self.repeated |= match name {
            "jsonrpc" => {
                // The version has 20 bytes if all characters are escaped.
                let is_2_0 = value.len() <= 20
                    && text::content(value).is_some_and(|version| version == "2.0");
                self.jsonrpc.replace(is_2_0).is_some()
            }
            "id" => self.id.replace(RawId { json: value, number: None }).is_some(),
            "method" => self.method.replace(Method::Other(value)).is_some(),
            "params" => self.params.replace(value).is_some(),
            "result" => self.result.replace(value).is_some(),
            "error" => self.error.replace(value).is_some(),
            "wsjsonrpc" => self.extra.replace(value).is_some(),
            // The first one counts, so that a request is not refused because of an optional member.
            #[cfg(feature = "opentelemetry")]
            "traceparent" => self.trace.parent.replace(value).is_some_and(|first| {
                self.trace.parent = Some(first);
                false
            }),
            #[cfg(feature = "opentelemetry")]
            "tracestate" => self.trace.state.replace(value).is_some_and(|first| {
                self.trace.state = Some(first);
                false
            }),
            _ => false,
        };
    }

    /// Reads an object, and returns whether it is a response. Returns `None` if it is not JSON.
    pub(super) fn is_response(&mut self, cursor: &mut Cursor<'a>) -> Option<bool> {
        self.read(cursor)?;
        Some(self.method.is_none() && !self.repeated)
    }

    /// The message with these members, none of which occurs twice.
    pub(super) fn entry(&self) -> Entry<'a> {
        self.classify(Cursor::new(""), |entry| entry)
    }

    #[inline(always)]
    fn classify<R>(&self, start: Cursor<'a>, wrap: impl FnOnce(Entry<'a>) -> R) -> R {
        if self.repeated {
            return wrap(self.invalid(start));
        }
        // An object with a method is a request, whatever other members it has. Without a method, it
        // may be a response.
        let Some(method) = &self.method else {
            return wrap(self.response());
        };
        let id = match &self.id {
            Some(RawId { number: Some(number), .. }) => Some(Id::from_number(*number)),
            Some(RawId { json, .. }) => match Id::from_json(json) {
                Some(id) => Some(id),
                None => return wrap(self.invalid(start)),
            },
            None => None,
        };
        let method = match method {
            Method::Plain(name) => Cow::Borrowed(*name),
            Method::Other(json) => match text::content(json) {
                Some(name) => name,
                None => return wrap(self.invalid(start)),
            },
        };
        let params = match self.params {
            Some(json) if matches!(json.as_bytes(), [b'[' | b'{', ..]) => Some(json),
            None | Some("null") => None,
            Some(_) => return wrap(self.invalid(start)),
        };
        if self.jsonrpc != Some(true) {
            return wrap(self.invalid(start));
        }
        wrap(Entry::Call(IncomingCall { id, method, params, extra: self.extra, trace: self.trace }))
    }

    /// Determines what is wrong with an invalid object, which begins at `start`.
    #[cold]
    #[inline(never)]
    fn invalid(&self, start: Cursor<'a>) -> Entry<'a> {
        if self.repeated {
            return Entry::Invalid(Id::NULL, Flaw::Twice(repeated(start).unwrap_or("a member")));
        }
        let id = match &self.id {
            None => Id::NULL,
            Some(RawId { json, .. }) => match Id::from_json(json) {
                Some(id) => id,
                None => return Entry::Invalid(Id::NULL, Flaw::Id(kind_of(json))),
            },
        };
        let flaw = match (&self.method, self.params, self.jsonrpc) {
            (None, ..) => Flaw::NoMethod,
            (Some(Method::Other(json)), ..) if text::content(json).is_none() => {
                Flaw::Method(kind_of(json))
            }
            (_, Some(json), _) if !matches!(json.as_bytes(), [b'[' | b'{' | b'n', ..]) => {
                Flaw::Params(kind_of(json))
            }
            (_, _, None) => Flaw::NoVersion,
            _ => Flaw::Version,
        };
        Entry::Invalid(id, flaw)
    }

    fn response(&self) -> Entry<'a> {
        // Some servers send `"error": null` together with a result.
        let error = self.error.filter(|json| *json != "null");
        let outcome = match (self.result, error) {
            (Some(result), None) => ResponseOutcome::Result(result),
            // JSON-RPC 1.0 servers send `"result": null` together with the error.
            (None | Some("null"), Some(error)) => ResponseOutcome::Error(error),
            (Some(_), Some(_)) => ResponseOutcome::Both,
            (None, None) if self.error.is_some() => ResponseOutcome::Empty,
            (None, None) => ResponseOutcome::Neither,
        };
        let id = self.id.as_ref().map(|id| id.json);
        Entry::Response(IncomingResponse { id, outcome })
    }
}

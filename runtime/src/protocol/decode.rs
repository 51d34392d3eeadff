//! Reads the envelope of a message: what is it, and where in the text are its parts?
//!
//! Everything borrows from the message. Params, results and error objects stay JSON text here;
//! whoever knows their types decodes them. Must not know methods, pending calls or connections.

use std::borrow::Cow;

use super::id::Id;
use super::scan::Cursor;
use super::text;

/// One message, or several in an array.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    One(Entry<'a>),
    /// At least one.
    Batch(Vec<Entry<'a>>),
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
    /// JSON, but neither. The id if there is a usable one, else null.
    Invalid(Id),
}

/// A request or a notification.
#[derive(Debug, PartialEq)]
pub(crate) struct IncomingCall<'a> {
    /// `None`: there is no `id` member, so it is a notification.
    pub(crate) id: Option<Id>,
    pub(crate) method: Cow<'a, str>,
    /// A list or an object, as JSON.
    pub(crate) params: Option<&'a str>,
}

/// The answer to a call of ours, or what claims to be one.
#[derive(Debug, PartialEq)]
pub(crate) struct IncomingResponse<'a> {
    /// The id as JSON, of whatever kind; `None` if there is none.
    pub(crate) id: Option<&'a str>,
    pub(crate) outcome: ResponseOutcome<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseOutcome<'a> {
    Result(&'a str),
    Error(&'a str),
    Both,
    /// `"error": null` and nothing else.
    Empty,
    /// Neither member is there.
    Neither,
}

/// How much of an array is kept, so that a small text can't ask for much memory.
#[derive(Clone, Copy)]
pub(crate) struct Limits<'a> {
    /// An array with more requests, notifications and invalid entries is refused as a whole.
    pub(crate) max_calls: usize,
    /// Responses over it are dropped: nobody waits for so many.
    pub(crate) max_responses: &'a dyn Fn() -> usize,
}

/// Reads one whole message.
pub(crate) fn payload<'a>(text: &'a str, limits: Limits<'_>) -> Payload<'a> {
    let mut cursor = Cursor::new(text);
    let payload = match cursor.peek() {
        Some(b'{') => entry(&mut cursor).map(Payload::One),
        Some(b'[') => batch(&mut cursor, limits),
        _ => cursor.value().map(|_| Payload::One(Entry::Invalid(Id::NULL))),
    };
    payload.filter(|_| cursor.is_at_end()).unwrap_or(Payload::NotJson)
}

fn batch<'a>(cursor: &mut Cursor<'a>, limits: Limits<'_>) -> Option<Payload<'a>> {
    cursor.take(b'[')?;
    if cursor.take(b']').is_some() {
        return Some(Payload::EmptyBatch);
    }
    let (mut entries, mut calls, mut responses) = (Vec::new(), 0_usize, 0_usize);
    let max_responses = (limits.max_responses)();
    loop {
        let entry = entry(cursor)?;
        let (count, limit) = match entry {
            Entry::Response(_) => (&mut responses, max_responses),
            Entry::Call(_) | Entry::Invalid(_) => (&mut calls, limits.max_calls),
        };
        *count += 1;
        // What is over a limit is still read: it may turn out not to be JSON.
        if *count <= limit {
            entries.push(entry);
        }
        if cursor.take(b',').is_none() {
            break;
        }
    }
    cursor.take(b']')?;
    Some(if calls > limits.max_calls { Payload::LargeBatch } else { Payload::Batch(entries) })
}

/// Reads one message. An array is none, not even inside an array. `None`: it is not JSON.
fn entry<'a>(cursor: &mut Cursor<'a>) -> Option<Entry<'a>> {
    if cursor.peek()? != b'{' {
        cursor.value()?;
        return Some(Entry::Invalid(Id::NULL));
    }
    Envelope::read(cursor).map(Envelope::classify)
}

/// The members that mean something, as JSON text. All others are passed over.
#[derive(Default)]
struct Envelope<'a> {
    jsonrpc: Option<&'a str>,
    id: Option<&'a str>,
    method: Option<&'a str>,
    params: Option<&'a str>,
    result: Option<&'a str>,
    error: Option<&'a str>,
    /// A member was there twice: which one counts is anybody's guess, so none does.
    repeated: bool,
}

impl<'a> Envelope<'a> {
    fn read(cursor: &mut Cursor<'a>) -> Option<Self> {
        let mut envelope = Envelope::default();
        cursor.take(b'{')?;
        if cursor.take(b'}').is_some() {
            return Some(envelope);
        }
        loop {
            let key = cursor.string()?;
            cursor.take(b':')?;
            let value = cursor.value()?;
            let name = key.get(1..key.len() - 1).unwrap_or_default();
            // Nobody writes `"m\u0065thod"`, but it means the same.
            if !envelope.fill(name, value) && name.contains('\\') {
                text::content(key).map(|name| envelope.fill(&name, value));
            }
            if cursor.take(b',').is_none() {
                break;
            }
        }
        cursor.take(b'}')?;
        Some(envelope)
    }

    /// Keeps the value if its name means something.
    fn fill(&mut self, name: &str, value: &'a str) -> bool {
        let slot = match name {
            "jsonrpc" => &mut self.jsonrpc,
            "id" => &mut self.id,
            "method" => &mut self.method,
            "params" => &mut self.params,
            "result" => &mut self.result,
            "error" => &mut self.error,
            _ => return false,
        };
        self.repeated |= slot.replace(value).is_some();
        true
    }

    fn classify(self) -> Entry<'a> {
        if self.repeated {
            return Entry::Invalid(Id::NULL);
        }
        // A method makes it a request, whatever else is there; without one it may be a response.
        let Some(method) = self.method else {
            return self.response();
        };
        let id = match self.id.map(Id::from_json) {
            Some(None) => return Entry::Invalid(Id::NULL),
            Some(id) => id,
            None => None,
        };
        let params = match self.params {
            None | Some("null") => Ok(None),
            Some(json) if json.starts_with(['[', '{']) => Ok(Some(json)),
            Some(_) => Err(()),
        };
        let is_2_0 =
            |json: &str| json == "\"2.0\"" || text::content(json).is_some_and(|v| v == "2.0");
        match (self.jsonrpc.is_some_and(is_2_0), text::content(method), params) {
            (true, Some(method), Ok(params)) => Entry::Call(IncomingCall { id, method, params }),
            _ => Entry::Invalid(id.unwrap_or(Id::NULL)),
        }
    }

    fn response(self) -> Entry<'a> {
        // `"error": null` beside a result is how some servers say that there is no error.
        let error = self.error.filter(|json| *json != "null");
        let outcome = match (self.result, error) {
            (Some(result), None) => ResponseOutcome::Result(result),
            // JSON-RPC 1.0 servers send `"result": null` beside the error.
            (None | Some("null"), Some(error)) => ResponseOutcome::Error(error),
            (Some(_), Some(_)) => ResponseOutcome::Both,
            (None, None) if self.error.is_some() => ResponseOutcome::Empty,
            (None, None) => ResponseOutcome::Neither,
        };
        Entry::Response(IncomingResponse { id: self.id, outcome })
    }
}

//! Reads the envelope of a message: what is it, and where in the text are its parts?
//!
//! Everything borrows from the message. Params, results and error objects stay JSON text here;
//! whoever knows their types decodes them. Must not know methods, pending calls or connections.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::id::Id;
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
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// An array with more requests, notifications and invalid entries is refused as a whole.
    pub(crate) max_calls: usize,
    /// Responses over it are dropped: nobody waits for so many.
    pub(crate) max_responses: usize,
}

/// Reads one whole message.
pub(crate) fn payload(text: &str, limits: Limits) -> Payload<'_> {
    match text.trim_start_matches([' ', '\t', '\n', '\r']).as_bytes().first() {
        Some(b'[') => batch(text, limits).unwrap_or(Payload::NotJson),
        Some(b'{') => match serde_json::from_str::<Envelope<'_>>(text) {
            Ok(envelope) => Payload::One(envelope.classify()),
            Err(_) => Payload::NotJson,
        },
        _ if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            Payload::One(Entry::Invalid(Id::NULL))
        }
        _ => Payload::NotJson,
    }
}

fn batch(text: &str, limits: Limits) -> serde_json::Result<Payload<'_>> {
    struct Entries(Limits);
    impl<'de> Visitor<'de> for Entries {
        type Value = Payload<'de>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Payload<'de>, A::Error> {
            let (mut entries, mut calls, mut responses) = (Vec::new(), 0, 0);
            while let Some(json) = array.next_element::<&RawValue>()? {
                let entry = entry(json.get());
                if matches!(entry, Entry::Response(_)) {
                    responses += 1;
                    if responses > self.0.max_responses {
                        continue;
                    }
                } else {
                    calls += 1;
                    if calls > self.0.max_calls {
                        while array.next_element::<IgnoredAny>()?.is_some() {}
                        return Ok(Payload::LargeBatch);
                    }
                }
                entries.push(entry);
            }
            Ok(if entries.is_empty() { Payload::EmptyBatch } else { Payload::Batch(entries) })
        }
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let payload = deserializer.deserialize_seq(Entries(limits))?;
    deserializer.end()?;
    Ok(payload)
}

/// Reads one entry of a batch, known to be JSON. A nested array is no message.
fn entry(json: &str) -> Entry<'_> {
    match serde_json::from_str::<Envelope<'_>>(json) {
        Ok(envelope) if json.starts_with('{') => envelope.classify(),
        _ => Entry::Invalid(Id::NULL),
    }
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
        let version = self.jsonrpc.and_then(text::content);
        match (version.as_deref(), text::content(method), params) {
            (Some("2.0"), Some(method), Ok(params)) => {
                Entry::Call(IncomingCall { id, method, params })
            }
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

impl<'de> Deserialize<'de> for Envelope<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> Visitor<'de> for Members {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON-RPC message")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                while let Some(member) = map.next_key::<Member>()? {
                    let slot = match member {
                        Member::Jsonrpc => &mut envelope.jsonrpc,
                        Member::Id => &mut envelope.id,
                        Member::Method => &mut envelope.method,
                        Member::Params => &mut envelope.params,
                        Member::Result => &mut envelope.result,
                        Member::Error => &mut envelope.error,
                        Member::Other => {
                            map.next_value::<IgnoredAny>()?;
                            continue;
                        }
                    };
                    envelope.repeated |= slot.is_some();
                    *slot = Some(map.next_value::<&RawValue>()?.get());
                }
                Ok(envelope)
            }
        }
        deserializer.deserialize_map(Members)
    }
}

enum Member {
    Jsonrpc,
    Id,
    Method,
    Params,
    Result,
    Error,
    Other,
}

impl<'de> Deserialize<'de> for Member {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Name;
        impl Visitor<'_> for Name {
            type Value = Member;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a member's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<Member, E> {
                Ok(match name {
                    "jsonrpc" => Member::Jsonrpc,
                    "id" => Member::Id,
                    "method" => Member::Method,
                    "params" => Member::Params,
                    "result" => Member::Result,
                    "error" => Member::Error,
                    _ => Member::Other,
                })
            }
        }
        deserializer.deserialize_identifier(Name)
    }
}

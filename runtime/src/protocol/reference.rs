//! A second, slow decoder, which uses only serde_json. `decode` and `params` must agree with it;
//! the checks panic if they do not. It is only for tests and fuzzing. It must not use the code that
//! it checks, except for the types of the results.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::decode::{
    self, Entry, IncomingCall, IncomingResponse, Limits, Payload, Position, ResponseOutcome,
};
use super::error::ErrorObject;
use super::flaw::Flaw;
use super::id::Id;
use super::params::{Args, Detail, Str};
use super::request_extensions;
use super::slices::Slices;
use super::value;

const MAX_CALLS: usize = 3;
const MAX_RESPONSES: usize = 4;

/// Decodes a message with both decoders.
pub fn check_message(text: &str) {
    let limits = Limits { max_calls: MAX_CALLS, max_responses: &|| MAX_RESPONSES };
    let (ours, theirs) = (decode::payload(text, limits), payload(text));
    assert_eq!(outline(&ours), outline(&theirs), "{text:?}");
    for slice in [1, 7] {
        let mut slices = Slices::new();
        while !slices.advance_by(slice, text, limits) {}
        assert_eq!(
            outline(&slices.payload(text)),
            outline(&ours),
            "in slices of {slice}: {text:?}"
        );
    }
    let parts = |payload: &Payload<'_>| match payload {
        Payload::One(entry) => vec![part(entry)],
        Payload::Batch(entries) => entries.iter().map(|(_, entry)| part(entry)).collect(),
        _ => vec![],
    };
    assert_eq!(parts(&ours), parts(&theirs), "a part was taken from another position: {text:?}");
    if let Payload::Batch(entries) = &ours {
        for (position, entry) in entries {
            assert_eq!(decode::entry_at(text, position).as_ref(), Some(entry), "again: {text:?}");
        }
    }
}

/// The part of a result on which the decoders must agree. One of them also records positions inside
/// large entries.
fn outline(payload: &Payload<'_>) -> String {
    match payload {
        Payload::Batch(entries) => {
            let entries = entries.iter().map(|(position, entry)| (position.start, entry));
            format!("{:?}", entries.collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}

/// The position of the params, the result or the error.
fn part(entry: &Entry<'_>) -> Option<*const u8> {
    match entry {
        Entry::Call(call) => call.params.map(str::as_ptr),
        Entry::Response(response) => match response.outcome {
            ResponseOutcome::Result(json) | ResponseOutcome::Error(json) => Some(json.as_ptr()),
            _ => None,
        },
        Entry::Invalid(..) => None,
    }
}

fn payload(text: &str) -> Payload<'_> {
    let Ok(whole) = serde_json::from_str::<&RawValue>(text) else {
        let mut calls = Calls(0);
        let _ = serde_json::Deserializer::from_str(text).deserialize_seq(&mut calls);
        return if calls.0 > MAX_CALLS { Payload::LargeBatch } else { Payload::NotJson };
    };
    if !whole.get().starts_with('[') {
        return Payload::One(entry(whole));
    }
    let entries: Vec<&RawValue> = serde_json::from_str(text).expect("a JSON list");
    if entries.is_empty() {
        return Payload::EmptyBatch;
    }
    let start = |raw: &RawValue| Position {
        start: decode::range(text, raw.get()).start,
        ..Position::default()
    };
    let entries = entries.into_iter().map(|raw| (start(raw), entry(raw)));
    let (mut responses, mut others): (Vec<_>, Vec<_>) =
        entries.partition(|(_, entry)| matches!(entry, Entry::Response(_)));
    if others.len() > MAX_CALLS {
        return Payload::LargeBatch;
    }
    responses.truncate(MAX_RESPONSES);
    others.append(&mut responses);
    others.sort_by_key(|(position, _)| position.start);
    Payload::Batch(others)
}

/// Counts the entries of an invalid array that are not responses, up to the position where it is
/// invalid.
struct Calls(usize);

impl<'a> Visitor<'a> for &mut Calls {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            self.0 += usize::from(!matches!(entry(raw), Entry::Response(_)));
        }
        Ok(())
    }
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

fn string(json: &str) -> Option<String> {
    serde_json::from_str(json).ok()
}

fn kind(json: &str) -> &'static str {
    match json.chars().next().expect("JSON is not empty") {
        'n' => "null",
        't' | 'f' => "a boolean",
        '[' => "an array",
        '{' => "an object",
        '"' => "a string",
        _ => "a number",
    }
}

fn entry(json: &RawValue) -> Entry<'_> {
    let Ok(Members(members)) = serde_json::from_str(json.get()) else {
        return Entry::Invalid(Id::NULL, Flaw::NoObject(kind(json.get())));
    };
    let all = |name: &str| {
        let named = |key: &RawValue| string(key.get()).is_some_and(|key| key == name);
        members.iter().filter(|(key, _)| named(key)).map(|(_, json)| json.get()).collect::<Vec<_>>()
    };
    let names = ["jsonrpc", "id", "method", "params", "result", "error", "wsjsonrpc"];
    let key = |index: usize| string(members[index].0.get()).unwrap_or_default();
    let keys: Vec<String> = (0..members.len()).map(key).collect();
    for (index, key) in keys.iter().enumerate() {
        let known = names.iter().find(|name| *name == key);
        if let Some(name) = known.filter(|_| keys[..index].contains(key)) {
            return Entry::Invalid(Id::NULL, Flaw::Twice(name));
        }
    }
    let [jsonrpc, id, method, params, result, error, extra] = names.map(|name| all(name).pop());
    let Some(method) = method else {
        let outcome = match (result, error) {
            (Some(json), None | Some("null")) => ResponseOutcome::Result(json),
            (None | Some("null"), Some(json)) if json != "null" => ResponseOutcome::Error(json),
            (Some(_), Some(_)) => ResponseOutcome::Both,
            (None, Some(_)) => ResponseOutcome::Empty,
            (None, None) => ResponseOutcome::Neither,
        };
        return Entry::Response(IncomingResponse { id, outcome });
    };
    let id = match id {
        Some(json) if json.starts_with(['[', '{', 't', 'f']) => {
            return Entry::Invalid(Id::NULL, Flaw::Id(kind(json)));
        }
        Some(json) if json.starts_with('"') && string(json).is_none() => {
            return Entry::Invalid(Id::NULL, Flaw::Id("a string"));
        }
        Some(json) => {
            let id = Id::from_json(json).expect("a valid id");
            assert_eq!(id.to_string(), json);
            Some(id)
        }
        None => None,
    };
    let params_fit = params.is_none_or(|json| json.starts_with(['[', '{']) || json == "null");
    match (jsonrpc.and_then(string).as_deref(), string(method)) {
        (Some("2.0"), Some(name)) if params_fit => {
            let method = if method.contains('\\') {
                Cow::Owned(name)
            } else {
                Cow::Borrowed(&method[1..method.len() - 1])
            };
            let params = params.filter(|json| *json != "null");
            #[cfg(feature = "opentelemetry")]
            let trace = request_extensions::Trace {
                parent: all("traceparent").first().copied(),
                state: all("tracestate").first().copied(),
            };
            #[cfg(not(feature = "opentelemetry"))]
            let trace = request_extensions::Trace::default();
            Entry::Call(IncomingCall { id, method, params, extra, trace })
        }
        (version, name) => {
            let flaw = match (name, params, version, jsonrpc) {
                (None, ..) => Flaw::Method(kind(method)),
                (_, Some(json), ..) if !params_fit => Flaw::Params(kind(json)),
                (.., None, None) => Flaw::NoVersion,
                _ => Flaw::Version,
            };
            Entry::Invalid(id.unwrap_or(Id::NULL), flaw)
        }
    }
}

/// Decodes a value as an argument of many types, by position and by name.
pub fn check_arguments(text: &str) {
    let Ok(value) = serde_json::from_str::<&RawValue>(text) else { return };
    let json = value.get();
    let named = format!("{{\"x\" : {json}\n}}");
    for params in [format!("[{json}]"), format!("[ {json} ,0]"), format!("[{json}\t,\"x\"]"), named]
    {
        check_types(&params, json);
    }
}

macro_rules! check {
    ($params:ident, $json:ident: $($type:ty),*) => {$(
        let theirs = serde_json::from_str::<$type>($json).map_err(|error| {
            format!("Invalid params: `x`: {}", Detail(&error))
        });
        compare::<$type>($params, theirs);
        let alone = serde_json::from_str::<$type>($json).map_err(|error| error.to_string());
        let read = value::read::<$type>($json).map_err(|error| error.to_string());
        assert_eq!(format!("{read:?}"), format!("{alone:?}"), "{} from {:?}", stringify!($type), $json);
    )*};
}

fn check_types(params: &str, json: &str) {
    check! { params, json:
        i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize, f32, f64,
        bool, char, (), &str, String, Cow<'_, str>, Str<'_>,
        Option<i64>, Option<Option<bool>>, Option<&str>, Option<()>, Box<i64>,
        Vec<u8>, Vec<i64>, (i64,), (i64, Option<String>), [bool; 2], BTreeMap<String, i64>,
        Unit, Newtype, Transparent, Tuple, Struct, Borrowing<'_>, Choice, Untagged, Flat,
        serde_json::Value, serde_json::Number, &RawValue, Box<RawValue>, Option<&RawValue>, IgnoredAny
    }
}

/// Outcomes are compared as text, because not all of the types implement `PartialEq`.
fn compare<'a, T: Deserialize<'a> + Debug>(params: &'a str, theirs: Result<T, String>) {
    let ours = Args::new(Some(params), &["x"]).and_then(|mut args| args.next::<T>());
    let ours = ours.map_err(|error: ErrorObject| error.message().to_owned());
    let name = std::any::type_name::<T>();
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{name} from {params:?}");
}

#[derive(Debug, Deserialize)]
struct Unit;

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "printed")]
struct Newtype(i64);

#[derive(Debug, Deserialize)]
#[serde(transparent)]
#[allow(dead_code, reason = "printed")]
struct Transparent {
    inner: String,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "printed")]
struct Tuple(bool, f64);

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "printed")]
struct Struct {
    a: i64,
    #[serde(default)]
    b: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "printed")]
struct Borrowing<'a> {
    a: &'a str,
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "printed")]
enum Choice {
    A,
    B(i64),
    C { a: bool },
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[allow(dead_code, reason = "printed")]
enum Untagged {
    Number(f64),
    Text(String),
    List(Vec<Untagged>),
}

#[derive(Debug, Deserialize)]
#[allow(dead_code, reason = "printed")]
struct Flat {
    #[serde(flatten)]
    rest: BTreeMap<String, serde_json::Value>,
}

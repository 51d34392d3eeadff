//! The reason why a message is not a valid request ([`Flaw`]), for the error response. It is
//! determined only after the decoder has found the message invalid.

use std::borrow::Cow;
use std::fmt;

use super::scan::{Cursor, Quoted};
use super::text;

/// Why a message is not a valid request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is not an object, but a value of this kind.
    NoObject(&'static str),
    EmptyBatch,
    /// This member occurs twice.
    Twice(&'static str),
    NoMethod,
    /// The member is a value of this kind. If the kind is a string, it has an invalid escape.
    Method(&'static str),
    Id(&'static str),
    Params(&'static str),
    NoVersion,
    Version,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flaw::NoObject(kind) => write!(f, "expected an object, got {kind}"),
            Flaw::EmptyBatch => f.write_str("the batch is empty"),
            Flaw::Twice(name) => write!(f, "duplicate member \"{name}\""),
            Flaw::NoMethod => f.write_str("\"method\" is missing"),
            Flaw::Method(STRING) => f.write_str("\"method\" has an invalid escape"),
            Flaw::Method(kind) => write!(f, "\"method\" must be a string, got {kind}"),
            Flaw::Id(STRING) => f.write_str("\"id\" has an invalid escape"),
            Flaw::Id(kind) => write!(f, "\"id\" must be a string, a number or null, got {kind}"),
            Flaw::Params(kind) => {
                write!(f, "\"params\" must be an array or an object, got {kind}")
            }
            Flaw::NoVersion => f.write_str("\"jsonrpc\" is missing, expected \"2.0\""),
            Flaw::Version => f.write_str("\"jsonrpc\" must be \"2.0\""),
        }
    }
}

/// The names of the known members.
pub(super) const MEMBERS: [&str; 9] = [
    "jsonrpc",
    "id",
    "method",
    "params",
    "result",
    "error",
    "wsjsonrpc",
    "traceparent",
    "tracestate",
];
/// The number of names, from the start of [`MEMBERS`], that may not occur twice.
pub(super) const UNIQUE: usize = 7;

const STRING: &str = "a string";

/// The kind of a JSON value, for an error message.
pub(crate) fn kind_of(json: &str) -> &'static str {
    match json.as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => STRING,
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// The first known member that occurs twice in an object.
pub(super) fn repeated(mut at: Cursor<'_>) -> Option<&'static str> {
    let mut seen = [false; UNIQUE];
    at.take(b'{')?;
    loop {
        let key = match at.string()? {
            Quoted::Plain(key) => Cow::Borrowed(key),
            Quoted::Escaped(key) => text::content(key).unwrap_or_default(),
        };
        at.take(b':')?;
        at.value()?;
        let known = MEMBERS.iter().zip(&mut seen).find(|(name, _)| ***name == *key);
        if let Some((name, seen)) = known {
            if std::mem::replace(seen, true) {
                return Some(name);
            }
        }
        at.take(b',')?;
    }
}

//! Request ids: taken in as any peer writes them, and given back verbatim.
//!
//! Must not know which ids this side hands out (that is `pending`).

use std::fmt;

/// How long an id may be, as JSON. It is kept as long as its request is at work and comes back with
/// every response, an error in place of a large result too, so it must not be large itself. A UUID
/// has 38 bytes.
pub(crate) const MAX_SIZE: usize = 1024;

/// The id of a request, as the other side wrote it ([JSON-RPC 2.0, section 4][spec]).
///
/// A string, a number (negative, fractional and beyond 64 bits included) or null. It is kept as
/// JSON text, so it goes back to the peer exactly as it came.
///
/// [spec]: https://www.jsonrpc.org/specification#request_object
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(Repr);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Null,
    /// The text is the shortest decimal form of this number: nearly every id there is.
    Number(u64),
    /// Any other id, as JSON text.
    Text(Box<str>),
}

impl Id {
    /// The null id: of a request that has `"id": null`, and of errors about messages whose id is
    /// unknown.
    pub(crate) const NULL: Id = Id(Repr::Null);

    /// The id that is written as the shortest decimal form of this number.
    #[inline]
    pub(crate) fn from_number(number: u64) -> Id {
        Id(Repr::Number(number))
    }

    /// Reads an id from one complete, valid JSON value. `None` for a list, an object or a boolean,
    /// and for what is too long.
    pub(crate) fn from_json(json: &str) -> Option<Id> {
        if json.len() > MAX_SIZE {
            return None;
        }
        match json.as_bytes().first()? {
            b'n' => Some(Id::NULL),
            b'0'..=b'9' | b'-' => {
                Some(Id(canonical(json).map_or_else(|| Repr::Text(json.into()), Repr::Number)))
            }
            // A string that no decoder can read (a lone surrogate) would poison our answer.
            b'"' if !json.contains('\\') || serde_json::from_str::<String>(json).is_ok() => {
                Some(Id(Repr::Text(json.into())))
            }
            _ => None,
        }
    }

    /// Whether it only counts: it is a plain number, or one behind an `s`, as this crate's are.
    #[cfg(feature = "opentelemetry")]
    pub(crate) fn is_counted(&self) -> bool {
        match &self.0 {
            Repr::Null => false,
            Repr::Number(_) => true,
            Repr::Text(text) => {
                let digits = text.strip_prefix("\"s").and_then(|text| text.strip_suffix('"'));
                digits.is_some_and(|text| {
                    text.len() <= 20 && text.bytes().all(|b| b.is_ascii_digit())
                })
            }
        }
    }

    /// Appends the id as JSON.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Repr::Null => out.extend_from_slice(b"null"),
            Repr::Number(number) => {
                out.extend_from_slice(itoa::Buffer::new().format(*number).as_bytes());
            }
            Repr::Text(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
}

/// The JSON text of the id.
impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Null => f.write_str("null"),
            Repr::Number(number) => number.fmt(f),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

/// The number, if writing it again gives the same text: no sign, fraction, exponent, leading zero.
fn canonical(json: &str) -> Option<u64> {
    let digits = json.bytes().all(|b| b.is_ascii_digit()) && json.len() < 20;
    if digits { json.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_back_verbatim() {
        for json in [
            "null",
            "0",
            "7",
            "-1",
            "-0",
            "1.5",
            "1.0",
            "1e3",
            "18446744073709551615",
            "9999999999999999999",
            "1180591620717411303424",
            "\"\"",
            "\"s1\"",
            "\"\\u0061\"",
            "\"é\"",
        ] {
            let mut out = Vec::new();
            let id = Id::from_json(json).unwrap();
            id.write(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), json);
            assert_eq!(id.to_string(), json);
        }
    }

    #[test]
    fn what_is_no_id() {
        for json in ["true", "false", "[]", "{}", "[1]", r#""\ud800""#] {
            assert_eq!(Id::from_json(json), None, "{json}");
        }
    }

    #[test]
    fn an_id_has_a_limit() {
        for (size, fits) in [(MAX_SIZE, true), (MAX_SIZE + 1, false)] {
            for json in [format!("\"{}\"", "x".repeat(size - 2)), "1".repeat(size)] {
                assert_eq!(Id::from_json(&json).is_some(), fits, "{size}");
            }
        }
    }
}

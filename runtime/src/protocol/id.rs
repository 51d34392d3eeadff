//! Request ids ([`Id`]), which are accepted in every form that peers write, and are sent back
//! verbatim.

use std::borrow::Cow;
use std::fmt;

use super::text;

/// Longer ids are equal only if their texts are equal. Comparing their meaning takes longer, and
/// the peer chooses the number of ids.
const MAX_COMPARED: usize = 128;

/// The id of a request, as the peer wrote it ([JSON-RPC 2.0, section 4][spec]).
///
/// A string, a number (also negative, fractional or beyond 64 bits) or null. It is kept as JSON
/// text, so that it is sent back unchanged.
///
/// [spec]: https://www.jsonrpc.org/specification#request_object
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(Repr);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Repr {
    Null,
    /// The text is the shortest decimal form of this number, as that of nearly every id.
    Number(u64),
    /// Any other id, as JSON text.
    Text(Box<str>),
}

impl Id {
    /// The null id, for requests with `"id": null` and for errors about messages whose id is
    /// unknown.
    pub(crate) const NULL: Id = Id(Repr::Null);

    /// The id that is written as the shortest decimal form of this number.
    #[inline]
    pub(crate) fn from_number(number: u64) -> Id {
        Id(Repr::Number(number))
    }

    /// Reads an id from one complete, valid JSON value. `None` for a list, an object or a boolean.
    pub(crate) fn from_json(json: &str) -> Option<Id> {
        match json.as_bytes().first()? {
            b'n' => Some(Id::NULL),
            b'0'..=b'9' | b'-' => {
                Some(Id(canonical(json).map_or_else(|| Repr::Text(json.into()), Repr::Number)))
            }
            // A string that cannot be decoded (a lone surrogate) would make the response unreadable.
            b'"' if !json.contains('\\') || serde_json::from_str::<String>(json).is_ok() => {
                Some(Id(Repr::Text(json.into())))
            }
            _ => None,
        }
    }

    /// Whether it has the form of this crate's own ids: a plain number, or a string of an `s` and a
    /// number.
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

    /// Whether both ids have the same meaning, even if their texts differ: `"\u0061"` is `"a"`, and
    /// `1.0` is `1`.
    pub(crate) fn is_same(&self, other: &Id) -> bool {
        self == other
            || self.weight().max(other.weight()) <= MAX_COMPARED
                && self.meaning() == other.meaning()
    }

    fn meaning(&self) -> Meaning<'_> {
        match &self.0 {
            Repr::Null => Meaning::Null,
            Repr::Number(number) => Meaning::Integer(*number),
            Repr::Text(json) => match text::content(json) {
                Some(text) => Meaning::Text(text),
                None => decimal(json),
            },
        }
    }

    /// The number of bytes that it occupies on the heap.
    pub(crate) fn weight(&self) -> usize {
        if let Repr::Text(text) = &self.0 { text.len() } else { 0 }
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

#[derive(Debug, PartialEq)]
enum Meaning<'a> {
    Null,
    Integer(u64),
    /// The sign, the digits without leading and trailing zeros, and the power of ten of the last
    /// digit.
    Decimal(bool, String, i64),
    /// The exponent is too large.
    Verbatim(&'a str),
    Text(Cow<'a, str>),
}

fn decimal(json: &str) -> Meaning<'_> {
    let (negative, number) = match json.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, json),
    };
    let (number, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let Ok(exponent) = exponent.parse::<i32>() else { return Meaning::Verbatim(json) };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = format!("{whole}{fraction}");
    let end = digits.trim_end_matches('0').len();
    let power = i64::from(exponent) - fraction.len() as i64 + (digits.len() - end) as i64;
    let digits = digits.get(..end).unwrap_or_default().trim_start_matches('0').to_owned();
    if digits.is_empty() {
        return Meaning::Integer(0);
    }
    if !negative && (0..20).contains(&power) {
        let zeros = "0".repeat(usize::try_from(power).unwrap_or(0));
        if let Ok(number) = format!("{digits}{zeros}").parse() {
            return Meaning::Integer(number);
        }
    }
    Meaning::Decimal(negative, digits, power)
}

/// The number in an id of this side, given as JSON. A peer whose language has only floating-point
/// numbers may send 1 back as 1.0, and a peer that keeps ids as strings may send it back as "1". In
/// the second case, `quoted` is called.
pub(crate) fn counted(json: &str, quoted: impl FnOnce()) -> Option<u64> {
    if let Ok(number) = json.parse() {
        return Some(number);
    }
    if let Some(digits) = text::content(json) {
        let is_shortest = digits == "0" || !digits.starts_with('0');
        let number = canonical(&digits).filter(|_| is_shortest)?;
        quoted();
        return Some(number);
    }
    if !json.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    match decimal(json) {
        Meaning::Integer(number) => Some(number),
        _ => None,
    }
}

/// The number, if the text has no sign, fraction or exponent.
fn canonical(json: &str) -> Option<u64> {
    let digits = json.len() < 20 && json.bytes().all(|b| b.is_ascii_digit());
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
    fn ids_that_mean_the_same() {
        let same = [
            (r#""a""#, r#""\u0061""#),
            (r#""\/""#, r#""/""#),
            ("1", "1.0"),
            ("1", "10e-1"),
            ("100", "1E+2"),
            ("0", "-0"),
            ("0", "0e99"),
            ("-1.50", "-15e-1"),
            ("18446744073709551615", "18446744073709551615.0"),
            ("1e400", "10e399"),
            ("1e99999999999", "1e99999999999"),
            ("null", "null"),
        ];
        let different = [
            ("1", r#""1""#),
            ("1", "-1"),
            ("1", "1.5"),
            ("9007199254740993", "9007199254740992.0"),
            ("null", r#""null""#),
            ("1e99999999999", "10e99999999998"),
            (r#""a""#, r#""A""#),
        ];
        let id = |json| Id::from_json(json).unwrap();
        for (expected, pairs) in [(true, &same[..]), (false, &different[..])] {
            for (one, other) in pairs {
                assert_eq!(id(one).is_same(&id(other)), expected, "{one} {other}");
                assert_eq!(id(other).is_same(&id(one)), expected, "{other} {one}");
            }
        }
        let (plain, escaped) =
            (format!("\"a{}\"", "x".repeat(200)), format!("\"\\u0061{}\"", "x".repeat(200)));
        assert!(!id(&plain).is_same(&id(&escaped)), "too long to be compared");
        assert!(id(&escaped).is_same(&id(&escaped)));
    }

    #[test]
    fn ids_that_count() {
        for (json, number, is_quoted) in [
            ("1", Some(1), false),
            ("1.0", Some(1), false),
            ("1e0", Some(1), false),
            ("18446744073709551615", Some(u64::MAX), false),
            (r#""1""#, Some(1), true),
            (r#""\u0031""#, Some(1), true),
            ("null", None, false),
            ("-1", None, false),
            ("1.5", None, false),
            ("[1]", None, false),
            (r#""""#, None, false),
            (r#""+1""#, None, false),
            (r#""1.0""#, None, false),
            (r#""01""#, None, false),
            (r#""s1""#, None, false),
        ] {
            let mut quoted = false;
            assert_eq!(counted(json, || quoted = true), number, "{json}");
            assert_eq!(quoted, is_quoted, "{json}");
        }
    }

    #[test]
    fn what_is_no_id() {
        for json in ["true", "false", "[]", "{}", "[1]", r#""\ud800""#] {
            assert_eq!(Id::from_json(json), None, "{json}");
        }
    }
}

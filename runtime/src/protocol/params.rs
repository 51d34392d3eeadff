//! Decodes `params` into the arguments of a method ([`Args`]): a list by position, an object by
//! name. Each argument is decoded once, from the text of the message directly into its type.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Visitor};

use super::error::ErrorObject;
use super::escape::clip;
use super::scan::{Cursor, Quoted};
use super::travel::ReceivedArg;
use super::value::{Missing, Value};

/// An error message quotes at most this many bytes of a peer's input.
const MAX_DETAIL: usize = 200;

/// The arguments of one call, taken one after another in the order of the signature.
#[derive(Debug)]
pub struct Args<'a> {
    names: &'static [&'static str],
    /// How many arguments were taken.
    taken: usize,
    given: Given<'a>,
}

#[derive(Debug)]
enum Given<'a> {
    /// By position; the next argument is at the cursor.
    List(Cursor<'a>),
    /// By position; all were taken.
    End,
    /// By name; the values in the order of the names.
    Object(Vec<Option<&'a str>>),
}

impl<'a> Args<'a> {
    /// For a method without parameter names: refuses an object that is not empty.
    pub(crate) fn list(
        params: Option<&'a str>,
        names: &'static [&'static str],
    ) -> Result<Self, ErrorObject> {
        let mut cursor = Cursor::new(params.unwrap_or("[]"));
        if cursor.take(b'{').is_some() && cursor.take(b'}').is_none() {
            return Err(invalid(format_args!("expected a list, found an object")));
        }
        Self::new(params, names)
    }

    /// The arguments of a call without params.
    #[cfg(feature = "schema")]
    pub(crate) fn empty() -> Self {
        Args { names: &[], taken: 0, given: Given::End }
    }

    /// `params` is a valid JSON list or object. `None` has the same meaning as an empty list.
    #[inline]
    pub(crate) fn new(
        params: Option<&'a str>,
        names: &'static [&'static str],
    ) -> Result<Self, ErrorObject> {
        let mut cursor = Cursor::new(params.unwrap_or("[]"));
        let given = match cursor.next() {
            Some(b'{') => Given::Object(members(cursor, names)?),
            _ if cursor.take(b']').is_some() => Given::End,
            _ => Given::List(cursor),
        };
        Ok(Args { names, taken: 0, given })
    }

    /// The next argument. An `Option` may be missing. It is recognised by how it deserializes, so
    /// aliases and wrappers are recognised, too.
    #[allow(clippy::should_implement_trait, reason = "each argument has another type")]
    pub fn next<T: ReceivedArg<'a>>(&mut self) -> Result<T, ErrorObject> {
        match self.take()? {
            Some(value) => Ok(value),
            None => T::deserialize(Missing).map_err(|_| self.missing()),
        }
    }

    /// The next argument, or its default if it is missing.
    pub fn next_or_default<T: ReceivedArg<'a> + Default>(&mut self) -> Result<T, ErrorObject> {
        Ok(self.take()?.unwrap_or_default())
    }

    /// Called after all arguments were taken. Fails if there are more.
    pub fn finish(self) -> Result<(), ErrorObject> {
        match self.given {
            Given::List(rest) => Err(self.surplus(rest)),
            // An object with unknown names was refused before.
            Given::End | Given::Object(_) => Ok(()),
        }
    }

    /// The next argument, if it is present.
    // This is compiled for each type, so code that does not depend on the type is in other
    // functions.
    #[inline]
    fn take<T: Deserialize<'a>>(&mut self) -> Result<Option<T>, ErrorObject> {
        let index = self.taken;
        self.taken += 1;
        let mut own;
        let (cursor, in_list) = match &mut self.given {
            Given::List(cursor) => (cursor, true),
            Given::End => return Ok(None),
            Given::Object(values) => match values.get_mut(index).and_then(Option::take) {
                Some(value) => {
                    own = Cursor::new(value);
                    (&mut own, false)
                }
                None => return Ok(None),
            },
        };
        cursor.peek();
        let start = cursor.position();
        let value = match T::deserialize(Value(cursor)) {
            Ok(value) => value,
            Err(error) => return Err(self.mismatch(&error)),
        };
        let moved = cursor.position() > start;
        match cursor.next() {
            Some(b',') if moved && in_list => {}
            Some(b']') if moved && in_list => self.given = Given::End,
            None if moved && !in_list => {}
            _ => return Err(self.left_over(moved)),
        }
        Ok(Some(value))
    }

    /// The name of the argument that was taken last.
    fn name(&self) -> &'static str {
        self.names.get(self.taken.wrapping_sub(1)).copied().unwrap_or_default()
    }

    #[cold]
    #[inline(never)]
    fn left_over(&self, begun: bool) -> ErrorObject {
        // The first text is that of serde_json: an i128 reads only the `0` of `0.5`.
        let why = if begun { "trailing characters" } else { "its type does not read a value" };
        invalid(format_args!("`{}`: {why}", self.name()))
    }

    #[cold]
    #[inline(never)]
    fn mismatch(&self, error: &serde_json::Error) -> ErrorObject {
        invalid(format_args!("`{}`: {}", self.name(), Detail(error)))
    }

    #[cold]
    #[inline(never)]
    fn missing(&self) -> ErrorObject {
        let name = self.name();
        match self.given {
            Given::Object(_) => invalid(format_args!("missing parameter `{name}`")),
            Given::List(_) | Given::End => {
                let position = self.taken;
                invalid(format_args!("missing parameter `{name}` (position {position})"))
            }
        }
    }

    /// The error for more arguments than the method has.
    #[cold]
    #[inline(never)]
    fn surplus(&self, mut rest: Cursor<'a>) -> ErrorObject {
        let mut given = self.taken;
        while rest.value().is_some() {
            given += 1;
            rest.take(b',');
        }
        let expected = match self.names.len() {
            0 => "none".to_owned(),
            n => format!("at most {n} ({})", list(self.names)),
        };
        invalid(format_args!("{given} parameters given, expected {expected}"))
    }
}

/// The values of an object in the order of the names. The cursor is after the opening brace.
/// Unknown names and duplicates are errors, and take no memory.
fn members<'a>(
    mut cursor: Cursor<'a>,
    names: &'static [&'static str],
) -> Result<Vec<Option<&'a str>>, ErrorObject> {
    let mut values = vec![None; names.len()];
    let mut wrong = None;
    while let Some(key) = cursor.string() {
        let name = match key {
            Quoted::Plain(name) => Cow::Borrowed(name),
            Quoted::Escaped(json) => Cow::Owned(
                serde_json::from_str(json)
                    .map_err(|error| invalid(format_args!("{}", Detail(&error))))?,
            ),
        };
        cursor.take(b':');
        let value = cursor.value();
        cursor.take(b',');
        let place = names.iter().position(|known| *known == name);
        match place.and_then(|place| values.get_mut(place)) {
            Some(empty @ None) => *empty = value,
            Some(Some(_)) => {
                wrong.get_or_insert_with(|| {
                    invalid(format_args!("duplicate parameter `{}`", Clipped(&name)))
                });
            }
            None => {
                wrong.get_or_insert_with(|| unknown(&name, names));
            }
        }
    }
    wrong.map_or(Ok(values), Err)
}

fn unknown(name: &str, names: &[&str]) -> ErrorObject {
    let name = Clipped(name);
    match names {
        [] => invalid(format_args!("unknown parameter `{name}`, expected no parameters")),
        names => invalid(format_args!("unknown parameter `{name}`, expected {}", list(names))),
    }
}

/// A string that borrows from the message, unless it has escapes.
#[derive(Debug, Default)]
pub struct Str<'a>(pub(crate) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Str<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Str<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Str<'de>, E> {
                Ok(Str(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// For the defaults in descriptions.
#[cfg(feature = "schema")]
impl serde::Serialize for Str<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

pub(super) fn invalid(detail: fmt::Arguments<'_>) -> ErrorObject {
    ErrorObject::invalid_params(format!("Invalid params: {detail}"))
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// serde's message without line and column, which would count from the argument's position in the
/// message.
pub(super) struct Detail<'a>(pub(super) &'a serde_json::Error);

impl fmt::Display for Detail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        // An error without a position may itself contain such words.
        let position = if self.0.line() > 0 { text.rfind(" at line ") } else { None };
        let end = position.unwrap_or(text.len());
        let text = text.get(..end).unwrap_or(&text);
        Clipped(text).fmt(f)?;
        // A type that contains a `&str` accepts most texts, and fails for those with escapes such
        // as `\n`.
        let is_string = text.starts_with("invalid type: string ");
        if is_string && text.ends_with(", expected a borrowed string") {
            f.write_str("; the text has escapes: use `Cow<str>` or `String` in place of `&str`")?;
        }
        Ok(())
    }
}

/// A text that is cut to a length that can be sent back.
struct Clipped<'a>(&'a str);

impl fmt::Display for Clipped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, more) = clip(self.0, MAX_DETAIL);
        write!(f, "{start}{more}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Three = (i64, Option<String>, Option<bool>);

    fn three(params: Option<&str>) -> Result<Three, String> {
        let args = || {
            let mut args = Args::new(params, &["x", "name", "flag"])?;
            let three = (args.next()?, args.next()?, args.next()?);
            args.finish()?;
            Ok(three)
        };
        args().map_err(|error: ErrorObject| error.message().to_owned())
    }

    #[test]
    fn positions_and_names_reach_the_same_arguments() {
        let full = Ok((1, Some("a".to_owned()), Some(true)));
        for params in [
            r#"[1,"a",true]"#,
            " [ 1 , \"a\" , true ] ".trim(),
            "[\n1\t,\r\"\\u0061\",true]",
            r#"{"x":1,"name":"a","flag":true}"#,
            r#"{"flag":true, "n\u0061me":"a", "x" : 1 }"#,
        ] {
            assert_eq!(three(Some(params)), full, "{params}");
        }
        for params in ["[1]", "[1,null]", "[1,null,null]", r#"{"x":1}"#, r#"{"flag":null,"x":1}"#] {
            assert_eq!(three(Some(params)), Ok((1, None, None)), "{params}");
        }
    }

    #[test]
    fn what_does_not_fit_says_why() {
        let cases = [
            (None, "missing parameter `x` (position 1)"),
            (Some("[]"), "missing parameter `x` (position 1)"),
            (Some("{}"), "missing parameter `x`"),
            (Some("[null]"), "`x`: invalid type: null, expected i64"),
            (Some("[1.5]"), "`x`: invalid type: floating point `1.5`, expected i64"),
            (Some("[1,2]"), "`name`: invalid type: integer `2`, expected a string"),
            (
                Some("[1,null,null,4]"),
                "4 parameters given, expected at most 3 (`x`, `name`, `flag`)",
            ),
            (Some(r#"{"x":1,"y":2}"#), "unknown parameter `y`, expected `x`, `name`, `flag`"),
            (Some(r#"{"x":1,"x":1}"#), "duplicate parameter `x`"),
            (Some(r#"["\ud800"]"#), "`x`: invalid type: string"),
        ];
        for (params, expected) in cases {
            let error = three(params).unwrap_err();
            let detail = error.strip_prefix("Invalid params: ").unwrap();
            if params != Some(r#"["\ud800"]"#) {
                assert_eq!(detail, expected, "{params:?}");
            }
        }
    }

    #[test]
    fn a_value_is_read_as_a_whole_or_not_at_all() {
        #[derive(Debug)]
        struct Nothing;
        impl<'de> Deserialize<'de> for Nothing {
            fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                Ok(Nothing)
            }
        }
        for params in ["[1]", "[\"a\",2]", "[[]]", r#"{"x":1}"#, r#"{"x":"a"}"#] {
            let error = Args::new(Some(params), &["x"]).unwrap().next::<Nothing>().unwrap_err();
            assert_eq!(
                error.message(),
                "Invalid params: `x`: its type does not read a value",
                "{params}"
            );
        }
        for params in ["[0.5]", "[0.5,1]", r#"{"x":0.5}"#] {
            let error = Args::new(Some(params), &["x"]).unwrap().next::<i128>().unwrap_err();
            assert_eq!(error.message(), "Invalid params: `x`: trailing characters", "{params}");
        }
    }

    #[test]
    fn a_type_that_borrows_is_told_of_escapes() {
        #[derive(Debug, serde::Deserialize)]
        struct Named<'a> {
            #[allow(dead_code, reason = "only whether it is read counts")]
            name: &'a str,
        }
        let long = "a".repeat(10_000);
        for text in ["a\\n", "\\u0061", &format!("{long}\\n")] {
            let params = format!(r#"[{{"name":"{text}"}}]"#);
            let named = Args::new(Some(&params), &["x"]).unwrap().next::<Named<'_>>();
            let error = named.unwrap_err().to_string();
            assert!(error.contains("use `Cow<str>` or `String` in place of `&str`"), "{error}");
            assert!(error.len() < 500, "{error}");
        }
        let plain = r#"[{"name":"a"}]"#;
        assert!(Args::new(Some(plain), &["x"]).unwrap().next::<Named<'_>>().is_ok());
        let number = r#"[{"name":1}]"#;
        let error = Args::new(Some(number), &["x"]).unwrap().next::<Named<'_>>().unwrap_err();
        assert!(!error.to_string().contains("escapes"), "{error}");
    }

    #[test]
    fn a_long_input_is_not_sent_back_whole() {
        let params = format!("[\"{}\"]", "é".repeat(10_000));
        assert!(three(Some(&params)).unwrap_err().len() < 300);
        let params = format!("{{\"x\":1,\"{}\":2}}", "é".repeat(10_000));
        assert!(three(Some(&params)).unwrap_err().len() < 300);
    }
}

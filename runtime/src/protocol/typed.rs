//! Error types of the application: the trait [`RpcError`], which converts one to an error object
//! and back, and what its derive needs to write fields into `data` and to read them again.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::result::Result;
use std::vec;

use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

use super::error::ErrorObject;
use super::value::Missing;

/// An error type of the application with an error object of its own.
///
/// A method that returns `Result<T, E>` with such an `E` sends the object, and on the caller's
/// side the same type comes out of it again as [`Error::Call`](crate::Error::Call). An object that
/// is none of this type's arrives whole as [`Error::Other`](crate::Error::Other).
///
/// As a rule it is [derived](derive@crate::RpcError):
///
/// ```
/// use wsjsonrpc::RpcError;
///
/// #[derive(Debug, PartialEq, RpcError)]
/// enum BankError {
///     #[rpc_error(code = 1001, message = "{missing} are missing")]
///     Insufficient { missing: u64 },
///     #[rpc_error(code = 1002)]
///     NoSuchAccount(String),
/// }
///
/// let error = BankError::Insufficient { missing: 7 };
/// let object = error.to_object();
/// assert_eq!((object.code().0, object.message()), (1001, "7 are missing"));
/// assert_eq!(object.data().unwrap().get(), r#"{"missing":7}"#);
/// assert_eq!(BankError::from_object(object).unwrap(), error);
/// ```
///
/// Written by hand, it is the place for what no attribute can say: codes that are reserved by
/// JSON-RPC, several codes of one kind of error, data of another shape.
///
/// ```
/// use wsjsonrpc::{ErrorObject, RpcError};
///
/// /// Any of the upstream's codes from 2000 to 2999.
/// struct Upstream(i64);
///
/// impl RpcError for Upstream {
///     fn to_object(&self) -> ErrorObject {
///         ErrorObject::new(2000 + self.0, "upstream failed")
///     }
///
///     fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> {
///         match object.code().0 {
///             code @ 2000..=2999 => Ok(Upstream(code - 2000)),
///             _ => Err(object),
///         }
///     }
/// }
/// ```
///
/// # Through `?` into a plain `Result<T>`
///
/// A handler that returns [`Result<T>`](crate::Result) answers -32603 for whatever `?` brings,
/// unless the builder was told to
/// [`map_error::<E>()`](crate::server::ServerBuilder::map_error) the type, which must be a
/// [`std::error::Error`] for that. There is no `From<E> for ErrorObject` beside it: every
/// `std::error::Error` has one already, so a second one would be in its way. An `E` that is none
/// passes with `.map_err(|error| error.to_object())?`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be sent as a JSON-RPC error",
    note = "put `#[derive(wsjsonrpc::RpcError)]` on it, or return `wsjsonrpc::Result<T>`, which takes any error by `?`"
)]
pub trait RpcError: Sized + Send + 'static {
    /// What is sent to the caller.
    fn to_object(&self) -> ErrorObject;

    /// Reads one that was received.
    ///
    /// # Errors
    /// Gives the object back, as it came, if it is none of this type's.
    fn from_object(object: ErrorObject) -> Result<Self, ErrorObject>;
}

impl RpcError for ErrorObject {
    fn to_object(&self) -> ErrorObject {
        self.clone()
    }

    fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> {
        Ok(object)
    }
}

/// A message with values in it. An implementation of `Display` that fails cuts it short, where
/// `format!` would panic.
pub fn message(text: fmt::Arguments<'_>) -> Cow<'static, str> {
    if let Some(text) = text.as_str() {
        return text.into();
    }
    let mut message = String::new();
    let _ = message.write_fmt(text);
    message.into()
}

/// Fields on their way into `data`: an object if they have names, else a list.
#[derive(Debug)]
pub struct Fields {
    named: bool,
    values: Result<Vec<(&'static str, Box<RawValue>)>, serde_json::Error>,
}

impl Fields {
    /// None yet.
    pub fn new(named: bool) -> Self {
        Fields { named, values: Ok(Vec::new()) }
    }

    /// The next one; without `named`, its name is not sent.
    pub fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) {
        if let Ok(values) = &mut self.values {
            match to_raw_value(value) {
                Ok(value) => values.push((name, value)),
                Err(error) => self.values = Err(error),
            }
        }
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let values = self.values.as_ref().map_err(S::Error::custom)?;
        match self.named {
            true => serializer.collect_map(values.iter().map(|(name, value)| (name, value))),
            false => serializer.collect_seq(values.iter().map(|(_, value)| value)),
        }
    }
}

/// A field with thiserror's `#[from]` or `#[source]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a field of a derived `RpcError`: fields are sent to the caller",
    label = "`{Self}` does not implement serde's `Serialize` and `Deserialize`",
    note = "keep it on this side, as the source of an `ErrorObject`: `#[rpc_error(transparent, from)] Other(ErrorObject)`, and `impl From<{Self}>` that returns `Self::Other(error.into())`",
    note = "or send its text: `#[rpc_error(code = 1001)] Failed(String)`"
)]
pub trait SourceField: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> SourceField for T {}

/// The same field as it is sent.
#[derive(Debug)]
pub struct SentSource(Result<Box<RawValue>, serde_json::Error>);

/// Serializes such a field.
pub fn source_field<T: SourceField>(field: &T) -> SentSource {
    SentSource(to_raw_value(field))
}

impl Serialize for SentSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// [`value`] for such a field.
pub fn source_value<T: SourceField>(object: &ErrorObject) -> Option<T> {
    value(object)
}

/// The one field that is all of `data`. Absent data is null.
pub fn value<T: DeserializeOwned>(object: &ErrorObject) -> Option<T> {
    serde_json::from_str(object.data().map_or("null", RawValue::get)).ok()
}

/// The same, or its default if there is no data.
pub fn value_or_default<T: DeserializeOwned + Default>(object: &ErrorObject) -> Option<T> {
    object.data().map_or_else(|| Some(T::default()), decoded)
}

/// Fields that were received, in the order in which they are asked for. Whatever else is there is
/// skipped, and costs no more than reading it.
#[derive(Debug)]
pub struct Received<'a>(vec::IntoIter<Option<&'a RawValue>>);

impl<'a> Received<'a> {
    /// Those with these names; `None` if the data is no object. Absent data is an empty one.
    pub fn named(object: &'a ErrorObject, names: &'static [&'static str]) -> Option<Self> {
        let json = object.data().map_or("{}", RawValue::get);
        let values = serde_json::Deserializer::from_str(json).deserialize_map(Members(names));
        Some(Received(values.ok()?.into_iter()))
    }

    /// The first ones; `None` if the data is no list. Absent data is an empty one.
    pub fn listed(object: &'a ErrorObject, count: usize) -> Option<Self> {
        let json = object.data().map_or("[]", RawValue::get);
        let values = serde_json::Deserializer::from_str(json).deserialize_seq(Elements(count));
        Some(Received(values.ok()?.into_iter()))
    }

    /// The next one; an `Option` may have been left out.
    pub fn get<T: DeserializeOwned>(&mut self) -> Option<T> {
        match self.0.next().flatten() {
            Some(value) => decoded(value),
            None => T::deserialize(Missing).ok(),
        }
    }

    /// [`get`](Self::get) for a field with `#[from]` or `#[source]`.
    pub fn get_source<T: SourceField>(&mut self) -> Option<T> {
        self.get()
    }

    /// The next one, or its default if it was left out.
    pub fn get_or_default<T: DeserializeOwned + Default>(&mut self) -> Option<T> {
        self.0.next().flatten().map_or_else(|| Some(T::default()), decoded)
    }
}

fn decoded<T: DeserializeOwned>(value: &RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

/// Takes the members with these names out of an object. The last one of a repeated name counts.
struct Members(&'static [&'static str]);

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with an error's fields")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut values = vec![None; self.0.len()];
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let at = self.0.iter().position(|name| *name == key);
            match at.and_then(|at| values.get_mut(at)) {
                Some(value) => *value = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(values)
    }
}

/// Takes so many elements from the start of a list.
struct Elements(usize);

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<Option<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of an error's fields")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while values.len() < self.0 {
            let Some(value) = list.next_element()? else { return Ok(values) };
            values.push(Some(value));
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(values)
    }
}

/// For codes that are constants, of which the derive doesn't know the value: the same rules, in a
/// constant expression.
pub const fn check_code(code: i64, earlier: &[i64]) {
    assert!(
        code < -32768 || code > -32000,
        "the codes from -32768 to -32000 are reserved by JSON-RPC"
    );
    let mut rest = earlier;
    while let [first, others @ ..] = rest {
        assert!(*first != code, "two variants have the same code");
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(data: &str) -> ErrorObject {
        serde_json::from_str(&format!(r#"{{"code":1,"message":"m","data":{data}}}"#)).unwrap()
    }

    #[test]
    fn fields_are_written_as_an_object_or_a_list() {
        for (named, expected) in [(true, r#"{"a":1,"b":[null]}"#), (false, "[1,[null]]")] {
            let mut fields = Fields::new(named);
            fields.put("a", &1);
            fields.put("b", &[()]);
            assert_eq!(serde_json::to_string(&fields).unwrap(), expected);
        }
    }

    #[test]
    fn one_field_that_does_not_serialize_leaves_no_data_at_all() {
        let mut fields = Fields::new(true);
        fields.put("a", &1);
        fields.put("b", &std::collections::HashMap::from([([1], 2)]));
        fields.put("c", &3);
        let object = ErrorObject::new(1, "m").with_data(fields);
        assert!(object.data().is_none());
    }

    #[test]
    fn what_is_left_out_is_none_or_the_default_and_more_is_no_trouble() {
        let object = received(r#"{"\u0061":1,"more":{"x":[]},"null":null,"a":2}"#);
        let mut fields =
            Received::named(&object, &["a", "null", "absent", "not", "filled", "more"]).unwrap();
        assert_eq!(fields.get::<u8>(), Some(2));
        assert_eq!(fields.get::<Option<u8>>(), Some(None));
        assert_eq!(fields.get::<Option<u8>>(), Some(None));
        assert_eq!(fields.get::<u8>(), None);
        assert_eq!(fields.get_or_default::<u8>(), Some(0));
        assert_eq!(fields.get_or_default::<u8>(), None);

        let object = received(r#"[1,"x"]"#);
        let mut fields = Received::listed(&object, 5).unwrap();
        assert_eq!(fields.get::<u8>(), Some(1));
        assert_eq!(fields.get_or_default::<u8>(), None);
        assert_eq!(fields.get::<Option<u8>>(), Some(None));
        assert_eq!(fields.get::<u8>(), None);
        assert_eq!(fields.get_or_default::<u8>(), Some(0));
        assert_eq!(Received::listed(&object, 1).unwrap().get::<u8>(), Some(1));
    }

    #[test]
    fn absent_data_is_nothing_in_every_shape() {
        let object = ErrorObject::new(1, "m");
        assert_eq!(value::<Option<u8>>(&object), Some(None));
        assert_eq!(value::<u8>(&object), None);
        assert_eq!(value_or_default::<u8>(&object), Some(0));
        assert_eq!(Received::named(&object, &["a"]).unwrap().get::<Option<u8>>(), Some(None));
        assert_eq!(Received::listed(&object, 1).unwrap().get::<Option<u8>>(), Some(None));
    }

    #[test]
    fn data_of_another_shape_does_not_fit() {
        for data in ["1", "\"a\"", "[1]", "true"] {
            assert!(Received::named(&received(data), &["a"]).is_none(), "{data}");
        }
        for data in ["1", "\"a\"", r#"{"a":1}"#, "true"] {
            assert!(Received::listed(&received(data), 1).is_none(), "{data}");
        }
    }

    #[test]
    fn a_message_ends_where_its_values_fail() {
        struct Fails;
        impl fmt::Display for Fails {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("half")?;
                Err(fmt::Error)
            }
        }
        assert_eq!(message(format_args!("a {Fails} b")), "a half");
        assert!(matches!(message(format_args!("plain")), Cow::Borrowed("plain")));
    }

    #[test]
    fn constant_codes_have_the_rules_of_literal_ones() {
        for (code, earlier, fine) in [
            (-32769, &[1, 2][..], true),
            (-31999, &[], true),
            (-32768, &[], false),
            (-32000, &[], false),
            (2, &[1, 2, 3], false),
        ] {
            let checked = std::panic::catch_unwind(|| check_code(code, earlier));
            assert_eq!(checked.is_ok(), fine, "{code}");
        }
    }
}

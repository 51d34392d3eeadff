//! Error types of the application: the trait [`RpcError`], which converts an error to an error
//! object and back, and the functions with which its derive writes fields to `data` and reads them.

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

/// An error type of the application that handlers return and callers receive.
///
/// A method that returns `Result<T, E>` with such an `E` sends it as an error object. The caller
/// gets the same type back, in [`Error::Call`](crate::Error::Call). An error object that this type
/// does not recognize arrives unchanged in [`Error::Other`](crate::Error::Other).
///
/// Usually, the trait is [derived](derive@crate::RpcError):
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
/// Implement it by hand for what the derive cannot express: codes that JSON-RPC reserves, several
/// codes for one error, or `data` of another shape.
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
/// # `?` in a handler that returns `Result<T>`
///
/// In a handler that returns [`Result<T>`](crate::Result), `?` converts any [`std::error::Error`]
/// to -32603. To send the error object of such a type instead, register the type with
/// [`map_error::<E>()`](crate::server::ServerBuilder::map_error). If the type does not implement
/// `std::error::Error`, write `.map_err(|error| error.to_object())?`. There is no `From<E> for
/// ErrorObject` for types with this trait, because it would conflict with the conversion from
/// `std::error::Error`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be sent as a JSON-RPC error",
    note = "add `#[derive(wsjsonrpc::RpcError)]` to it, or return `wsjsonrpc::Result<T>`, to which `?` converts any error"
)]
pub trait RpcError: Sized + Send + 'static {
    /// Converts the error to the error object that is sent to the caller.
    fn to_object(&self) -> ErrorObject;

    /// Converts a received error object to this type. /// /// # Errors /// /// Returns the
    /// unchanged object if this type does not recognize it.
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

/// Formats a message. If an implementation of `Display` fails, the message ends there, where
/// `format!` would panic.
pub fn message(text: fmt::Arguments<'_>) -> Cow<'static, str> {
    if let Some(text) = text.as_str() {
        return text.into();
    }
    let mut message = String::new();
    let _ = message.write_fmt(text);
    message.into()
}

/// Fields to be serialized as `data`: as an object if they have names, else as a list.
#[derive(Debug)]
pub struct Fields {
    named: bool,
    values: Result<Vec<(&'static str, Box<RawValue>)>, serde_json::Error>,
}

impl Fields {
    /// Creates an empty value.
    pub fn new(named: bool) -> Self {
        Fields { named, values: Ok(Vec::new()) }
    }

    /// Adds the next field. Without `named`, its name is not sent.
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
    message = "`{Self}` cannot be a field of a derived `RpcError`: fields are sent to the caller",
    label = "`{Self}` does not implement serde's `Serialize` and `Deserialize`",
    note = "to keep it local, as the source of an `ErrorObject`: `#[rpc_error(transparent, from)] Other(ErrorObject)`, and an `impl From<{Self}>` that returns `Self::Other(error.into())`",
    note = "to send its text: `#[rpc_error(code = 1001)] Failed(String)`"
)]
pub trait SourceField: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> SourceField for T {}

/// A `SourceField` in serialized form.
#[derive(Debug)]
pub struct SentSource(Result<Box<RawValue>, serde_json::Error>);

/// Serializes a `SourceField`.
pub fn source_field<T: SourceField>(field: &T) -> SentSource {
    SentSource(to_raw_value(field))
}

impl Serialize for SentSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_ref().map_err(S::Error::custom)?.serialize(serializer)
    }
}

/// [`value`] for a `SourceField`.
pub fn source_value<T: SourceField>(object: &ErrorObject) -> Option<T> {
    value(object)
}

/// Decodes the only field, which is the whole of `data`. Absent data counts as null.
pub fn value<T: DeserializeOwned>(object: &ErrorObject) -> Option<T> {
    serde_json::from_str(object.data().map_or("null", RawValue::get)).ok()
}

/// Like [`value`], but the default if there is no data.
pub fn value_or_default<T: DeserializeOwned + Default>(object: &ErrorObject) -> Option<T> {
    object.data().map_or_else(|| Some(T::default()), decoded)
}

/// Received fields, in the order in which they are requested. Other members and elements are
/// skipped, and take no memory.
#[derive(Debug)]
pub struct Received<'a>(vec::IntoIter<Option<&'a RawValue>>);

impl<'a> Received<'a> {
    /// Takes the members with these names. `None` if the data is not an object. Absent data counts
    /// as an empty object.
    pub fn named(object: &'a ErrorObject, names: &'static [&'static str]) -> Option<Self> {
        let json = object.data().map_or("{}", RawValue::get);
        let values = serde_json::Deserializer::from_str(json).deserialize_map(Members(names));
        Some(Received(values.ok()?.into_iter()))
    }

    /// Takes the first `count` elements. `None` if the data is not a list. Absent data counts as an
    /// empty list.
    pub fn listed(object: &'a ErrorObject, count: usize) -> Option<Self> {
        let json = object.data().map_or("[]", RawValue::get);
        let values = serde_json::Deserializer::from_str(json).deserialize_seq(Elements(count));
        Some(Received(values.ok()?.into_iter()))
    }

    /// Decodes the next field. An `Option` may be missing.
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

    /// Decodes the next field. If it is missing, returns its default.
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

/// Takes this number of elements from the start of a list.
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

/// Checks the codes of variants whose codes are constants. The derive does not know the values of
/// constants, so it checks them in a constant expression.
pub const fn check_code(code: i64, earlier: &[i64]) {
    assert!(code < -32768 || code > -32000, "codes from -32768 to -32000 are reserved by JSON-RPC");
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

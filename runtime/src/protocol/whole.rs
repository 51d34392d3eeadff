//! Decodes all params into one value, for `params = "whole"` and for closures. A list is decoded
//! into a `Vec` or a tuple, and an object into a struct or a map.

use std::cell::Cell;
use std::fmt;

use serde::de::value::Error as MissingError;
use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IgnoredAny,
    MapAccess, SeqAccess, Visitor,
};

use super::error::ErrorObject;
use super::params::{Args, Detail, invalid};
use super::value::Missing;

/// The form of `params` for a closure with this type of argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Whole,
    /// The type is always a number, a string or a boolean, so it cannot be a list or an object. Its
    /// value is the only element of a list.
    ListOfOne,
    /// An enum: a string or an object. Its value is the only element of a list, or the object
    /// itself.
    Either,
}

/// Decodes the whole of `params` into the argument of a closure.
pub(crate) fn of_closure<'a, T: Deserialize<'a>>(
    params: Option<&'a str>,
    form: Form,
) -> Result<T, ErrorObject> {
    let is_object = params.is_some_and(|json| json.starts_with('{'));
    if form == Form::Whole || form == Form::Either && is_object {
        return whole(params);
    }
    let mut args = Args::list(params, &["value"])?;
    let value = args.next()?;
    args.finish()?;
    Ok(value)
}

/// Decodes the whole of `params` into one value: a list into a `Vec` or a tuple, an object into a
/// struct or a map. An `Option` at the end of a tuple may be missing.
///
/// Absent params, an empty list and an empty object have the same meaning, and so has null for a
/// type without values. So `Vec`, `()`, `Option` and a struct of optional members accept all of
/// them.
pub(crate) fn whole<'a, T: Deserialize<'a>>(params: Option<&'a str>) -> Result<T, ErrorObject> {
    let empty = |json: &str| matches!(json.get(1..).map(str::trim_ascii_start), Some("]" | "}"));
    let error = match params {
        Some(json) => match from_whole(json) {
            Ok(value) => return Ok(value),
            Err(error) if !empty(json) => return Err(invalid(format_args!("{}", Detail(&error)))),
            Err(error) => Some(error),
        },
        None => None,
    };
    let mut why = error.as_ref().map(|error| Detail(error).to_string());
    for other in ["null", "[]", "{}"] {
        match from_whole(other) {
            Ok(value) => return Ok(value),
            // The null was not in the message.
            Err(_) if other == "null" => {}
            Err(error) if error.is_data() && why.is_none() => {
                why = Some(Detail(&error).to_string())
            }
            Err(_) => {}
        }
    }
    Err(invalid(format_args!("no parameters given: {}", why.unwrap_or_default())))
}

fn from_whole<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = T::deserialize(Whole(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Deserializes `params` as a whole: a tuple may be longer than the list if the missing elements
/// are `Option`s. Elements of the list are decoded as usual.
struct Whole<D>(pub(super) D);

macro_rules! forward {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Whole<D> {
    type Error = D::Error;

    forward! {
        deserialize_any();
        deserialize_bool();
        deserialize_i8();
        deserialize_i16();
        deserialize_i32();
        deserialize_i64();
        deserialize_i128();
        deserialize_u8();
        deserialize_u16();
        deserialize_u32();
        deserialize_u64();
        deserialize_u128();
        deserialize_f32();
        deserialize_f64();
        deserialize_char();
        deserialize_str();
        deserialize_string();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Exactly(len, visitor))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_option(Inner(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Inner(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// Also deserializes the value inside an `Option` or a newtype as a whole.
struct Inner<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Inner<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Whole(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Whole(inner))
    }

    /// For a `RawValue`.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(map)
    }
}

/// The visitor of a tuple with this number of elements.
struct Exactly<V>(usize, V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Exactly<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.expecting(f)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<V::Value, A::Error> {
        let Exactly(len, visitor) = self;
        let value = visitor.visit_seq(Padded(&mut list))?;
        let mut given = len;
        while list.next_element::<IgnoredAny>()?.is_some() {
            given += 1;
        }
        if given > len {
            return Err(A::Error::custom(format_args!(
                "{given} parameters given, expected at most {len}"
            )));
        }
        Ok(value)
    }
}

/// A list that continues with missing values.
struct Padded<A>(A);

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Padded<A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, A::Error> {
        // If the list ends here, the seed is needed for `Missing`.
        let mut seed = Some(seed);
        match self.0.next_element_seed(Taking(&mut seed))? {
            Some(value) => Ok(Some(value)),
            None => Ok(seed.and_then(|seed| seed.deserialize(Missing).ok())),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

/// A seed that stays in place if there is nothing to deserialize.
struct Taking<'a, T>(&'a mut Option<T>);

impl<'de, T: DeserializeSeed<'de>> DeserializeSeed<'de> for Taking<'_, T> {
    type Value = T::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T::Value, D::Error> {
        match self.0.take() {
            Some(seed) => seed.deserialize(deserializer),
            None => Err(D::Error::custom("deserialized twice")),
        }
    }
}

/// Determines from which form of `params` a type deserializes. A type that accepts anything gets
/// all of `params`.
pub(crate) fn form_of<T: DeserializeOwned>() -> Form {
    let asked = Cell::new(Form::Whole);
    let _ = T::deserialize(Probe(&asked));
    asked.get()
}

/// A deserializer that records what a type requests, and never returns a value.
struct Probe<'a>(&'a Cell<Form>);

macro_rules! scalars {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, MissingError> {
            self.0.set(Form::ListOfOne);
            Err(MissingError::custom("a probe has no value"))
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = MissingError;

    scalars! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_u128 deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_string
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, MissingError> {
        Err(MissingError::custom("a probe has no value"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, MissingError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, MissingError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, MissingError> {
        self.0.set(Form::Either);
        Err(MissingError::custom("a probe has no value"))
    }

    serde::forward_to_deserialize_any! {
        bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::value::RawValue;

    use super::super::params::Args;
    use super::*;

    #[derive(serde::Deserialize)]
    struct Id(#[allow(dead_code, reason = "only its type counts")] Option<u64>);

    #[derive(serde::Deserialize)]
    #[allow(dead_code, reason = "only its type counts")]
    enum Color {
        Red,
        Mixed(u8, u8),
    }

    fn is_scalar<T: DeserializeOwned>() -> bool {
        form_of::<T>() == Form::ListOfOne
    }

    #[test]
    fn a_scalar_is_known_by_what_it_asks_for() {
        assert!(is_scalar::<i64>() && is_scalar::<bool>() && is_scalar::<f32>());
        assert!(is_scalar::<String>() && is_scalar::<char>() && is_scalar::<u128>());
        assert!(is_scalar::<Option<i64>>() && is_scalar::<Id>() && is_scalar::<IpAddr>());
        assert!(!is_scalar::<()>() && !is_scalar::<Vec<i64>>() && !is_scalar::<(i64,)>());
        assert!(!is_scalar::<serde_json::Value>() && !is_scalar::<Box<RawValue>>());
        assert!(!is_scalar::<std::collections::BTreeMap<String, i64>>());
        assert!(!is_scalar::<std::time::Duration>() && !is_scalar::<Option<Vec<i64>>>());
        assert_eq!((form_of::<Color>(), form_of::<Option<Color>>()), (Form::Either, Form::Either));
    }

    #[test]
    fn raw_params_are_kept_as_they_are() {
        let raw: Box<RawValue> = whole(Some("[1, 2]")).unwrap();
        assert_eq!(raw.get(), "[1, 2]");
        let raw: Option<Box<RawValue>> = whole(Some("{ }")).unwrap();
        assert_eq!(raw.unwrap().get(), "{ }");
    }

    #[test]
    fn an_option_at_the_end_of_a_tuple_may_be_left_out() {
        type Tail = (i64, Option<i64>, Option<bool>);
        for (params, expected) in [
            ("[1]", (1, None, None)),
            ("[1,2]", (1, Some(2), None)),
            ("[1,null,true]", (1, None, Some(true))),
        ] {
            assert_eq!(whole::<Tail>(Some(params)), Ok(expected), "{params}");
        }
        assert_eq!(whole::<Option<Tail>>(Some("[1]")), Ok(Some((1, None, None))));
        assert_eq!(whole::<(Option<i64>,)>(None), Ok((None,)));
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Newtype(Tail);
        assert_eq!(whole(Some("[1]")), Ok(Newtype((1, None, None))));
        for params in ["[]", "[null]", "[1,2,true,4]", "[1,true]", "[1,2,true"] {
            assert!(whole::<Tail>(Some(params)).is_err(), "{params}");
        }
        // Only at the end, and only of the params themselves.
        assert!(whole::<(Option<i64>, i64)>(Some("[1]")).is_err());
        assert!(whole::<(Tail,)>(Some("[[1]]")).is_err());
        // For a struct, serde's attributes decide what may be left out.
        #[derive(Debug, PartialEq, serde::Deserialize)]
        struct Other(i64, #[serde(default = "seven")] Option<i64>);
        fn seven() -> Option<i64> {
            Some(7)
        }
        assert_eq!(whole(Some("[1]")), Ok(Other(1, Some(7))));
    }

    #[test]
    fn a_list_of_one_is_for_a_value_that_is_no_list() {
        let one =
            |params| of_closure::<i64>(params, Form::ListOfOne).map_err(|error| error.to_string());
        assert_eq!(one(Some(" [ 5 ] ".trim())), Ok(5));
        for (params, why) in [
            (None, "missing parameter `value` (position 1)"),
            (Some("{}"), "missing parameter `value`"),
            (Some("[1,2]"), "2 parameters given, expected at most 1 (`value`)"),
            (Some("[\"5\"]"), "`value`: invalid type: string \"5\", expected i64"),
            (Some("{\"value\":5}"), "expected a list, found an object"),
        ] {
            assert_eq!(one(params), Err(format!("Invalid params: {why} (-32602)")), "{params:?}");
        }
        assert_eq!(of_closure::<Option<u8>>(None, Form::ListOfOne), Ok(None));
        assert_eq!(of_closure::<Vec<Vec<u8>>>(Some("[[1,2]]"), Form::Whole), Ok(vec![vec![1, 2]]));
    }

    #[test]
    fn empty_params_are_absent_params() {
        for params in [None, Some("[]"), Some("{}"), Some("[ ]"), Some("{\n}")] {
            assert_eq!(whole::<Vec<i32>>(params), Ok(vec![]), "{params:?}");
            assert_eq!(whole::<()>(params), Ok(()), "{params:?}");
            assert!(Args::new(params, &[]).unwrap().finish().is_ok(), "{params:?}");
            let error = whole::<(i32,)>(params).unwrap_err();
            assert!(
                error.message().starts_with("Invalid params: no parameters given: "),
                "{error}"
            );
            assert!(!error.message().contains("null"), "{error}");
        }
        assert_eq!(whole::<Vec<i32>>(Some("[1,2]")), Ok(vec![1, 2]));
        assert_eq!(whole::<Option<Vec<i32>>>(None), Ok(None));
    }
}

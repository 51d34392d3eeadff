//! The deserializer of an argument: [`Value`] reads it from its position in the list of arguments,
//! [`Missing`] stands for one that was left out.
//!
//! Numbers, plain strings and booleans are read here. Everything else is left to serde_json, from
//! the same position: so the accepted values and the errors are serde_json's.

use serde::de::value::Error as MissingError;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, Visitor};
use serde_json::Error;
use serde_json::de::StrRead;

use super::scan::{Cursor, Quoted};

/// The value at a cursor, which moves to its end. The text is known to be valid JSON.
pub(super) struct Value<'c, 'a>(pub(super) &'c mut Cursor<'a>);

/// Decodes one whole value, known to be valid JSON: with the same results as serde_json, and faster
/// for a number, a string or a boolean.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Error> {
    if let Some(b'0'..=b'9' | b'-' | b'"' | b't' | b'f') = json.as_bytes().first() {
        let mut cursor = Cursor::new(json);
        let value = T::deserialize(Value(&mut cursor));
        // For an `i128`, serde_json reads 0.5 as 0 and leaves the rest.
        if let (Ok(value), true) = (value, cursor.is_at_end()) {
            return Ok(value);
        }
    }
    // The errors are serde_json's, too.
    serde_json::from_str(json)
}

type Json<'a> = serde_json::Deserializer<StrRead<'a>>;

// The trait's methods are compiled for each type of argument; these are not.
impl<'a> Value<'_, 'a> {
    #[inline(never)]
    fn json(&self) -> Json<'a> {
        serde_json::Deserializer::from_str(self.0.rest())
    }

    /// Moves to where serde_json has stopped.
    #[inline(never)]
    fn catch_up(self, json: Json<'a>) {
        self.0.advance(json.into_iter::<IgnoredAny>().byte_offset());
    }

    /// A negative integer that fits. `-0` is none: serde_json reads it as a float.
    #[inline(never)]
    fn negative(&mut self) -> Option<i64> {
        let mut after = *self.0;
        after.take(b'-')?;
        let number = after.integer().and_then(|number| i64::try_from(number).ok())?;
        if number == 0 {
            return None;
        }
        *self.0 = after;
        Some(-number)
    }

    #[inline]
    fn plain_string(&mut self) -> Option<&'a str> {
        let mut after = *self.0;
        let Quoted::Plain(text) = after.string()? else { return None };
        *self.0 = after;
        Some(text)
    }
}

/// Methods that first try a fast path, and those that leave everything to serde_json.
macro_rules! methods {
    ($($method:ident($($argument:ident: $type:ty),*) $(first $first:ident)?;)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(
            #[allow(unused_mut, reason = "some try nothing first")] mut self,
            $($argument: $type,)*
            visitor: V,
        ) -> Result<V::Value, Error> {
            $($first!(self, visitor);)?
            let mut json = self.json();
            let value = json.$method($($argument,)* visitor)?;
            self.catch_up(json);
            Ok(value)
        }
    )*};
}

macro_rules! number {
    ($value:ident, $visitor:ident) => {
        if let Some(number) = $value.0.integer() {
            return $visitor.visit_u64(number);
        }
        if let Some(number) = $value.negative() {
            return $visitor.visit_i64(number);
        }
    };
}

macro_rules! string {
    ($value:ident, $visitor:ident) => {
        if let Some(text) = $value.plain_string() {
            return $visitor.visit_borrowed_str(text);
        }
    };
}

macro_rules! boolean {
    ($value:ident, $visitor:ident) => {
        if $value.0.take_word("true") {
            return $visitor.visit_bool(true);
        }
        if $value.0.take_word("false") {
            return $visitor.visit_bool(false);
        }
    };
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    methods! {
        deserialize_i8() first number;
        deserialize_i16() first number;
        deserialize_i32() first number;
        deserialize_i64() first number;
        deserialize_u8() first number;
        deserialize_u16() first number;
        deserialize_u32() first number;
        deserialize_u64() first number;
        deserialize_f32() first number;
        deserialize_f64() first number;
        deserialize_str() first string;
        deserialize_string() first string;
        deserialize_bool() first boolean;
        deserialize_any();
        deserialize_i128();
        deserialize_u128();
        deserialize_char();
        deserialize_bytes();
        deserialize_byte_buf();
        deserialize_unit();
        deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct(name: &'static str);
        deserialize_seq();
        deserialize_tuple(len: usize);
        deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_map();
        deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum(name: &'static str, variants: &'static [&'static str]);
        deserialize_identifier();
        deserialize_ignored_any();
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.take_word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }
}

/// The deserializer of an argument that was left out: only an `Option` accepts it.
pub(super) struct Missing;

impl<'de> Deserializer<'de> for Missing {
    type Error = MissingError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, MissingError> {
        Err(MissingError::custom("missing"))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, MissingError> {
        visitor.visit_none()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, MissingError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

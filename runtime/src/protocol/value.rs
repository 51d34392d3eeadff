//! The deserializers of an argument: [`Value`] reads it from its position in the list of arguments,
//! and [`Missing`] stands for a missing one.
//!
//! Numbers, plain strings and booleans are read here. serde_json reads everything else from the
//! same position, so the accepted values and the errors are those of serde_json.

use serde::de::value::Error as MissingError;
use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, Visitor};
use serde_json::Error;
use serde_json::de::StrRead;

use super::scan::{Cursor, Quoted};

/// The value at a cursor, which is known to be valid JSON. Reading it moves the cursor to its end.
pub(super) struct Value<'c, 'a>(pub(super) &'c mut Cursor<'a>);

/// Decodes one whole value, which is known to be valid JSON. The results are those of serde_json,
/// but a number, a string or a boolean is decoded faster.
pub(crate) fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, Error> {
    if let Some(b'0'..=b'9' | b'-' | b'"' | b't' | b'f') = json.as_bytes().first() {
        let mut cursor = Cursor::new(json);
        let value = T::deserialize(Value(&mut cursor));
        // For an `i128`, serde_json reads 0.5 as 0 and does not read the rest.
        if let (Ok(value), true) = (value, cursor.is_at_end()) {
            return Ok(value);
        }
    }
    // The errors are serde_json's, too.
    serde_json::from_str(json)
}

type Json<'a> = serde_json::Deserializer<StrRead<'a>>;

// These methods are not compiled for each type of argument, as the trait's methods are.
impl<'a> Value<'_, 'a> {
    #[inline(never)]
    fn json(&self) -> Json<'a> {
        serde_json::Deserializer::from_str(self.0.rest())
    }

    /// Moves to the position at which serde_json has stopped.
    #[inline(never)]
    fn catch_up(self, json: Json<'a>) {
        self.0.advance(json.into_iter::<IgnoredAny>().byte_offset());
    }

    /// A negative integer that fits. `-0` is not one, because serde_json reads it as a float.
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

/// Methods that may first try a fast path, and otherwise call serde_json.
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

/// The deserializer of a missing argument. Only an `Option` accepts it.
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

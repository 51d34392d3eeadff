//! One argument, where it stands in the list of them: what it is decoded from.
//!
//! Numbers, plain strings and booleans are read right here. Everything else is left to serde_json,
//! from the same place on: so what is accepted, and what is said of the rest, is what serde_json
//! accepts and says. Must not know whose argument it is.

use serde::de::{Deserializer, IgnoredAny, Visitor};
use serde_json::Error;
use serde_json::de::StrRead;

use super::scan::{Cursor, Quoted};

/// The value behind a cursor, which stands at its first byte and moves behind it. The text was
/// found to be valid JSON before.
pub(super) struct Value<'c, 'a>(pub(super) &'c mut Cursor<'a>);

type Json<'a> = serde_json::Deserializer<StrRead<'a>>;

impl<'a> Value<'_, 'a> {
    #[inline(never)]
    fn json(&self) -> Json<'a> {
        serde_json::Deserializer::from_str(self.0.rest())
    }

    /// Goes to where serde_json has stopped.
    #[inline(never)]
    fn catch_up(self, json: Json<'a>) {
        self.0.advance(json.into_iter::<IgnoredAny>().byte_offset());
    }
}

/// An integer below zero, if it is one that fits.
fn negative(cursor: &mut Cursor<'_>) -> Option<i64> {
    let mut after = *cursor;
    after.take(b'-')?;
    // `-0` is a float for serde_json.
    let number = after.integer().and_then(|number| i64::try_from(number).ok())?;
    if number == 0 {
        return None;
    }
    *cursor = after;
    Some(-number)
}

macro_rules! by_serde_json {
    ($($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Error> {
            let mut json = self.json();
            let value = json.$method($($argument,)* visitor)?;
            self.catch_up(json);
            Ok(value)
        }
    )*};
}

macro_rules! number {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            if let Some(number) = self.0.integer() {
                return visitor.visit_u64(number);
            }
            if let Some(number) = negative(self.0) {
                return visitor.visit_i64(number);
            }
            let mut json = self.json();
            let value = json.$method(visitor)?;
            self.catch_up(json);
            Ok(value)
        }
    )*};
}

macro_rules! string {
    ($($method:ident)*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let mut after = *self.0;
            if let Some(Quoted::Plain(text)) = after.string() {
                *self.0 = after;
                return visitor.visit_borrowed_str(text);
            }
            let mut json = self.json();
            let value = json.$method(visitor)?;
            self.catch_up(json);
            Ok(value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'_, 'de> {
    type Error = Error;

    number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64
    }

    string! { deserialize_str deserialize_string }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        for (word, value) in [("true", true), ("false", false)] {
            if self.0.take_word(word) {
                return visitor.visit_bool(value);
            }
        }
        let mut json = self.json();
        let value = json.deserialize_bool(visitor)?;
        self.catch_up(json);
        Ok(value)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.take_word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    by_serde_json! {
        deserialize_any()
        deserialize_i128()
        deserialize_u128()
        deserialize_char()
        deserialize_bytes()
        deserialize_byte_buf()
        deserialize_unit()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_seq()
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_map()
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
        deserialize_identifier()
        deserialize_ignored_any()
    }
}

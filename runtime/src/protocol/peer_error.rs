//! Decodes the error of a peer's response, even if it is not a valid error object.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::error::{ErrorCode, ErrorObject};
use super::escape::clip;
use super::scan::{Cursor, Quoted};
use super::text;

/// Decodes the error of a peer's response. A value that is not an error object becomes the `data`
/// of an error with code -32603.
pub(crate) fn of_peer(json: &str) -> ErrorObject {
    serde_json::from_str(json).unwrap_or_else(|_| irregular(json))
}

#[cold]
#[inline(never)]
fn irregular(json: &str) -> ErrorObject {
    const MAX_WORDS: usize = 200;
    let words = match message_in(json).unwrap_or(json) {
        text if text.starts_with('"') => text::content(text).map(Cow::into_owned),
        _ => None,
    };
    let words = words.unwrap_or_else(|| {
        let (start, more) = clip(json, MAX_WORDS);
        format!("{start}{more}")
    });
    let object = ErrorObject::new(ErrorCode::INTERNAL_ERROR, words);
    match serde_json::from_str::<&RawValue>(json) {
        Ok(json) => object.with_data(json),
        Err(_) => object,
    }
}

/// The member `message` of an object, as JSON.
fn message_in(json: &str) -> Option<&str> {
    let mut at = Cursor::new(json);
    at.take(b'{')?;
    loop {
        let key = at.string()?;
        at.take(b':')?;
        let value = at.value()?;
        if matches!(key, Quoted::Plain("message")) {
            return Some(value);
        }
        at.take(b',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_peer_says_is_kept() {
        for (json, message) in [
            (r#""out of \u0041pples""#, "out of Apples"),
            (r#"{"message":"m"}"#, "m"),
            (r#"{ "code" : "5" , "message" : "m" }"#, "m"),
            (r#"{"code":1,"message":null}"#, r#"{"code":1,"message":null}"#),
            (r#"{"code":1,"message":"\ud800"}"#, r#"{"code":1,"message":"\ud800"}"#),
            ("{}", "{}"),
            ("[1]", "[1]"),
        ] {
            let object = of_peer(json);
            assert_eq!((object.code().0, object.message()), (-32603, message), "{json}");
            assert_eq!(object.data().unwrap().get(), json);
        }
        let regular = of_peer(r#"{"code":1,"message":"m","data":[2]}"#);
        assert_eq!(regular, ErrorObject::new(1, "m").with_data([2]));
    }
}

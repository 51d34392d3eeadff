//! JSON strings.
//!
//! Must not know messages.

use std::borrow::Cow;

/// Appends a JSON string. Cannot fail: a `str` always serializes, and a `Vec` takes every write.
pub(crate) fn write(out: &mut Vec<u8>, text: &str) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok());
}

/// A JSON string's content, borrowed where it has no escapes. `None`: it is no string, or one that
/// no decoder can read (a lone surrogate).
pub(crate) fn content(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

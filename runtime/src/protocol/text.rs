//! JSON strings: writes and reads them.

use std::borrow::Cow;

use super::scan;

/// Appends a JSON string. Can't fail: a `str` always serializes, and a `Vec` accepts every write.
pub(crate) fn write(out: &mut Vec<u8>, text: &str) {
    if is_plain(text.as_bytes()) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        return out.push(b'"');
    }
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok());
}

/// Whether the text needs no escapes.
fn is_plain(mut text: &[u8]) -> bool {
    while let Some(word) = scan::first_word(text) {
        if scan::plain_bytes(word) < 8 {
            return false;
        }
        text = text.get(8..).unwrap_or_default();
    }
    text.iter().all(|byte| *byte >= 0x20 && !matches!(byte, b'"' | b'\\'))
}

/// Whether a valid JSON value is a string or a number, as ids and tokens are.
pub(crate) fn is_string_or_number(json: &str) -> bool {
    json.starts_with(|first: char| matches!(first, '"' | '-' | '0'..='9'))
}

/// The content of a JSON string, borrowed if it has no escapes. `None` if it is not a string, or if
/// it cannot be decoded (a lone surrogate).
pub(crate) fn content(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if inner.contains('\\') {
        return serde_json::from_str(json).ok().map(Cow::Owned);
    }
    Some(Cow::Borrowed(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_does() {
        for filler in
            ["", "a", "seven77", "eight888", "nine99999", "sixteen890123456", "é", "\u{1f600}"]
        {
            for special in ["", "\"", "\\", "\n", "\u{1}", "\u{1f}", " ", "\u{7f}", "/"] {
                let text = format!("{filler}{special}{filler}");
                let mut out = b"x".to_vec();
                write(&mut out, &text);
                assert_eq!(out, format!("x{}", serde_json::to_string(&text).unwrap()).as_bytes());
            }
        }
    }
}

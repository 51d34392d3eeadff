//! Escapes text from the peer for a log line or an error message.

use std::fmt::{self, Write};

/// Displays a text and escapes everything that could end or rewrite a line: control characters,
/// line separators and marks that change the writing direction, as `\n` or `\u{1b}`. So a peer
/// cannot add lines to a log or colours to a terminal.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(disturbs) {
            let (plain, tail) = rest.split_at(at);
            f.write_str(plain)?;
            let mut characters = tail.chars();
            for escaped in characters.next().into_iter().flat_map(char::escape_default) {
                f.write_char(escaped)?;
            }
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

/// The start of a text, at most `max` bytes, and an ellipsis if the text was cut.
pub(crate) fn clip(text: &str, max: usize) -> (&str, &'static str) {
    let ends = text.char_indices().map(|(at, character)| at + character.len_utf8());
    let end = ends.take_while(|end| *end <= max).last().unwrap_or(0);
    let start = text.get(..end).unwrap_or_default();
    (start, if start.len() < text.len() { "…" } else { "" })
}

fn disturbs(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_characters() {
        for (text, max, expected) in [
            ("", 0, ("", "")),
            ("ab", 2, ("ab", "")),
            ("abc", 2, ("ab", "…")),
            ("aé", 2, ("a", "…")),
            ("é", 9, ("é", "")),
        ] {
            assert_eq!(clip(text, max), expected);
        }
    }

    #[test]
    fn what_disturbs_a_line_is_escaped_and_nothing_else() {
        for (text, expected) in [
            ("", ""),
            ("it's \"fine\" \\ é \u{1f600} e\u{301}", "it's \"fine\" \\ é \u{1f600} e\u{301}"),
            ("a\nb\r\n", "a\\nb\\r\\n"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\0\t\u{7f}\u{9b}", "\\u{0}\\t\\u{7f}\\u{9b}"),
            ("\u{2028}x\u{202e}", "\\u{2028}x\\u{202e}"),
            ("\u{2066}\u{200f}\u{61c}", "\\u{2066}\\u{200f}\\u{61c}"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
        }
    }
}

//! Walks over JSON without building anything: where does a value end, and is it one?
//!
//! Accepts what serde_json accepts (tests compare the two). Must not know messages. It uses no
//! stack of its own for nested values, so depth costs a bit for each level and nothing else.

/// A place in a JSON text.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

/// Which containers the cursor is in: a bit for each, set for an object.
#[derive(Default)]
struct Nesting {
    bits: u64,
    depth: usize,
    /// Levels below the last 64.
    outer: Vec<u64>,
}

impl Nesting {
    fn push(&mut self, object: bool) {
        if self.depth > 0 && self.depth % 64 == 0 {
            self.outer.push(self.bits);
        }
        self.bits = self.bits << 1 | u64::from(object);
        self.depth += 1;
    }

    fn pop(&mut self) {
        self.depth -= 1;
        self.bits >>= 1;
        if self.depth > 0 && self.depth % 64 == 0 {
            self.bits = self.outer.pop().unwrap_or_default();
        }
    }
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Cursor { text, at: 0 }
    }

    /// The next byte that is no white space; it is not taken.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    /// Takes this byte, if it is the next one behind white space.
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        if self.peek()? != byte {
            return None;
        }
        self.at += 1;
        Some(())
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Walks over a whole value and gives its text. `None`: it is not JSON.
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let byte = self.peek()?;
        let start = self.at;
        match byte {
            b'"' => self.skip_string()?,
            b'0'..=b'9' => self.skip_number()?,
            _ => self.skip_value()?,
        }
        self.text.get(start..self.at)
    }

    /// Walks over a string and gives its text, with the quotes.
    pub(crate) fn string(&mut self) -> Option<&'a str> {
        self.peek()?;
        let start = self.at;
        self.skip_string()?;
        self.text.get(start..self.at)
    }

    fn skip_value(&mut self) -> Option<()> {
        let mut nesting = Nesting::default();
        loop {
            let entered = match self.peek()? {
                b'"' => self.skip_string().map(|()| false)?,
                b'-' | b'0'..=b'9' => self.skip_number().map(|()| false)?,
                b'[' => self.enter(&mut nesting, false, b']')?,
                b'{' => self.enter(&mut nesting, true, b'}')?,
                b't' => self.skip_word("true").map(|()| false)?,
                b'f' => self.skip_word("false").map(|()| false)?,
                b'n' => self.skip_word("null").map(|()| false)?,
                _ => return None,
            };
            if !entered && self.leave(&mut nesting)? {
                return Some(());
            }
        }
    }

    /// At the opening bracket. `true` if there is something inside, which is next; an object's
    /// first key is taken.
    fn enter(&mut self, nesting: &mut Nesting, object: bool, close: u8) -> Option<bool> {
        self.at += 1;
        if self.peek()? == close {
            self.at += 1;
            return Some(false);
        }
        nesting.push(object);
        if object {
            self.skip_key()?;
        }
        Some(true)
    }

    /// Behind a value: closes what ends here, up to a comma. `true` if that was the last bracket.
    fn leave(&mut self, nesting: &mut Nesting) -> Option<bool> {
        while nesting.depth > 0 {
            let object = nesting.bits & 1 == 1;
            let byte = self.peek()?;
            self.at += 1;
            match (byte, object) {
                (b',', false) => return Some(false),
                (b',', true) => return self.skip_key().map(|()| false),
                (b']', false) | (b'}', true) => nesting.pop(),
                _ => return None,
            }
        }
        Some(true)
    }

    fn skip_key(&mut self) -> Option<()> {
        self.peek()?;
        self.skip_string()?;
        self.take(b':')
    }

    fn skip_word(&mut self, word: &str) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        if !rest.starts_with(word.as_bytes()) {
            return None;
        }
        self.at += word.len();
        Some(())
    }

    fn skip_string(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        if bytes.get(self.at) != Some(&b'"') {
            return None;
        }
        let mut at = self.at + 1;
        loop {
            if let Some(Ok(eight)) = bytes.get(at..at + 8).map(<[u8; 8]>::try_from) {
                let special = special(u64::from_le_bytes(eight));
                if special == 0 {
                    at += 8;
                    continue;
                }
                at += special.trailing_zeros() as usize / 8;
            }
            match *bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(());
                }
                b'\\' => {
                    self.at = at + 1;
                    self.skip_escape()?;
                    at = self.at;
                }
                0x20.. => at += 1,
                // Control characters must be escaped.
                _ => return None,
            }
        }
    }

    fn skip_escape(&mut self) -> Option<()> {
        let bytes = self.text.as_bytes();
        let length = match bytes.get(self.at)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 1,
            b'u' if bytes.get(self.at + 1..self.at + 5)?.iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return None,
        };
        self.at += length;
        Some(())
    }

    fn skip_number(&mut self) -> Option<()> {
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte()? {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.skip_digits()?,
            _ => return None,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.skip_digits()?;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.byte() {
                self.at += 1;
            }
            self.skip_digits()?;
        }
        Some(())
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// At least one.
    fn skip_digits(&mut self) -> Option<()> {
        let rest = self.text.as_bytes().get(self.at..)?;
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits > 0 { Some(()) } else { None }
    }
}

/// Marks the bytes of a word that are no plain part of a string: quotes, backslashes, control
/// characters. The lowest mark is right; above it there may be wrong ones.
fn special(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is below `n`. A borrow can reach only bytes above a marked one.
    let below = |word: u64, n: u64| word.wrapping_sub(ONES * n) & !word & HIGH;
    let quote = below(word ^ (ONES * u64::from(b'"')), 1);
    let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
    below(word, 0x20) | quote | escape
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    /// What serde_json says of the same text.
    fn check(text: &str) {
        let ours = {
            let mut cursor = Cursor::new(text);
            cursor.value().filter(|_| cursor.is_at_end())
        };
        let theirs = serde_json::from_str::<IgnoredAny>(text).is_ok();
        assert_eq!(ours.is_some(), theirs, "{text:?}");
        if let Some(value) = ours {
            assert_eq!(value, text.trim_matches([' ', '\t', '\n', '\r']));
        }
    }

    #[test]
    fn the_same_is_json_as_for_serde_json() {
        let words = [
            "",
            " ",
            "null",
            "nul",
            "nullx",
            "true",
            "false",
            "tru",
            "0",
            "-0",
            "-",
            "01",
            "1.",
            "1.5",
            "-1.5e+10",
            "1e",
            "1e5",
            "1E-5",
            ".5",
            "+1",
            "\"\"",
            "\"a",
            "\"\\\"",
            "\"\\\\\"",
            "\"\\u00e9\"",
            "\"\\u00g9\"",
            "\"\\ud800\"",
            "\"\\x\"",
            "\"\n\"",
            "\"\u{7f}é\u{1f600}\"",
            "\"eight678\"",
            "\"eight678\\n\"",
            "\"12345678123456\u{1}\"",
            "[]",
            "[ ]",
            "[1]",
            "[1,]",
            "[,1]",
            "[1 2]",
            "[1,[2,[3]]]",
            "{}",
            "{ }",
            "{\"a\":1}",
            "{\"a\" : [ ] , \"b\":{}}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "[1}",
            "{\"a\":1]",
            "[1]]",
            "1 2",
            "\u{feff}1",
            "é",
            "[\"a\",null,true,{\"x\":[1,2,{}]}]\n",
        ];
        for word in words {
            check(word);
            check(&format!("[{word}]"));
            check(&format!("[{word},{word}]"));
            check(&format!(" {{\"k\": {word} }}"));
        }
    }

    #[test]
    fn depth_costs_nothing_but_bits() {
        for depth in [1, 63, 64, 65, 127, 128, 129, 100_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
                let whole = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                assert_eq!(Cursor::new(&whole).value(), Some(whole.as_str()), "{depth} {open}");
                let half = format!("{}1{}", open.repeat(depth), close.repeat(depth - 1));
                assert_eq!(Cursor::new(&half).value(), None, "{depth} {open}");
            }
        }
        let mixed = format!("{}1{}", "[{\"a\":".repeat(100), "]}".repeat(100));
        assert_eq!(Cursor::new(&mixed).value(), None);
    }

    /// Texts made of pieces at random, most of them broken somewhere.
    #[test]
    fn random_texts_are_judged_as_by_serde_json() {
        let pieces = [
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"a\"",
            "\"\\n\"",
            "\"",
            "\\",
            "1",
            "-2.5e3",
            "0",
            ".",
            "e",
            "null",
            "true",
            " ",
            "\n",
            "é",
            "\u{1}",
            "\"key\":",
            "[1,2]",
            "{\"a\":1}",
        ];
        let mut state = 0x2545_F491_4F6C_DD1D_u64; // a fixed seed
        let mut random = |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for _ in 0..200_000 {
            let text: String = (0..random(9)).map(|_| pieces[random(pieces.len())]).collect();
            check(&text);
        }
    }
}

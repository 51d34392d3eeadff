//! A cursor in a JSON text: takes values, strings and numbers, and returns them as parts of the
//! text. It accepts what serde_json accepts (tests compare the two).

use super::skip_value;

/// A position in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// The part of the text that is not taken yet.
    rest: &'a [u8],
}

/// A string as it is written in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quoted<'a> {
    /// A string without escapes: the part between the quotes.
    Plain(&'a str),
    /// A string with escapes: includes its quotes.
    Escaped(&'a str),
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(text: &'a str) -> Self {
        Cursor { text, rest: text.as_bytes() }
    }

    /// The part of the text that is not taken yet.
    pub(crate) fn rest(&self) -> &'a str {
        self.text.get(self.position()..).unwrap_or_default()
    }

    /// How many bytes were taken.
    #[inline(always)]
    pub(crate) fn position(&self) -> usize {
        self.text.len() - self.rest.len()
    }

    /// Takes so many bytes.
    #[inline(always)]
    pub(crate) fn advance(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// The text between this position and a later one.
    #[inline(always)]
    pub(crate) fn until(&self, later: &Cursor<'a>) -> Option<&'a str> {
        let start = self.text.get(self.position()..)?;
        start.get(..self.rest.len().checked_sub(later.rest.len())?)
    }

    /// The next eight bytes, if there are that many.
    #[inline(always)]
    pub(crate) fn eight(&self) -> Option<u64> {
        skip_value::first_word(self.rest)
    }

    /// Takes these bytes, if they are next.
    #[inline(always)]
    pub(crate) fn take_all<const N: usize>(&mut self, bytes: &[u8; N]) -> Option<()> {
        let (start, rest) = self.rest.split_first_chunk()?;
        if start != bytes {
            return None;
        }
        self.rest = rest;
        Some(())
    }

    /// Takes a colon and the whitespace around it.
    #[inline(always)]
    pub(crate) fn colon(&mut self) -> Option<()> {
        if let [b':', rest @ ..] = self.rest {
            self.rest = rest;
            if rest.first().is_some_and(|byte| *byte > b' ') {
                return Some(());
            }
        } else {
            self.take(b':')?;
        }
        self.peek().map(|_| ())
    }

    /// Returns the next byte that is not whitespace, without taking it.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        skip_value::peek(&mut self.rest)
    }

    /// Takes the next byte that is not whitespace.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.peek()?;
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Takes this byte, if it comes next after whitespace.
    #[inline(always)]
    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        let mut after = *self;
        if after.next()? != byte {
            return None;
        }
        *self = after;
        Some(())
    }

    /// Takes this word, if it is next.
    #[inline]
    pub(crate) fn take_word(&mut self, word: &str) -> bool {
        match self.rest.strip_prefix(word.as_bytes()) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Whether nothing but whitespace is left.
    #[inline(always)]
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// How many bytes are left.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Takes a whole value and returns its text. `None`: it is not JSON.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let byte = self.peek()?;
        let start = *self;
        self.rest = match byte {
            b'[' | b'{' => skip_value::container(self.rest)?,
            _ => skip_value::scalar(self.rest)?,
        };
        start.until(self)
    }

    /// Takes a string. `None`: it is no string, or not JSON.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<Quoted<'a>> {
        self.peek()?;
        let start = *self;
        if let Some(plain) = self.plain_string() {
            return Some(Quoted::Plain(plain));
        }
        self.rest = skip_value::string(start.rest.strip_prefix(b"\"")?)?;
        start.until(self).map(Quoted::Escaped)
    }

    /// Takes a string without escapes, if it comes next, and returns the part between the quotes.
    #[inline(always)]
    pub(crate) fn plain_string(&mut self) -> Option<&'a str> {
        let mut start = *self;
        start.rest = start.rest.strip_prefix(b"\"")?;
        let mut end = start;
        end.rest = skip_value::special(start.rest);
        let behind = end.rest.strip_prefix(b"\"")?;
        self.rest = behind;
        start.until(&end)
    }

    /// Takes a number of 1 to 19 digits: no sign, fraction, exponent or leading zero. `None`:
    /// something else comes next, and nothing was taken.
    #[inline(always)]
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let [first @ b'0'..=b'9', start @ ..] = self.rest else { return None };
        let (mut value, mut rest) = (u64::from(first - b'0'), start);
        while let [digit @ b'0'..=b'9', behind @ ..] = rest {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            rest = behind;
        }
        let more = start.len() - rest.len();
        let most = if *first == b'0' { 0 } else { 18 };
        if more > most || matches!(rest, [b'.' | b'e' | b'E', ..]) {
            return None;
        }
        self.rest = rest;
        Some(value)
    }

    /// Takes whitespace, and returns whether there was any.
    #[inline]
    pub(crate) fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = skip_value::behind_space(self.rest);
        self.rest.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::IgnoredAny;

    /// Compares the result with serde_json's.
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

    /// Texts made of random pieces, most of them broken somewhere.
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

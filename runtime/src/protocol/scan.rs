//! Walks over JSON without building anything: where does a value end, and is it one?
//!
//! Accepts what serde_json accepts (tests compare the two). Must not know messages. It uses no
//! stack of its own for nested values, so depth costs a bit for each level and nothing else.
//!
//! Functions take what is left of a text and give what is left behind the value: a slice fits two
//! registers, and slices that shrink need few checks.

use super::word;

/// A place in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// What is not taken yet: the text's end.
    rest: &'a [u8],
}

/// A string, as it stands in the text.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quoted<'a> {
    /// There are no escapes: this is between the quotes.
    Plain(&'a str),
    /// With its quotes and escapes.
    Escaped(&'a str),
}

impl<'a> Cursor<'a> {
    #[inline]
    pub(crate) fn new(text: &'a str) -> Self {
        Cursor { text, rest: text.as_bytes() }
    }

    /// What is not taken yet.
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

    /// What lies between this place and a later one.
    #[inline(always)]
    pub(crate) fn until(&self, later: &Cursor<'a>) -> Option<&'a str> {
        let start = self.text.get(self.position()..)?;
        start.get(..self.rest.len().checked_sub(later.rest.len())?)
    }

    /// The next eight bytes, if there are as many.
    #[inline(always)]
    pub(crate) fn eight(&self) -> Option<u64> {
        word::first(self.rest)
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

    /// Takes a colon and the white space around it.
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

    /// The next byte that is no white space; it is not taken.
    #[inline(always)]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        peek(&mut self.rest)
    }

    /// Takes the next byte that is no white space.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.peek()?;
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Takes this byte, if it is the next one behind white space.
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

    /// Whether nothing but white space is left.
    #[inline(always)]
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Walks over a whole value and gives its text. `None`: it is not JSON.
    #[inline(always)]
    pub(crate) fn value(&mut self) -> Option<&'a str> {
        let byte = self.peek()?;
        let start = *self;
        self.rest = match byte {
            b'[' | b'{' => container(self.rest)?,
            _ => scalar(self.rest)?,
        };
        start.until(self)
    }

    /// Walks over a string. `None`: it is none, or not JSON.
    #[inline]
    pub(crate) fn string(&mut self) -> Option<Quoted<'a>> {
        self.peek()?;
        let start = *self;
        if let Some(plain) = self.plain_string() {
            return Some(Quoted::Plain(plain));
        }
        self.rest = string(start.rest.strip_prefix(b"\"")?)?;
        start.until(self).map(Quoted::Escaped)
    }

    /// Takes a string without escapes, if that is what is next, and gives what is between the
    /// quotes.
    #[inline(always)]
    pub(crate) fn plain_string(&mut self) -> Option<&'a str> {
        let mut start = *self;
        start.rest = start.rest.strip_prefix(b"\"")?;
        let mut end = start;
        end.rest = special(start.rest);
        let behind = end.rest.strip_prefix(b"\"")?;
        self.rest = behind;
        start.until(&end)
    }

    /// Takes a number of 1 to 19 digits and nothing else: no sign, fraction, exponent or leading
    /// zero. `None`: that is not what is next, and nothing was taken.
    #[inline(always)]
    pub(crate) fn integer(&mut self) -> Option<u64> {
        let (mut value, mut rest) = (0_u64, self.rest);
        while let [digit @ b'0'..=b'9', behind @ ..] = rest {
            value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            rest = behind;
        }
        let digits = self.rest.len() - rest.len();
        let plain = match self.rest.first() {
            Some(b'0') => digits == 1,
            _ => (1..20).contains(&digits),
        };
        if !plain || matches!(rest, [b'.' | b'e' | b'E', ..]) {
            return None;
        }
        self.rest = rest;
        Some(value)
    }

    /// Takes white space, and says whether there was some.
    #[inline]
    pub(crate) fn skip_space(&mut self) -> bool {
        let before = self.rest.len();
        self.rest = behind_space(self.rest);
        self.rest.len() < before
    }
}

/// The next byte that is no white space; what is before it is taken.
#[inline(always)]
fn peek(rest: &mut &[u8]) -> Option<u8> {
    let byte = *rest.first()?;
    if byte > b' ' {
        return Some(byte);
    }
    *rest = behind_space(rest);
    rest.first().copied()
}

#[inline(never)]
fn behind_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\t' | b'\r', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

/// What follows the first quote, backslash or control character, with it.
#[inline(always)]
fn special(mut rest: &[u8]) -> &[u8] {
    while let Some(word) = word::first(rest) {
        let plain = word::plain(word);
        rest = rest.get(plain..).unwrap_or_default();
        if plain < 8 {
            return rest;
        }
    }
    special_in_few(rest)
}

#[inline(never)]
fn special_in_few(rest: &[u8]) -> &[u8] {
    let plain = |byte: &u8| !matches!(byte, ..0x20 | b'"' | b'\\');
    let plain = rest.iter().take_while(|byte| plain(byte)).count();
    rest.get(plain..).unwrap_or_default()
}

/// A string from behind its opening quote on.
#[inline(always)]
fn string(rest: &[u8]) -> Option<&[u8]> {
    match special(rest) {
        [b'"', rest @ ..] => Some(rest),
        rest => escaped(rest),
    }
}

/// The rest of a string that can't be walked over without a look at its escapes.
#[inline(never)]
fn escaped(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let behind = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => rest,
            [b'\\', b'u', a, b, c, d, rest @ ..]
                if [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit) =>
            {
                rest
            }
            // Control characters must be escaped.
            _ => return None,
        };
        rest = special(behind);
    }
}

/// A number that begins with a digit.
#[inline(always)]
fn number(rest: &[u8]) -> Option<&[u8]> {
    let mut behind = rest;
    while let [b'0'..=b'9', rest @ ..] = behind {
        behind = rest;
    }
    if let ([b'0', ..], _) | (_, [b'.' | b'e' | b'E', ..]) = (rest, behind) {
        return any_number(rest);
    }
    Some(behind)
}

#[inline(never)]
fn any_number(mut rest: &[u8]) -> Option<&[u8]> {
    if let [b'-', behind @ ..] = rest {
        rest = behind;
    }
    rest = match rest {
        [b'0', rest @ ..] => rest,
        rest => behind_digits(rest)?,
    };
    if let [b'.', behind @ ..] = rest {
        rest = behind_digits(behind)?;
    }
    if let [b'e' | b'E', b'+' | b'-', behind @ ..] | [b'e' | b'E', behind @ ..] = rest {
        rest = behind_digits(behind)?;
    }
    Some(rest)
}

/// At least one.
fn behind_digits(rest: &[u8]) -> Option<&[u8]> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 { rest.get(digits..) } else { None }
}

/// A value that is no container.
#[inline(never)]
fn scalar(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', rest @ ..] => string(rest),
        [b'0'..=b'9', ..] => number(rest),
        [b'-', ..] => any_number(rest),
        [b't', b'r', b'u', b'e', rest @ ..] => Some(rest),
        [b'f', b'a', b'l', b's', b'e', rest @ ..] => Some(rest),
        [b'n', b'u', b'l', b'l', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Which containers the walk is in: a bit for each, set for an object, below a bit that is always
/// set.
struct Nesting {
    bits: u64,
    /// Levels that the bits have no room for.
    outer: Vec<u64>,
}

impl Nesting {
    #[inline(always)]
    fn push(&mut self, object: bool) {
        if self.bits >> 63 == 1 {
            self.outer.push(self.bits);
            self.bits = 1;
        }
        self.bits = self.bits << 1 | u64::from(object);
    }

    #[inline(always)]
    fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    /// `false`: that was the outermost container.
    #[inline(always)]
    fn pop(&mut self) -> bool {
        self.bits >>= 1;
        if self.bits > 1 {
            return true;
        }
        match self.outer.pop() {
            Some(bits) => {
                self.bits = bits;
                true
            }
            None => false,
        }
    }
}

/// Takes a key and its colon.
#[inline(always)]
fn key(rest: &mut &[u8]) -> Option<()> {
    peek(rest)?;
    *rest = string(rest.strip_prefix(b"\"")?)?;
    peek(rest)?;
    *rest = rest.strip_prefix(b":")?;
    Some(())
}

/// A list or an object, with everything in it.
#[inline(never)]
fn container(mut rest: &[u8]) -> Option<&[u8]> {
    let mut nesting = Nesting { bits: 1, outer: Vec::new() };
    loop {
        // In front of a value.
        match peek(&mut rest)? {
            open @ (b'[' | b'{') => {
                rest = rest.get(1..)?;
                nesting.push(open == b'{');
                // `[` and `]`, `{` and `}` are two apart.
                if peek(&mut rest)? != open + 2 {
                    if open == b'{' {
                        key(&mut rest)?;
                    }
                    continue;
                }
            }
            b'"' => rest = string(rest.get(1..)?)?,
            b'0'..=b'9' => rest = number(rest)?,
            _ => rest = scalar(rest)?,
        }
        // Behind a value, or in an empty container: closes what ends here, up to a comma.
        loop {
            let byte = peek(&mut rest)?;
            rest = rest.get(1..)?;
            match (byte, nesting.in_object()) {
                (b',', false) => break,
                (b',', true) => {
                    key(&mut rest)?;
                    break;
                }
                (b']', false) | (b'}', true) => {
                    if !nesting.pop() {
                        return Some(rest);
                    }
                }
                _ => return None,
            }
        }
    }
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

//! A cursor in a JSON text, which takes values, strings and numbers and returns them as slices of
//! the text. It accepts exactly what serde_json accepts; tests compare the two.
//!
//! The functions below [`Cursor`] skip values without building anything, eight bytes at a time
//! where possible. Each takes the rest of a text and returns the rest after the value, or `None` if
//! it is not JSON. A slice fits in two registers, and one that only shrinks needs few checks.
//! Nested values use no stack: each level of depth costs one bit.

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

    /// Takes this number of bytes.
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
        first_word(self.rest)
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
        peek(&mut self.rest)
    }

    /// Takes the next byte that is not whitespace.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<u8> {
        self.peek()?;
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Takes this byte, if it is next after optional whitespace.
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

    /// Takes a whole value and returns its text. Returns `None` if it is not JSON.
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

    /// Takes a string. Returns `None` if the next value is not a string, or not JSON.
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

    /// Takes a string without escapes, if it comes next, and returns the part between the quotes.
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

    /// Takes a number of 1 to 19 digits, without sign, fraction, exponent or leading zero. Returns
    /// `None`, and takes nothing, if something else comes next.
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
        self.rest = behind_space(self.rest);
        self.rest.len() < before
    }
}

/// Skips whitespace and returns the next byte without taking it.
#[inline(always)]
pub(super) fn peek(rest: &mut &[u8]) -> Option<u8> {
    let byte = *rest.first()?;
    if byte > b' ' {
        return Some(byte);
    }
    *rest = behind_space(rest);
    rest.first().copied()
}

#[inline(never)]
pub(super) fn behind_space(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\n' | b'\t' | b'\r', behind @ ..] = rest {
        rest = behind;
    }
    rest
}

/// Skips to the first quote, backslash or control character.
#[inline(always)]
pub(super) fn special(mut rest: &[u8]) -> &[u8] {
    // Most strings are short.
    for _ in 0..2 {
        let Some(word) = first_word(rest) else { break };
        let plain = plain_bytes(word);
        rest = rest.get(plain..).unwrap_or_default();
        if plain < 8 {
            return rest;
        }
    }
    special_far(rest)
}

#[inline(never)]
fn special_far(mut rest: &[u8]) -> &[u8] {
    let special = |byte: &u8| (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\');
    // There is no branch for each byte, so that the compiler can process sixteen bytes at once.
    while let Some((block, behind)) = rest.split_first_chunk::<32>() {
        if block.iter().fold(0, |found, byte| found | u8::from(special(byte))) > 0 {
            break;
        }
        rest = behind;
    }
    while let Some(word) = first_word(rest) {
        let plain = plain_bytes(word);
        rest = rest.get(plain..).unwrap_or_default();
        if plain < 8 {
            return rest;
        }
    }
    let plain = rest.iter().take_while(|byte| !special(byte)).count();
    rest.get(plain..).unwrap_or_default()
}

/// Skips a string, from after its opening quote.
#[inline(always)]
pub(super) fn string(rest: &[u8]) -> Option<&[u8]> {
    match special(rest) {
        [b'"', rest @ ..] => Some(rest),
        rest => escaped(rest),
    }
}

/// Skips the rest of a string with escapes, checking each of them.
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

/// Skips a number that starts with a digit.
#[inline(always)]
fn number(rest: &[u8]) -> Option<&[u8]> {
    let mut behind = rest.get(1..)?;
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
        // No leading zeros.
        [b'0', b'0'..=b'9', ..] => return None,
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

/// Skips digits; at least one.
fn behind_digits(rest: &[u8]) -> Option<&[u8]> {
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 { rest.get(digits..) } else { None }
}

/// Skips a value that is not a container.
#[inline(never)]
pub(super) fn scalar(rest: &[u8]) -> Option<&[u8]> {
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

/// Like [`scalar`], with the most frequent kinds inlined.
#[inline(always)]
fn common(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', rest @ ..] => string(rest),
        [b'0'..=b'9', ..] => number(rest),
        rest => scalar(rest),
    }
}

/// The containers around the current position: one bit for each, which is set for an object. The
/// bit above them is always set.
#[derive(Debug)]
pub(super) struct Nesting {
    bits: u64,
    /// Full words of outer levels, for which `bits` has no space.
    outer: Vec<u64>,
}

impl Nesting {
    pub(super) fn new() -> Self {
        Nesting { bits: 1, outer: Vec::new() }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, object: bool) {
        if self.bits >> 63 == 1 {
            self.outer.push(self.bits);
            self.bits = 1;
        }
        self.bits = self.bits << 1 | u64::from(object);
    }

    #[inline(always)]
    pub(super) fn in_object(&self) -> bool {
        self.bits & 1 == 1
    }

    /// Leaves a container. Returns `false` if it was the outermost one.
    #[inline(always)]
    pub(super) fn pop(&mut self) -> bool {
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

/// Skips a list without whitespace and without containers in it, from after its opening bracket:
/// most params look like this. Returns `None` if it is anything else, JSON or not.
#[inline(always)]
fn flat(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        match common(rest)? {
            [b',', behind @ ..] => rest = behind,
            [b']', behind @ ..] => return Some(behind),
            _ => return None,
        }
    }
}

/// Skips a list or an object with everything in it.
#[inline(never)]
pub(super) fn container(rest: &[u8]) -> Option<&[u8]> {
    let flat = rest.strip_prefix(b"[").and_then(flat);
    if flat.is_some() { flat } else { nested(rest) }
}

#[inline(never)]
fn nested(mut rest: &[u8]) -> Option<&[u8]> {
    let mut nesting = Nesting::new();
    loop {
        // Before a value.
        match peek(&mut rest)? {
            open @ (b'[' | b'{') => {
                rest = rest.get(1..)?;
                nesting.push(open == b'{');
                // The codes of `[` and `]`, `{` and `}` differ by two.
                if peek(&mut rest)? != open + 2 {
                    if open == b'{' {
                        key(&mut rest)?;
                    }
                    continue;
                }
            }
            _ => rest = common(rest)?,
        }
        // After a value, or in an empty container: closes what ends here, up to a comma.
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

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The first eight bytes as a little-endian number, if there are that many.
#[inline(always)]
pub(super) fn first_word(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|eight| u64::from_le_bytes(*eight))
}

/// What [`first_word`] returns for this text; missing bytes are zero.
pub(super) const fn word_of(text: &[u8]) -> u64 {
    let (mut word, mut at) = (0, text.len());
    while at > 0 {
        at -= 1;
        word = word << 8 | text[at] as u64;
    }
    word
}

/// How many bytes come before the first quote, backslash or control character: 8 if there is none.
#[inline(always)]
pub(super) fn plain_bytes(word: u64) -> usize {
    // Sets the high bit of each byte below `n` whose own high bit is not set. A borrow reaches only
    // bytes above a byte that is below `n`, and only the lowest of them counts.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n));
    // Flipping this bit moves the quote right after the control characters, and keeps all of those
    // in their range.
    let control_or_quote = below(word ^ (ONES * 0x02), 0x21);
    let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
    let special = (control_or_quote | escape) & !word & HIGH;
    special.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod word_tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                // Bytes next to the boundaries of the special bytes, below and above.
                for filler in [b'0', b'9', b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    for above in [filler, 0, b'"', b'\\', 0x1f, b'/', b':', 0xff] {
                        let mut text = [filler; 8];
                        text[place + 1..].fill(above);
                        text[place] = byte;
                        let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
                        let expected = text.iter().position(special).unwrap_or(8);
                        assert_eq!(plain_bytes(word_of(&text)), expected, "{text:?}");
                    }
                }
            }
        }
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

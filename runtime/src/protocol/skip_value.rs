//! Skips JSON values without building anything, eight bytes at a time where possible.
//!
//! Each function takes the rest of a text and returns the rest after the value, or `None` if it is
//! not JSON: a slice fits in two registers, and one that only shrinks needs few checks. Nested
//! values use no stack: each level of depth costs one bit.

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
    // Without a branch for each byte, so that the compiler can process sixteen at once.
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

/// The same, with the most frequent kinds inlined.
#[inline(always)]
fn common(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [b'"', rest @ ..] => string(rest),
        [b'0'..=b'9', ..] => number(rest),
        rest => scalar(rest),
    }
}

/// The containers around the current position: a bit for each, set for an object, below a bit that
/// is always set.
struct Nesting {
    bits: u64,
    /// Levels for which `bits` has no space.
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

    /// `false`: this was the outermost container.
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

/// Skips a list without whitespace and containers in it, from after its bracket: most params are
/// like this. `None`: it is something else, JSON or not.
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
    let mut nesting = Nesting { bits: 1, outer: Vec::new() };
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

/// The result of [`first_word`] for this text; missing bytes are zero.
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
    // The high bit of each byte that is below `n`, if the byte's own high bit is not set. A borrow
    // can reach only bytes above one that is below `n`, and only the lowest counts.
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

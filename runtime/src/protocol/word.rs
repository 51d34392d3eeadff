//! Eight bytes of a text at a time, as one number: the first byte is the lowest.
//!
//! Must not know JSON beyond which bytes matter inside a string.

const ONES: u64 = u64::MAX / 255;
const HIGH: u64 = ONES << 7;

/// The first eight bytes, if there are as many.
#[inline(always)]
pub(super) fn first(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().map(|eight| u64::from_le_bytes(*eight))
}

/// What [`first`] gives for this text; what is missing to eight bytes is zero.
pub(super) const fn of(text: &[u8]) -> u64 {
    let (mut word, mut at) = (0, text.len());
    while at > 0 {
        at -= 1;
        word = word << 8 | text[at] as u64;
    }
    word
}

/// How many bytes come before the first quote, backslash or control character: 8 if there is none.
#[inline(always)]
pub(super) fn plain(word: u64) -> usize {
    // The high bit of each byte that is below `n`, if the byte's own is not set. A borrow can reach
    // only bytes above one that is below `n`, and the lowest is what counts.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n));
    // Flipping this bit puts the quote right behind the control characters, and moves none of
    // those out of their range.
    let control_or_quote = below(word ^ (ONES * 0x02), 0x21);
    let escape = below(word ^ (ONES * u64::from(b'\\')), 1);
    let special = (control_or_quote | escape) & !word & HIGH;
    special.trailing_zeros() as usize / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                // Bytes next to the borders of what is looked for, below and above.
                for filler in [b'0', b'9', b'a', b' ', b'!', b'#', b'[', b']', 0x7f, 0x80, 0xff] {
                    for above in [filler, 0, b'"', b'\\', 0x1f, b'/', b':', 0xff] {
                        let mut text = [filler; 8];
                        text[place + 1..].fill(above);
                        text[place] = byte;
                        let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
                        let expected = text.iter().position(special).unwrap_or(8);
                        assert_eq!(plain(of(&text)), expected, "{text:?}");
                    }
                }
            }
        }
    }
}

//! Encodes bytes as ASCII text for HTTP: percent-encoding in URLs, base64 in headers.

/// ASCII characters that are percent-encoded in a path and in a query, in addition to the space: as
/// in <https://url.spec.whatwg.org/#percent-encoded-bytes>.
const NOT_IN_PATH: &[u8] = b"\"<>^`{}";
pub(crate) const NOT_IN_QUERY: &[u8] = b"\"<>'";

/// A path in the form in which a request sends it: with a leading slash, and encoded.
pub(crate) fn encoded_path(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len() + 1);
    if !path.starts_with('/') {
        encoded.push('/');
    }
    encode(&mut encoded, path.as_bytes(), |byte| !NOT_IN_PATH.contains(&byte));
    encoded
}

/// Keeps visible ASCII characters for which `stays` is true; percent-encodes everything else.
pub(crate) fn encode(text: &mut String, bytes: &[u8], stays: impl Fn(u8) -> bool) {
    use std::fmt::Write;

    for byte in bytes {
        if byte.is_ascii_graphic() && stays(*byte) {
            text.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
}

/// Decodes percent-encoding, and returns whether all of it was well-formed. Malformed parts stay
/// unchanged.
pub(crate) fn decode(text: &str) -> (Vec<u8>, bool) {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    let mut is_whole = true;
    for part in parts {
        let hex = part.get(..2).filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let rest = match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                part.get(2..).unwrap_or_default()
            }
            None => {
                is_whole = false;
                bytes.push(b'%');
                part
            }
        };
        bytes.extend_from_slice(rest.as_bytes());
    }
    (bytes, is_whole)
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - group.len()));
        for place in 0..4 {
            let six = bits >> (18 - 6 * place) & 63;
            let letter = ALPHABET.get(six as usize).filter(|_| place <= group.len());
            text.push(letter.map_or('=', |letter| char::from(*letter)));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding() {
        for (text, bytes, is_whole) in [
            ("", &b""[..], true),
            ("a%20b", b"a b", true),
            ("%e4%E4", b"\xe4\xe4", true),
            ("%", b"%", false),
            ("%2", b"%2", false),
            ("%zz%41", b"%zzA", false),
            ("%\u{fc}1", "%\u{fc}1".as_bytes(), false),
        ] {
            assert_eq!(decode(text), (bytes.to_vec(), is_whole), "{text}");
        }
        for (path, encoded) in
            [("", "/"), ("a", "/a"), ("/a b", "/a%20b"), ("/\u{fc}%20", "/%C3%BC%20")]
        {
            assert_eq!(encoded_path(path), encoded);
        }
    }

    /// RFC 4648, section 10.
    #[test]
    fn base_64() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }
}

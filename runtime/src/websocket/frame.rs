//! The headers and masks of frames ([RFC 6455, section
//! 5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)).

/// The first byte of a text message in a single frame.
pub(crate) const FIN_TEXT: u8 = 0x81;
/// The first byte of a close frame.
pub(crate) const FIN_CLOSE: u8 = 0x88;

/// A close code that IANA has registered and tungstenite refuses. The readers and writers of frames
/// replace it with `STAND_IN` on the way to tungstenite, and restore it on the way back.
pub(crate) const BAD_GATEWAY: u16 = 1014;
/// Differs from [`BAD_GATEWAY`] in one byte, also if both are masked.
const STAND_IN: u16 = 1013;

/// Converts the second byte of [`BAD_GATEWAY`] to that of its stand-in, or back. The byte may be
/// masked.
pub(crate) fn swap_bad_gateway(second: &mut u8) {
    *second ^= (BAD_GATEWAY ^ STAND_IN) as u8;
}
/// The first byte of a frame in the middle of a message.
pub(crate) const CONTINUATION: u8 = 0x00;
/// The bit that is set in the last frame of a message.
pub(crate) const FIN: u8 = 0x80;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;
const TWO_BYTES: u8 = 126;
const EIGHT_BYTES: u8 = 127;

/// The mask of a client's frames. A server's frames have no mask.
pub(crate) type Mask = Option<[u8; 4]>;

/// The header of a frame.
#[derive(Debug)]
pub(crate) struct Header {
    /// The final bit, the reserved bits, and the opcode.
    pub(crate) first: u8,
    pub(crate) mask: Mask,
    /// The length of the payload.
    pub(crate) length: u64,
    /// The length of the header itself.
    pub(crate) size: usize,
}

impl Header {
    pub(crate) const MAX: usize = 14;

    /// Parses a header at the start of these bytes; `None` if it is not complete.
    #[inline]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Header> {
        let [first, second, rest @ ..] = bytes else { return None };
        let (length, rest) = match second & !MASKED {
            TWO_BYTES => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (u64::from(u16::from_be_bytes(*length)), rest)
            }
            EIGHT_BYTES => {
                let (length, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_be_bytes(*length), rest)
            }
            short => (u64::from(short), rest),
        };
        let (mask, rest) = match second & MASKED {
            0 => (None, rest),
            _ => rest.split_first_chunk::<4>().map(|(mask, rest)| (Some(*mask), rest))?,
        };
        Some(Header { first: *first, mask, length, size: bytes.len() - rest.len() })
    }

    /// Whether a message ends with this frame.
    pub(crate) fn is_final(&self) -> bool {
        self.first & FIN != 0
    }

    /// Whether the frame is part of a message; otherwise it is a control frame.
    pub(crate) fn is_data(&self) -> bool {
        self.first & CONTROL == 0
    }
}

/// A random mask. Section 5.3 requires that it cannot be predicted.
#[inline(never)]
pub(crate) fn new_mask() -> Mask {
    Some(rand::random())
}

/// Appends the header of a frame with a payload of this length.
pub(crate) fn begin(out: &mut Vec<u8>, length: usize, mask: Mask) {
    let masked = if mask.is_some() { MASKED } else { 0 };
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < TWO_BYTES => out.extend_from_slice(&[FIN_TEXT, masked | short]),
        (_, Ok(length)) => {
            let [high, low] = length.to_be_bytes();
            out.extend_from_slice(&[FIN_TEXT, masked | TWO_BYTES, high, low]);
        }
        _ => {
            out.extend_from_slice(&[FIN_TEXT, masked | EIGHT_BYTES]);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
    }
}

/// Masks a payload in place.
pub(crate) fn apply(mask: Mask, payload: &mut [u8]) {
    let Some([a, b, c, d]) = mask else { return };
    let four = u32::from_le_bytes([a, b, c, d]);
    let wide = u128::from(four) * (u128::MAX / u128::from(u32::MAX));
    let mut chunks = payload.chunks_exact_mut(16);
    for chunk in &mut chunks {
        if let Some(chunk) = chunk.first_chunk_mut::<16>() {
            *chunk = (u128::from_le_bytes(*chunk) ^ wide).to_le_bytes();
        }
    }
    let mut chunks = chunks.into_remainder().chunks_exact_mut(4);
    for chunk in &mut chunks {
        if let Some(chunk) = chunk.first_chunk_mut::<4>() {
            *chunk = (u32::from_le_bytes(*chunk) ^ four).to_le_bytes();
        }
    }
    let rest = chunks.into_remainder();
    rest.iter_mut().zip([a, b, c]).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameSocket;

    /// tungstenite reads the frames written here, at every length at which the header changes.
    #[test]
    fn frames_are_read_by_software_that_is_not_ours() {
        for length in [0, 1, 3, 7, 8, 9, 100, 125, 126, 127, 255, 256, 65_535, 65_536, 200_000] {
            for mask in [None, Some([1, 2, 3, 0xFF]), new_mask()] {
                let payload: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
                let mut frame = Vec::new();
                begin(&mut frame, length, mask);
                let header = frame.len();
                let parsed = Header::parse(&frame).unwrap();
                assert!(parsed.is_final() && parsed.is_data());
                assert_eq!((parsed.first, parsed.mask), (FIN_TEXT, mask));
                assert_eq!((parsed.length, parsed.size), (length as u64, header));
                assert!((0..header).all(|cut| Header::parse(&frame[..cut]).is_none()));
                frame.extend_from_slice(&payload);
                apply(mask, &mut frame[header..]);
                let mut socket = FrameSocket::new(std::io::Cursor::new(frame));
                let read = socket.read(None).unwrap().unwrap();
                assert!(read.header().is_final, "{length}");
                assert_eq!(u8::from(read.header().opcode), 1, "{length}");
                assert_eq!(read.header().mask, mask, "{length}");
                let mut text = read.payload().to_vec();
                apply(mask, &mut text);
                assert_eq!(text, payload, "{length}");
                assert!(socket.read(None).unwrap().is_none(), "{length}: nothing behind it");
            }
        }
    }
}

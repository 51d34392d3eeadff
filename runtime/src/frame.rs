//! Frames around whole text messages: all that this side sends but control frames
//! ([RFC 6455, section 5.2](https://www.rfc-editor.org/rfc/rfc6455#section-5.2)).
//!
//! Must not know what the messages say, nor when they go out. Reading frames is tungstenite's.

/// How a message begins that is text and complete in one frame.
const FIN_TEXT: u8 = 0x81;
const MASKED: u8 = 0x80;
const TWO_BYTES: u8 = 126;
const EIGHT_BYTES: u8 = 127;

/// What a client's frames are masked with. A server's are not.
pub(crate) type Mask = Option<[u8; 4]>;

/// A mask that nobody can foresee, as section 5.3 asks for.
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

/// Masks a payload in its place.
pub(crate) fn apply(mask: Mask, payload: &mut [u8]) {
    let Some([a, b, c, d]) = mask else { return };
    let wide = u64::from_le_bytes([a, b, c, d, a, b, c, d]);
    let mut chunks = payload.chunks_exact_mut(8);
    for chunk in &mut chunks {
        if let Some(eight) = chunk.first_chunk_mut::<8>() {
            *eight = (u64::from_le_bytes(*eight) ^ wide).to_le_bytes();
        }
    }
    let rest = chunks.into_remainder();
    rest.iter_mut().zip([a, b, c, d, a, b, c]).for_each(|(byte, mask)| *byte ^= mask);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::tungstenite::protocol::frame::FrameSocket;

    /// tungstenite reads what is written here, at every length at which the header changes.
    #[test]
    fn frames_are_read_by_software_that_is_not_ours() {
        for length in [0, 1, 3, 7, 8, 9, 100, 125, 126, 127, 255, 256, 65_535, 65_536, 200_000] {
            for mask in [None, Some([1, 2, 3, 0xFF]), new_mask()] {
                let payload: Vec<u8> = (0..length).map(|at| b'a' + (at % 26) as u8).collect();
                let mut frame = Vec::new();
                begin(&mut frame, length, mask);
                let header = frame.len();
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

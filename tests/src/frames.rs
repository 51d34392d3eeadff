//! WebSocket frames as bytes, for both sides. Masks are zero, so a payload looks the same with and
//! without a mask.

use tokio::io::{AsyncReadExt, DuplexStream};

/// The header of a frame that announces this length, whatever follows.
pub fn announcing(first: u8, length: u64, masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => frame.push(mask | short),
        (_, Ok(length)) => {
            frame.push(mask | 126);
            frame.extend(length.to_be_bytes());
        }
        _ => {
            frame.push(mask | 127);
            frame.extend(length.to_be_bytes());
        }
    }
    if masked {
        frame.extend([0; 4]);
    }
    frame
}

/// A whole frame.
pub fn frame_of(first: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    [announcing(first, payload.len() as u64, masked).as_slice(), payload].concat()
}

/// A frame that was received.
#[derive(Debug, PartialEq)]
pub struct Came {
    pub first: u8,
    pub masked: bool,
    /// The payload without its mask. Shorter than `length` if the frame was cut off.
    pub payload: Vec<u8>,
    /// The length in the header.
    pub length: usize,
}

impl Came {
    /// The code and the reason of a close frame.
    pub fn close(&self) -> (u16, String) {
        assert_eq!(self.first, 0x88, "not a close frame: {self:?}");
        let (code, reason) = self.payload.split_first_chunk().expect("a code");
        (u16::from_be_bytes(*code), String::from_utf8(reason.to_vec()).expect("UTF-8"))
    }
}

/// The frames in these bytes. The last one may be cut off.
pub fn frames(bytes: &[u8]) -> Vec<Came> {
    let (mut frames, mut rest) = (Vec::new(), bytes);
    while let [first, second, tail @ ..] = rest {
        let masked = second & 0x80 != 0;
        let of = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let (length, tail) = match second & 0x7f {
            126 => (of(&tail[..2]), &tail[2..]),
            127 => (of(&tail[..8]), &tail[8..]),
            short => (usize::from(short), tail),
        };
        let (mask, tail) = tail.split_at(if masked { 4 } else { 0 });
        let (payload, behind) = tail.split_at(length.min(tail.len()));
        let payload = payload.iter().enumerate();
        let payload =
            payload.map(|(at, byte)| if masked { byte ^ mask[at % 4] } else { *byte }).collect();
        frames.push(Came { first: *first, masked, payload, length });
        rest = behind;
    }
    frames
}

/// All frames until the other side ends its direction.
pub async fn rest_of(stream: &mut DuplexStream) -> Vec<Came> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.expect("the stream ends");
    frames(&bytes)
}

/// A client's frame with this first byte and a long header.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![first, 0x80 | 126];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

//! Whole text messages out of what was read ahead, without a call into tungstenite for each.
//!
//! Nearly all frames are whole text messages that lie complete in what one read has brought. They
//! are taken here, several into one allocation; all others are tungstenite's, byte for byte. Must
//! not know the network, nor what a message says.

use tokio_tungstenite::tungstenite::Bytes;

use crate::websocket::chunk::CHUNK;
use crate::websocket::frame::{self, BAD_GATEWAY, Header};

/// Behind each message in the chunk but the last one stands the length of the next one. (Before it, a
/// second handle to the chunk would be needed to cut it off.)
const LENGTH: usize = size_of::<u32>();

/// Messages that were taken and not yet asked for.
#[derive(Default)]
pub(crate) struct Inbox {
    chunk: Bytes,
    /// How many they are, and how long the first one is.
    count: u32,
    first: u32,
}

impl Inbox {
    /// The next message; not yet known to be UTF-8.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Bytes> {
        self.count = self.count.checked_sub(1)?;
        let first = self.first as usize;
        let behind = first + LENGTH;
        let length = self.chunk.get(first..behind).and_then(<[u8]>::first_chunk);
        let Some(length) = length.filter(|_| self.count > 0) else {
            return Some(std::mem::take(&mut self.chunk));
        };
        let next = u32::from_le_bytes(*length);
        let mut message = self.chunk.split_to(behind);
        message.truncate(first);
        self.first = next;
        Some(message)
    }

    /// Takes whole messages from the beginning of these bytes, where frames begin, and says how
    /// many bytes that were. `masked`: the frames are a client's; none is larger than `limit`.
    pub(crate) fn take(&mut self, ahead: &[u8], masked: bool, limit: usize) -> usize {
        let (mut rest, mut chunk, mut count) = (ahead, Vec::new(), 0);
        while let Some((header, payload, behind)) = whole(rest, masked, limit) {
            let size = payload.len();
            let Ok(length) = u32::try_from(size) else { break };
            if count == 0 {
                // Exactly as much as is needed, if it is alone.
                let room = if behind.is_empty() { size } else { size.max(CHUNK.min(ahead.len())) };
                chunk.reserve_exact(room);
                self.first = length;
            } else if chunk.len() + LENGTH + size > chunk.capacity() {
                break;
            } else {
                chunk.extend_from_slice(&length.to_le_bytes());
            }
            let start = chunk.len();
            chunk.extend_from_slice(payload);
            frame::apply(header.mask, chunk.get_mut(start..).unwrap_or_default());
            rest = behind;
            count += 1;
        }
        if count > 0 {
            (self.chunk, self.count) = (chunk.into(), count);
        }
        ahead.len() - rest.len()
    }
}

/// The first frame, if it is whole, a text message of its own, and as it should be.
fn whole(bytes: &[u8], masked: bool, limit: usize) -> Option<(Header, &[u8], &[u8])> {
    let header = Header::parse(bytes)?;
    let usual = header.first == frame::FIN_TEXT && header.mask.is_some() == masked;
    let length = usize::try_from(header.length).ok().filter(|length| *length <= limit)?;
    let (payload, behind) = bytes.get(header.size..)?.split_at_checked(length)?;
    usual.then_some((header, payload, behind))
}

/// How far tungstenite may read: to the end of a frame that is for it, as what comes behind may be
/// for the inbox.
#[derive(Default)]
pub(crate) struct Gate {
    /// It has a frame to read, or the rest of one.
    open: bool,
    /// The beginning of the frame's header, until it is complete.
    header: [u8; Header::MAX],
    have: usize,
    /// How much of the payload it has not got yet.
    left: u64,
    /// It has a part of a message, and more frames come.
    fragments: bool,
    /// All is for it, to the end.
    for_good: bool,
    /// Of the close frame, if there was one.
    code: Option<Code>,
    /// tungstenite does not answer a close frame: one of this side went before.
    closes: bool,
}

/// The code of a close frame, as far as it has come.
struct Code {
    mask: [u8; 4],
    bytes: [u8; 2],
    have: usize,
    /// How long the payload is.
    size: usize,
}

impl Code {
    fn value(&self) -> Option<u16> {
        let Code { mask, bytes: [high, low], have: 2, .. } = self else { return None };
        Some(u16::from_be_bytes([high ^ mask[0], low ^ mask[1]]))
    }
}

impl Gate {
    /// Whether the next frame may be anybody's.
    pub(crate) fn is_closed(&self) -> bool {
        !self.open
    }

    /// Whether the next frame that has to do with a message is tungstenite's.
    pub(crate) fn is_in_message(&self) -> bool {
        self.fragments
    }

    /// The next frame is tungstenite's.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// All that comes is tungstenite's.
    pub(crate) fn open_for_good(&mut self) {
        (self.open, self.for_good) = (true, true);
    }

    /// This side sends a close frame.
    pub(crate) fn close(&mut self) {
        // One that was read to its end before is being answered.
        self.closes |= self.code.is_none() || self.left > 0;
    }

    /// How many of these bytes, which are next, it may have. They count as given. A close code that
    /// it would refuse, and must not, is replaced.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        if self.for_good {
            return bytes.len();
        }
        if bytes.is_empty() || !self.open {
            return 0;
        }
        let mut passed = 0;
        if self.left == 0 {
            // In its header.
            for byte in bytes.iter() {
                passed += 1;
                if let Some(place) = self.header.get_mut(self.have) {
                    *place = *byte;
                    self.have += 1;
                }
                let seen = self.header.get(..self.have).unwrap_or_default();
                if let Some(header) = Header::parse(seen) {
                    self.begin(&header);
                    break;
                }
            }
        }
        let rest = (bytes.len() - passed) as u64;
        let more = self.left.min(rest);
        if let Some(code) = &mut self.code {
            let payload = bytes.get_mut(passed..).unwrap_or_default();
            for byte in payload.iter_mut().take(more as usize) {
                let Some(place) = code.bytes.get_mut(code.have) else { break };
                *place = *byte;
                code.have += 1;
                if code.value() == Some(BAD_GATEWAY) {
                    frame::swap_bad_gateway(byte);
                }
            }
        }
        self.left -= more;
        if self.left == 0 && self.have == 0 {
            self.open = false;
        }
        passed + more as usize
    }

    /// The code of the close frame that has passed, whatever it is; `None` if it has none.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.code.as_ref()?.value()
    }

    /// Where, counted from the end of what tungstenite writes, the second byte of a close code lies
    /// that was replaced: its answer is the last that it writes, and as long as what it answers.
    pub(crate) fn replaced_code(&self) -> Option<usize> {
        let code = self.code.as_ref().filter(|code| code.value() == Some(BAD_GATEWAY))?;
        let is_answered = self.left == 0 && !self.closes;
        is_answered.then(|| code.size.saturating_sub(1))
    }

    /// The header is complete.
    fn begin(&mut self, header: &Header) {
        self.have = 0;
        self.left = header.length;
        if header.first == frame::FIN_CLOSE && self.code.is_none() {
            let mask = header.mask.unwrap_or_default();
            // A longer one breaks the rules, and tungstenite says so.
            let size = usize::try_from(header.length).unwrap_or(usize::MAX);
            self.code = Some(Code { mask, bytes: [0; 2], have: 0, size });
        }
        if header.is_data() {
            self.fragments = !header.is_final();
        }
    }
}

//! The fast path for incoming messages: [`Inbox`] takes whole text messages from the bytes read
//! ahead, several in one allocation, without a call of tungstenite for each. Nearly all frames are
//! such messages. [`Gate`] passes all other frames to tungstenite, byte for byte.

use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use crate::websocket::frame::{self, BAD_GATEWAY, Header};

/// The size of the memory that several small messages share. Keeping one of them keeps all of it.
pub(crate) const CHUNK: usize = 2 * 1024;

/// Prepares a message to be kept for longer: if it is small compared with the memory that it
/// shares, it is copied.
pub(crate) fn detach(message: Utf8Bytes) -> Utf8Bytes {
    if message.len() < CHUNK / 2 { message.as_str().into() } else { message }
}

/// In the chunk, each message but the last is followed by the length of the next one. (In front of
/// the message, the length could be cut off only with a second handle to the chunk.)
const LENGTH: usize = size_of::<u32>();

/// Messages that were taken and not delivered yet.
#[derive(Default)]
pub(crate) struct Inbox {
    chunk: Bytes,
    /// The number of messages, and the length of the first one.
    count: u32,
    first: u32,
}

impl Inbox {
    /// The next message; not yet checked to be UTF-8.
    #[inline(always)]
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

    /// Takes whole messages from the start of these bytes, which must be the start of a frame, and
    /// returns how many bytes that were. `masked`: the frames come from a client; none may exceed
    /// `limit`.
    pub(crate) fn take(&mut self, ahead: &[u8], masked: bool, limit: usize) -> usize {
        let (mut rest, mut chunk, mut count) = (ahead, Vec::new(), 0);
        while let Some((header, payload, behind)) = whole(rest, masked, limit) {
            let size = payload.len();
            let Ok(length) = u32::try_from(size) else { break };
            if count == 0 {
                // Exactly as much as needed, if it is the only message.
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

/// The first frame, if it is complete, valid, and a whole text message.
fn whole(bytes: &[u8], masked: bool, limit: usize) -> Option<(Header, &[u8], &[u8])> {
    let header = Header::parse(bytes)?;
    let usual = header.first == frame::FIN_TEXT && header.mask.is_some() == masked;
    let length = usize::try_from(header.length).ok().filter(|length| *length <= limit)?;
    let (payload, behind) = bytes.get(header.size..)?.split_at_checked(length)?;
    usual.then_some((header, payload, behind))
}

/// How far tungstenite may read: to the end of a frame that it must handle, as the inbox may take
/// what follows.
#[derive(Default)]
pub(crate) struct Gate {
    /// Whether tungstenite has a frame, or the rest of one, to read.
    open: bool,
    /// The start of the frame's header, until it is complete.
    header: [u8; Header::MAX],
    have: usize,
    /// How much of the payload is still missing.
    left: u64,
    /// Whether tungstenite has a part of a message, and more frames follow.
    fragments: bool,
    /// Whether tungstenite gets everything up to the end.
    for_good: bool,
    /// The code of the close frame, if there was one.
    code: Option<Code>,
    /// Whether tungstenite does not reply to a close frame because this side sent one first.
    closes: bool,
}

/// The code of a close frame, as far as it has arrived.
struct Code {
    mask: [u8; 4],
    bytes: [u8; 2],
    have: usize,
    /// The length of the payload.
    size: usize,
}

impl Code {
    fn value(&self) -> Option<u16> {
        let Code { mask, bytes: [high, low], have: 2, .. } = self else { return None };
        Some(u16::from_be_bytes([high ^ mask[0], low ^ mask[1]]))
    }
}

impl Gate {
    /// Whether the inbox may take the next frame.
    pub(crate) fn is_closed(&self) -> bool {
        !self.open
    }

    /// Whether the next data frame must go to tungstenite.
    pub(crate) fn is_in_message(&self) -> bool {
        self.fragments
    }

    /// Passes the next frame to tungstenite.
    pub(crate) fn open(&mut self) {
        self.open = true;
    }

    /// Passes everything from now on to tungstenite.
    pub(crate) fn open_for_good(&mut self) {
        (self.open, self.for_good) = (true, true);
    }

    /// Records that this side sends a close frame.
    pub(crate) fn close(&mut self) {
        // A close frame that was read to its end before gets a reply.
        self.closes |= self.code.is_none() || self.left > 0;
    }

    /// How many of these next bytes tungstenite may read; they count as passed. A valid close code
    /// that tungstenite would refuse is replaced.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        if self.for_good {
            return bytes.len();
        }
        if bytes.is_empty() || !self.open {
            return 0;
        }
        let mut passed = 0;
        if self.left == 0 {
            // Inside the header.
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

    /// The code of the close frame that was passed, valid or not; `None` if it has none.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.code.as_ref()?.value()
    }

    /// The position, counted from the end of what tungstenite writes, of the second byte of a close
    /// code that was replaced: tungstenite's reply is the last that it writes, and as long as the
    /// close frame.
    pub(crate) fn replaced_code(&self) -> Option<usize> {
        let code = self.code.as_ref().filter(|code| code.value() == Some(BAD_GATEWAY))?;
        let is_answered = self.left == 0 && !self.closes;
        is_answered.then(|| code.size.saturating_sub(1))
    }

    /// Called when the header is complete.
    fn begin(&mut self, header: &Header) {
        self.have = 0;
        self.left = header.length;
        if header.first == frame::FIN_CLOSE && self.code.is_none() {
            let mask = header.mask.unwrap_or_default();
            // A longer one breaks the protocol, and tungstenite reports it.
            let size = usize::try_from(header.length).unwrap_or(usize::MAX);
            self.code = Some(Code { mask, bytes: [0; 2], have: 0, size });
        }
        if header.is_data() {
            self.fragments = !header.is_final();
        }
    }
}

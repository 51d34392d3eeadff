//! The fast path for incoming messages: [`Inbox`] takes whole text messages from the bytes read
//! ahead, several in one allocation, without calling tungstenite for each. Nearly all frames are
//! such messages. [`Gate`] passes all other frames to tungstenite, byte for byte.

use tokio_tungstenite::tungstenite::{Bytes, Utf8Bytes};

use crate::websocket::frame::{self, BAD_GATEWAY, CONTINUATION, FIN, Header, Mask};

/// The size of the memory that several small messages share. Each of them keeps all of it alive.
pub(crate) const CHUNK: usize = 2 * 1024;

/// Prepares a message to be kept for a longer time: copies it if it is small compared with the
/// memory that it shares.
pub(crate) fn detach(message: Utf8Bytes) -> Utf8Bytes {
    if message.len() < CHUNK / 2 { message.as_str().into() } else { message }
}

/// In the chunk, each message but the last is followed by the length of the next one. (In front of
/// the message, the length could be cut off only with a second handle to the chunk.)
const LENGTH: usize = size_of::<u32>();

/// Messages that were taken from the stream and not delivered yet.
#[derive(Default)]
pub(crate) struct Inbox {
    chunk: Bytes,
    /// The number of messages, and the length of the first one.
    count: u32,
    first: u32,
}

impl Inbox {
    /// The next message, which is not checked to be UTF-8 yet.
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

    /// Takes whole messages from the start of these bytes, which must be the start of a frame.
    /// Returns the number of bytes taken. `masked`: the frames come from a client. No message may
    /// exceed `limit`.
    pub(crate) fn take(&mut self, ahead: &[u8], masked: bool, limit: usize) -> usize {
        let (mut rest, mut chunk, mut count) = (ahead, Vec::new(), 0);
        while let Some((header, payload, behind)) = whole(rest, masked, limit) {
            let size = payload.len();
            let Ok(length) = u32::try_from(size) else { break };
            if count == 0 {
                // Exactly its size, if it is the only message.
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

/// A frame larger than this is passed to tungstenite as several frames of this size. tungstenite
/// unmasks and checks a frame when the frame is complete, and other tasks must not wait while it
/// does so for megabytes. The size is a multiple of four, so that each piece has the mask of the
/// frame.
const PIECE: u64 = 32 * 1024;

/// Limits how far tungstenite may read: to the end of a frame that it must handle, because the
/// inbox may take what follows.
#[derive(Default)]
pub(crate) struct Gate {
    /// Whether tungstenite has to read a frame, or the rest of one.
    open: bool,
    /// The part of the header that has arrived, or the header that is passed to tungstenite.
    header: [u8; Header::MAX],
    have: u8,
    /// The number of bytes of the header that were passed to tungstenite. `None` until the header
    /// is complete.
    given: Option<u8>,
    /// The number of missing bytes of the payload: in the current piece, and after it.
    left: u64,
    behind: u64,
    /// The mask of the frame.
    mask: Mask,
    /// Whether tungstenite has read a part of a message, and more frames follow.
    fragments: bool,
    /// Whether tungstenite reads everything up to the end of the stream.
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
        // A close frame that was completely read before this gets a reply.
        self.closes |= self.code.is_none() || self.left > 0;
    }

    /// Copies the rest of the header to the buffer, as far as there is space, and returns the
    /// number of bytes. Returns `None` if received bytes are next.
    pub(crate) fn give_header(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let given = self.given?;
        let rest = self.header.get(usize::from(given)..usize::from(self.have))?;
        let most = rest.len().min(buffer.len());
        if most == 0 {
            return None;
        }
        buffer.get_mut(..most)?.copy_from_slice(rest.get(..most)?);
        self.given = Some(given + most as u8);
        self.close_at_end();
        Some(most)
    }

    /// Takes bytes of a header from the start of these bytes, and returns their number. Returns
    /// `None` if the header is complete. `limit` is the maximum size of a message.
    pub(crate) fn take_header(&mut self, bytes: &[u8], limit: usize) -> Option<usize> {
        if self.given.is_some() || self.for_good {
            return None;
        }
        for (index, byte) in bytes.iter().enumerate() {
            *self.header.get_mut(usize::from(self.have))? = *byte;
            self.have += 1;
            let seen = self.header.get(..usize::from(self.have)).unwrap_or_default();
            if let Some(header) = Header::parse(seen) {
                self.begin(&header, limit);
                return Some(index + 1);
            }
        }
        Some(bytes.len())
    }

    /// Returns how many of these next bytes of the payload tungstenite may read, and counts them as
    /// passed. Replaces a valid close code that tungstenite would refuse.
    pub(crate) fn pass(&mut self, bytes: &mut [u8]) -> usize {
        if self.for_good {
            return bytes.len();
        }
        let passed = self.left.min(bytes.len() as u64);
        if let Some(code) = &mut self.code {
            for byte in bytes.iter_mut().take(passed as usize) {
                let Some(place) = code.bytes.get_mut(code.have) else { break };
                *place = *byte;
                code.have += 1;
                if code.value() == Some(BAD_GATEWAY) {
                    frame::swap_bad_gateway(byte);
                }
            }
        }
        self.left -= passed;
        if self.left == 0 && self.behind > 0 {
            self.next_piece(CONTINUATION);
        }
        self.close_at_end();
        passed as usize
    }

    /// Closes the gate after the last byte of a frame.
    fn close_at_end(&mut self) {
        if self.left == 0 && self.given == Some(self.have) {
            (self.open, self.have, self.given) = (false, 0, None);
        }
    }

    /// The code of the close frame that was passed, valid or not. `None` if the frame has no code.
    pub(crate) fn close_code(&self) -> Option<u16> {
        self.code.as_ref()?.value()
    }

    /// The position of the second byte of a replaced close code, counted from the end of what
    /// tungstenite writes: tungstenite's reply is the last thing that it writes, and is as long as
    /// the close frame.
    pub(crate) fn replaced_code(&self) -> Option<usize> {
        let code = self.code.as_ref().filter(|code| code.value() == Some(BAD_GATEWAY))?;
        let is_answered = self.left == 0 && !self.closes;
        is_answered.then(|| code.size.saturating_sub(1))
    }

    /// Called when the header of a frame is complete.
    fn begin(&mut self, header: &Header, limit: usize) {
        (self.given, self.left, self.mask) = (Some(0), header.length, header.mask);
        if header.first == frame::FIN_CLOSE && self.code.is_none() {
            let mask = header.mask.unwrap_or_default();
            // A longer close frame breaks the protocol, which tungstenite reports.
            let size = usize::try_from(header.length).unwrap_or(usize::MAX);
            self.code = Some(Code { mask, bytes: [0; 2], have: 0, size });
        }
        if header.is_data() {
            self.fragments = !header.is_final();
            // tungstenite reports a frame over the limit as soon as it has the header.
            if header.length > PIECE && header.length <= limit as u64 {
                (self.left, self.behind) = (0, header.length);
                self.next_piece(header.first & !FIN);
            }
        }
    }

    /// Begins the next piece of a large frame, as a separate frame.
    fn next_piece(&mut self, first: u8) {
        self.left = self.behind.min(PIECE);
        self.behind -= self.left;
        let mut header = Vec::with_capacity(Header::MAX);
        frame::begin(&mut header, self.left as usize, self.mask);
        let is_final = self.behind == 0 && !self.fragments;
        if let Some(byte) = header.first_mut() {
            *byte = first | if is_final { FIN } else { 0 };
        }
        for (to, from) in self.header.iter_mut().zip(&header) {
            *to = *from;
        }
        (self.have, self.given) = (header.len() as u8, Some(0));
    }
}

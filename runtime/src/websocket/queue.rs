//! The bytes of queued messages, in the order in which they are sent: [`Waiting`] for those that
//! are queued, [`Sending`] for those that are being written. `send_queue` adds the lock and the
//! wakers.

use std::collections::VecDeque;

use crate::protocol::buffer;
use crate::protocol::pieces::{Pieces, SMALL};
use crate::websocket::frame::{self, Mask};

/// Capacity above this is freed while nothing is queued: a connection may be idle for long.
const KEPT_ITEMS: usize = 16;
const KEPT_BYTES: usize = 256;

/// Messages that are queued.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    items: VecDeque<Item>,
    /// Frames of small messages, and headers of large ones.
    small: Vec<u8>,
    /// Large payloads, with the positions in `small` where they belong.
    large: VecDeque<(usize, Vec<u8>)>,
}

#[derive(Clone, Copy, Debug)]
struct Item {
    /// The size of the frame.
    frame: usize,
    /// The size of the message.
    size: usize,
    /// Whether it is a response to the peer. Too many queued responses pause reading; calls of this
    /// side never do, or two sides that call each other could both wait to be read.
    answer: bool,
}

impl Waiting {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    #[inline]
    pub(crate) fn push(&mut self, text: Vec<u8>, answer: bool, mask: Mask) {
        self.begin(text.len(), answer, mask);
        self.payload(text, mask);
    }

    /// A message whose text is in pieces.
    #[inline(never)]
    pub(crate) fn push_pieces(&mut self, mut text: Pieces, answer: bool, mut mask: Mask) {
        self.begin(text.len(), answer, mask);
        while let Some(piece) = text.take_first() {
            let size = piece.len();
            self.payload(piece, mask);
            if let Some(mask) = &mut mask {
                mask.rotate_left(size % 4);
            }
        }
    }

    #[inline(always)]
    fn begin(&mut self, size: usize, answer: bool, mask: Mask) {
        let start = self.small.len();
        frame::begin(&mut self.small, size, mask);
        self.items.push_back(Item { frame: self.small.len() - start + size, size, answer });
    }

    /// Up to [`SMALL`], payloads are kept one behind the other in one buffer, which is written as a whole; a
    /// larger one keeps its own, as copying it would cost more than another write.
    #[inline(always)]
    fn payload(&mut self, mut text: Vec<u8>, mask: Mask) {
        let (at, size) = (self.small.len(), text.len());
        if size > SMALL {
            buffer::trim(&mut text);
            frame::apply(mask, &mut text);
            self.large.push_back((at, text));
            return;
        }
        self.small.extend_from_slice(&text);
        if mask.is_some() {
            frame::apply(mask, self.small.get_mut(at..).unwrap_or_default());
        }
        buffer::give_back(text);
    }
}

#[cfg(test)]
impl Waiting {
    /// Queues a message whose frame has another first byte.
    pub(crate) fn push_as(&mut self, first: u8, text: Vec<u8>, answer: bool, mask: Mask) {
        let start = self.small.len();
        self.push(text, answer, mask);
        self.small[start] = first;
    }
}

/// Messages that are being written.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    queue: Waiting,
    /// How much of `small`, and of the first large payload, is written.
    small_at: usize,
    large_at: usize,
    /// How much of the first item's frame is written.
    of_first: usize,
}

/// How many bytes the network has taken.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) bytes: usize,
    pub(crate) answer_bytes: usize,
    pub(crate) messages: usize,
}

impl Sending {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.items.is_empty()
    }

    /// Whether a frame is partly written, so that its rest must come before anything else.
    pub(crate) fn is_midway(&self) -> bool {
        self.of_first > 0
    }

    /// Takes all queued messages; nothing may be in the process of being written.
    pub(crate) fn take(&mut self, waiting: &mut Waiting) {
        std::mem::swap(&mut self.queue, waiting);
        (self.small_at, self.large_at) = (0, 0);
    }

    /// The bytes to write next. Empty only if everything is written.
    pub(crate) fn chunk(&self) -> &[u8] {
        let Waiting { small, large, .. } = &self.queue;
        let chunk = match large.front() {
            Some((at, payload)) if *at <= self.small_at => payload.get(self.large_at..),
            Some((at, _)) => small.get(self.small_at..*at),
            None => small.get(self.small_at..),
        };
        chunk.unwrap_or_default()
    }

    /// Records that so many bytes of the chunk were written.
    pub(crate) fn advance(&mut self, count: usize, sent: &mut Sent) {
        match self.queue.large.front() {
            Some((at, payload)) if *at <= self.small_at => {
                self.large_at += count;
                if self.large_at >= payload.len() {
                    self.queue.large.pop_front();
                    self.large_at = 0;
                }
            }
            _ => self.small_at += count,
        }
        self.of_first += count;
        while let Some(item) = self.queue.items.front() {
            if self.of_first < item.frame {
                return;
            }
            self.of_first -= item.frame;
            sent.bytes += item.size;
            sent.answer_bytes += if item.answer { item.size } else { 0 };
            sent.messages += 1;
            self.queue.items.pop_front();
        }
        self.reset();
    }

    /// Everything is written: keeps no more capacity than a connection usually needs.
    fn reset(&mut self) {
        let Waiting { items, small, large } = &mut self.queue;
        items.clear();
        if items.capacity() > KEPT_ITEMS {
            *items = VecDeque::new();
        }
        small.clear();
        if small.capacity() > KEPT_BYTES {
            *small = Vec::new();
        }
        *large = VecDeque::new();
        (self.small_at, self.large_at, self.of_first) = (0, 0, 0);
    }

    /// Drops everything but the rest of a frame that is partly written.
    pub(crate) fn clear(&mut self) {
        let Some(first) = self.queue.items.front().copied().filter(|_| self.is_midway()) else {
            return self.reset();
        };
        let Waiting { items, small, large } = &mut self.queue;
        let (mut left, mut small_end, mut kept) = (first.frame - self.of_first, self.small_at, 0);
        for (at, payload) in large.iter() {
            let before = at.saturating_sub(small_end);
            if before >= left {
                break;
            }
            let gone = if kept == 0 && *at <= self.small_at { self.large_at } else { 0 };
            left = left.saturating_sub(before + payload.len() - gone);
            (small_end, kept) = (*at, kept + 1);
        }
        items.truncate(1);
        small.truncate(small_end + left);
        large.truncate(kept);
    }

    /// Drops everything, as it can't be written any more.
    pub(crate) fn give_up(&mut self) {
        *self = Sending::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes written, `step` at a time, and their tally.
    fn drain(sending: &mut Sending, step: usize) -> (Vec<u8>, Sent) {
        let (mut out, mut sent) = (Vec::new(), Sent::default());
        while !sending.is_empty() {
            let part = sending.chunk().len().min(step);
            assert!(part > 0);
            out.extend_from_slice(&sending.chunk()[..part]);
            sending.advance(part, &mut sent);
        }
        (out, sent)
    }

    fn queued(sizes: &[usize], mask: Mask) -> (Sending, Vec<Vec<u8>>) {
        queued_in(sizes, usize::MAX, mask)
    }

    /// In pieces of this size, where a message is larger.
    fn queued_in(sizes: &[usize], piece: usize, mask: Mask) -> (Sending, Vec<Vec<u8>>) {
        let (mut waiting, mut sending) = (Waiting::default(), Sending::default());
        let mut frames = Vec::new();
        for (index, size) in sizes.iter().enumerate() {
            let alphabet = b"abcdefghijklmnopqrstuvwxyz"[index..].iter();
            let text: Vec<u8> = alphabet.cycle().take(*size).copied().collect();
            let mut frame = Vec::new();
            frame::begin(&mut frame, *size, mask);
            let header = frame.len();
            frame.extend_from_slice(&text);
            frame::apply(mask, &mut frame[header..]);
            frames.push(frame);
            if *size <= piece {
                waiting.push(text, index % 2 == 0, mask);
                continue;
            }
            let mut pieces = Pieces::default();
            for part in text.chunks(piece) {
                pieces.append(part.to_vec());
            }
            waiting.push_pieces(pieces, index % 2 == 0, mask);
        }
        sending.take(&mut waiting);
        assert!(waiting.is_empty());
        (sending, frames)
    }

    /// Of odd sizes, so that masks begin at each of their bytes.
    const PIECES: [usize; 4] = [usize::MAX, 3 * SMALL + 3, SMALL + 5, 1001];
    const SIZES: [usize; 9] = [3, SMALL, SMALL + 1, 0, 1, 10 * SMALL, 2 * SMALL, SMALL + 1, 7];

    #[test]
    fn small_and_large_messages_go_out_in_the_order_in_which_they_came() {
        for mask in [None, Some([7, 8, 9, 10])] {
            for step in [1, 2, 1000, SMALL, usize::MAX] {
                for piece in PIECES {
                    let (mut sending, frames) = queued_in(&SIZES, piece, mask);
                    let (out, sent) = drain(&mut sending, step);
                    assert!(out == frames.concat(), "{step}");
                    let answers = SIZES.iter().step_by(2).sum::<usize>();
                    assert_eq!(sent.bytes, SIZES.iter().sum::<usize>());
                    assert_eq!((sent.answer_bytes, sent.messages), (answers, SIZES.len()));
                    assert!(!sending.is_midway());
                    assert!(sending.queue.items.capacity() <= KEPT_ITEMS);
                    assert!(sending.queue.small.capacity() <= KEPT_BYTES);
                }
            }
        }
    }

    #[test]
    fn a_frame_that_has_begun_is_completed_and_nothing_else() {
        let mut whole = 0;
        let ends = queued(&SIZES, None).1.into_iter().map(|frame| {
            whole += frame.len();
            whole
        });
        let ends: Vec<usize> = ends.collect();
        let near_ends = (0..whole).filter(|at| at % 197 == 0 || whole - at < 20 || *at < 20);
        for (cut, piece) in near_ends.flat_map(|cut| PIECES.map(|piece| (cut, piece))) {
            let (mut sending, frames) = queued_in(&SIZES, piece, None);
            let (mut out, mut sent) = (Vec::new(), Sent::default());
            while out.len() < cut {
                let part = sending.chunk().len().min(cut - out.len());
                out.extend_from_slice(&sending.chunk()[..part]);
                sending.advance(part, &mut sent);
            }
            let midway = sending.is_midway();
            sending.clear();
            assert_eq!(sending.is_empty(), !midway, "{cut}");
            out.extend(drain(&mut sending, 1000).0);
            assert!(frames.concat().starts_with(&out), "{cut}");
            assert!(out.is_empty() || ends.contains(&out.len()), "{cut}: {}", out.len());
        }
    }
}

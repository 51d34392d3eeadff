//! The send queue of a connection: [`SendQueue`] holds the bytes to be sent, and the waker of the
//! task that sends them. Any task may queue messages, and only the connection's task removes them.
//! The limit on the queued bytes is the backpressure on this side's calls and items.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::ThreadId;

use tokio::sync::futures::Notified;
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Bytes;

use crate::protocol::encode::buffer;
use crate::protocol::pieces::{Pieces, SMALL};
use crate::websocket::frame::{self, Mask};

/// Commands for the connection's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send all queued messages, then close with this code and reason.
    Close { code: u16, reason: String },
    /// Refuse new requests, let handlers finish until the deadline, then close with 1001.
    Drain { deadline: Instant },
}

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct SendQueue {
    queue: Mutex<Queue>,
    /// The number of queued bytes that belong to responses. It is changed only under the queue's
    /// lock, and is read without the lock for each incoming message.
    answer_bytes: AtomicUsize,
    /// Notified when there is space again, or when nothing is accepted any more.
    room: Notify,
    /// A semaphore with one permit. Producers that found the queue full wait for it in order of
    /// arrival. Most connections never need it.
    line: OnceLock<Box<Semaphore>>,
    limit: usize,
    /// Whether messages are masked, as a client's are.
    masks: bool,
}

#[derive(Debug)]
struct Queue {
    waiting: Waiting,
    /// The number of bytes queued and not yet written to the socket.
    bytes: usize,
    command: Option<Command>,
    waker: Option<Waker>,
    /// The task is running, or was woken and will run, and need not be woken again.
    awake: bool,
    /// The task waits until the socket accepts more bytes. New responses do not wake it.
    blocked: bool,
    /// The task must run for another reason than messages or a command.
    woken: bool,
    /// Whether calls of this side are accepted.
    open: bool,
    /// Whether nothing is accepted any more, except responses from the thread in `speaker`.
    ended: bool,
    speaker: Option<ThreadId>,
}

/// Why a message was not queued.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The queue is full; returns the message.
    Full(Vec<u8>),
    Closed,
}

/// A message for many connections, encoded once. Queues refer to its bytes and do not copy them.
#[derive(Clone, Debug)]
pub(crate) struct SharedMessage {
    /// A whole frame without a mask, as a server sends it.
    frame: Bytes,
    /// The size of the frame's header.
    header: usize,
}

impl SharedMessage {
    pub(crate) fn new(text: &[u8]) -> Self {
        let mut frame = Vec::with_capacity(frame::Header::MAX + text.len());
        frame::begin(&mut frame, text.len(), None);
        let header = frame.len();
        frame.extend_from_slice(text);
        SharedMessage { frame: frame.into(), header }
    }

    pub(crate) fn text(&self) -> &[u8] {
        self.frame.get(self.header..).unwrap_or_default()
    }
}

/// What a queue did with a shared message.
#[derive(Debug)]
#[must_use = "the waker must be woken"]
pub(crate) enum Share {
    /// The message is queued. The caller must wake the connection's task, if it sleeps.
    Queued(Option<Waker>),
    Full,
    Closed,
}

impl SendQueue {
    pub(crate) fn new(limit: usize, masks: bool) -> Self {
        let queue = Queue {
            waiting: Waiting::default(),
            bytes: 0,
            command: None,
            waker: None,
            awake: true,
            blocked: false,
            woken: false,
            open: true,
            ended: false,
            speaker: None,
        };
        // With a limit of 0 nothing would ever be sent.
        SendQueue {
            queue: Mutex::new(queue),
            answer_bytes: AtomicUsize::new(0),
            room: Notify::new(),
            line: OnceLock::new(),
            limit: limit.max(1),
            masks,
        }
    }

    /// Queues a response. It is always accepted until the connection ends.
    pub(crate) fn answer(&self, text: Vec<u8>) {
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.ended || queue.is_speaking() {
            self.set_answer_bytes(self.answer_bytes() + text.len());
            queue.push(text, true, mask);
            if !queue.blocked {
                wake(queue);
            }
        }
    }

    /// Queues a response that may be long.
    #[inline(never)]
    pub(crate) fn answer_pieces(&self, text: Pieces) {
        let text = match text.into_one() {
            Ok(text) => return self.answer(text),
            Err(pieces) => pieces,
        };
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.ended || queue.is_speaking() {
            self.set_answer_bytes(self.answer_bytes() + text.len());
            queue.bytes += text.len();
            queue.waiting.push_pieces(text, true, mask);
            if !queue.blocked {
                wake(queue);
            }
        }
    }

    /// Queues a response whose frame has this first byte.
    #[cfg(test)]
    pub(crate) fn answer_as(&self, first: u8, text: Vec<u8>) {
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.ended {
            self.set_answer_bytes(self.answer_bytes() + text.len());
            queue.bytes += text.len();
            queue.waiting.push_as(first, text, true, mask);
            if !queue.blocked {
                wake(queue);
            }
        }
    }

    /// Queues a message of this side if there is space. Returns whether there is space for another
    /// one.
    pub(crate) fn try_send(&self, text: Vec<u8>) -> Result<bool, Refused> {
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.open {
            return Err(Refused::Closed);
        }
        if queue.bytes >= self.limit {
            return Err(Refused::Full(text));
        }
        queue.push(text, false, mask);
        let room = queue.bytes < self.limit;
        // Wakes the task even if the socket is blocked: reading may resume because a call waits for
        // its response.
        wake(queue);
        Ok(room)
    }

    /// Queues a message of this side even if the queue is full. Only for messages whose number is
    /// bounded in another way.
    pub(crate) fn send_anyway(&self, text: Vec<u8>) {
        let mask = self.mask();
        let mut queue = self.lock();
        // Accepted while a close waits for queued messages, because it belongs to a call that is
        // queued.
        if !queue.ended {
            queue.push(text, false, mask);
            wake(queue);
        }
    }

    /// Queues an item. Its producer has found space, or has reached the head of the line, before it
    /// encoded the item. The item is accepted even if other messages have filled the queue
    /// meanwhile, because a waiting producer must not hold an item. Returns whether there is space
    /// for another item.
    pub(crate) fn send_item(&self, text: Vec<u8>) -> Result<bool, Closed> {
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.open {
            return Err(Closed);
        }
        queue.push(text, false, mask);
        let room = queue.bytes < self.limit;
        wake(queue);
        Ok(room)
    }

    /// Like [`send_item`](Self::send_item), for an item whose text is in two parts. Many queues can
    /// refer to the same second part. A client's queue copies the second part in order to mask it.
    pub(crate) fn send_item_parts(&self, head: &[u8], tail: &Bytes) -> Result<bool, Closed> {
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.open {
            return Err(Closed);
        }
        queue.bytes += head.len() + tail.len();
        queue.waiting.push_parts(head, tail, mask);
        let room = queue.bytes < self.limit;
        wake(queue);
        Ok(room)
    }

    /// Queues a reference to a shared message if there is space. The whole message counts towards
    /// the limit. A client's queue copies the message in order to mask it. Returns the waker of the
    /// connection's task, so that a caller that holds a lock can wake the task afterwards.
    pub(crate) fn share(&self, message: &SharedMessage) -> Share {
        let mask = self.mask();
        let mut queue = self.lock();
        if !queue.open {
            return Share::Closed;
        }
        if queue.bytes >= self.limit {
            return Share::Full;
        }
        queue.bytes += message.text().len();
        queue.waiting.push_shared(message, mask);
        if std::mem::replace(&mut queue.awake, true) {
            return Share::Queued(None);
        }
        Share::Queued(queue.waker.take())
    }

    /// Queues a message of this side, and waits while the queue is full. If the future is dropped
    /// before it is ready, nothing is queued. It does not wait in the line of
    /// [`wait_in_line`](Self::wait_in_line): the application may stop polling it, which would block
    /// all that wait behind it.
    pub(crate) async fn send(&self, mut text: Vec<u8>) -> Result<(), Closed> {
        loop {
            // Registered before the queue is checked, so that no wake-up is missed.
            let room = self.room.notified();
            match self.try_send(text) {
                Ok(_) => return Ok(()),
                Err(Refused::Closed) => return Err(Closed),
                Err(Refused::Full(back)) => text = back,
            }
            room.await;
        }
    }

    /// Whether a message of this side would be queued at once.
    pub(crate) fn has_room(&self) -> bool {
        let queue = self.lock();
        queue.open && queue.bytes < self.limit
    }

    /// Ready when there is space again, or when nothing is accepted any more. Create it before you
    /// check for space, so that no wake-up is missed.
    pub(crate) fn room(&self) -> Notified<'_> {
        self.room.notified()
    }

    /// The number of bytes above which this side's messages have to wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a producer waits in line.
    pub(crate) fn has_line(&self) -> bool {
        self.line.get().is_some_and(|line| line.available_permits() == 0)
    }

    /// Waits behind all producers that already wait, and then until there is space or nothing is
    /// accepted any more. The next producer waits until the permit is dropped, so only a task that
    /// is always polled may hold one.
    pub(crate) async fn wait_in_line(&self) -> LinePermit<'_> {
        let line = self.line.get_or_init(|| Box::new(Semaphore::new(1)));
        // The semaphore is never closed.
        let permit = LinePermit(line.acquire().await.ok());
        loop {
            // Registered before the queue is checked, so that no wake-up is missed.
            let room = self.room.notified();
            if self.has_room() || !self.is_open() {
                return permit;
            }
            room.await;
        }
    }

    /// Sends a command to the connection's task. A later drain does not override a close.
    pub(crate) fn command(&self, command: Command) {
        let mut queue = self.lock();
        let overrides = !matches!(queue.command, Some(Command::Close { .. }));
        if overrides && !queue.ended {
            if matches!(command, Command::Close { .. }) {
                queue.open = false;
            }
            queue.command = Some(command);
            wake(queue);
            self.room.notify_waiters();
        }
    }

    /// Accepts nothing more. Queued messages stay queued.
    pub(crate) fn shut(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.ended = true;
        drop(queue);
        self.room.notify_waiters();
    }

    /// Runs code whose responses are still accepted after [`shut`](Self::shut), if they are queued
    /// on this thread before the code returns.
    pub(crate) fn let_speak(&self, speaking: impl FnOnce()) {
        self.lock().speaker = Some(std::thread::current().id());
        speaking();
        self.lock().speaker = None;
    }

    /// Wakes the connection's task to check its state.
    pub(crate) fn wake(&self) {
        let mut queue = self.lock();
        queue.woken = true;
        wake(queue);
    }

    // For the connection's task.

    /// Moves all queued messages to `sending`, which must be empty.
    pub(crate) fn take(&self, sending: &mut Sending) {
        sending.take(&mut self.lock().waiting);
    }

    /// Records what was written to the socket.
    pub(crate) fn sent(&self, tally: &Sent) {
        let mut queue = self.lock();
        queue.bytes = queue.bytes.saturating_sub(tally.bytes);
        self.set_answer_bytes(self.answer_bytes().saturating_sub(tally.answer_bytes));
        let room = queue.bytes < self.limit;
        drop(queue);
        if room {
            self.room.notify_waiters();
        }
    }

    /// The number of bytes queued and not yet written to the socket.
    pub(crate) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// The number of queued bytes that belong to responses.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes.load(Ordering::Relaxed)
    }

    fn set_answer_bytes(&self, bytes: usize) {
        self.answer_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether calls of this side are accepted.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.is_empty()
    }

    pub(crate) fn take_command(&self) -> Option<Command> {
        self.lock().command.take()
    }

    /// Registers the task before it sleeps. Returns `false` if something was queued since the task
    /// last ran. Queued messages do not count while the socket is blocked.
    pub(crate) fn park(&self, waker: &Waker, blocked: bool) -> bool {
        let mut queue = self.lock();
        let woken = std::mem::take(&mut queue.woken);
        if woken || queue.command.is_some() || (!blocked && !queue.waiting.is_empty()) {
            return false;
        }
        queue.blocked = blocked;
        match &mut queue.waker {
            Some(known) => known.clone_from(waker),
            None => queue.waker = Some(waker.clone()),
        }
        queue.awake = false;
        true
    }

    /// Marks the task as running, so that queueing does not wake it. Returns whether this queue has
    /// woken it.
    pub(crate) fn unpark(&self) -> bool {
        let mut queue = self.lock();
        queue.blocked = false;
        std::mem::replace(&mut queue.awake, true)
    }

    /// Ends the queue: drops queued messages, and accepts nothing more.
    pub(crate) fn end(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.ended = true;
        queue.bytes = 0;
        self.set_answer_bytes(0);
        let dropped = std::mem::take(&mut queue.waiting);
        drop(queue);
        drop(dropped);
        self.room.notify_waiters();
    }

    #[inline]
    fn mask(&self) -> Mask {
        if self.masks { frame::new_mask() } else { None }
    }

    /// No user code runs under the lock, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The send queue accepts nothing more.
#[derive(Debug)]
pub(crate) struct Closed;

/// The head of the line of producers that wait for space.
#[derive(Debug)]
pub(crate) struct LinePermit<'a>(#[allow(dead_code)] Option<SemaphorePermit<'a>>);

impl Queue {
    #[cold]
    fn is_speaking(&self) -> bool {
        self.speaker.is_some_and(|speaker| speaker == std::thread::current().id())
    }

    #[inline(never)]
    fn push(&mut self, text: Vec<u8>, answer: bool, mask: Mask) {
        self.bytes += text.len();
        self.waiting.push(text, answer, mask);
    }
}

/// Wakes the task if it sleeps, after the lock is released.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    if queue.awake {
        return;
    }
    queue.awake = true;
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Capacity above this is freed while nothing is queued, because a connection may be idle for a
/// long time.
const KEPT_ITEMS: usize = 16;
const KEPT_BYTES: usize = 256;

/// Messages that are queued.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    items: VecDeque<Item>,
    /// Frames of small messages, and headers of large ones.
    small: Vec<u8>,
    /// Large payloads and shared bytes, with the positions in `small` where they belong. None of
    /// them is empty.
    large: VecDeque<(usize, Bytes)>,
}

/// Shared bytes of at most this number are copied: a reference to them needs as much memory.
const REFERENCE: usize = 64;
/// If nothing else is queued, shared bytes of at most this number are copied: an allocation for the
/// reference and a system call with two slices cost more.
const COPIED: usize = 512;

#[derive(Clone, Copy, Debug)]
struct Item {
    /// The size of the frame.
    frame: usize,
    /// The size of the message.
    size: usize,
    /// Whether it is a response to the peer. Too many queued responses pause reading. Calls of this
    /// side never pause reading, because two sides that call each other could then both wait for
    /// the other to read.
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

    /// A message that other queues share. With a mask, the text is copied.
    fn push_shared(&mut self, message: &SharedMessage, mask: Mask) {
        if mask.is_some() {
            return self.push(message.text().to_vec(), false, mask);
        }
        let (frame, size) = (message.frame.len(), message.text().len());
        self.items.push_back(Item { frame, size, answer: false });
        self.refer(&message.frame);
    }

    /// A message of this side whose text is in two parts. With a mask, the second part is copied.
    fn push_parts(&mut self, head: &[u8], tail: &Bytes, mut mask: Mask) {
        self.begin(head.len() + tail.len(), false, mask);
        let at = self.small.len();
        self.small.extend_from_slice(head);
        let Some(rest) = &mut mask else { return self.refer(tail) };
        frame::apply(Some(*rest), self.small.get_mut(at..).unwrap_or_default());
        rest.rotate_left(head.len() % 4);
        self.payload(tail.to_vec(), mask);
    }

    /// Appends a reference to shared bytes.
    fn refer(&mut self, bytes: &Bytes) {
        // A message that does not wait behind others is usually written at once.
        let limit = if self.items.len() == 1 { COPIED } else { REFERENCE };
        if bytes.len() <= limit {
            self.small.extend_from_slice(bytes);
        } else {
            self.large.push_back((self.small.len(), bytes.clone()));
        }
    }

    #[inline(always)]
    fn begin(&mut self, size: usize, answer: bool, mask: Mask) {
        let start = self.small.len();
        frame::begin(&mut self.small, size, mask);
        self.items.push_back(Item { frame: self.small.len() - start + size, size, answer });
    }

    /// Payloads of at most [`SMALL`] bytes are appended to one buffer, which is written as a whole.
    /// A larger payload keeps its own buffer, because copying it would cost more than another
    /// write.
    #[inline(always)]
    fn payload(&mut self, mut text: Vec<u8>, mask: Mask) {
        let (at, size) = (self.small.len(), text.len());
        if size > SMALL {
            buffer::trim(&mut text);
            frame::apply(mask, &mut text);
            self.large.push_back((at, text.into()));
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
    /// The number of bytes written of `small` and of the first large payload.
    small_at: usize,
    large_at: usize,
    /// The number of bytes written of the first item's frame.
    of_first: usize,
}

/// What was written to the network.
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

    /// Whether a frame is partly written, so that the rest of it must be written first.
    pub(crate) fn is_midway(&self) -> bool {
        self.of_first > 0
    }

    /// Takes all queued messages. Everything taken before must be written.
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

    /// Whether the bytes to write are in more than one place.
    pub(crate) fn is_scattered(&self) -> bool {
        !self.queue.large.is_empty()
    }

    /// The bytes to write next, at most `most`, in the order in which they must be written. Returns
    /// the number of slices.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>], most: usize) -> usize {
        let Waiting { small, large, .. } = &self.queue;
        let (mut small_at, mut large_at) = (self.small_at, self.large_at);
        let small_parts = large.iter().map(|(at, _)| *at).chain([small.len()]);
        let payloads = large.iter().map(|(_, payload)| payload.as_ref()).chain([&[][..]]);
        let parts = small_parts.zip(payloads).flat_map(|(at, payload)| {
            let before = small.get(small_at..at).unwrap_or_default();
            let rest = payload.get(large_at..).unwrap_or_default();
            (small_at, large_at) = (small_at.max(at), 0);
            [before, rest]
        });
        let (mut left, mut count) = (most, 0);
        for (slice, part) in slices.iter_mut().zip(parts.filter(|part| !part.is_empty())) {
            let part = part.get(..left).unwrap_or(part);
            if part.is_empty() {
                break;
            }
            *slice = IoSlice::new(part);
            (left, count) = (left - part.len(), count + 1);
        }
        count
    }

    /// Records that this number of bytes was written.
    pub(crate) fn advance(&mut self, count: usize, sent: &mut Sent) {
        if self.is_scattered() {
            self.advance_scattered(count);
        } else {
            self.small_at += count;
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

    /// Moves the positions forward past bytes that may be in several places.
    #[inline(never)]
    fn advance_scattered(&mut self, mut count: usize) {
        while let Some((at, payload)) = self.queue.large.front() {
            let before = count.min(at.saturating_sub(self.small_at));
            self.small_at += before;
            count -= before;
            if count == 0 {
                return;
            }
            let rest = payload.len() - self.large_at;
            if count < rest {
                self.large_at += count;
                return;
            }
            count -= rest;
            self.large_at = 0;
            self.queue.large.pop_front();
        }
        self.small_at += count;
    }

    /// Called when everything is written. Frees capacity above what a connection usually needs.
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

    /// Drops everything, because it cannot be written any more.
    pub(crate) fn give_up(&mut self) {
        *self = Sending::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_no_longer_counts() {
        let send_queue = SendQueue::new(1 << 20, false);
        send_queue.answer(vec![b'x'; 10]);
        send_queue.try_send(vec![b'x'; 5]).unwrap();
        assert!(!send_queue.is_empty());
        let (mut sending, mut sent) = (Sending::default(), Sent::default());
        send_queue.take(&mut sending);
        assert!(send_queue.is_empty());
        assert_eq!((send_queue.answer_bytes(), send_queue.lock().bytes), (10, 15));
        while !sending.is_empty() {
            sending.advance(sending.chunk().len(), &mut sent);
        }
        send_queue.sent(&sent);
        assert_eq!((send_queue.answer_bytes(), send_queue.lock().bytes), (0, 0));
    }

    #[test]
    fn a_nudge_is_not_lost_however_it_comes() {
        let send_queue = SendQueue::new(1, false);
        assert!(send_queue.park(Waker::noop(), false));
        send_queue.wake();
        send_queue.unpark();
        send_queue.wake();
        assert!(!send_queue.park(Waker::noop(), true), "nudged while awake");
        assert!(send_queue.park(Waker::noop(), true));
        send_queue.command(Command::Close { code: 1000, reason: String::new() });
        assert!(!send_queue.park(Waker::noop(), true), "a command is to be obeyed");
    }

    /// The bytes written, at most `step` from `places` slices at a time, and what was recorded as
    /// sent.
    fn drain(sending: &mut Sending, step: usize, places: usize) -> (Vec<u8>, Sent) {
        let (mut out, mut sent) = (Vec::new(), Sent::default());
        while !sending.is_empty() {
            let part = write_some(sending, step, places, &mut out);
            assert!(0 < part && part <= step);
            sending.advance(part, &mut sent);
        }
        (out, sent)
    }

    fn write_some(sending: &Sending, most: usize, places: usize, out: &mut Vec<u8>) -> usize {
        let before = out.len();
        if places == 1 {
            let chunk = sending.chunk();
            out.extend_from_slice(chunk.get(..most).unwrap_or(chunk));
        } else {
            let mut slices = vec![IoSlice::new(&[]); places];
            let count = sending.slices(&mut slices, most);
            assert!(slices[..count].iter().all(|slice| !slice.is_empty()));
            slices[..count].iter().for_each(|slice| out.extend_from_slice(slice));
        }
        out.len() - before
    }

    fn queued(sizes: &[usize], mask: Mask) -> (Sending, Vec<Vec<u8>>) {
        queued_as(sizes, How::Pieces(usize::MAX), mask)
    }

    /// How messages are queued.
    #[derive(Clone, Copy, Debug)]
    enum How {
        /// A message larger than this is queued in pieces of this size.
        Pieces(usize),
        /// Every other message is shared with other queues.
        Shared,
        /// Every other message has a first part of at most this size, and its second part is shared
        /// with other queues.
        Parts(usize),
    }

    fn queued_as(sizes: &[usize], how: How, mask: Mask) -> (Sending, Vec<Vec<u8>>) {
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
            let piece = match how {
                How::Shared if index % 2 == 1 => {
                    waiting.push_shared(&SharedMessage::new(&text), mask);
                    continue;
                }
                How::Parts(head) if index % 2 == 1 => {
                    let (head, tail) = text.split_at(head.min(*size));
                    waiting.push_parts(head, &Bytes::copy_from_slice(tail), mask);
                    continue;
                }
                How::Pieces(piece) => piece,
                How::Shared | How::Parts(_) => usize::MAX,
            };
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

    /// The sizes are odd, so that pieces begin at each byte of the mask.
    const HOW: [How; 7] = [
        How::Pieces(usize::MAX),
        How::Pieces(3 * SMALL + 3),
        How::Pieces(SMALL + 5),
        How::Pieces(1001),
        How::Shared,
        How::Parts(21),
        How::Parts(0),
    ];
    /// The number of bytes and of slices in one write.
    const STEPS: [(usize, usize); 9] = [
        (1, 1),
        (2, 1),
        (1000, 1),
        (usize::MAX, 1),
        (7, 2),
        (1000, 3),
        (SMALL, 64),
        (usize::MAX, 2),
        (usize::MAX, 64),
    ];
    const SIZES: [usize; 12] =
        [3, SMALL, SMALL + 1, 0, 1, 10 * SMALL, 2 * SMALL, SMALL + 1, 7, REFERENCE, 70, 200];

    #[test]
    fn small_and_large_messages_go_out_in_the_order_in_which_they_came() {
        for mask in [None, Some([7, 8, 9, 10])] {
            for (step, places) in STEPS {
                for how in HOW {
                    let (mut sending, frames) = queued_as(&SIZES, how, mask);
                    let (out, sent) = drain(&mut sending, step, places);
                    assert!(out == frames.concat(), "{how:?} {step} {places}");
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
    fn a_shared_message_is_not_copied() {
        let message = SharedMessage::new(&[b'x'; 1000]);
        let queues = [SendQueue::new(1 << 20, false), SendQueue::new(1 << 20, false)];
        for queue in &queues {
            assert!(matches!(queue.share(&message), Share::Queued(None)));
            let queue = queue.lock();
            assert_eq!(queue.waiting.large[0].1.as_ptr(), message.frame.as_ptr());
            assert_eq!((queue.bytes, queue.waiting.small.capacity()), (1000, 0));
        }
        let tail = Bytes::from(vec![b'y'; 1000]);
        for queue in &queues {
            assert!(queue.send_item_parts(b"head", &tail).unwrap());
            assert_eq!(queue.lock().waiting.large[1].1.as_ptr(), tail.as_ptr());
            assert_eq!(queue.lock().bytes, 2004);
        }
    }

    #[test]
    fn a_small_shared_message_is_copied_unless_it_waits_behind_others() {
        let queue = SendQueue::new(1 << 20, false);
        let message = SharedMessage::new(&[b'x'; 100]);
        for references in 0..3 {
            assert!(matches!(queue.share(&message), Share::Queued(None)));
            assert_eq!(queue.lock().waiting.large.len(), references);
        }
        queue.take(&mut Sending::default());
        assert!(queue.send_item_parts(b"head", &Bytes::from(vec![b'y'; 100])).unwrap());
        assert!(queue.lock().waiting.large.is_empty());
        let large = SharedMessage::new(&[b'x'; COPIED + 1]);
        queue.take(&mut Sending::default());
        assert!(matches!(queue.share(&large), Share::Queued(None)));
        assert_eq!(queue.lock().waiting.large.len(), 1);
    }

    #[test]
    fn a_shared_message_is_refused_like_any_other() {
        let message = SharedMessage::new(b"0123456789");
        let queue = SendQueue::new(15, false);
        assert!(queue.park(Waker::noop(), false));
        let Share::Queued(Some(waker)) = queue.share(&message) else { panic!("the task sleeps") };
        waker.wake();
        assert!(matches!(queue.share(&message), Share::Queued(None)), "there was space for one");
        assert!(matches!(queue.share(&message), Share::Full));
        // An item is queued whatever else has filled the queue, but reports it.
        assert!(!queue.send_item_parts(b"head", &Bytes::from_static(b"tail")).unwrap());
        queue.shut();
        assert!(matches!(queue.share(&message), Share::Closed));
        assert!(queue.send_item_parts(b"head", &Bytes::from_static(b"tail")).is_err());
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
        let cases = near_ends.flat_map(|cut| HOW.map(|how| (cut, how)));
        for (cut, how, places) in cases.flat_map(|(cut, how)| [(cut, how, 1), (cut, how, 64)]) {
            let (mut sending, frames) = queued_as(&SIZES, how, None);
            let (mut out, mut sent) = (Vec::new(), Sent::default());
            while out.len() < cut {
                let part = write_some(&sending, cut - out.len(), places, &mut out);
                sending.advance(part, &mut sent);
            }
            let midway = sending.is_midway();
            sending.clear();
            assert_eq!(sending.is_empty(), !midway, "{cut}");
            out.extend(drain(&mut sending, 1000, places).0);
            assert!(frames.concat().starts_with(&out), "{cut}");
            assert!(out.is_empty() || ends.contains(&out.len()), "{cut}: {}", out.len());
        }
    }
}

//! The send queue of a connection: [`SendQueue`] holds the bytes that wait to be sent, and the
//! waker of the task that sends them. Any task may queue messages; only the connection's task takes
//! them out. The limit on the queued bytes is the backpressure on this side's calls and items.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::ThreadId;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::protocol::pieces::Pieces;
use crate::websocket::frame::{self, Mask};
use crate::websocket::queue::{Sending, Sent, Waiting};

/// Commands for the connection's task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send what is queued, then close with this code and this reason.
    Close { code: u16, reason: String },
    /// Take no new requests, let handlers finish until the deadline, then close with 1001.
    Drain { deadline: Instant },
}

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct SendQueue {
    queue: Mutex<Queue>,
    /// How many of the queued bytes are responses. Changed only under the queue's lock; read for
    /// each incoming message, so without it.
    answer_bytes: AtomicUsize,
    /// Notified when there is space again, or never will be.
    room: Notify,
    /// One permit: producers that found the queue full wait for it in order of arrival. Most
    /// connections never need it.
    line: OnceLock<Box<Semaphore>>,
    limit: usize,
    /// Whether messages are masked, as a client's are.
    masks: bool,
}

#[derive(Debug)]
struct Queue {
    waiting: Waiting,
    /// Bytes queued and not yet taken by the socket.
    bytes: usize,
    command: Option<Command>,
    waker: Option<Waker>,
    /// The task runs, or was woken and will run: no need to wake it again.
    awake: bool,
    /// The task waits until the socket takes more: new responses are no reason to wake it.
    blocked: bool,
    /// The task must run for something other than messages or a command.
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

    /// Queues a response. Always accepted, until the connection ends.
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

    /// Queues a message of this side, if there is space; returns whether there is more.
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
        // Even if the socket is blocked: a call that waits for its response may let reading go on.
        wake(queue);
        Ok(room)
    }

    /// Queues a message of this side even if the queue is full. Only for messages that something
    /// else bounds.
    pub(crate) fn send_anyway(&self, text: Vec<u8>) {
        let mask = self.mask();
        let mut queue = self.lock();
        // A close that waits for what is queued also sends this, as it follows its call.
        if !queue.ended {
            queue.push(text, false, mask);
            wake(queue);
        }
    }

    /// Queues an item whose producer found space, or had its turn, before it encoded the item. The
    /// item is accepted even if other messages were faster: a waiting producer must not hold one.
    /// Returns whether there is space for another item.
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

    /// Queues a message of this side; waits while the queue is full. Dropping the future before it
    /// is ready leaves nothing behind. It does not wait in the line of [`turn`](Self::wait_in_line): the
    /// application may stop polling it, which would block everything behind it.
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

    /// How many bytes of this side's messages may be queued.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a producer waits for its turn.
    pub(crate) fn has_line(&self) -> bool {
        self.line.get().is_some_and(|line| line.available_permits() == 0)
    }

    /// Waits behind all producers that already wait, then for space; or until nothing is accepted
    /// any more. The next producer waits until the turn is dropped, so only a task that is always
    /// polled may hold one.
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

    /// Accepts nothing more. What is queued stays.
    pub(crate) fn shut(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.ended = true;
        drop(queue);
        self.room.notify_waiters();
    }

    /// Runs code whose responses are still accepted after [`shut`](Self::shut), if they are queued
    /// at once and in this thread.
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

    /// Records what the socket has taken.
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

    /// How many bytes of responses are queued.
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

    /// Puts the task to sleep; `false` if something was queued since it last ran. While the socket
    /// is blocked, messages queued behind it do not count.
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

    /// Marks the task as running, so that queueing does not wake it. `true` if it was woken by this
    /// queue.
    pub(crate) fn unpark(&self) -> bool {
        let mut queue = self.lock();
        queue.blocked = false;
        std::mem::replace(&mut queue.awake, true)
    }

    /// Ends the queue: what is queued is dropped, and nothing more is accepted.
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

    /// Only small moves happen under the lock, no user code, so a poisoned lock is safe to use.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The send queue accepts nothing more.
#[derive(Debug)]
pub(crate) struct Closed;

/// The first position in the line of producers that wait for space.
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
}

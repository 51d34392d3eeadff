//! Bytes that wait to go out, and the one waker of the task that sends them.
//!
//! Everybody who has something to send puts it here; only the connection's task takes it out.
//! Must not know sockets, ids or what the bytes say.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::protocol::buffer;

/// Messages up to this size are kept one behind the other in one buffer; a larger one keeps its
/// own, as copying it would cost more than an allocation.
const SMALL: usize = 4 * 1024;

/// Messages in the order in which they go out.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    items: VecDeque<Item>,
    /// The small ones. An allocation for each of hundreds that wait would be the dearest part of
    /// sending them.
    small: Vec<u8>,
}

#[derive(Debug)]
struct Item {
    size: usize,
    /// It answers the peer. Too many of these stop the reading; calls of our own never do, or two
    /// sides that call each other could both wait to be read.
    answer: bool,
    large: Option<Vec<u8>>,
}

impl Waiting {
    fn push(&mut self, text: Vec<u8>, answer: bool) {
        let size = text.len();
        let large = if size > SMALL {
            Some(text)
        } else {
            if self.small.capacity() == 0 {
                self.small.reserve(SMALL);
            }
            self.small.extend_from_slice(&text);
            buffer::give_back(text);
            None
        };
        self.items.push_back(Item { size, answer, large });
    }
}

/// What was taken out of the outbox and is on its way.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    items: VecDeque<Item>,
    small: Bytes,
}

impl Taken {
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        *self = Taken::default();
    }

    /// The next message, and what it counts for.
    pub(crate) fn next(&mut self, sent: &mut Sent) -> Option<Bytes> {
        let item = self.items.pop_front()?;
        sent.bytes += item.size;
        sent.answer_bytes += if item.answer { item.size } else { 0 };
        Some(match item.large {
            Some(text) => text.into(),
            None => self.small.split_to(item.size.min(self.small.len())),
        })
    }
}

/// What the connection's task is asked to do beside sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Send what is queued, then close with this code and these words.
    Close { code: u16, reason: String },
    /// Take no new requests, let handlers finish until the deadline, then close with 1001.
    Drain { deadline: Instant },
}

/// The queue of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    /// The part of the queue's bytes that are answers. Changed only under the queue's lock; looked
    /// at for each message that is read, so without it.
    answer_bytes: AtomicUsize,
    /// Local callers wait here for room.
    room: Notify,
    limit: usize,
}

#[derive(Debug)]
struct Queue {
    waiting: Waiting,
    /// Bytes accepted and not yet handed to the socket.
    bytes: usize,
    command: Option<Command>,
    waker: Option<Waker>,
    /// The task runs, or has been woken and will: no need to wake it again.
    awake: bool,
    /// The task sleeps until the socket takes more: new answers are no reason to wake it.
    blocked: bool,
    /// Something other than items or a command is to be looked at.
    nudged: bool,
    /// Takes calls of our own.
    open: bool,
    /// Nothing is taken at all.
    ended: bool,
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No room; here it is back.
    Full(Vec<u8>),
    Closed,
}

impl Outbox {
    pub(crate) fn new(limit: usize) -> Self {
        let queue = Queue {
            waiting: Waiting::default(),
            bytes: 0,
            command: None,
            waker: None,
            awake: true,
            blocked: false,
            nudged: false,
            open: true,
            ended: false,
        };
        // With a limit of 0 nothing would ever go out.
        Outbox {
            queue: Mutex::new(queue),
            answer_bytes: AtomicUsize::new(0),
            room: Notify::new(),
            limit: limit.max(1),
        }
    }

    /// Queues an answer. Always taken, until the connection is over.
    pub(crate) fn answer(&self, text: Vec<u8>) {
        let mut queue = self.lock();
        if !queue.ended {
            self.set_answer_bytes(self.answer_bytes() + text.len());
            queue.push(text, true);
            if !queue.blocked {
                wake(queue);
            }
        }
    }

    /// Queues a message of our own, if there is room.
    pub(crate) fn try_send(&self, text: Vec<u8>) -> Result<(), Refused> {
        let mut queue = self.lock();
        if !queue.open {
            return Err(Refused::Closed);
        }
        if queue.bytes >= self.limit {
            return Err(Refused::Full(text));
        }
        queue.push(text, false);
        // Even if the socket is blocked: a call that waits for its response may let reading go on.
        wake(queue);
        Ok(())
    }

    /// Queues a message of our own; waits for room. Dropping the future before it is ready leaves
    /// nothing behind.
    pub(crate) async fn send(&self, mut text: Vec<u8>) -> Result<(), Closed> {
        loop {
            // Registered before the look at the queue, so that no wake-up falls in between.
            let room = self.room.notified();
            match self.try_send(text) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed) => return Err(Closed),
                Err(Refused::Full(back)) => text = back,
            }
            room.await;
        }
    }

    /// Asks the connection's task for something. A close is not taken back by a later drain.
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

    /// Wakes the connection's task to look around.
    pub(crate) fn nudge(&self) {
        let mut queue = self.lock();
        queue.nudged = true;
        wake(queue);
    }

    // The connection's own side.

    /// Moves all that waits into `taken`, which must be empty.
    pub(crate) fn take(&self, taken: &mut Taken) {
        let mut queue = self.lock();
        std::mem::swap(&mut queue.waiting.items, &mut taken.items);
        let small = std::mem::take(&mut queue.waiting.small);
        drop(queue);
        taken.small = small.into();
    }

    /// The socket has taken so much.
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

    /// How many bytes of answers wait.
    pub(crate) fn answer_bytes(&self) -> usize {
        self.answer_bytes.load(Ordering::Relaxed)
    }

    fn set_answer_bytes(&self, bytes: usize) {
        self.answer_bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether it takes calls of our own.
    pub(crate) fn is_open(&self) -> bool {
        self.lock().open
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.lock().waiting.items.is_empty()
    }

    pub(crate) fn take_command(&self) -> Option<Command> {
        self.lock().command.take()
    }

    /// The task goes to sleep, unless something has come since it last looked: then `false`.
    /// While the socket is blocked, items that wait behind it are nothing new.
    pub(crate) fn park(&self, waker: &Waker, blocked: bool) -> bool {
        let mut queue = self.lock();
        let nudged = std::mem::take(&mut queue.nudged);
        if nudged || queue.command.is_some() || (!blocked && !queue.waiting.items.is_empty()) {
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

    /// The task runs: whoever queues something need not wake it. `true` if it was woken from here.
    pub(crate) fn unpark(&self) -> bool {
        let mut queue = self.lock();
        queue.blocked = false;
        std::mem::replace(&mut queue.awake, true)
    }

    /// Nothing can be sent any more: what waits is dropped, and nothing more is taken.
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

    /// Only small moves happen under the lock, no user code, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outbox takes nothing more.
#[derive(Debug)]
pub(crate) struct Closed;

/// A tally of what the socket has taken.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    bytes: usize,
    answer_bytes: usize,
}

impl Sent {
    pub(crate) fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl Queue {
    fn push(&mut self, text: Vec<u8>, answer: bool) {
        self.bytes += text.len();
        self.waiting.push(text, answer);
    }
}

/// Wakes the task if it sleeps, after letting go of the lock.
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
    fn small_and_large_messages_go_out_in_the_order_in_which_they_came() {
        let outbox = Outbox::new(1 << 20);
        let texts: Vec<Vec<u8>> = [3, SMALL, SMALL + 1, 0, 1, 10 * SMALL, 7]
            .iter()
            .map(|size| vec![b'x'; *size])
            .collect();
        let mut taken = Taken::default();
        for round in 0..2 {
            for (index, text) in texts.iter().enumerate() {
                if (index + round) % 2 == 0 {
                    outbox.answer(text.clone());
                } else {
                    outbox.try_send(text.clone()).unwrap();
                }
            }
            assert!(!outbox.is_empty());
            outbox.take(&mut taken);
            assert!(outbox.is_empty());
            let mut sent = Sent::default();
            for text in &texts {
                assert_eq!(taken.next(&mut sent).unwrap(), text);
            }
            assert!(taken.is_empty() && taken.next(&mut sent).is_none());
            assert!(outbox.answer_bytes() > 0);
            outbox.sent(&sent);
            assert_eq!((outbox.answer_bytes(), outbox.lock().bytes), (0, 0));
        }
    }

    #[test]
    fn a_nudge_is_not_lost_however_it_comes() {
        let outbox = Outbox::new(1);
        assert!(outbox.park(Waker::noop(), false));
        outbox.nudge();
        outbox.unpark();
        outbox.nudge();
        assert!(!outbox.park(Waker::noop(), true), "nudged while awake");
        assert!(outbox.park(Waker::noop(), true));
        outbox.command(Command::Close { code: 1000, reason: String::new() });
        assert!(!outbox.park(Waker::noop(), true), "a command is to be obeyed");
    }
}

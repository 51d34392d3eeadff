//! Bytes that wait to go out, and the one waker of the task that sends them.
//!
//! Everybody who has something to send puts it here; only the connection's task takes it out.
//! Must not know sockets, ids or what the bytes say.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::thread::ThreadId;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use crate::websocket::frame::{self, Mask};
use crate::websocket::queue::{Sending, Sent, Waiting};

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
pub(crate) struct SendQueue {
    queue: Mutex<Queue>,
    /// The part of the queue's bytes that are answers. Changed only under the queue's lock; looked
    /// at for each message that is read, so without it.
    answer_bytes: AtomicUsize,
    /// Signalled when there is room again, or never will be.
    room: Notify,
    /// One permit: producers that found no room wait for it in the order in which they came. Most
    /// connections never need it.
    line: OnceLock<Box<Semaphore>>,
    limit: usize,
    /// A client masks what it sends.
    masks: bool,
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
    woken: bool,
    /// Takes calls of our own.
    open: bool,
    /// Nothing is taken at all, but the answers of this thread.
    ended: bool,
    speaker: Option<ThreadId>,
}

/// Why a message was not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No room; here it is back.
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
        // With a limit of 0 nothing would ever go out.
        SendQueue {
            queue: Mutex::new(queue),
            answer_bytes: AtomicUsize::new(0),
            room: Notify::new(),
            line: OnceLock::new(),
            limit: limit.max(1),
            masks,
        }
    }

    /// Queues an answer. Always taken, until the connection is over.
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

    /// An answer whose frame begins with this byte.
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

    /// Queues a message of our own, if there is room; gives whether there is more.
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

    /// Queues a message of our own even where there is no room. Only for what is bounded by something
    /// else.
    pub(crate) fn send_anyway(&self, text: Vec<u8>) {
        let mask = self.mask();
        let mut queue = self.lock();
        // A close that waits for what is queued takes this along, as it is behind its call.
        if !queue.ended {
            queue.push(text, false, mask);
            wake(queue);
        }
    }

    /// Queues an item whose producer found room, or had its turn, before it encoded the item. The queue
    /// takes the item even if others were faster: a producer that waits must not hold one. Gives
    /// whether there is room for another one.
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

    /// Queues a message of our own; waits for room. Dropping the future before it is ready leaves
    /// nothing behind. It takes no place in the line of [`turn`](Self::wait_in_line): the application may stop
    /// polling it, and would hold up everybody behind it.
    pub(crate) async fn send(&self, mut text: Vec<u8>) -> Result<(), Closed> {
        loop {
            // Registered before the look at the queue, so that no wake-up falls in between.
            let room = self.room.notified();
            match self.try_send(text) {
                Ok(_) => return Ok(()),
                Err(Refused::Closed) => return Err(Closed),
                Err(Refused::Full(back)) => text = back,
            }
            room.await;
        }
    }

    /// Whether a message of our own is taken at once.
    pub(crate) fn has_room(&self) -> bool {
        let queue = self.lock();
        queue.open && queue.bytes < self.limit
    }

    /// How many bytes of messages of our own may wait.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// Whether a producer is waiting for its turn.
    pub(crate) fn has_line(&self) -> bool {
        self.line.get().is_some_and(|line| line.available_permits() == 0)
    }

    /// Waits behind all producers that wait already, then for room; or until nothing is taken any more.
    /// The next one waits until the turn is dropped, so only a task that is always polled may have one.
    pub(crate) async fn wait_in_line(&self) -> LinePermit<'_> {
        let line = self.line.get_or_init(|| Box::new(Semaphore::new(1)));
        // The semaphore is never closed.
        let permit = LinePermit(line.acquire().await.ok());
        loop {
            // Registered before the look at the queue, so that no wake-up falls in between.
            let room = self.room.notified();
            if self.has_room() || !self.is_open() {
                return permit;
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

    /// Takes nothing more. What waits stays.
    pub(crate) fn shut(&self) {
        let mut queue = self.lock();
        queue.open = false;
        queue.ended = true;
        drop(queue);
        self.room.notify_waiters();
    }

    /// Runs code whose answers are still taken after [`shut`](Self::shut), if it gives them at once and
    /// in this thread.
    pub(crate) fn let_speak(&self, speaking: impl FnOnce()) {
        self.lock().speaker = Some(std::thread::current().id());
        speaking();
        self.lock().speaker = None;
    }

    /// Wakes the connection's task to look around.
    pub(crate) fn wake(&self) {
        let mut queue = self.lock();
        queue.woken = true;
        wake(queue);
    }

    // The connection's own side.

    /// Moves all that waits on its way, where nothing may be.
    pub(crate) fn take(&self, sending: &mut Sending) {
        sending.take(&mut self.lock().waiting);
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
        self.lock().waiting.is_empty()
    }

    pub(crate) fn take_command(&self) -> Option<Command> {
        self.lock().command.take()
    }

    /// The task goes to sleep, unless something has come since it last looked: then `false`.
    /// While the socket is blocked, items that wait behind it are nothing new.
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

    #[inline]
    fn mask(&self) -> Mask {
        if self.masks { frame::new_mask() } else { None }
    }

    /// Only small moves happen under the lock, no user code, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The outbox takes nothing more.
#[derive(Debug)]
pub(crate) struct Closed;

/// The first place in the line of producers that wait for room.
#[derive(Debug)]
pub(crate) struct LinePermit<'a>(#[allow(dead_code)] Option<SemaphorePermit<'a>>);

impl Queue {
    #[cold]
    fn is_speaking(&self) -> bool {
        self.speaker.is_some_and(|speaker| speaker == std::thread::current().id())
    }

    fn push(&mut self, text: Vec<u8>, answer: bool, mask: Mask) {
        self.bytes += text.len();
        self.waiting.push(text, answer, mask);
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

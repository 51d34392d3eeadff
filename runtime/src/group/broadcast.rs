//! Broadcasts: queues one message for all members of a group, and treats members whose send queue is
//! full as the group's settings say ([`SlowMember`]).

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::error::Error;
use crate::group::SlowMember;
use crate::group::members::{Member, Members};
use crate::group::route::View;
use crate::link::Link;
use crate::outgoing::fan_out::Report;
use crate::protocol::encode::buffer;
use crate::util::race::race;
use crate::util::runtime::{deadline, timer};
use crate::websocket::send_queue::{Share, SharedMessage};

const FULL: &str = "its send queue is full (Config::max_send_queue)";
const TOO_LARGE: &str = "the message is larger than Config::max_outgoing_message";
const TOO_MANY: &str = "Config::max_send_queue bytes wait already (SlowMember::Wait)";
const TOO_LATE: &str = "it waited too long for space in the send queue (SlowMember::Wait)";
pub(crate) const LEFT: &str = "it left the group while the message waited (SlowMember::Wait)";
const ENDED: &str = "the connection ended while the message waited (SlowMember::Wait)";
const NO_RUNTIME: &str = "there is no tokio runtime with timers for SlowMember::Wait";

/// Messages of one member that wait for space in its send queue, with the times until which they
/// wait.
#[derive(Default)]
pub(crate) struct Backlog {
    messages: VecDeque<(SharedMessage, Instant)>,
    bytes: usize,
    /// Whether a task sends the messages when there is space.
    has_task: bool,
}

/// What became of a message for one member.
enum Outcome {
    Queued(Option<Waker>),
    /// The message waits. `true`: the task that sends it later must be started.
    Waiting(bool),
    Dropped(&'static str),
    Gone,
}

/// What is done for a member after a broadcast, when no lock is held.
enum Afterwards {
    StartTask,
    Drop(&'static str),
}

/// How messages wait in the background.
struct Patience {
    until: Instant,
    /// The runtime of the task that broadcasts.
    runtime: Option<Handle>,
}

impl View {
    /// Queues a notification for all members without waiting.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(crate) fn queue_for_all(&self, text: Vec<u8>) -> Result<Report, Error> {
        let members = &self.members;
        let limit = members.settings.config.max_outgoing_message;
        if text.len() > limit {
            return Err(Error::TooLarge { size: text.len(), limit });
        }
        let message = SharedMessage::new(&text);
        buffer::give_back(text);
        let patience = match members.settings.slow_member {
            SlowMember::Wait(time) => Some(Patience {
                until: deadline(Instant::now(), time),
                runtime: Handle::try_current().ok(),
            }),
            _ => None,
        };

        let mut report = Report::default();
        let (mut wakers, mut afterwards) = (Vec::new(), Vec::new());
        let order = members.order.lock().unwrap_or_else(PoisonError::into_inner);
        let list = members.list();
        for member in list.iter().filter(|member| !self.excludes(member.key)) {
            match member.queue(&message, patience.as_ref()) {
                Outcome::Queued(waker) => {
                    report.sent += 1;
                    wakers.extend(waker);
                }
                Outcome::Waiting(needs_task) => {
                    report.waiting += 1;
                    if needs_task {
                        afterwards.push((member, Afterwards::StartTask));
                    }
                }
                Outcome::Dropped(reason) => {
                    report.dropped += 1;
                    afterwards.push((member, Afterwards::Drop(reason)));
                }
                Outcome::Gone => report.gone += 1,
            }
        }
        drop(order);
        wakers.into_iter().for_each(Waker::wake);
        let runtime = patience.and_then(|patience| patience.runtime);
        for (member, what) in afterwards {
            match what {
                Afterwards::StartTask => {
                    if let Some(runtime) = member.runtime.as_ref().or(runtime.as_ref()) {
                        runtime.spawn(send_backlog(Arc::clone(members), Arc::clone(member)));
                    }
                }
                Afterwards::Drop(reason) => {
                    members.count_dropped(member, 1, reason);
                    let disconnects = members.settings.slow_member == SlowMember::Disconnect;
                    if let Some(link) = member.link().filter(|_| disconnects && reason == FULL) {
                        link.close(1013, "too slow: the send queue is full");
                    }
                }
            }
        }
        Ok(report)
    }
}

impl Member {
    /// Queues a message. The group's order lock is held.
    fn queue(&self, message: &SharedMessage, patience: Option<&Patience>) -> Outcome {
        let Some(link) = self.link() else { return Outcome::Gone };
        if message.text().len() > link.config.max_outgoing_message {
            return Outcome::Dropped(TOO_LARGE);
        }
        let Some(patience) = patience else {
            return match share(&link, message) {
                Share::Queued(waker) => Outcome::Queued(waker),
                Share::Full => Outcome::Dropped(FULL),
                Share::Closed => Outcome::Gone,
            };
        };
        // Only broadcasts add to a backlog, and the caller holds the order lock: a backlog that is
        // empty here stays empty.
        let waits = self.backlog().is_some_and(|backlog| !backlog.messages.is_empty());
        if !waits {
            match share(&link, message) {
                Share::Queued(waker) => return Outcome::Queued(waker),
                Share::Full => {}
                Share::Closed => return Outcome::Gone,
            }
        }
        if patience.runtime.is_none() && self.runtime.is_none() {
            return Outcome::Dropped(NO_RUNTIME);
        }
        let mut backlog = lock(self.backlog.get_or_init(Box::default));
        if backlog.bytes >= link.config.max_send_queue {
            return Outcome::Dropped(TOO_MANY);
        }
        backlog.bytes += message.text().len();
        backlog.messages.push_back((message.clone(), patience.until));
        Outcome::Waiting(!std::mem::replace(&mut backlog.has_task, true))
    }

    fn backlog(&self) -> Option<MutexGuard<'_, Backlog>> {
        self.backlog.get().map(|backlog| lock(backlog))
    }

    /// Moves messages from the backlog to the send queue.
    fn move_backlog(&self, link: &Link) -> Moved {
        let mut moved = Moved::default();
        let Some(mut backlog) = self.backlog() else { return moved };
        let mut first_waker = None;
        let now = Instant::now();
        while let Some((message, until)) = backlog.messages.front() {
            let size = message.text().len();
            match share(link, message) {
                Share::Queued(waker) => first_waker = first_waker.or(waker),
                Share::Full if *until <= now => moved.too_late += 1,
                Share::Full => {
                    moved.wait_until = Some(*until);
                    break;
                }
                Share::Closed => moved.ended += 1,
            }
            backlog.bytes -= size;
            backlog.messages.pop_front();
        }
        backlog.has_task = moved.wait_until.is_some();
        if backlog.messages.is_empty() {
            backlog.messages = VecDeque::new();
        }
        drop(backlog);
        if let Some(waker) = first_waker {
            waker.wake();
        }
        moved
    }

    /// Drops all messages of the backlog. Returns their number.
    pub(crate) fn drop_backlog(&self) -> usize {
        let Some(mut backlog) = self.backlog() else { return 0 };
        let messages = std::mem::take(&mut *backlog).messages;
        drop(backlog);
        messages.len()
    }
}

/// What became of a backlog.
#[derive(Default)]
struct Moved {
    /// The number of messages that waited too long.
    too_late: usize,
    /// The number of messages that were dropped because the connection has ended.
    ended: usize,
    /// Until when the first message waits that is left.
    wait_until: Option<Instant>,
}

/// Sends the messages of a backlog when there is space, until none is left.
fn send_backlog(members: Arc<Members>, member: Arc<Member>) -> impl Future<Output = ()> + Send {
    // Not inside the future, which may be dropped before its first poll.
    let task = BacklogTask { members, member, finished: false };
    async move {
        // Moves the whole value into the future, and not only the fields that are used here.
        let mut task = task;
        wait_and_send(&task.members, &task.member).await;
        task.finished = true;
    }
}

/// The task of a backlog. If it is dropped, for example with its runtime, so are the messages, and the
/// next broadcast can start another task.
struct BacklogTask {
    members: Arc<Members>,
    member: Arc<Member>,
    finished: bool,
}

impl Drop for BacklogTask {
    fn drop(&mut self) {
        if !self.finished {
            self.members.count_dropped(&self.member, self.member.drop_backlog(), NO_RUNTIME);
        }
    }
}

async fn wait_and_send(members: &Members, member: &Member) {
    loop {
        let Some(link) = member.link().map(Cow::into_owned) else {
            return members.count_dropped(member, member.drop_backlog(), ENDED);
        };
        // Registered before the queue is checked, so that no wake-up is missed.
        let room = pin!(link.send_queue.room());
        let moved = member.move_backlog(&link);
        members.count_dropped(member, moved.too_late, TOO_LATE);
        members.count_dropped(member, moved.ended, ENDED);
        let Some(until) = moved.wait_until else { return };
        let Some(timer) = timer(until, None) else {
            return members.count_dropped(member, member.drop_backlog(), NO_RUNTIME);
        };
        race(room, pin!(timer)).await;
    }
}

fn share(link: &Link, message: &SharedMessage) -> Share {
    // Recorded first, because a peer may answer the notification, against the specification.
    link.pending.notify();
    link.send_queue.share(message)
}

/// No user code runs under the lock, so a poisoned lock is safe to use.
fn lock(backlog: &Mutex<Backlog>) -> MutexGuard<'_, Backlog> {
    backlog.lock().unwrap_or_else(PoisonError::into_inner)
}

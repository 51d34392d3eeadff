//! The handle to the other side, and what all handles share with the connection's task.
//!
//! Its calls and batches are written in `call` and `batch`. Must not know how incoming calls are
//! handled.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::Notify;

use crate::config::Config;
use crate::error::{CloseReason, Error};
use crate::outbox::{Command, Outbox, Refused};
use crate::pending::{Pending, Side};

/// A handle to the other side of a connection. Cheap to clone, usable from any task.
///
/// Either side has one: a client from [`Client::peer`](crate::Client::peer), a handler from
/// [`Context::peer`](crate::Context::peer). Typed stubs are made of it (`MathClient::new(peer)`);
/// it makes untyped calls itself:
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("math.sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let peer = client.peer();
/// let sum: i64 = peer.call("math.sum", (1, 2)).await?;
/// peer.notify("log", ["ready"]).await?;
/// # assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Peer(Hold);

/// One reference count for each handle, of whichever kind: every call has one.
#[derive(Clone)]
enum Hold {
    Link(Arc<Link>),
    /// A client's connection closes when the last handle of this kind is gone.
    Keep(Arc<Keep>),
}

/// What all handles of a connection share with its task.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) outbox: Outbox,
    pub(crate) pending: Pending,
    pub(crate) config: Arc<Config>,
    /// Handlers that were begun and are not ready.
    pub(crate) in_flight: AtomicUsize,
    /// Batches of nothing but notifications that were sent and may be answered with `[]`, against
    /// the specification.
    empty_replies: AtomicUsize,
    /// Known as soon as the end begins.
    reason: OnceLock<CloseReason>,
    /// Whether the end is complete.
    over: AtomicBool,
    ended: Notify,
}

impl Link {
    pub(crate) fn new(side: Side, config: Arc<Config>) -> Self {
        Link {
            outbox: Outbox::new(config.max_outbox, side == Side::Client),
            pending: Pending::new(side),
            config,
            in_flight: AtomicUsize::new(0),
            empty_replies: AtomicUsize::new(0),
            reason: OnceLock::new(),
            over: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// Nothing more can be sent, so nothing more is queued. The first reason counts; gives it.
    pub(crate) fn begin_end(&self, reason: CloseReason) -> CloseReason {
        let known = self.reason.get_or_init(|| reason).clone();
        self.outbox.end();
        known
    }

    /// The connection is over: whoever waits learns it now. Gives the reason.
    pub(crate) fn end(&self, reason: CloseReason) -> CloseReason {
        let known = self.begin_end(reason);
        self.pending.close(&known);
        self.over.store(true, Ordering::Release);
        self.ended.notify_waiters();
        known
    }

    /// Whether more messages are likely to be queued soon: handlers are at work, or several calls
    /// wait for their response.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0 || self.pending.len() > 1
    }

    pub(crate) async fn ended(&self) -> CloseReason {
        loop {
            let ended = self.ended.notified();
            if let Some(reason) = self.over() {
                return reason;
            }
            ended.await;
        }
    }

    pub(crate) fn expect_empty_reply(&self) {
        self.empty_replies.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes one expected `[]` off the account; `false` if none was expected.
    pub(crate) fn take_empty_reply(&self) -> bool {
        let less = |count: usize| count.checked_sub(1);
        self.empty_replies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Why the connection has ended, if it has.
    fn over(&self) -> Option<CloseReason> {
        if self.over.load(Ordering::Acquire) { self.reason.get().cloned() } else { None }
    }

    /// # Errors
    /// The connection takes no calls any more.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.outbox.is_open() { Ok(()) } else { Err(self.closed()) }
    }

    fn closed(&self) -> Error {
        Error::Closed(self.reason.get().cloned().unwrap_or(CloseReason::Local))
    }

    fn check_size(&self, text: &[u8]) -> Result<(), Error> {
        let limit = self.config.max_outgoing_message;
        if text.len() > limit { Err(Error::TooLarge { size: text.len(), limit }) } else { Ok(()) }
    }

    /// Queues a message; waits for room.
    pub(crate) async fn send(&self, text: Vec<u8>) -> Result<(), Error> {
        self.check_size(&text)?;
        self.outbox.send(text).await.map_err(|_| self.closed())
    }

    /// Queues a message; gives it back if there is no room.
    pub(crate) fn try_send(&self, text: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        self.check_size(&text)?;
        match self.outbox.try_send(text) {
            Ok(()) => Ok(None),
            Err(Refused::Full(text)) => Ok(Some(text)),
            Err(Refused::Closed) => Err(self.closed()),
        }
    }
}

/// Closes a client's connection when its last handle goes.
pub(crate) struct Keep(Arc<Link>);

impl Drop for Keep {
    fn drop(&mut self) {
        self.0.outbox.command(Command::Close { code: 1000, reason: String::new() });
    }
}

impl Peer {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Peer(Hold::Link(link))
    }

    /// A handle that keeps the connection open as long as it or a clone of it lives.
    pub(crate) fn keeping(link: Arc<Link>) -> Self {
        Peer(Hold::Keep(Arc::new(Keep(link))))
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        match &self.0 {
            Hold::Link(link) => link,
            Hold::Keep(keep) => &keep.0,
        }
    }

    /// Sends what is queued, then closes the connection with a close code
    /// ([RFC 6455, section 7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4); 1000 is the
    /// normal one, and stands in for codes that may not be sent) and a few words (at most 123
    /// bytes; longer ones are cut).
    ///
    /// Returns at once; [`closed`](Self::closed) waits. Calls made from now on fail, and so do
    /// those whose response has not come when the connection ends.
    pub fn close(&self, code: u16, reason: &str) {
        self.link().outbox.command(Command::Close { code, reason: reason.to_owned() });
    }

    /// Waits until the connection has ended, and says why. Ready at once if it has already.
    ///
    /// # Cancel safety
    /// It changes nothing, so it may be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        self.link().ended().await
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.link().over().is_some()
    }

    /// How many calls made from this side wait for their response.
    pub fn pending_calls(&self) -> usize {
        self.link().pending.len()
    }

    /// Whether both are handles of the same connection.
    pub fn is_same(&self, other: &Peer) -> bool {
        Arc::ptr_eq(self.link(), other.link())
    }
}

impl From<&Peer> for Peer {
    fn from(peer: &Peer) -> Self {
        peer.clone()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("closed", &self.link().reason.get())
            .field("pending_calls", &self.pending_calls())
            .field("in_flight", &self.link().in_flight.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

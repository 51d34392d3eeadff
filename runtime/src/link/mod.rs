//! The state of one connection that its task shares with every handle: [`Link`]. It holds the send
//! queue, this side's pending calls, the subscriptions of both directions and the cancellations of
//! the peer's calls. `incoming` and `outgoing` both build on it. A closed link stays closed; a
//! reconnecting client creates a new one.
//!
//! In reading order: `pending_calls` and its `pending_table`, `cancellations`,
//! `subscription_buffer` with `early_items`, `credit`, `outgoing_middleware`, `memberships`.

pub(crate) mod cancellations;
pub(crate) mod credit;
mod early_items;
pub(crate) mod memberships;
pub(crate) mod outgoing_middleware;
pub(crate) mod pending_calls;
mod pending_table;
pub(crate) mod subscription_buffer;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::Config;
use crate::error::{CloseReason, Error};
use crate::link::cancellations::Cancellations;
use crate::link::credit::ProducedSubscriptions;
use crate::link::memberships::Memberships;
use crate::link::outgoing_middleware::Chain;
use crate::link::pending_calls::{PendingCalls, Side};
use crate::link::subscription_buffer::SubscriptionBuffer;
use crate::link::subscription_buffer::SubscriptionBuffers;
use crate::protocol::encode::{OutgoingMessage, notification};
use crate::protocol::item::Marks;
use crate::protocol::request_extensions::{CANCEL, SentExtensions};
use crate::span::CallSpan;
use crate::websocket::send_queue::{Command, Refused, SendQueue};

/// The reference to a link in a handle. Each variant needs only one reference count, because every
/// call has such a reference.
#[derive(Clone, Debug)]
pub(crate) enum LinkRef {
    Shared(Arc<Link>),
    /// A client's connection closes when the last handle of this kind is dropped.
    Owner(Arc<CloseOnDrop>),
}

impl LinkRef {
    pub(crate) fn link(&self) -> &Arc<Link> {
        match self {
            LinkRef::Shared(link) => link,
            LinkRef::Owner(keep) => &keep.0,
        }
    }
}

/// The state that all handles of a connection share with its task.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) send_queue: SendQueue,
    pub(crate) pending: PendingCalls,
    pub(crate) config: Arc<Config>,
    /// The middleware of this side's outgoing calls, if there is any.
    pub(crate) outgoing: Option<Arc<Chain>>,
    /// Whether the peer understands this crate's extensions of JSON-RPC.
    pub(crate) extended: bool,
    /// Subscriptions that this side consumes.
    pub(crate) consumed: SubscriptionBuffers<Link>,
    /// Subscriptions that this side produces for the peer.
    pub(crate) produced: ProducedSubscriptions,
    /// Incoming calls that the peer has cancelled.
    pub(crate) cancellations: Cancellations,
    /// The groups that the connection is a member of.
    pub(crate) memberships: Memberships,
    /// The number of handlers that have started and not finished.
    pub(crate) in_flight: AtomicUsize,
    pub(crate) transferred: Transferred,
    /// The number of batches sent that contain only notifications and may still be answered with
    /// `[]`, against the specification.
    empty_replies: AtomicUsize,
    /// Set when the connection begins to end.
    reason: OnceLock<CloseReason>,
    /// Whether the connection has completely ended.
    over: AtomicBool,
    ended: Notify,
}

/// The number of bytes that a connection has read from the network and written to it.
#[derive(Debug, Default)]
pub(crate) struct Transferred {
    received: AtomicU64,
    sent: AtomicU64,
}

impl Transferred {
    /// Sets the totals. Only the connection's task calls this, once in each poll.
    #[inline]
    pub(crate) fn set(&self, received: u64, sent: u64) {
        // Most polls change one of the two. A load and a comparison cost less than a store to memory
        // that other threads read.
        if self.received() != received {
            self.received.store(received, Ordering::Relaxed);
        }
        if self.sent() != sent {
            self.sent.store(sent, Ordering::Relaxed);
        }
    }

    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// A call before it is sent, and before a connection is chosen for it.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingCall {
    pub(crate) outgoing: OutgoingMessage,
    /// The buffer of the subscription that the call requests.
    pub(crate) buffer: Option<Arc<SubscriptionBuffer<Link>>>,
}

impl From<OutgoingMessage> for OutgoingCall {
    fn from(outgoing: OutgoingMessage) -> Self {
        OutgoingCall { outgoing, buffer: None }
    }
}

/// On drop, stops expecting the `[]` of a batch of notifications, unless the batch was queued.
struct Unsent<'a>(Option<&'a Link>);

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(link) = self.0 {
            link.take_empty_reply();
        }
    }
}

impl Link {
    pub(crate) fn new(
        side: Side,
        config: Arc<Config>,
        outgoing: Option<Arc<Chain>>,
        extended: bool,
    ) -> Self {
        Link {
            send_queue: SendQueue::new(config.max_send_queue, side == Side::Client),
            pending: PendingCalls::new(side),
            config,
            outgoing,
            extended,
            consumed: SubscriptionBuffers::default(),
            produced: ProducedSubscriptions::default(),
            cancellations: Cancellations::default(),
            memberships: Memberships::default(),
            in_flight: AtomicUsize::new(0),
            transferred: Transferred::default(),
            empty_replies: AtomicUsize::new(0),
            reason: OnceLock::new(),
            over: AtomicBool::new(false),
            ended: Notify::new(),
        }
    }

    /// Begins to end the connection: the send queue accepts and sends nothing more. The first
    /// reason counts, and is returned.
    pub(crate) fn begin_close(&self, reason: CloseReason) -> CloseReason {
        let known = self.reason.get_or_init(|| reason).clone();
        self.send_queue.end();
        known
    }

    /// Called when the peer sends nothing more: queued messages are still sent, and nothing else is
    /// queued. (A handler that notices the end may stop half-way, and what it returns then must not
    /// be sent as its result.) The first reason counts.
    pub(crate) fn stop_sending(&self, reason: CloseReason) {
        self.reason.get_or_init(|| reason);
        self.send_queue.shut();
    }

    /// Ends all pending calls and subscriptions with the reason, because no response can arrive any
    /// more, leaves all groups, and wakes tasks that wait for the end of the connection.
    pub(crate) fn end_all_calls(&self) {
        let reason = self.reason();
        self.pending.close(&reason);
        self.consumed.close(&reason);
        self.memberships.end();
        self.over.store(true, Ordering::Release);
        self.ended.notify_waiters();
    }

    /// Ends the connection and everything that waits on it. Returns the reason.
    pub(crate) fn end(&self, reason: CloseReason) -> CloseReason {
        let known = self.begin_close(reason);
        self.end_all_calls();
        known
    }

    /// Whether more messages are likely to be queued soon: handlers are in flight, or several calls
    /// are pending.
    pub(crate) fn is_busy(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0 || self.pending.len() > 1
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        loop {
            let ended = self.ended.notified();
            if let Some(reason) = self.close_reason() {
                return reason;
            }
            ended.await;
        }
    }

    /// Queues a notification, and waits while the send queue is full.
    pub(crate) async fn notify(&self, text: Vec<u8>) -> Result<(), Error> {
        // Recorded first, because a peer may answer it, against the specification.
        self.pending.notify();
        self.send(text).await
    }

    /// Queues a batch, and waits while the send queue is full. Some peers answer a batch of only
    /// notifications with `[]`.
    pub(crate) async fn send_batch(
        &self,
        text: Vec<u8>,
        notifications_only: bool,
    ) -> Result<(), Error> {
        if !notifications_only {
            return self.send(text).await;
        }
        // Counted before the batch can be answered. `Unsent` reverts it if the batch is never
        // queued.
        self.empty_replies.fetch_add(1, Ordering::Relaxed);
        let mut unsent = Unsent(Some(self));
        self.notify(text).await?;
        unsent.0 = None;
        Ok(())
    }

    /// Consumes one expected `[]`. Returns `false` if none was expected.
    pub(crate) fn take_empty_reply(&self) -> bool {
        let less = |count: usize| count.checked_sub(1);
        self.empty_replies.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }

    /// Tells the connection's task to send all queued messages and then to close.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        self.send_queue.command(Command::Close { code, reason: reason.to_owned() });
    }

    /// The reason why the connection has ended. `None` if it has not ended yet.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        if self.over.load(Ordering::Acquire) { self.reason.get().cloned() } else { None }
    }

    /// Whether the result of this incoming call is no longer wanted: the call was cancelled, or the
    /// connection has ended.
    pub(crate) fn is_unwanted(&self, call: u64) -> bool {
        self.over.load(Ordering::Acquire) || self.cancellations.is_cancelled(call)
    }

    /// Whether the link never had a socket.
    pub(crate) fn has_no_socket(&self) -> bool {
        matches!(self.reason.get(), Some(CloseReason::NoSocket))
    }

    /// Checks that the connection accepts calls.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`]: the connection accepts no more calls.
    pub(crate) fn check_open(&self) -> Result<(), Error> {
        if self.send_queue.is_open() { Ok(()) } else { Err(self.closed_error()) }
    }

    fn closed_error(&self) -> Error {
        Error::Closed(self.reason())
    }

    /// The reason why the connection accepts no more messages.
    pub(crate) fn reason(&self) -> CloseReason {
        self.reason.get().cloned().unwrap_or(CloseReason::Local)
    }

    /// Writes the message of a call with this id, with the extensions that the peer understands.
    #[inline]
    pub(crate) fn write(
        self: &Arc<Self>,
        message: OutgoingCall,
        id: u64,
        timeout: Option<Duration>,
        span: &CallSpan,
    ) -> Vec<u8> {
        let OutgoingCall { outgoing, buffer } = message;
        let progress = outgoing.progress.as_ref().filter(|_| self.extended);
        let extensions = SentExtensions {
            timeout: timeout.filter(|_| self.config.send_timeout.includes(self.extended)),
            window: buffer.as_ref().map(|buffer| buffer.window).filter(|_| self.extended),
            progress: progress.is_some(),
            resume: buffer
                .as_ref()
                .and_then(|buffer| buffer.resume.as_ref())
                .filter(|_| self.extended),
        };
        if let Some(progress) = progress {
            self.pending.listen(id, Arc::clone(progress));
        }
        if let Some(buffer) = &buffer {
            self.consumed.expect(id, buffer, Arc::downgrade(self), self.extended);
        }
        let write_trace = |out: &mut Vec<u8>| {
            if self.config.send_trace.includes(self.extended) {
                span.write(out);
            }
        };
        outgoing.into_request(&extensions, write_trace, |out| self.pending.write_id(id, out))
    }

    /// The span of a call with this id.
    pub(crate) fn span(&self, message: &OutgoingCall, id: u64) -> CallSpan {
        let write_id = || {
            let mut json = Vec::new();
            self.pending.write_id(id, &mut json);
            String::from_utf8(json).unwrap_or_default()
        };
        CallSpan::client(|| message.outgoing.method.to_string(), write_id)
    }

    /// Handles the response to a call, whose id is given as JSON. If the call requested a
    /// subscription, `id` is the subscription's id, or `None` if the response has none.
    pub(crate) fn subscribed(&self, call: &str, id: Option<&str>) {
        let Some(call) = self.pending.parse(call) else { return };
        if let Some((buffer, id)) = self.consumed.answered(call, id).zip(id) {
            self.unsubscribe(&buffer.names.unsubscribe, id);
        }
    }

    /// Passes an item to a subscription. The item is this range of the message.
    #[inline]
    pub(crate) fn item(
        &self,
        buffer: &Arc<SubscriptionBuffer<Link>>,
        message: Utf8Bytes,
        range: Range<usize>,
        marks: Marks,
    ) {
        if !self.consumed.push(buffer, message, range, marks) {
            if let Some(id) = buffer.id() {
                self.unsubscribe(&buffer.names.unsubscribe, id);
            }
        }
    }

    /// Unsubscribes at the peer. The peer's response is ignored.
    pub(crate) fn unsubscribe(&self, unsubscribe: &str, id: &str) {
        let Ok(entry) = self.pending.insert(None, None) else { return };
        self.pending.remove(entry.id);
        let outgoing = OutgoingMessage::unsubscribe(unsubscribe.to_owned().into(), id);
        let write_id = |out: &mut Vec<u8>| self.pending.write_id(entry.id, out);
        self.send_queue.send_anyway(outgoing.into_request(
            &SentExtensions::default(),
            |_| {},
            write_id,
        ));
    }

    /// Cancels a call on the peer, if this side may send `$/cancelRequest`. It need not wait for
    /// space in the send queue, because there is at most one for each queued call.
    pub(crate) fn cancel(&self, id: u64) {
        if self.config.send_cancel.includes(self.extended) {
            self.pending.notify();
            self.send_queue
                .send_anyway(notification(CANCEL, b"id", |out| self.pending.write_id(id, out)));
        }
    }

    fn check_size(&self, text: &[u8]) -> Result<(), Error> {
        let limit = self.config.max_outgoing_message;
        if text.len() > limit { Err(Error::TooLarge { size: text.len(), limit }) } else { Ok(()) }
    }

    /// Queues a message, and waits while the send queue is full.
    pub(crate) async fn send(&self, text: Vec<u8>) -> Result<(), Error> {
        self.check_size(&text)?;
        self.send_queue.send(text).await.map_err(|_| self.closed_error())
    }

    /// Queues a message, or returns it if the send queue is full.
    pub(crate) fn try_send(&self, text: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        self.check_size(&text)?;
        match self.send_queue.try_send(text) {
            Ok(_) => Ok(None),
            Err(Refused::Full(text)) => Ok(Some(text)),
            Err(Refused::Closed) => Err(self.closed_error()),
        }
    }
}

/// Closes a client's connection when the last handle is dropped.
#[derive(Debug)]
pub(crate) struct CloseOnDrop(Arc<Link>);

impl CloseOnDrop {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        CloseOnDrop(link)
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(1000, "");
    }
}

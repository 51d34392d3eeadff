//! Subscriptions of a reconnecting client that continue on its next connection: [`Resumption`]
//! requests the subscription again, and finds the gaps.
//!
//! Everything happens when the consumer polls: after the items of the old connection, the consumer
//! waits for the next connection and subscribes there, after the last item that it has consumed.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, Gap};
use crate::link::outgoing_middleware::Exclusive;
use crate::link::subscription_buffer::{End, SubscriptionBuffer, SubscriptionNames};
use crate::link::{Link, OutgoingCall};
use crate::outgoing::exchange::Exchange;
use crate::outgoing::peer::Peer;
use crate::outgoing::subscription::{Half, Subscribing};
use crate::protocol::encode::OutgoingMessage;
use crate::protocol::error::ErrorCode;
use crate::protocol::item::{Marks, Position};
use crate::protocol::request_extensions::Resume;
use crate::util::race::race;
use crate::util::runtime::{deadline, timer};

/// How a subscription continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// After the last consumed item.
    Resume,
    /// With whatever the peer sends next.
    Resubscribe,
}

/// What is needed to request a subscription.
#[derive(Clone)]
pub(super) struct Template {
    pub(super) peer: Peer,
    pub(super) message: OutgoingMessage,
    pub(super) names: SubscriptionNames,
    pub(super) window: u64,
    pub(super) timeout: Option<Duration>,
}

/// The state of a subscription that continues after a reconnect.
pub(super) struct Resumption {
    template: Template,
    mode: Mode,
    /// The position after the last consumed item, if the peer sends positions.
    position: Option<Position>,
    /// This side has asked for the items after `position`, and the peer has not confirmed where
    /// they start.
    unconfirmed: bool,
    /// The consumer knows of the items that were dropped before the next one.
    reported: bool,
    restoring: Option<Restoring>,
}

/// A subscription that has begun again, and the gap before its items if there is one for certain.
type Restored = (Half, Option<Gap>);

type Restoring = Pin<Box<dyn Future<Output = Result<Half, Error>> + Send + Sync>>;

impl Resumption {
    pub(super) fn new(template: Template, mode: Mode) -> Self {
        let (position, unconfirmed, reported) = (None, false, false);
        Resumption { template, mode, position, unconfirmed, reported, restoring: None }
    }

    /// Starts to request the subscription again, if it ended with its connection. Returns the end
    /// if it ended for another reason.
    pub(super) fn restore(&mut self, end: End, half: &Half) -> Result<(), End> {
        let is_over = match &end {
            End::Closed(_) => false,
            // A server that shuts down ends its subscriptions before its connections.
            End::Error(error) => error.code() != ErrorCode::SHUTTING_DOWN,
            End::Finished | End::Lagged => true,
        };
        if is_over {
            return Err(end);
        }
        let resume = match (self.mode, &self.position) {
            (Mode::Resubscribe, _) => None,
            (Mode::Resume, None) => Some(Resume::FromNow),
            (Mode::Resume, Some(position)) => Some(Resume::After(position.clone())),
        };
        let restoring = subscribe_again(self.template.clone(), resume, half.buffer.home());
        self.restoring = Some(Box::pin(Exclusive::new(restoring)));
        Ok(())
    }

    /// Ready with the new subscription once it has begun, and with the gap before it. Ready with
    /// `None` if there is nothing to restore.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Restored>, Error>> {
        let Some(restoring) = &mut self.restoring else { return Poll::Ready(Ok(None)) };
        let restored = ready!(restoring.as_mut().poll(cx));
        self.restoring = None;
        self.unconfirmed = self.mode == Mode::Resume && self.position.is_some();
        let gap = (!self.unconfirmed).then_some(Gap::Resubscribed);
        Poll::Ready(restored.map(|half| Some((half, gap))))
    }

    /// Handles the position after which the items start. Returns the gap before them.
    pub(super) fn start(&mut self, start: Position) -> Option<Gap> {
        let asked = self.position.take().filter(|_| std::mem::take(&mut self.unconfirmed));
        let Some(asked) = asked else {
            self.position = Some(start);
            return None;
        };
        if asked.epoch != start.epoch {
            self.position = Some(start);
            return Some(Gap::Restarted);
        }
        // A peer that starts earlier repeats items, which `is_known` recognizes.
        let missed = start.offset.saturating_sub(asked.offset);
        self.position = Some(if missed > 0 { start } else { asked });
        (missed > 0).then_some(Gap::Expired { missed })
    }

    /// The gap before an item, unless the consumer knows of it.
    pub(super) fn gap_before(&mut self, marks: Marks) -> Option<Gap> {
        if std::mem::take(&mut self.unconfirmed) {
            // The peer sends items without a position.
            self.position = None;
            return Some(Gap::Resubscribed);
        }
        // A producer that repeats items has dropped nothing that the consumer does not have.
        let is_new = self.mode == Mode::Resume
            && marks.dropped > 0
            && !self.reported
            && !self.is_known(marks);
        self.reported = is_new || self.reported;
        is_new.then_some(Gap::Dropped { missed: marks.dropped })
    }

    /// The gap before the end of the stream.
    pub(super) fn gap_at_end(&self, dropped: u64) -> Option<Gap> {
        let is_gap = self.mode == Mode::Resume && dropped > 0;
        is_gap.then_some(Gap::Dropped { missed: dropped })
    }

    /// Whether the consumer has already got this item.
    pub(super) fn is_known(&self, marks: Marks) -> bool {
        let position = self.position.as_ref();
        position.zip(marks.offset).is_some_and(|(position, offset)| offset <= position.offset)
    }

    /// Called when the consumer gets an item.
    pub(super) fn consumed(&mut self, marks: Marks) {
        self.reported = false;
        self.position = self.position.take().zip(marks.offset).map(|(mut position, offset)| {
            position.offset = offset;
            position
        });
    }
}

/// Waits until a connection that shuts down has ended, but no longer than a shutdown may take: the
/// error may come from a server behind this one.
async fn closing(link: &Link) {
    let until = deadline(Instant::now(), link.config.shutdown_timeout);
    match timer(until, None) {
        Some(timer) => drop(race(pin!(link.closed()), pin!(timer)).await),
        None => drop(link.closed().await),
    }
}

/// Requests the subscription on the next connection, and repeats the request until the subscription
/// has begun, the peer refuses it, or the client does not reconnect any more.
async fn subscribe_again(
    template: Template,
    resume: Option<Resume>,
    old: Option<Arc<Link>>,
) -> Result<Half, Error> {
    if let Some(old) = old {
        closing(&old).await;
    }
    let mut blamed = false;
    loop {
        template.peer.next_connection().await?;
        let Template { peer, message, names, window, timeout } = template.clone();
        let buffer = Arc::new(SubscriptionBuffer::new(names, window, resume.clone()));
        let mut subscribing =
            Subscribing(Some(Half { buffer: Arc::clone(&buffer), peer: peer.clone() }));
        let call = OutgoingCall { outgoing: message, buffer: Some(Arc::clone(&buffer)) };
        let mut exchange = Exchange::new(peer, Ok(call), timeout);
        let error = match poll_fn(|cx| exchange.poll(cx)).await {
            Ok(_) => return subscribing.begun(),
            Err(error) => error,
        };
        match &error {
            // The request or an item may be the cause, and would end the next connection, too.
            Error::Closed(reason) if reason.blames_a_message() && blamed => return Err(error),
            Error::Closed(reason) => blamed |= reason.blames_a_message(),
            // The connection may be broken, which keep-alive will notice.
            Error::Timeout(_) => {
                tracing::warn!(%error, "cannot resume a subscription; trying again");
            }
            Error::Call(object) if object.code() == ErrorCode::SHUTTING_DOWN => {
                if let Some(link) = buffer.home() {
                    closing(&link).await;
                }
            }
            _ => return Err(error),
        }
    }
}

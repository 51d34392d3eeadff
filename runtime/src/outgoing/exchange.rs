//! One request from its encoded message to the peer's response: [`Exchange`] is the state machine,
//! and [`Ticket`] is the call's entry in the pending table.
//!
//! The state machine is written by hand and is not generic, so it is compiled once for all methods.
//! It allocates nothing while the send queue has space. Calls of a reconnecting client, by HTTP or
//! through middleware are boxed futures. Dropping an exchange removes its pending entry, and
//! cancels the call if it was sent.

use std::borrow::Cow;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::error::Error;
use crate::link::outgoing_middleware::{Chain, Exclusive, OutgoingRequest, Reply};
use crate::link::pending_calls::{Abandoned, CallOutcome};
use crate::link::{LinkRef, OutgoingCall};
use crate::outgoing::deadline::CallTimeout;
use crate::outgoing::peer::{Peer, Target};
use crate::protocol::encode::EncodeError;
use crate::span::CallSpan;
use crate::util::runtime::deadline;

/// A result that is not decoded yet: this range of the message.
pub(crate) type RawResult = (Utf8Bytes, Range<usize>);

/// A call's entry in the pending table of its connection. It keeps the connection open. Dropping it
/// removes the entry.
#[derive(Debug)]
pub(crate) struct Ticket {
    link_ref: LinkRef,
    id: u64,
    /// Whether the table still has the entry.
    entered: bool,
    travels: Travels,
    limit: CallTimeout,
    method: Cow<'static, str>,
    span: CallSpan,
}

/// Whether a call was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Travels {
    /// The call is part of a batch, and its pending entry records whether the batch was sent.
    InBatch,
    NotYet,
    Sent,
}

impl Ticket {
    /// The ticket of a call in a batch.
    pub(crate) fn in_batch(
        link_ref: LinkRef,
        id: u64,
        limit: CallTimeout,
        method: Cow<'static, str>,
        span: CallSpan,
    ) -> Self {
        Ticket { link_ref, id, entered: true, travels: Travels::InBatch, limit, method, span }
    }

    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawResult, Error>> {
        let reply = ready!(self.link_ref.link().pending.poll(self.id, cx));
        self.entered = false;
        // The timeout of a batch starts when it is sent.
        let late = matches!(reply, Ok(CallOutcome::Timeout));
        let sent = self.travels != Travels::NotYet;
        if late {
            self.give_up(sent);
        }
        match &reply {
            Ok(CallOutcome::Result(..)) => {}
            Ok(CallOutcome::Error(object)) => self.span.failed(Some(object.code().0)),
            _ => self.span.failed(None),
        }
        Poll::Ready(match reply {
            Ok(reply) => reply.into_result(|| match sent {
                true => self.limit.unanswered(&self.method),
                false => self.limit.passed(&self.method),
            }),
            Err(reason) => Err(Error::Closed(reason)),
        })
    }

    /// Cancels the call on the peer if it was sent.
    fn give_up(&self, sent: bool) {
        let link = self.link_ref.link();
        if sent {
            link.cancel(self.id);
        } else {
            link.consumed.forget(self.id);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.entered {
            return;
        }
        let link = self.link_ref.link();
        match link.pending.remove(self.id) {
            Abandoned::Sent => self.give_up(true),
            Abandoned::Waiting if self.travels != Travels::InBatch => {
                self.give_up(self.travels == Travels::Sent);
            }
            Abandoned::Waiting | Abandoned::Over => {}
        }
    }
}

/// The future of a call that needs more than an exchange on one connection.
pub(crate) type BoxedReply = Pin<Box<dyn Future<Output = Result<RawResult, Error>> + Send + Sync>>;

/// A request and the wait for its response.
pub(crate) enum Exchange {
    Unsent {
        link_ref: LinkRef,
        message: Result<OutgoingCall, EncodeError>,
        limit: CallTimeout,
    },
    /// The send queue is full.
    Queueing(Ticket, Pin<Box<dyn Future<Output = Result<(), Error>> + Send + Sync>>),
    Waiting(Ticket),
    /// A call of a reconnecting client, by HTTP, or through middleware.
    Boxed(BoxedReply),
    Failed(Error),
    /// The outcome was returned.
    Over,
}

impl Exchange {
    pub(crate) fn new(
        peer: Peer,
        message: Result<OutgoingCall, EncodeError>,
        timeout: Option<Duration>,
    ) -> Self {
        let limit = peer.limit(timeout);
        Exchange::within(peer, message, limit)
    }

    /// Like [`new`](Self::new), with a timeout that contains the inherited deadlines.
    #[inline]
    pub(crate) fn within(
        peer: Peer,
        message: Result<OutgoingCall, EncodeError>,
        limit: CallTimeout,
    ) -> Self {
        if limit.is_over() {
            if let Ok(message) = &message {
                return Exchange::Failed(limit.passed(&message.outgoing.method));
            }
        }
        match peer.outgoing().cloned() {
            None => Exchange::on(peer.into_target(), message, limit),
            Some(chain) => match message {
                Ok(message) => {
                    let around = around(chain, peer.into_target(), message, limit);
                    Exchange::Boxed(Box::pin(Exclusive::new(around)))
                }
                Err(error) => Exchange::Failed(Error::Encode(error.into())),
            },
        }
    }

    fn on(target: Target, message: Result<OutgoingCall, EncodeError>, limit: CallTimeout) -> Self {
        match (target, message) {
            (Target::Link(link_ref), message) => Exchange::Unsent { link_ref, message, limit },
            (Target::Route(route), Ok(message)) => Exchange::Boxed(route.call(message, limit)),
            (Target::Route(_), Err(error)) => Exchange::Failed(Error::Encode(error.into())),
        }
    }

    /// Must not be polled again after it was ready.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawResult, Error>> {
        let outcome = match self {
            Exchange::Waiting(ticket) => ready!(ticket.poll(cx)),
            Exchange::Boxed(reply) => ready!(reply.as_mut().poll(cx)),
            Exchange::Queueing(ticket, sending) => match ticket.poll(cx) {
                // While the message waits for space in the send queue, the call may time out and
                // the connection may close.
                Poll::Ready(outcome) => outcome,
                Poll::Pending => match ready!(sending.as_mut().poll(cx)) {
                    Ok(()) => {
                        self.queued();
                        return Poll::Pending;
                    }
                    Err(error) => Err(error),
                },
            },
            _ => match self.start(cx) {
                Ok(()) if matches!(self, Exchange::Waiting(_)) => return Poll::Pending,
                Ok(()) => return self.poll(cx),
                Err(error) => Err(error),
            },
        };
        *self = Exchange::Over;
        Poll::Ready(outcome)
    }

    fn start(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        match std::mem::replace(self, Exchange::Over) {
            Exchange::Unsent { link_ref, message, limit } => {
                *self = send_call(link_ref, message, limit, cx)?;
                Ok(())
            }
            Exchange::Failed(error) => Err(error),
            _ => Err(Error::NotSent),
        }
    }

    /// Whether the connection has queued the message, so that the peer may have received it.
    pub(crate) fn is_sent(&self) -> bool {
        matches!(self, Exchange::Waiting(_))
    }

    fn queued(&mut self) {
        if let Exchange::Queueing(mut ticket, sending) = std::mem::replace(self, Exchange::Over) {
            drop(sending);
            ticket.travels = Travels::Sent;
            *self = Exchange::Waiting(ticket);
        }
    }
}

/// Inserts the pending entry, with its waker, before the message can be answered.
fn send_call(
    link_ref: LinkRef,
    message: Result<OutgoingCall, EncodeError>,
    limit: CallTimeout,
    cx: &mut Context<'_>,
) -> Result<Exchange, Error> {
    let mut message = message.map_err(|error| Error::Encode(error.into()))?;
    let timeout = limit.timeout;
    let deadline = timeout.map(|timeout| deadline(Instant::now(), timeout));
    let entry = link_ref.link().pending.insert(Some(cx.waker().clone()), deadline);
    let entry = entry.map_err(Error::Closed)?;
    let travels = Travels::NotYet;
    let span = link_ref.link().span(&message, entry.id);
    let method = std::mem::take(&mut message.outgoing.method);
    let mut ticket = Ticket { link_ref, id: entry.id, entered: true, travels, limit, method, span };
    let link = ticket.link_ref.link();
    if entry.early {
        link.send_queue.wake();
    }
    let text = link.write(message, entry.id, timeout, &ticket.span);
    let Some(text) = link.try_send(text)? else {
        ticket.travels = Travels::Sent;
        return Ok(Exchange::Waiting(ticket));
    };
    let link = Arc::clone(link);
    let sending = Box::pin(async move { link.send(text).await });
    Ok(Exchange::Queueing(ticket, sending))
}

/// Makes a call through middleware. The timeout starts with the first poll.
async fn around(
    chain: Arc<Chain>,
    target: Target,
    message: OutgoingCall,
    limit: CallTimeout,
) -> Result<RawResult, Error> {
    let begun = Instant::now();
    let OutgoingCall { outgoing, buffer } = message;
    let send = move |request: OutgoingRequest| -> Pin<Box<dyn Future<Output = _> + Send>> {
        Box::pin(async move {
            let limit = limit.after(begun.elapsed());
            limit.check(request.method())?;
            let message = OutgoingCall { outgoing: request.message, buffer };
            let mut exchange = Exchange::on(target, Ok(message), limit);
            let (message, range) = poll_fn(|cx| exchange.poll(cx)).await?;
            Ok(Reply(message, range))
        })
    };
    let Reply(message, range) = chain.call(OutgoingRequest::new(outgoing, false), send).await?;
    Ok((message, range))
}

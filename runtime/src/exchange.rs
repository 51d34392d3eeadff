//! A request under way: from its encoded message to what the peer answered.
//!
//! A state machine written by hand, and not generic: compiled once for all methods, and without an
//! allocation where there is room in the outbox. Must not know the types of results.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use crate::config::deadline;
use crate::error::Error;
use crate::peer::Peer;
use crate::pending::Reply;
use crate::protocol::encode::{EncodeError, Outgoing};

/// A result that is not decoded yet: this part of the message.
pub(crate) type RawResult = (Utf8Bytes, Range<usize>);

/// A call's place in its connection's table. It keeps the connection open; dropping it takes the
/// entry out at once, whatever made the caller give up.
#[derive(Debug)]
pub(crate) struct Ticket {
    peer: Peer,
    id: u64,
    /// Until the outcome was taken.
    entered: bool,
}

impl Ticket {
    pub(crate) fn new(peer: Peer, id: u64) -> Self {
        Ticket { peer, id, entered: true }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawResult, Error>> {
        let reply = ready!(self.peer.link().pending.poll(self.id, cx));
        self.entered = false;
        Poll::Ready(match reply {
            Ok(Reply::Result(message, range)) => Ok((message, range)),
            Ok(Reply::Error(object)) => Err(Error::Call(object)),
            Ok(Reply::Invalid(what)) => Err(Error::InvalidResponse(what)),
            Ok(Reply::Timeout) => Err(Error::Timeout),
            Ok(Reply::NotSent) => Err(Error::NotSent),
            Err(reason) => Err(Error::Closed(reason)),
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.entered {
            self.peer.link().pending.remove(self.id);
        }
    }
}

/// A request on its way out and back.
pub(crate) enum Exchange {
    Unsent {
        peer: Peer,
        message: Result<Outgoing, EncodeError>,
        timeout: Option<Duration>,
    },
    /// There was no room in the outbox.
    Queueing(Ticket, Pin<Box<dyn Future<Output = Result<(), Error>> + Send + Sync>>),
    Waiting(Ticket),
    Failed(Error),
    /// Its outcome was taken.
    Over,
}

impl Exchange {
    /// Nothing is left of it once it is ready.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<RawResult, Error>> {
        let outcome = match self {
            Exchange::Waiting(ticket) => ready!(ticket.poll(cx)),
            Exchange::Queueing(ticket, sending) => match ticket.poll(cx) {
                // Waiting for room counts, too: the time may be over, and so the connection.
                Poll::Ready(outcome) => outcome,
                Poll::Pending => match ready!(sending.as_mut().poll(cx)) {
                    Ok(()) => {
                        self.queued();
                        return Poll::Pending;
                    }
                    Err(error) => Err(error),
                },
            },
            _ => match self.begin(cx) {
                Ok(()) if matches!(self, Exchange::Waiting(_)) => return Poll::Pending,
                Ok(()) => return self.poll(cx),
                Err(error) => Err(error),
            },
        };
        *self = Exchange::Over;
        Poll::Ready(outcome)
    }

    fn begin(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        match std::mem::replace(self, Exchange::Over) {
            Exchange::Unsent { peer, message, timeout } => {
                *self = begin(peer, message, timeout, cx)?;
                Ok(())
            }
            Exchange::Failed(error) => Err(error),
            _ => Err(Error::NotSent),
        }
    }

    fn queued(&mut self) {
        if let Exchange::Queueing(ticket, sending) = std::mem::replace(self, Exchange::Over) {
            drop(sending);
            *self = Exchange::Waiting(ticket);
        }
    }
}

/// The entry is there before the message can be answered, and knows whom to wake.
fn begin(
    peer: Peer,
    message: Result<Outgoing, EncodeError>,
    timeout: Option<Duration>,
    cx: &mut Context<'_>,
) -> Result<Exchange, Error> {
    let message = message.map_err(|error| Error::Encode(error.into()))?;
    let deadline = timeout.map(|timeout| deadline(Instant::now(), timeout));
    let entry = peer.link().pending.insert(Some(cx.waker().clone()), deadline);
    let entry = entry.map_err(Error::Closed)?;
    let ticket = Ticket::new(peer, entry.id);
    let link = ticket.peer.link();
    if entry.early {
        link.outbox.nudge();
    }
    let text = message.into_request(|out| link.pending.write_id(entry.id, out));
    let Some(text) = link.try_send(text)? else { return Ok(Exchange::Waiting(ticket)) };
    let link = Arc::clone(link);
    let sending = Box::pin(async move { link.send(text).await });
    Ok(Exchange::Queueing(ticket, sending))
}

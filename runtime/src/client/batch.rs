//! A batch of a reconnecting client ([`SessionBatch`]). Its calls get their ids and pending entries
//! only when the connection that sends the batch is known.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::client::calls::attempts;
use crate::client::session::SessionHandle;
use crate::error::Error;
use crate::link::{Link, LinkRef, OutgoingCall};
use crate::outgoing::deadline::{CallDeadline, CallTimeout};
use crate::outgoing::exchange::{Exchange, RawResult, Ticket};
use crate::outgoing::peer::RouteBatch;
use crate::protocol::encode::{OutgoingMessage, array};
use crate::util::BoxFuture;

pub(crate) struct SessionBatch {
    session: Arc<SessionHandle>,
    entries: Vec<Entry>,
}

enum Entry {
    Notification(OutgoingMessage),
    Call { message: OutgoingCall, limit: CallTimeout, place: oneshot::Sender<Place> },
}

/// A call's ticket on a connection, and its deadline.
type Place = (Ticket, CallDeadline);

/// The tickets of the calls in a message; `None` for an entry without one.
type Tickets = Vec<Option<Ticket>>;

impl SessionBatch {
    pub(crate) fn new(session: Arc<SessionHandle>) -> Self {
        SessionBatch { session, entries: Vec::new() }
    }

    /// Sends the batch on the current connection, or on the next one if there is none.
    async fn send_now(self) -> Result<(), Error> {
        let session = &self.session.0;
        let runtime = session.runtime.as_ref();
        let now = Instant::now();
        let until = self.longest().since(now);
        let late =
            |limit: CallTimeout| session.late(limit.batch_passed(self.first(), self.entries.len()));
        let (link, tickets) = loop {
            let link = until.wait(runtime, session.link(), late).await?;
            let Ok((text, tickets)) = self.write(&link, now) else { continue };
            let notifications_only = tickets.iter().all(Option::is_none);
            link.pending.queue(tickets.iter().flatten().map(Ticket::id));
            let queued = match text {
                Some(text) => {
                    until.wait(runtime, link.send_batch(text, notifications_only), late).await
                }
                None => Ok(()),
            };
            match queued {
                Ok(()) => break (link, tickets),
                // It was not queued, so it goes to the next connection.
                Err(Error::Closed(_)) => {}
                Err(error) => return Err(error),
            }
        };
        let mut sent = Vec::new();
        for (entry, ticket) in self.entries.into_iter().zip(tickets) {
            if let (Entry::Call { limit, place, .. }, Some(ticket)) = (entry, ticket) {
                let until = limit.since(now).sent();
                sent.push((ticket.id(), until.at));
                // If the caller dropped the call, its ticket is dropped here.
                let _ = place.send((ticket, until));
            }
        }
        if link.pending.start(sent.into_iter()) {
            link.send_queue.wake();
        }
        Ok(())
    }

    /// How long the batch waits for a connection: the longest timeout of its calls.
    fn longest(&self) -> CallTimeout {
        let limits = self.entries.iter().filter_map(|entry| match entry {
            Entry::Notification(_) => None,
            Entry::Call { limit, .. } => Some(*limit),
        });
        let longest = limits.max_by_key(|limit| limit.timeout.unwrap_or(Duration::MAX));
        longest.unwrap_or(CallTimeout::NONE)
    }

    /// The method of the first entry.
    fn first(&self) -> &str {
        match self.entries.first() {
            Some(Entry::Notification(outgoing)) => &outgoing.method,
            Some(Entry::Call { message, .. }) => &message.outgoing.method,
            None => "",
        }
    }

    /// The message for this connection, if it is not empty, and the calls' tickets. The timeouts
    /// started at `begun`.
    fn write(&self, link: &Arc<Link>, begun: Instant) -> Result<(Option<Vec<u8>>, Tickets), Error> {
        let waited = begun.elapsed();
        let mut messages = Vec::with_capacity(self.entries.len());
        let mut tickets: Tickets = Vec::with_capacity(self.entries.len());
        let mut first = None;
        for entry in &self.entries {
            match entry {
                Entry::Notification(message) => {
                    messages.push(message.clone().into_notification());
                    tickets.push(None);
                }
                Entry::Call { message, limit, .. } => {
                    let id = link.pending.insert_in_batch(first).map_err(Error::Closed)?;
                    first.get_or_insert(id);
                    let span = link.span(message, id);
                    let left = limit.after(waited).timeout;
                    messages.push(link.write(message.clone(), id, left, &span));
                    let (link_ref, method) =
                        (LinkRef::Shared(Arc::clone(link)), message.outgoing.method.clone());
                    tickets.push(Some(Ticket::in_batch(link_ref, id, *limit, method, span)));
                }
            }
        }
        // If all calls failed to encode, each of them reports that itself.
        let text = (!messages.is_empty()).then(|| array(messages.iter().map(Vec::as_slice)));
        Ok((text, tickets))
    }
}

impl RouteBatch for SessionBatch {
    fn notify(&mut self, notification: OutgoingMessage) {
        self.entries.push(Entry::Notification(notification));
    }

    fn call(&mut self, message: OutgoingCall, limit: CallTimeout) -> Result<Exchange, Error> {
        let (place, placed) = oneshot::channel();
        let kept = message.outgoing.idempotent.then(|| message.clone());
        self.entries.push(Entry::Call { message, limit, place });
        Ok(Exchange::Boxed(Box::pin(reply(Arc::clone(&self.session), kept, placed))))
    }

    fn send(self: Box<Self>) -> BoxFuture<Result<(), Error>> {
        Box::pin(self.send_now())
    }
}

/// The reply to one of the calls. An idempotent call is sent again if its connection breaks. Keeps
/// the client alive.
async fn reply(
    session: Arc<SessionHandle>,
    kept: Option<OutgoingCall>,
    placed: oneshot::Receiver<Place>,
) -> Result<RawResult, Error> {
    let Ok((mut ticket, until)) = placed.await else { return Err(Error::NotSent) };
    let kept = kept.filter(|_| session.0.max_sends > 1);
    match (poll_fn(|cx| ticket.poll(cx)).await, kept) {
        (Err(Error::Closed(reason)), Some(message)) => {
            attempts(session, message, until, Some(reason)).await
        }
        (outcome, _) => outcome,
    }
}

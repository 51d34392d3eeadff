//! A call of a reconnecting client: sent on one connection after another until one has taken it.

use std::future::poll_fn;
use std::sync::Arc;

use crate::client::session::SessionHandle;
use crate::error::{CloseReason, Error};
use crate::link::{LinkRef, OutgoingCall};
use crate::outgoing::deadline::{CallDeadline, CallTimeout};
use crate::outgoing::exchange::{Exchange, RawResult};

/// The first poll begins the timeout.
pub(super) async fn first_attempt(
    session: Arc<SessionHandle>,
    message: OutgoingCall,
    limit: CallTimeout,
) -> Result<RawResult, Error> {
    attempts(session, message, limit.beginning_now(), None).await
}

/// A call of a reconnecting client: on one connection after another, until it was sent; or if it is
/// idempotent, until it is answered. Each has an id and an entry of its own, and the old ones are
/// gone before the next one is made. It keeps the client going. `broke`: it was sent before, and its
/// connection ended so.
///
/// A connection that ends because of what a message was may have ended because of this one, or the
/// answer to it, and the next one would end so, too, with all other calls on it. So it is not sent
/// again after the second of them, nor after as many times as the client was told.
pub(super) async fn attempts(
    session: Arc<SessionHandle>,
    message: OutgoingCall,
    mut until: CallDeadline,
    broke: Option<CloseReason>,
) -> Result<RawResult, Error> {
    let session = &session.0;
    let runtime = session.runtime.as_ref();
    let idempotent = message.outgoing.idempotent;
    let method = message.outgoing.method.clone();
    let late = |limit: CallTimeout| session.late(limit.passed(&method));
    let mut again = broke.is_some();
    let mut sends = u32::from(again);
    let mut blamed = broke.is_some_and(|reason| reason.blames_a_message());
    let mut kept = Some(message);
    loop {
        // What was under way when its connection broke waits for the next one in any case.
        let link = match again {
            true => {
                until = until.sent();
                until.wait(runtime, session.next_link(), late).await?
            }
            false => until.wait(runtime, session.link(), late).await?,
        };
        let Some(message) = kept.clone() else { return Err(Error::NotSent) };
        let mut exchange = Exchange::Unsent {
            link_ref: LinkRef::Shared(link),
            message: Ok(message),
            limit: until.left(),
        };
        let mut sent = false;
        let attempt = poll_fn(|cx| {
            sent = exchange.is_sent();
            let outcome = exchange.poll(cx);
            if !idempotent && exchange.is_sent() {
                kept = None;
            }
            outcome
        });
        match attempt.await {
            Err(Error::Closed(_)) if !sent => {}
            // Nobody else knows the old id, so no answer to it can come any more.
            Err(Error::Closed(reason)) if idempotent => {
                sends = sends.saturating_add(1);
                if sends >= session.max_sends || (blamed && reason.blames_a_message()) {
                    return Err(Error::Closed(reason));
                }
                (again, blamed) = (true, blamed || reason.blames_a_message());
            }
            outcome => return outcome,
        }
    }
}

//! A call of a reconnecting client: tries one connection after another until one has queued the
//! call.

use std::future::poll_fn;
use std::sync::Arc;

use crate::client::session::SessionHandle;
use crate::error::{CloseReason, Error};
use crate::link::{LinkRef, OutgoingCall};
use crate::outgoing::deadline::{CallDeadline, CallTimeout};
use crate::outgoing::exchange::{Exchange, RawResult};

/// Makes the first attempt. The timeout starts with the first poll.
pub(super) async fn first_attempt(
    session: Arc<SessionHandle>,
    message: OutgoingCall,
    limit: CallTimeout,
) -> Result<RawResult, Error> {
    attempts(session, message, limit.beginning_now(), None).await
}

/// Makes a call on one connection after another until the call was sent, or if it is idempotent,
/// until it is answered. Each attempt has its own id and pending entry; those of the last attempt
/// are removed before the next one. Keeps the client alive. `broke` is set if the call was sent
/// before: the reason why that connection ended.
///
/// If a connection ended because of a message, that message may have been this call or its
/// response. The next connection would then end too, with all other calls on it. So the call is not
/// sent again after the second such end, and never more than `max_sends` times.
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
        // A call that was in flight when its connection broke always waits for the next connection.
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
            // The old id has been forgotten, so no response to it can arrive any more.
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

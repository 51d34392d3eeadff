//! A group as the destination of messages ([`View`]): broadcasts go to all members, calls to one.

use std::future::{pending, poll_fn, ready};
use std::sync::Arc;

use crate::config::Config;
use crate::error::{CloseReason, Error};
use crate::group::members::{Member, Members};
use crate::link::outgoing_middleware::Chain;
use crate::link::{Link, OutgoingCall};
use crate::outgoing::deadline::{CallTimeout, InheritedDeadline};
use crate::outgoing::exchange::{BoxedReply, Exchange, RawResult};
use crate::outgoing::fan_out::Report;
use crate::outgoing::peer::{Peer, Route, RouteBatch};
use crate::protocol::encode::OutgoingMessage;
use crate::util::BoxFuture;

/// The members of a group, except for some.
pub(crate) struct View {
    pub(crate) members: Arc<Members>,
    /// A key is valid as long as a handle to the peer exists.
    excluded: Vec<(usize, Peer)>,
}

impl View {
    pub(crate) fn of(members: Arc<Members>) -> Self {
        View { members, excluded: Vec::new() }
    }

    pub(crate) fn except(&self, peer: &Peer) -> Self {
        let mut excluded = self.excluded.clone();
        if !self.excludes(peer.key()) {
            excluded.push((peer.key(), peer.not_keeping()));
        }
        View { members: Arc::clone(&self.members), excluded }
    }

    pub(crate) fn excludes(&self, key: usize) -> bool {
        self.excluded.iter().any(|(excluded, _)| *excluded == key)
    }

    pub(crate) fn len(&self) -> usize {
        let list = self.members.list();
        if self.excluded.is_empty() {
            return list.len();
        }
        list.iter().filter(|member| !self.excludes(member.key)).count()
    }

    /// Something of each member.
    pub(crate) fn each<T>(&self, of: impl Fn(&Member) -> T) -> Vec<T> {
        let list = self.members.list();
        list.iter().filter(|member| !self.excludes(member.key)).map(|member| of(member)).collect()
    }

    /// The member with the fewest pending calls among those that accept calls. Members whose send
    /// queue is full come last.
    fn least_busy(&self, tried: &[usize]) -> Option<Arc<Member>> {
        let list = self.members.list();
        let start = self.members.turn().checked_rem(list.len())?;
        let (before, after) = list.split_at_checked(start)?;
        let candidates = after.iter().chain(before).filter_map(|member| {
            let link = member.link()?;
            let possible = link.send_queue.is_open()
                && !tried.contains(&member.key)
                && !self.excludes(member.key);
            possible.then(|| (member, (!link.send_queue.has_room(), link.pending.len())))
        });
        candidates.min_by_key(|(_, load)| *load).map(|(member, _)| Arc::clone(member))
    }
}

/// Makes a call to one member, and to the next one if the call was not sent, or if the connection
/// ended and the call is idempotent. The timeout starts with the first poll.
async fn call_one(
    group: Arc<View>,
    message: OutgoingCall,
    limit: CallTimeout,
) -> Result<RawResult, Error> {
    let mut until = limit.beginning_now();
    let (mut tried, mut blamed, mut closed) = (Vec::new(), false, None);
    while let Some(member) = group.least_busy(&tried) {
        tried.push(member.key);
        let limit = until.left();
        let mut exchange = Exchange::within(member.peer.clone(), Ok(message.clone()), limit);
        // Whether a call through middleware, or of a reconnecting client, was sent is unknown.
        let mut may_be_sent = matches!(exchange, Exchange::Boxed(_));
        let attempt = poll_fn(|cx| {
            may_be_sent |= exchange.is_sent();
            exchange.poll(cx)
        });
        match attempt.await {
            Err(Error::Closed(reason)) if !may_be_sent => closed = Some(reason),
            // The connection may have ended because of this call. It must not end all others too.
            Err(Error::Closed(reason)) if message.outgoing.idempotent => {
                if blamed && reason.blames_a_message() {
                    return Err(Error::Closed(reason));
                }
                (blamed, until) = (blamed || reason.blames_a_message(), until.sent());
                closed = Some(reason);
            }
            outcome => return outcome,
        }
    }
    Err(closed.map_or(Error::NoMember, Error::Closed))
}

impl Route for View {
    fn config(&self) -> &Config {
        &self.members.settings.config
    }

    /// The middleware of a member applies to each call, once the member is chosen.
    fn middleware(&self) -> Option<&Arc<Chain>> {
        None
    }

    fn link(&self) -> Option<Arc<Link>> {
        None
    }

    fn members(&self) -> Option<(Vec<Peer>, usize)> {
        let most = self.members.settings.max_concurrent_calls;
        Some((self.each(|member| member.peer.ordinary()), most))
    }

    fn one_member(&self) -> Option<Peer> {
        self.least_busy(&[]).map(|member| member.peer.ordinary())
    }

    fn pending_calls(&self) -> usize {
        self.each(|member| member.peer.pending_calls()).iter().sum()
    }

    fn call(self: Arc<Self>, message: OutgoingCall, limit: CallTimeout) -> BoxedReply {
        Box::pin(call_one(self, message, limit))
    }

    fn notify(
        self: Arc<Self>,
        notification: OutgoingMessage,
        _: &InheritedDeadline,
    ) -> BoxFuture<Result<(), Error>> {
        let queued = self.queue_for_all(notification.into_notification());
        Box::pin(ready(queued.map(drop)))
    }

    fn broadcast(&self, text: Vec<u8>) -> Result<Report, Error> {
        self.queue_for_all(text)
    }

    /// Called only if no member accepts calls: otherwise one of them gets the batch.
    fn batch(self: Arc<Self>, _: InheritedDeadline) -> Box<dyn RouteBatch> {
        Box::new(BatchForNobody)
    }

    fn close(&self, code: u16, reason: &str) {
        for member in self.each(|member| member.peer.ordinary()) {
            member.close(code, reason);
        }
    }

    /// A group is never closed.
    fn close_reason(&self) -> Option<CloseReason> {
        None
    }

    fn closed(self: Arc<Self>) -> BoxFuture<CloseReason> {
        Box::pin(pending())
    }
}

/// A batch for a group without a member that accepts calls.
struct BatchForNobody;

impl RouteBatch for BatchForNobody {
    fn notify(&mut self, _: OutgoingMessage) {}

    fn call(&mut self, _: OutgoingCall, _: CallTimeout) -> Result<Exchange, Error> {
        Err(Error::NoMember)
    }

    fn send(self: Box<Self>) -> BoxFuture<Result<(), Error>> {
        Box::pin(ready(Err(Error::NoMember)))
    }
}

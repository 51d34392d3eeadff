//! One message for several peers: [`Report`] says what became of a broadcast, and [`CallAll`] is the
//! stream of the results of a call to all members of a group.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::link::{Link, OutgoingCall};
use crate::outgoing::call::{Call, CallFuture};
use crate::outgoing::exchange::Exchange;
use crate::outgoing::peer::Peer;
use crate::outgoing::progress::Listener;
use crate::protocol::encode::OutgoingMessage;
use crate::protocol::error::ErrorObject;
use crate::protocol::typed::RpcError;
use crate::util::unordered::Unordered;

/// What became of a broadcast: the number of members in each state. Returned by
/// [`Call::broadcast`].
///
/// The sum of all fields is the number of members at the time of the broadcast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The message is in the member's send queue.
    pub sent: usize,
    /// The member's send queue is full, and the message waits in the background
    /// ([`SlowMember::Wait`](crate::group::SlowMember::Wait)).
    pub waiting: usize,
    /// The member does not get the message, because its send queue is full, or because the message
    /// is larger than the [`Config::max_outgoing_message`](crate::Config::max_outgoing_message) of
    /// its connection.
    pub dropped: usize,
    /// The member does not get the message, because its connection has ended or is closing, or
    /// because a reconnecting client is not connected at the moment. Also a single peer that is
    /// called over HTTP POST: it has no connection.
    pub gone: usize,
}

impl Report {
    /// Queues a notification for one connection, and reports what became of it.
    ///
    /// # Errors
    /// [`Error::TooLarge`].
    pub(crate) fn of_one(link: &Link, text: Vec<u8>) -> Result<Self, Error> {
        let mut report = Report::default();
        link.pending.notify();
        match link.try_send(text) {
            Ok(None) => report.sent = 1,
            Ok(Some(_)) => report.dropped = 1,
            Err(Error::Closed(_)) => report.gone = 1,
            Err(error) => return Err(error),
        }
        Ok(report)
    }
}

/// A [`Stream`] of the results of a call to all members of a group, each with the member's handle,
/// in the order in which they arrive. Created by [`Call::call_all`].
///
/// The members are those at the time of [`Call::call_all`]. A member whose connection ends meanwhile
/// has the result [`Error::Closed`]. Nothing is sent before the stream is polled.
///
/// Dropping the stream cancels the calls that have no result yet, as dropping a [`Call`] does.
#[must_use = "calls are not sent until the stream is polled"]
pub struct CallAll<T, E = ErrorObject> {
    /// Members that were not called yet.
    waiting: std::vec::IntoIter<Peer>,
    in_flight: Unordered<MemberCall<T, E>>,
    /// How many calls are in flight at most.
    most: usize,
    /// The message, or why it could not be encoded.
    message: Result<OutgoingMessage, String>,
    timeout: Option<Duration>,
    listener: Option<Box<Listener>>,
    over: bool,
}

/// The call of one member.
struct MemberCall<T, E> {
    peer: Peer,
    call: CallFuture<T, E>,
}

impl<T: DeserializeOwned, E: RpcError> Future for MemberCall<T, E> {
    type Output = (Peer, Result<T, Error<E>>);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(Pin::new(&mut self.call).poll(cx));
        Poll::Ready((self.peer.ordinary(), result))
    }
}

impl<T, E> CallAll<T, E> {
    pub(crate) fn new(call: Call<T, E>) -> Self {
        let (members, most) = call.peer.members();
        CallAll {
            waiting: members.into_iter(),
            in_flight: Unordered::default(),
            most,
            message: call.message.map_err(|error| io::Error::from(error).to_string()),
            timeout: call.timeout,
            listener: call.listener,
            over: false,
        }
    }

    /// The call of one member, not sent yet.
    fn call(&self, peer: Peer) -> MemberCall<T, E> {
        let exchange = match &self.message {
            Ok(message) => {
                let message = OutgoingCall::from(message.clone());
                Exchange::new(peer.clone(), Ok(message), self.timeout)
            }
            Err(text) => Exchange::Failed(Error::Encode(io::Error::other(text.clone()))),
        };
        MemberCall { peer, call: CallFuture::new(exchange, None) }
    }
}

impl<T: DeserializeOwned, E: RpcError> CallAll<T, E> {
    /// Waits for the next result. `None` after the last one.
    ///
    /// # Cancel safety
    /// No result is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<(Peer, Result<T, Error<E>>)> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl<T: DeserializeOwned, E: RpcError> Stream for CallAll<T, E> {
    type Item = (Peer, Result<T, Error<E>>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while this.in_flight.len() < this.most {
            let Some(peer) = this.waiting.next() else { break };
            this.in_flight.push(this.call(peer));
        }
        let next = this.in_flight.poll_next(cx);
        if let Some(listener) = &mut this.listener {
            listener.run();
        }
        let next = ready!(next);
        this.over = next.is_none();
        Poll::Ready(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.waiting.len() + self.in_flight.len();
        (left, Some(left))
    }
}

impl<T: DeserializeOwned, E: RpcError> FusedStream for CallAll<T, E> {
    fn is_terminated(&self) -> bool {
        self.over
    }
}

impl<T, E> fmt::Debug for CallAll<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallAll")
            .field("not_called", &self.waiting.len())
            .field("in_flight", &self.in_flight.len())
            .finish_non_exhaustive()
    }
}

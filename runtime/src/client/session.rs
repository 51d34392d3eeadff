//! The state that all handles of a reconnecting client share ([`Session`]): the current connection,
//! waiting for the next one, and the end of the client.
//!
//! Each connection has its own link, so nothing from an old connection reaches a new one.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_core::stream::FusedStream;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::client::backoff::{Reconnect, WhileDown};
use crate::client::batch::SessionBatch;
use crate::client::calls::first_attempt;
use crate::config::Config;
use crate::error::{CloseReason, Error};
use crate::handshake::Handshake;
use crate::link::memberships::Memberships;
use crate::link::outgoing_middleware::Chain;
use crate::link::{Link, OutgoingCall};
use crate::outgoing::deadline::{CallTimeout, InheritedDeadline};
use crate::outgoing::exchange::BoxedReply;
use crate::outgoing::peer::{Route, RouteBatch};
use crate::protocol::encode::OutgoingMessage;
use crate::util::BoxFuture;

/// Whether a client is connected.
///
/// ```
/// use wsjsonrpc::client::ConnectionState;
///
/// fn describe(state: &ConnectionState) -> String {
///     match state {
///         ConnectionState::Connected { number, .. } => format!("connection {number} is open"),
///         ConnectionState::Down { reason, retry_in, .. } => {
///             format!("{reason}; reconnecting in {retry_in:?}")
///         }
///         ConnectionState::Closed { reason, .. } => format!("ended for good: {reason}"),
///         _ => "unknown".to_owned(),
///     }
/// }
/// # let _ = describe;
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConnectionState {
    /// The client is connected.
    #[non_exhaustive]
    Connected {
        /// The number of the connection, counted from 1. A missing number belongs to a connection
        /// that was lost before its state was read.
        number: u64,
    },
    /// The client is not connected and reconnects. Happens only with
    /// [`ClientBuilder::reconnect`](crate::client::ClientBuilder::reconnect).
    #[non_exhaustive]
    Down {
        /// Why the connection ended, or why the latest attempt failed ([`CloseReason::Reconnect`]).
        reason: CloseReason,
        /// The number of the next attempt in a row, counted from 1.
        attempt: u32,
        /// The delay before the next attempt, counted from when this became the state.
        retry_in: Duration,
    },
    /// The client no longer reconnects.
    #[non_exhaustive]
    Closed {
        /// Why the client ended.
        reason: CloseReason,
    },
}

impl ConnectionState {
    /// The state of a client that does not reconnect.
    pub(crate) fn of(link: &Link) -> Self {
        match link.close_reason() {
            None => ConnectionState::Connected { number: 1 },
            Some(reason) => ConnectionState::Closed { reason },
        }
    }

    /// Why the client no longer reconnects, if so.
    fn closed(&self) -> Option<&CloseReason> {
        if let ConnectionState::Closed { reason } = self { Some(reason) } else { None }
    }
}

/// The state shared by the handles and the driver of a reconnecting client.
pub(crate) struct Session {
    pub(crate) config: Arc<Config>,
    /// The outgoing middleware of all its connections.
    pub(crate) outgoing: Option<Arc<Chain>>,
    while_down: WhileDown,
    /// How many times an idempotent call is sent at most.
    pub(crate) max_sends: u32,
    /// The runtime of the client's task. Its timers limit the wait for a connection, on whatever
    /// executor a call is awaited.
    pub(crate) runtime: Option<Handle>,
    /// The groups that the client is a member of.
    memberships: Memberships,
    status: watch::Sender<Status>,
    /// Set when the application closes the client: the close code and reason.
    stop: watch::Sender<Option<(u16, String)>>,
}

/// The part that changes.
#[derive(Clone)]
struct Status {
    state: ConnectionState,
    /// Present as long as the client is connected.
    link: Option<Arc<Link>>,
    /// The handshake of the latest connection.
    handshake: Arc<Handshake>,
    connections: u64,
}

impl Session {
    /// A session with its first connection.
    pub(crate) fn new(
        config: Arc<Config>,
        settings: &Reconnect,
        link: Arc<Link>,
        handshake: Arc<Handshake>,
    ) -> Self {
        let state = ConnectionState::Connected { number: 1 };
        let outgoing = link.outgoing.clone();
        let status = Status { state, link: Some(link), handshake, connections: 1 };
        Session {
            config,
            outgoing,
            while_down: settings.while_down,
            max_sends: settings.max_sends.unwrap_or(u32::MAX),
            runtime: Handle::try_current().ok(),
            memberships: Memberships::default(),
            status: watch::Sender::new(status),
            stop: watch::Sender::new(None),
        }
    }

    /// The current connection. Without one, waits or fails, depending on `while_down`.
    pub(crate) async fn link(&self) -> Result<Arc<Link>, Error> {
        match self.open_link() {
            Some(link) => Ok(link),
            None if self.while_down == WhileDown::Fail => Err(Error::Closed(self.reason())),
            None => self.next_link().await,
        }
    }

    /// The current connection. Without one, waits for the next.
    ///
    /// # Errors
    /// There will be no other connection.
    pub(crate) async fn next_link(&self) -> Result<Arc<Link>, Error> {
        let mut status = self.status.subscribe();
        loop {
            // Marked as seen before it is checked, so that no change is missed.
            status.mark_unchanged();
            if let Some(link) = self.open_link() {
                return Ok(link);
            }
            if self.is_stopped() || self.close_reason().is_some() {
                return Err(Error::Closed(self.reason()));
            }
            if status.changed().await.is_err() {
                return Err(Error::Closed(CloseReason::Aborted));
            }
        }
    }

    /// The current link, unless it has started to close, even if the state does not say so yet.
    fn open_link(&self) -> Option<Arc<Link>> {
        if self.is_stopped() {
            return None;
        }
        let link = self.status.borrow().link.clone()?;
        link.send_queue.is_open().then_some(link)
    }

    /// The current connection, even if it is closing.
    pub(crate) fn current(&self) -> Option<Arc<Link>> {
        self.status.borrow().link.clone()
    }

    /// Sends a notification; waits while the send queue is full.
    pub(crate) async fn send(&self, text: Vec<u8>) -> Result<(), Error> {
        loop {
            let link = self.link().await?;
            match link.notify(text.clone()).await {
                // It was not queued, so it goes to the next connection.
                Err(Error::Closed(_)) => {}
                outcome => return outcome,
            }
        }
    }

    /// Ends the client for good, whatever its state. Only the first call has an effect.
    pub(crate) fn close(&self, code: u16, reason: &str) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert_with(|| (code, reason.to_owned()));
            first
        });
        // So that calls fail from now on, even before the driver notices.
        if let Some(link) = self.current() {
            link.close(code, reason);
        }
    }

    pub(crate) fn state(&self) -> ConnectionState {
        self.status.borrow().state.clone()
    }

    pub(crate) fn states(&self) -> ConnectionStates {
        let mut status = self.status.subscribe();
        status.mark_changed();
        ConnectionStates::of_session(status)
    }

    pub(crate) fn handshake(&self) -> Arc<Handshake> {
        Arc::clone(&self.status.borrow().handshake)
    }

    /// Waits until the client no longer reconnects.
    pub(crate) async fn closed(&self) -> CloseReason {
        let mut status = self.status.subscribe();
        loop {
            status.mark_unchanged();
            if let Some(reason) = self.close_reason() {
                return reason;
            }
            if status.changed().await.is_err() {
                return CloseReason::Aborted;
            }
        }
    }

    /// Why the client no longer reconnects, if so.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.status.borrow().state.closed().cloned()
    }

    /// Adds the reason for the missing connection to a timeout.
    pub(crate) fn late(&self, error: Error) -> Error {
        match (error, &self.status.borrow().state) {
            (Error::Timeout(timeout), ConnectionState::Down { reason, .. }) => {
                Error::Timeout(timeout.without_connection(reason))
            }
            (error, _) => error,
        }
    }

    /// Why there is no connection.
    fn reason(&self) -> CloseReason {
        let status = self.status.borrow();
        match (&status.state, &status.link) {
            (ConnectionState::Closed { reason }, _) => reason.clone(),
            _ if self.is_stopped() => CloseReason::Local,
            (ConnectionState::Down { reason, .. }, _) => reason.clone(),
            (ConnectionState::Connected { .. }, Some(link)) => link.reason(),
            (ConnectionState::Connected { .. }, None) => CloseReason::Aborted,
        }
    }

    // For the driver.

    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some()
    }

    /// Waits until the application closes the client.
    pub(crate) async fn stopped(&self) -> (u16, String) {
        let mut stop = self.stop.subscribe();
        loop {
            if let Some(stop) = stop.borrow_and_update().clone() {
                return stop;
            }
            if stop.changed().await.is_err() {
                return (1000, String::new());
            }
        }
    }

    pub(crate) fn set_connected(&self, link: Arc<Link>, handshake: Arc<Handshake>) {
        self.change(|status| {
            status.connections += 1;
            status.state = ConnectionState::Connected { number: status.connections };
            status.link = Some(link);
            status.handshake = handshake;
        });
    }

    pub(crate) fn set_down(&self, reason: CloseReason, attempt: u32, retry_in: Duration) {
        self.change(|status| {
            status.state = ConnectionState::Down { reason, attempt, retry_in };
            status.link = None;
        });
    }

    /// Ends the client. Only the first reason is kept.
    pub(crate) fn set_closed(&self, reason: CloseReason) {
        if self.close_reason().is_none() {
            self.memberships.end();
            self.change(|status| {
                status.state = ConnectionState::Closed { reason };
                status.link = None;
            });
        }
    }

    /// Changes the status. Only the driver calls this, so nothing is lost between the read and the
    /// write. The old status is dropped outside the lock: it may hold the last reference to a link,
    /// which contains wakers of other code.
    fn change(&self, change: impl FnOnce(&mut Status)) {
        let mut status = self.status.borrow().clone();
        change(&mut status);
        drop(self.status.send_replace(status));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("state", &self.state()).finish_non_exhaustive()
    }
}

/// The application's handle to a session. Dropping the last one ends the session.
pub(crate) struct SessionHandle(pub(crate) Arc<Session>);

impl Route for SessionHandle {
    fn config(&self) -> &Config {
        &self.0.config
    }

    fn middleware(&self) -> Option<&Arc<Chain>> {
        self.0.outgoing.as_ref()
    }

    fn link(&self) -> Option<Arc<Link>> {
        self.0.current()
    }

    fn next_link(self: Arc<Self>) -> Option<BoxFuture<Result<Arc<Link>, Error>>> {
        Some(Box::pin(async move { self.0.next_link().await }))
    }

    fn memberships(&self) -> Option<&Memberships> {
        Some(&self.0.memberships)
    }

    fn pending_calls(&self) -> usize {
        self.0.current().map_or(0, |link| link.pending.len())
    }

    fn call(self: Arc<Self>, message: OutgoingCall, limit: CallTimeout) -> BoxedReply {
        Box::pin(first_attempt(self, message, limit))
    }

    fn notify(
        self: Arc<Self>,
        notification: OutgoingMessage,
        _: &InheritedDeadline,
    ) -> BoxFuture<Result<(), Error>> {
        Box::pin(async move { self.0.send(notification.into_notification()).await })
    }

    fn batch(self: Arc<Self>, _: InheritedDeadline) -> Box<dyn RouteBatch> {
        Box::new(SessionBatch::new(self))
    }

    fn close(&self, code: u16, reason: &str) {
        self.0.close(code, reason);
    }

    fn close_reason(&self) -> Option<CloseReason> {
        self.0.close_reason()
    }

    fn closed(self: Arc<Self>) -> BoxFuture<CloseReason> {
        Box::pin(async move { self.0.closed().await })
    }
}

impl Drop for SessionHandle {
    fn drop(&mut self) {
        self.0.close(1000, "");
    }
}

/// A [`Stream`] of a client's states. Created by [`Client::states`](crate::Client::states).
///
/// A slow consumer sees the latest state and misses those in between; the number in
/// [`Connected`](ConnectionState::Connected) shows how many connections there were. The stream does
/// not keep the connection open.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wsjsonrpc::client::ConnectionState;
/// use wsjsonrpc::{Client, Server, memory};
///
/// let (client, _) = memory::pair(Client::builder(), Server::builder())?;
/// let mut states = client.states();
/// client.close().await;
/// assert!(matches!(states.next().await, Some(ConnectionState::Closed { .. })));
/// assert!(states.next().await.is_none());
/// # Ok(())
/// # }
/// ```
pub struct ConnectionStates(States);

/// Where the states come from.
enum States {
    /// Resolves to the next state and the source of the states after it.
    Next(NextState),
    Over,
}

type NextState = Pin<Box<dyn Future<Output = Option<(ConnectionState, NextStates)>> + Send + Sync>>;

/// The source of the states after a state.
enum NextStates {
    Session(watch::Receiver<Status>),
    /// The end of a connection that is not replaced.
    End(Arc<Link>),
}

impl NextStates {
    fn next(self) -> NextState {
        Box::pin(async move {
            match self {
                NextStates::Session(mut status) => {
                    status.changed().await.ok()?;
                    let state = status.borrow_and_update().state.clone();
                    Some((state, NextStates::Session(status)))
                }
                NextStates::End(link) => {
                    let reason = link.closed().await;
                    Some((ConnectionState::Closed { reason }, NextStates::End(link)))
                }
            }
        })
    }
}

impl ConnectionStates {
    /// The states of a client that does not reconnect.
    pub(crate) fn of(link: Arc<Link>) -> Self {
        ConnectionStates(States::Next(Box::pin(async move {
            Some((ConnectionState::of(&link), NextStates::End(link)))
        })))
    }

    fn of_session(status: watch::Receiver<Status>) -> Self {
        ConnectionStates(States::Next(NextStates::Session(status).next()))
    }

    /// Waits for the next state. The first one is the current state, the last one is
    /// [`Closed`](ConnectionState::Closed), and then follows `None`.
    ///
    /// # Cancel safety
    /// No state is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<ConnectionState> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for ConnectionStates {
    type Item = ConnectionState;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<ConnectionState>> {
        let States::Next(next) = &mut self.0 else { return Poll::Ready(None) };
        let outcome = ready!(next.as_mut().poll(cx));
        self.0 = States::Over;
        Poll::Ready(outcome.map(|(state, rest)| {
            if state.closed().is_none() {
                self.0 = States::Next(rest.next());
            }
            state
        }))
    }
}

impl FusedStream for ConnectionStates {
    fn is_terminated(&self) -> bool {
        matches!(self.0, States::Over)
    }
}

impl fmt::Debug for ConnectionStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionStates")
            .field("over", &self.is_terminated())
            .finish_non_exhaustive()
    }
}

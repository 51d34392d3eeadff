//! The handle to the other side.
//!
//! Its calls and batches are written in `call` and `batch`. Must not know how incoming calls are
//! handled.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::calling::inherited::{Inherited, Limit, Scope};
use crate::calling::link::{Hold, Keep, Link};
use crate::calling::session::{ConnectionState, ConnectionStates, KeepSession};
use crate::config::Config;
use crate::error::{CloseReason, Error};
use crate::middleware::outgoing::Chain;
use crate::protocol::encode::Outgoing;
#[cfg(feature = "http-client")]
use crate::web::post::Post;
#[cfg(feature = "http-client")]
use crate::web::posted;

/// A handle to the other side of a connection. Cheap to clone, usable from any task.
///
/// Either side has one: a client from [`Client::peer`](crate::Client::peer), a handler from
/// [`Context::peer`](crate::Context::peer). Typed stubs are made of it (`MathClient::new(peer)`);
/// it makes untyped calls itself:
///
/// ```
/// # use wsjsonrpc::{memory, Client, Server};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().method("math.sum", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let peer = client.peer();
/// let sum: i64 = peer.call("math.sum", (1, 2)).await?;
/// peer.notify("log", ["ready"]).await?;
/// # assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
///
/// The handles of a [reconnecting client](crate::ClientBuilder::reconnect) go on with each new
/// connection; those that its handlers and its hook get stay with theirs, and end with it.
#[derive(Clone)]
pub struct Peer {
    way: Way,
    /// Until when its calls may take, while the call that it was made for is being handled.
    inherited: Inherited,
}

/// Where its messages go.
#[derive(Clone)]
pub(crate) enum Way {
    /// To this connection.
    One(Hold),
    /// To the connection that a reconnecting client has at the time.
    Session(Arc<KeepSession>),
    /// To a server that is called by HTTP.
    #[cfg(feature = "http-client")]
    Post(Arc<Post>),
}

impl Peer {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Peer::of(Way::One(Hold::Link(link)))
    }

    /// A handle that keeps the connection open as long as it or a clone of it lives.
    pub(crate) fn keeping(link: Arc<Link>) -> Self {
        Peer::of(Way::One(Hold::Keep(Arc::new(Keep::new(link)))))
    }

    /// A handle of a reconnecting client; it keeps it going.
    pub(crate) fn session(session: KeepSession) -> Self {
        Peer::of(Way::Session(Arc::new(session)))
    }

    /// A handle to a server that is called by HTTP.
    #[cfg(feature = "http-client")]
    pub(crate) fn post(post: Arc<Post>) -> Self {
        Peer::of(Way::Post(post))
    }

    fn of(way: Way) -> Self {
        Peer { way, inherited: Inherited::Nothing }
    }

    pub(crate) fn into_way(self) -> Way {
        self.way
    }

    /// A handle whose calls inherit the deadline of this one, as long as it is being handled.
    pub(crate) fn inheriting(mut self, scope: Option<Arc<Scope>>) -> Self {
        if let Some(scope) = scope {
            self.inherited = self.inherited.and(scope);
        }
        self
    }

    #[cfg(feature = "http-client")]
    pub(crate) fn inherited(&self) -> &Inherited {
        &self.inherited
    }

    /// How long a call may take that was given so long.
    pub(crate) fn limit(&self, timeout: Option<Duration>) -> Limit {
        self.inherited.limit(timeout)
    }

    /// The connection of now, if there is one.
    fn current(&self) -> Option<Arc<Link>> {
        match &self.way {
            Way::One(hold) => Some(Arc::clone(hold.link())),
            Way::Session(session) => session.0.current(),
            #[cfg(feature = "http-client")]
            Way::Post(_) => None,
        }
    }

    pub(crate) fn config(&self) -> &Config {
        match &self.way {
            Way::One(hold) => &hold.link().config,
            Way::Session(session) => &session.0.config,
            #[cfg(feature = "http-client")]
            Way::Post(post) => &post.config,
        }
    }

    /// What stands around its calls, if anything does.
    pub(crate) fn outgoing(&self) -> Option<&Arc<Chain>> {
        match &self.way {
            Way::One(hold) => hold.link().outgoing.as_ref(),
            Way::Session(session) => session.0.outgoing.as_ref(),
            #[cfg(feature = "http-client")]
            Way::Post(post) => post.outgoing.as_ref(),
        }
    }

    /// Sends a message that nobody waits for; waits for room.
    pub(crate) async fn send(&self, notification: Outgoing) -> Result<(), Error> {
        match &self.way {
            Way::One(hold) => hold.link().notify(notification.into_notification()).await,
            // In a box, so that the future is not larger for everybody.
            Way::Session(session) => {
                Box::pin(session.0.send(notification.into_notification())).await
            }
            #[cfg(feature = "http-client")]
            Way::Post(post) => {
                let limit = self.limit(post.config.call_timeout);
                Box::pin(posted::tell(post, notification, limit)).await
            }
        }
    }

    pub(crate) fn state(&self) -> ConnectionState {
        match (&self.way, self.over()) {
            (Way::Session(session), _) => session.0.state(),
            (_, None) => ConnectionState::Connected { number: 1 },
            (_, Some(reason)) => ConnectionState::Closed { reason },
        }
    }

    pub(crate) fn states(&self) -> ConnectionStates {
        match &self.way {
            Way::One(hold) => ConnectionStates::of(Arc::clone(hold.link())),
            Way::Session(session) => session.0.states(),
            #[cfg(feature = "http-client")]
            Way::Post(post) => ConnectionStates::of_post(post.closing()),
        }
    }

    /// Why it has ended for good, if it has.
    fn over(&self) -> Option<CloseReason> {
        match &self.way {
            Way::One(hold) => hold.link().over(),
            Way::Session(session) => session.0.over(),
            #[cfg(feature = "http-client")]
            Way::Post(post) => post.is_closed().then_some(CloseReason::Local),
        }
    }

    /// Sends what is queued, then closes the connection with a close code
    /// ([RFC 6455, section 7.4](https://www.rfc-editor.org/rfc/rfc6455#section-7.4); 1000 is the
    /// normal one, and stands in for codes that may not be sent) and a few words (at most 123
    /// bytes; longer ones are cut).
    ///
    /// Returns at once; [`closed`](Self::closed) waits. Calls made from now on fail, and so do
    /// those whose response has not come when the connection ends. A reconnecting client ends for
    /// good; only with the handle that a handler or the hook has got, it connects again.
    pub fn close(&self, code: u16, reason: &str) {
        match &self.way {
            Way::One(hold) => hold.link().close(code, reason),
            Way::Session(session) => session.0.close(code, reason),
            #[cfg(feature = "http-client")]
            Way::Post(post) => post.close(),
        }
    }

    /// Waits until the connection has ended, and says why. Ready at once if it has already. A
    /// reconnecting client's has ended when there will be no other.
    ///
    /// # Cancel safety
    /// It changes nothing, so it may be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        match &self.way {
            Way::One(hold) => hold.link().ended().await,
            Way::Session(session) => session.0.ended().await,
            #[cfg(feature = "http-client")]
            Way::Post(post) => {
                // The handle keeps it: it ends in no other way.
                let _ = post.closing().wait_for(|closed| *closed).await;
                CloseReason::Local
            }
        }
    }

    /// Whether the connection has ended; a reconnecting client's: for good.
    pub fn is_closed(&self) -> bool {
        self.over().is_some()
    }

    /// How many calls made from this side wait for their response. Those that wait for a connection
    /// are not among them.
    pub fn pending_calls(&self) -> usize {
        #[cfg(feature = "http-client")]
        if let Way::Post(post) = &self.way {
            return post.under_way();
        }
        self.current().map_or(0, |link| link.pending.len())
    }

    /// Whether both are handles of the same connection, or of the same reconnecting client.
    pub fn is_same(&self, other: &Peer) -> bool {
        match (&self.way, &other.way) {
            (Way::One(own), Way::One(other)) => Arc::ptr_eq(own.link(), other.link()),
            (Way::Session(own), Way::Session(other)) => Arc::ptr_eq(&own.0, &other.0),
            #[cfg(feature = "http-client")]
            (Way::Post(own), Way::Post(other)) => Arc::ptr_eq(own, other),
            _ => false,
        }
    }
}

impl From<&Peer> for Peer {
    fn from(peer: &Peer) -> Self {
        peer.clone()
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_flight = self.current().map_or(0, |link| link.in_flight.load(Ordering::Relaxed));
        f.debug_struct("Peer")
            .field("closed", &self.over())
            .field("pending_calls", &self.pending_calls())
            .field("in_flight", &in_flight)
            .finish_non_exhaustive()
    }
}

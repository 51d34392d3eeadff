//! The first argument of every handler: the connection that a call came in on.
//!
//! Must not know how calls are dispatched.

use std::fmt;
use std::sync::Arc;

use crate::error::CloseReason;
use crate::handshake::Handshake;
use crate::peer::Peer;
use crate::protocol::error::{ErrorObject, Result};
use crate::state::State;

/// The connection that a call came in on: the caller, its handshake, and what earlier calls left.
///
/// Cheap to clone; a clone may be kept beyond the call.
///
/// ```
/// # use wsjsonrpc::{memory, rpc, Client, Context, ErrorObject, Result, Server};
/// #[derive(Clone)]
/// struct User(String);
///
/// #[rpc]
/// trait Account {
///     async fn login(&self, ctx: &Context, name: String) -> Result<()>;
///     async fn whoami(&self, ctx: &Context) -> Result<String>;
/// }
///
/// struct Accounts;
///
/// impl Account for Accounts {
///     async fn login(&self, ctx: &Context, name: String) -> Result<()> {
///         ctx.set(User(name));
///         Ok(())
///     }
///     async fn whoami(&self, ctx: &Context) -> Result<String> {
///         Ok(ctx.require::<User>()?.0.clone())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let (client, _) = memory::pair(Client::builder(), Server::builder().service(Accounts.into_service()))?;
/// let account = AccountClient::new(client.peer());
/// assert!(account.whoami().await.is_err()); // -32001
/// account.login("Ada".to_owned()).await?;
/// assert_eq!(account.whoami().await?, "Ada");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Context {
    shared: Arc<Shared>,
}

struct Shared {
    peer: Peer,
    handshake: Handshake,
    state: State,
}

impl Context {
    pub(crate) fn new(peer: Peer, handshake: Handshake) -> Self {
        Context { shared: Arc::new(Shared { peer, handshake, state: State::default() }) }
    }

    /// Leaves on the connection what its authorization brought.
    pub(crate) fn adopt(&self, state: State) {
        self.shared.state.adopt(state);
    }

    /// The caller, to be called back. It does not keep the connection open.
    pub fn peer(&self) -> &Peer {
        &self.shared.peer
    }

    /// A typed stub for calling the caller back: `ctx.client::<TickerClient>().tick(1.5).await?`.
    ///
    /// The answer is taken in while the handler waits, so calls back and forth may nest as deep as
    /// they like.
    pub fn client<C: From<Peer>>(&self) -> C {
        C::from(self.shared.peer.clone())
    }

    /// What the opening handshake told: target, headers, cookies, address, subprotocol.
    pub fn handshake(&self) -> &Handshake {
        &self.shared.handshake
    }

    /// Leaves a value on the connection for its later calls, one for each type. Gives back the one
    /// that was there.
    pub fn set<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        self.shared.state.set(value)
    }

    /// The value of this type that an earlier call of this connection has left, or its
    /// authorization ([`Grant::set`](crate::Grant::set)).
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.shared.state.get()
    }

    /// Takes the value of this type off the connection, as a logout does.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.shared.state.remove()
    }

    /// The value of this type, for handlers that can't do without.
    ///
    /// # Errors
    /// -32001 "Unauthorized" if neither an earlier call nor the authorization has left one.
    pub fn require<T: Send + Sync + 'static>(&self) -> Result<Arc<T>> {
        self.get().ok_or_else(|| ErrorObject::unauthorized("Unauthorized"))
    }

    /// Waits until the connection has ended: for handlers that work long, to give up when nobody
    /// waits for the result.
    ///
    /// # Cancel safety
    /// It changes nothing, so it may be dropped and called again.
    pub async fn closed(&self) -> CloseReason {
        self.shared.peer.closed().await
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("peer", &self.shared.peer)
            .field("remote_addr", &self.shared.handshake.remote_addr)
            .field("state", &self.shared.state)
            .finish()
    }
}

//! [`ConnectionId`]: the number of a connection.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a connection, for log lines and for
/// [`Endpoint::connection`](crate::Endpoint::connection).
///
/// No two connections of one process have the same number, whichever server or client they belong
/// to. A connection that opens later has a larger number. Another process, or the same program after
/// a restart, uses the same numbers again.
///
/// It converts to and from `u64`, so that a method of an administrator can take one as an argument.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use wsjsonrpc::{Client, Context, Server, memory};
/// use wsjsonrpc::server::ConnectionId;
///
/// let server = Server::builder()
///     .method("whoami", |ctx: Context, ()| async move { Ok(u64::from(ctx.connection_id())) });
/// let (client, _) = memory::pair(Client::builder(), server)?;
/// let id = ConnectionId::from(client.peer().call::<u64>("whoami", ()).await?);
/// println!("connection {id}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// A number that no connection has had before.
    pub(crate) fn next() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        ConnectionId(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl From<ConnectionId> for u64 {
    fn from(id: ConnectionId) -> Self {
        id.0
    }
}

impl From<u64> for ConnectionId {
    fn from(number: u64) -> Self {
        ConnectionId(number)
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConnectionId({})", self.0)
    }
}

//! [`pair`]: connects a client and a server on a network with faults.

use std::future::{Ready, ready};
use std::io;

use super::faults::Faults;
use super::network::{End, Network};
use crate::client::Client;
use crate::client::builder::ClientBuilder;
use crate::error::connect_error::ConnectError;
use crate::memory;
use crate::outgoing::peer::Peer;
use crate::server::ServerBuilder;
use crate::server::endpoint::Endpoint;
use crate::websocket::stream::Stream;

/// Like [`memory::pair`](crate::memory::pair), over a [`Network`] with these faults. Also returns
/// the network, so that the test can break the connection at a chosen moment.
///
/// ```
/// use wsjsonrpc::testing::{self, Cut, Faults};
/// use wsjsonrpc::{Client, Error, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder().method("add", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
/// let (client, _caller, network) =
///     testing::pair(Client::builder(), server, Faults::seeded(7).split(10))?;
/// assert_eq!(client.peer().call::<i64>("add", (1, 2)).await?, 3);
///
/// network.cut(Cut::Abrupt);
/// let failed = client.peer().call::<i64>("add", (1, 2)).await;
/// assert!(matches!(failed, Err(Error::Closed(_))));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As for [`memory::pair`](crate::memory::pair).
pub fn pair(
    client: ClientBuilder,
    server: ServerBuilder,
    faults: Faults,
) -> Result<(Client, Peer, Network), ConnectError> {
    let network = Network::new(faults);
    let (theirs, ours) = network.open();
    let (client, peer) = memory::join(client, server, Stream::other(theirs), Stream::other(ours))?;
    Ok((client, peer, network))
}

impl Network {
    /// A closure for [`ClientBuilder::connect_with`]. Each connection leads to this endpoint,
    /// starts with the opening handshake, and has its own faults.
    ///
    /// ```
    /// use std::time::Duration;
    /// use wsjsonrpc::testing::{Cut, Direction, Faults, Network};
    /// use wsjsonrpc::{Client, Server};
    /// use wsjsonrpc::client::Reconnect;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = Server::builder().method("add", |_, (x, y): (i64, i64)| async move { Ok(x + y) });
    /// let faults = Faults::seeded(7).cut_within(Direction::ToServer, 500..=2000, Cut::Abrupt);
    /// let network = Network::new(faults);
    /// let client = Client::builder()
    ///     .reconnect(Reconnect::default())
    ///     .connect_with("ws://localhost/", network.connector(&server.build()?))
    ///     .await?;
    /// for x in 0..30 {
    ///     let call = client.peer().call::<i64>("add", (x, 1)).idempotent();
    ///     assert_eq!(call.await?, x + 1);
    /// }
    /// assert!(network.opened() > 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn connector(
        &self,
        endpoint: &Endpoint,
    ) -> impl Fn() -> Ready<io::Result<End>> + Send + Sync + 'static + use<> {
        let (network, endpoint) = (self.clone(), endpoint.clone());
        move || {
            let (theirs, ours) = network.open();
            let endpoint = endpoint.clone();
            tokio::spawn(async move {
                if let Err(error) = endpoint.serve(ours, None).await {
                    tracing::debug!(%error, "handshake failed on a network in memory");
                }
            });
            ready(Ok(theirs))
        }
    }
}

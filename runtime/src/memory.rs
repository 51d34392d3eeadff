//! Two connected peers without a network, for tests ([`pair`]).
//!
//! Above the byte stream they run the same code as over a socket: frames, limits, order, closing.

use std::io;

use crate::client::Client;
use crate::client::builder::ClientBuilder;
use crate::error::connect_error::{BindError, ConnectError};
use crate::handshake::{Handshake, offered_subprotocols};
use crate::outgoing::peer::Peer;
use crate::protocol::request_extensions::{HEADER, VERSION};
use crate::server::ServerBuilder;
use crate::util::runtime;
use crate::util::runtime::deadline;
use crate::websocket::stream::Stream;
use crate::websocket::transport::Transport;

use http::HeaderValue;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Role;

/// How many bytes may be in transit in one direction.
const BUFFER: usize = 64 * 1024;

/// Connects a client to a server in memory. Returns the client, and the server's handle to it.
///
/// Both sides run in tasks of the current tokio runtime. If its clock is paused
/// (`tokio::time::pause`), timeouts take no time. There is no HTTP handshake: the server sees the
/// client's headers and the target `/`, and its rules for paths and origins do not apply. The
/// server's [`Authorize`](crate::server::Authorize) hook runs before anything from the client is
/// read; a refused client is disconnected. The connection ends when the client is dropped or
/// closed. Reconnecting is not supported, and the client's hooks for connecting do not run. The
/// server's hooks for connections do.
///
/// ```
/// # use wsjsonrpc::{memory, rpc, Client, Context, Result, Server};
/// #[rpc]
/// trait Greeter {
///     async fn greet(&self, ctx: &Context, name: &str) -> Result<String>;
/// }
///
/// struct Polite;
///
/// impl Greeter for Polite {
///     async fn greet(&self, ctx: &Context, name: &str) -> Result<String> {
///         let session = ctx.handshake().cookie("session").unwrap_or("nobody").to_owned();
///         Ok(format!("Hello, {name}, known as {session}"))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (client, _caller) = memory::pair(
///     Client::builder().header("cookie", "session=ada"),
///     Server::builder().service(Polite.into_service()),
/// )?;
/// let greeter = GreeterClient::new(client.peer());
/// assert_eq!(greeter.greet("Ada").await?, "Hello, Ada, known as ada");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Two services of one side have a method of the same name, a setting or a header of a builder
/// cannot be used, or there is no tokio runtime.
pub fn pair(client: ClientBuilder, server: ServerBuilder) -> Result<(Client, Peer), ConnectError> {
    let (ours, theirs) = tokio::io::duplex(BUFFER);
    join(client, server, Stream::memory(theirs), Stream::memory(ours))
}

/// A client on one end of a stream, and a server on the other end.
pub(crate) fn join(
    client: ClientBuilder,
    server: ServerBuilder,
    theirs: Stream,
    ours: Stream,
) -> Result<(Client, Peer), ConnectError> {
    let endpoint = match server.build() {
        Ok(endpoint) => endpoint,
        Err(BindError::DuplicateMethod(error)) => return Err(error.into()),
        Err(error) => return Err(ConnectError::Io(io::Error::other(error))),
    };
    let client = client.prepare()?;
    runtime::check().map_err(ConnectError::Io)?;
    let headers = client.headers.clone();
    let subprotocol = endpoint.rules().agree(offered_subprotocols(&headers)).map(str::to_owned);
    if subprotocol.is_none() && offered_subprotocols(&headers).next().is_some() {
        let words = "the server supports none of the offered subprotocols";
        return Err(ConnectError::Handshake(words.to_owned()));
    }
    let mut seen_by_server = Handshake { headers, ..Handshake::new("/") };
    seen_by_server.subprotocol.clone_from(&subprotocol);
    let mut seen_by_client = Handshake { subprotocol, ..Handshake::new("/") };
    for seen in [&mut seen_by_server, &mut seen_by_client] {
        seen.headers.insert(HEADER, HeaderValue::from_static(VERSION));
    }

    let transport = Transport::new(theirs, Vec::new(), Role::Client, &client.config);
    let handshake = seen_by_server.clone();
    let (peer, serving) = endpoint.run(ours, Vec::new(), seen_by_server, None);
    tokio::spawn(async move {
        let deadline = deadline(Instant::now(), endpoint.config().handshake_timeout);
        match endpoint.rules().authorize(&handshake, deadline).await {
            Ok(grant) => serving.adopt(grant),
            Err(refusal) => {
                tracing::debug!(status = %refusal.status(), "client refused by the `Authorize` hook");
                return;
            }
        }
        serving.await;
    });
    Ok((Client::of(client.start(transport, seen_by_client)), peer))
}

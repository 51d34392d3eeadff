//! Where a server's streams come from: a TCP port, or on Unix a socket in the file system.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

#[cfg(unix)]
use tokio::net::UnixListener;
use tokio::net::{TcpListener, TcpSocket, ToSocketAddrs};

use crate::error::Remote;
use crate::error::connect_error::BindError;
#[cfg(unix)]
use crate::server::socket_file::SocketFile;
use crate::util::runtime::{self, with_io};
use crate::websocket::stream::Stream;

/// Listens on the first of these addresses that is free. `backlog` is how many connections the
/// operating system keeps until they are accepted.
pub(crate) async fn bind(
    address: impl ToSocketAddrs + fmt::Debug,
    backlog: u32,
) -> Result<TcpListener, BindError> {
    let given = format!("{address:?}").replace('"', "");
    runtime::check().map_err(|error| BindError::Io { address: given.clone(), error })?;
    let addresses: Vec<SocketAddr> = match tokio::net::lookup_host(address).await {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return Err(BindError::Io { error: no_address(&given, error), address: given });
        }
    };
    with_io(async { listen(&addresses, backlog) }).await.map_err(|error| {
        let names: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        BindError::Io { address: names.join(", "), error }
    })
}

/// Like tokio's `TcpListener::bind`, which has a fixed backlog.
fn listen(addresses: &[SocketAddr], backlog: u32) -> io::Result<TcpListener> {
    let listen = |address: &SocketAddr| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // On Windows, this option would let other processes take over the port.
        #[cfg(not(windows))]
        socket.set_reuseaddr(true)?;
        socket.bind(*address)?;
        socket.listen(backlog)
    };
    let mut failed = io::Error::new(io::ErrorKind::InvalidInput, "the host name has no address");
    for address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        /// Removes the file when the server ends, if set; dropped before the listener.
        _file: Option<SocketFile>,
        listener: UnixListener,
    },
}

impl Listener {
    /// The next stream, and its remote address.
    ///
    /// # Cancel safety
    /// No connection is lost when the future is dropped.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Responses are collected before they are written, so Nagle's algorithm gains
                // nothing.
                if let Err(error) = stream.set_nodelay(true) {
                    let remote = Remote(Some(address));
                    tracing::debug!(%remote, %error, "cannot set TCP_NODELAY");
                }
                Ok((Stream::tcp(stream), Some(address)))
            }
            #[cfg(unix)]
            Listener::Unix { listener, .. } => Ok((Stream::unix(listener.accept().await?.0), None)),
        }
    }
}

/// The same port, with an address that can be reached from this machine.
pub(crate) fn reached(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        let v4 = address.is_ipv4();
        address.set_ip(if v4 { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

/// Adds a hint, because the operating system's errors for an invalid address and for a name that
/// cannot be resolved look much the same.
fn no_address(given: &str, error: io::Error) -> io::Error {
    let has_port = given.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    // A host and a port as separate values cannot be confused.
    if given.starts_with('(') || (has_port && !given.contains('/')) {
        return error;
    }
    let words = "expected host:port, such as 127.0.0.1:8080";
    io::Error::new(io::ErrorKind::InvalidInput, words)
}

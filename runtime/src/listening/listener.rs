//! Where a server's streams come from: a TCP port, or on Unix a socket in the file system.
//!
//! Must not know what is served on them.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::net::UnixListener;

use crate::error::Remote;
#[cfg(unix)]
use crate::listening::socket_file::SocketFile;
use crate::socket::stream::Stream;

#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        /// If it is to be removed; dropped before the listener.
        _file: Option<SocketFile>,
        listener: UnixListener,
    },
}

impl Listener {
    /// The next stream, and where it comes from.
    ///
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                // Answers are collected before they are written, so waiting for more gains nothing.
                if let Err(error) = stream.set_nodelay(true) {
                    let remote = Remote(Some(address));
                    tracing::debug!(%remote, %error, "can't set TCP_NODELAY");
                }
                Ok((Stream::tcp(stream), Some(address)))
            }
            #[cfg(unix)]
            Listener::Unix { listener, .. } => Ok((Stream::unix(listener.accept().await?.0), None)),
        }
    }
}

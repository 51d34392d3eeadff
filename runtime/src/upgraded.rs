//! From a connection that hyper has upgraded to the stream that it was made on.
//!
//! Whatever hyper has wrapped around a socket is taken off, so that reading and writing cost what they
//! cost without it. Must not know WebSocket.

use hyper::rt::{Read, Write};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;

use crate::stream::Stream;

/// The stream, and what hyper has read of it beyond the request.
pub(crate) fn stream_of(upgraded: Upgraded) -> (Stream, Vec<u8>) {
    let upgraded = match socket::<TcpStream>(upgraded) {
        Ok((socket, part)) => {
            // Answers are collected before they are written, so waiting for more gains nothing.
            if let Err(error) = socket.set_nodelay(true) {
                tracing::debug!(%error, "can't set TCP_NODELAY");
            }
            return (Stream::tcp(socket), part);
        }
        Err(upgraded) => upgraded,
    };
    #[cfg(unix)]
    let upgraded = match socket::<tokio::net::UnixStream>(upgraded) {
        Ok((socket, part)) => return (Stream::other(socket), part),
        Err(upgraded) => upgraded,
    };
    // TLS, or whatever else: it gives by itself what was read before.
    (Stream::other(TokioIo::new(upgraded)), Vec::new())
}

/// Takes the socket out if it is one of this type. The automatic server of `hyper_util`, which axum's
/// is made of, has a wrapper of its own around it.
fn socket<T>(upgraded: Upgraded) -> Result<(T, Vec<u8>), Upgraded>
where
    T: Send + 'static,
    TokioIo<T>: Read + Write + Unpin,
{
    let upgraded = match auto::upgrade::downcast::<TokioIo<T>>(upgraded) {
        Ok(parts) => return Ok((parts.io.into_inner(), parts.read_buf.into())),
        Err(upgraded) => upgraded,
    };
    let parts = upgraded.downcast::<TokioIo<T>>()?;
    Ok((parts.io.into_inner(), parts.read_buf.into()))
}

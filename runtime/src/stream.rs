//! What a WebSocket runs over: one type for TCP, memory and streams of others.
//!
//! Reads ahead, so that a small buffer for each connection does not mean many small reads. Must not
//! know WebSocket.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// How much is read from the network at once.
const SCRATCH_SIZE: usize = 64 * 1024;

/// Any stream of bytes that can carry a WebSocket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What a WebSocket runs over. One type for all, so that the connection is compiled once, here,
/// and not in every program that uses this crate.
pub(crate) struct Stream {
    kind: Kind,
    /// Bytes taken by the network so far: how a slow peer is told from a stuck one.
    written: u64,
    /// Read ahead, and not yet asked for from `at` on. Empty most of the time, and then without
    /// memory.
    ahead: Vec<u8>,
    at: usize,
}

enum Kind {
    Tcp(TcpStream),
    Memory(DuplexStream),
    Other(Box<dyn Io>),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self::new(Kind::Tcp(stream))
    }

    pub(crate) fn memory(stream: DuplexStream) -> Self {
        Self::new(Kind::Memory(stream))
    }

    fn new(kind: Kind) -> Self {
        Stream { kind, written: 0, ahead: Vec::new(), at: 0 }
    }

    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    pub(crate) fn other(stream: impl Io + 'static) -> Self {
        Self::new(Kind::Other(Box::new(stream)))
    }
}

thread_local! {
    /// Where the network is read into. One for each thread, not for each connection.
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_SIZE]);
}

/// The same call on whichever stream it is.
macro_rules! on_stream {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Kind::Memory(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Kind::Other(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
        }
    };
}

impl Stream {
    /// Reads as much as there is at once, and keeps what was not asked for.
    fn read_ahead(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut read = ReadBuf::new(scratch);
        ready!(on_stream!(self, stream => stream.poll_read(cx, &mut read)))?;
        let (asked, rest) = read.filled().split_at(read.filled().len().min(buffer.remaining()));
        buffer.put_slice(asked);
        self.ahead.extend_from_slice(rest);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.at == self.ahead.len() {
            // A stream that is itself made of one of ours would find the scratch in use.
            let read = SCRATCH.with(|scratch| {
                let mut scratch = scratch.try_borrow_mut().ok()?;
                Some(self.read_ahead(cx, &mut scratch, buffer))
            });
            return read
                .unwrap_or_else(|| on_stream!(self, stream => stream.poll_read(cx, buffer)));
        }
        let rest = self.ahead.get(self.at..).unwrap_or_default();
        let taken = rest.len().min(buffer.remaining());
        buffer.put_slice(rest.get(..taken).unwrap_or_default());
        self.at += taken;
        if self.at == self.ahead.len() {
            (self.ahead, self.at) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(on_stream!(self, stream => stream.poll_write(cx, bytes)))?;
        self.written += written as u64;
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, stream => stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_is_read_ahead_comes_in_order_and_holds_no_memory_afterwards() {
        let (mut ours, theirs) = tokio::io::duplex(1 << 20);
        // One inside another: the inner one finds the scratch in use.
        let mut stream = Stream::other(Stream::memory(theirs));
        let sent: Vec<u8> = (0..200_000_u32).map(|number| (number % 251) as u8).collect();
        ours.write_all(&sent).await.unwrap();
        drop(ours);
        let mut received = Vec::new();
        let mut buffer = [0; 1000];
        loop {
            match stream.read(&mut buffer).await.unwrap() {
                0 => break,
                count => received.extend_from_slice(&buffer[..count]),
            }
        }
        assert_eq!(received, sent);
        assert_eq!(stream.ahead.capacity(), 0);
    }
}

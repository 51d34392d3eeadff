//! What a WebSocket runs over: one type for TCP, Unix sockets, memory and streams of others.
//!
//! Reads ahead, so that a small buffer for each connection does not mean many small reads. Must not
//! know WebSocket.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::util::yield_now::wake_after_others;

/// How much is read from the network at once.
const SCRATCH_SIZE: usize = 64 * 1024;
/// How much is read from it before others get their turn. Messages are counted elsewhere, but large
/// ones, and parts of one that never ends, are not many.
const ALLOWANCE: u32 = 1 << 20;

/// Any stream of bytes that can carry a WebSocket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What a WebSocket runs over. One type for all, so that the connection is compiled once, here,
/// and not in every program that uses this crate.
pub(crate) struct Stream {
    kind: Kind,
    /// Bytes that the network has brought so far.
    read: u64,
    /// Bytes taken by the network so far: how a slow peer is told from a stuck one.
    written: u64,
    /// The network did not take what was written last.
    blocked: bool,
    /// The other end has sent something.
    lives: bool,
    /// The network has taken something after it had no room.
    makes_room: bool,
    /// How much may be read before the next rest.
    allowance: u32,
    /// Nothing more was read, though there may be more.
    rests: bool,
    /// What was read ahead and not yet asked for is in `at..end`. Most of the time that is nothing,
    /// and then it has no memory.
    ahead: Vec<u8>,
    at: usize,
    end: usize,
}

enum Kind {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
    Memory(DuplexStream),
    #[cfg(feature = "tls")]
    Tls(Box<tokio_rustls::TlsStream<Stream>>),
    Other(Box<dyn Io>),
}

impl Stream {
    pub(crate) fn tcp(stream: TcpStream) -> Self {
        Self::new(Kind::Tcp(stream))
    }

    #[cfg(unix)]
    pub(crate) fn unix(stream: UnixStream) -> Self {
        Self::new(Kind::Unix(stream))
    }

    pub(crate) fn memory(stream: DuplexStream) -> Self {
        Self::new(Kind::Memory(stream))
    }

    pub(crate) fn other(stream: impl Io + 'static) -> Self {
        Self::new(Kind::Other(Box::new(stream)))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(stream: impl Into<tokio_rustls::TlsStream<Stream>>) -> Self {
        Self::new(Kind::Tls(Box::new(stream.into())))
    }

    fn new(kind: Kind) -> Self {
        Stream {
            kind,
            read: 0,
            written: 0,
            blocked: false,
            lives: false,
            makes_room: false,
            allowance: ALLOWANCE,
            rests: false,
            ahead: Vec::new(),
            at: 0,
            end: 0,
        }
    }

    #[cfg(all(test, feature = "tower"))]
    pub(crate) fn is_tcp(&self) -> bool {
        matches!(self.kind, Kind::Tcp(_))
    }

    /// How many bytes the network has brought.
    pub(crate) fn brought(&self) -> u64 {
        self.network().read
    }

    /// What the operating system knows of the other end: on a Unix socket, whose process it is.
    pub(crate) fn extensions(&self) -> http::Extensions {
        match &self.kind {
            #[cfg(unix)]
            Kind::Unix(stream) => {
                let mut extensions = http::Extensions::new();
                if let Ok(credentials) = stream.peer_cred() {
                    extensions.insert(credentials);
                }
                extensions
            }
            _ => http::Extensions::new(),
        }
    }

    /// How many bytes the network has taken.
    pub(crate) fn written(&self) -> u64 {
        self.network().written
    }

    /// What the network has seen. What a TLS session has taken may still wait in it, and a part of
    /// a record is nothing to anybody else.
    fn network(&self) -> &Stream {
        match &self.kind {
            #[cfg(feature = "tls")]
            Kind::Tls(session) => session.get_ref().0,
            _ => self,
        }
    }

    /// Whether the other end has sent anything since [`forget_signs`](Self::forget_signs).
    pub(crate) fn lives(&self) -> bool {
        self.network().lives
    }

    pub(crate) fn forget_signs(&mut self) {
        #[cfg(feature = "tls")]
        if let Kind::Tls(session) = &mut self.kind {
            return session.get_mut().0.forget_signs();
        }
        self.lives = false;
    }

    /// Whether the network had no room and has taken something again since
    /// [`forget_room`](Self::forget_room). The other end may know nothing of it: whatever stands
    /// between the two, a proxy or the operating systems, takes bytes as well.
    pub(crate) fn makes_room(&self) -> bool {
        self.network().makes_room
    }

    pub(crate) fn forget_room(&mut self) {
        #[cfg(feature = "tls")]
        if let Kind::Tls(session) = &mut self.kind {
            return session.get_mut().0.forget_room();
        }
        self.makes_room = false;
    }

    /// Whether reading has stopped since this was asked last, so that others get their turn. The
    /// task is woken for the rest.
    pub(crate) fn take_rest(&mut self) -> bool {
        std::mem::take(&mut self.rests)
    }

    /// Gives back what was read too much: the next reads begin with it.
    pub(crate) fn unread(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.ahead.get(self.at..self.end).unwrap_or_default());
        (self.at, self.end) = (0, bytes.len());
        self.ahead = bytes;
    }
}

thread_local! {
    /// Where the network is read into: one for each thread, not for each connection. A stream that
    /// has read more than it was asked for has it until that was asked for, too.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The same call on whichever stream it is.
macro_rules! on_stream {
    ($self:expr, $stream:ident => $call:expr) => {
        match &mut $self.kind {
            Kind::Tcp(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(unix)]
            Kind::Unix(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            Kind::Memory(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => {
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
    /// Reads as much as there is at once, when nothing is left of what was read before.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.allowance == 0 {
            (self.allowance, self.rests) = (ALLOWANCE, true);
            wake_after_others(cx);
            return Poll::Pending;
        }
        let mut scratch = SCRATCH.take();
        if scratch.is_empty() {
            scratch = vec![0; SCRATCH_SIZE];
        }
        let mut read = ReadBuf::new(&mut scratch);
        let polled = on_stream!(self, stream => stream.poll_read(cx, &mut read));
        (self.at, self.end) = (0, read.filled().len());
        self.ahead = scratch;
        if self.end == 0 {
            self.put_back();
        } else {
            self.lives = true;
            self.read += self.end as u64;
            let read = u32::try_from(self.end).unwrap_or(u32::MAX);
            self.allowance = self.allowance.saturating_sub(read);
        }
        polled
    }

    /// What was read and not yet asked for; reads if there is none. Nothing: the stream has ended.
    #[inline]
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.at == self.end {
            ready!(self.read_ahead(cx))?;
        }
        Poll::Ready(Ok(self.ahead.get(self.at..self.end).unwrap_or_default()))
    }

    /// So many bytes of it were taken.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        self.at = self.end.min(self.at + count);
        if self.at == self.end && count > 0 {
            self.put_back();
        }
    }

    fn put_back(&mut self) {
        let ahead = std::mem::take(&mut self.ahead);
        if ahead.len() == SCRATCH_SIZE {
            SCRATCH.set(ahead);
        }
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let ahead = ready!(self.poll_ahead(cx))?;
        let taken = ahead.len().min(buffer.remaining());
        buffer.put_slice(ahead.get(..taken).unwrap_or_default());
        self.consume(taken);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = on_stream!(self, stream => stream.poll_write(cx, bytes));
        let was_blocked = std::mem::replace(&mut self.blocked, polled.is_pending());
        let written = ready!(polled)?;
        self.makes_room |= was_blocked;
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

    #[tokio::test]
    async fn what_was_read_too_much_comes_first() {
        let (mut ours, theirs) = tokio::io::duplex(1 << 10);
        let mut stream = Stream::memory(theirs);
        ours.write_all(b"abcdef").await.unwrap();
        let mut three = [0; 3];
        stream.read_exact(&mut three).await.unwrap();
        stream.unread(b"123".to_vec());
        ours.write_all(b"ghi").await.unwrap();
        drop(ours);
        let mut all = String::new();
        stream.read_to_string(&mut all).await.unwrap();
        assert_eq!((&three, all.as_str()), (b"abc", "123defghi"));
    }
}

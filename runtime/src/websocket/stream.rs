//! The byte stream of a WebSocket: [`Stream`] is one type for TCP, Unix sockets, TLS, memory and
//! streams of the application. It reads ahead, so that a small buffer for each connection does not
//! cause many small reads.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;

use crate::util::yield_now::wake_after_others;

/// The maximum number of bytes in one read from the network.
const SCRATCH_SIZE: usize = 64 * 1024;
/// The number of bytes that are read before the task yields. The budget of messages alone is not
/// enough, because a few large messages, or fragments of an endless one, can have many bytes.
const ALLOWANCE: u32 = 64 << 10;

/// Any stream of bytes that can carry a WebSocket.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The stream of a WebSocket. It is one type for all kinds, so that the connection is compiled once
/// in this crate, and not in each program that uses it.
pub(crate) struct Stream {
    kind: Kind,
    /// Bytes read from the network so far.
    read: u64,
    /// Bytes written to the network so far, which distinguish a slow peer from a stuck one.
    written: u64,
    /// Whether the last write was pending.
    blocked: bool,
    /// Whether the peer has sent something.
    has_activity: bool,
    /// Whether the network has accepted bytes again after it was blocked.
    has_drained: bool,
    /// The number of bytes that may be read before the next yield.
    allowance: u32,
    /// Whether reading has stopped in order to yield, while there may be more.
    rests: bool,
    /// Bytes that were read ahead and not yet consumed are in `at..end`. Most of the time there are
    /// none, and then the buffer has no capacity.
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
            has_activity: false,
            has_drained: false,
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

    /// The number of bytes read from the network.
    pub(crate) fn brought(&self) -> u64 {
        self.network().read
    }

    /// What the operating system knows about the peer: on a Unix socket, the credentials of its
    /// process.
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

    /// The number of bytes written to the network.
    pub(crate) fn written(&self) -> u64 {
        self.network().written
    }

    /// The stream at the network, below TLS. A TLS session may still hold bytes that it has
    /// accepted, and the peer cannot use an incomplete record.
    fn network(&self) -> &Stream {
        match &self.kind {
            #[cfg(feature = "tls")]
            Kind::Tls(session) => session.get_ref().0,
            _ => self,
        }
    }

    /// Whether the peer has sent anything since [`clear_activity`](Self::clear_activity).
    pub(crate) fn has_activity(&self) -> bool {
        self.network().has_activity
    }

    pub(crate) fn clear_activity(&mut self) {
        #[cfg(feature = "tls")]
        if let Kind::Tls(session) = &mut self.kind {
            return session.get_mut().0.clear_activity();
        }
        self.has_activity = false;
    }

    /// Whether the network was blocked and has accepted bytes again since
    /// [`clear_drained`](Self::clear_drained). The peer may not have received them: proxies and
    /// operating systems also buffer bytes.
    pub(crate) fn has_drained(&self) -> bool {
        self.network().has_drained
    }

    pub(crate) fn clear_drained(&mut self) {
        #[cfg(feature = "tls")]
        if let Kind::Tls(session) = &mut self.kind {
            return session.get_mut().0.clear_drained();
        }
        self.has_drained = false;
    }

    /// Whether reading has stopped in order to yield since the last call. The task is woken to read
    /// the rest.
    pub(crate) fn take_rest(&mut self) -> bool {
        std::mem::take(&mut self.rests)
    }

    /// Stops reading to yield: the task is woken to read the rest.
    pub(crate) fn rest(&mut self, cx: &mut Context<'_>) {
        self.rests = true;
        wake_after_others(cx);
    }

    /// Puts back bytes that were read too far. The next reads start with them.
    pub(crate) fn unread(&mut self, mut bytes: Vec<u8>) {
        bytes.extend_from_slice(self.ahead.get(self.at..self.end).unwrap_or_default());
        (self.at, self.end) = (0, bytes.len());
        self.ahead = bytes;
    }
}

thread_local! {
    /// The buffer for reads from the network: one for each thread, not for each connection. A
    /// stream keeps the buffer until all bytes in it are consumed.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The same call on any kind of stream.
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
    /// Reads as many bytes as are available at once. Everything read before must be consumed.
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
            self.has_activity = true;
            self.read += self.end as u64;
            let read = u32::try_from(self.end).unwrap_or(u32::MAX);
            self.allowance = self.allowance.saturating_sub(read);
        }
        polled
    }

    /// The bytes that were read and not yet consumed. Reads if there are none. The result is empty
    /// at the end of the stream.
    #[inline]
    pub(crate) fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.at == self.end {
            ready!(self.read_ahead(cx))?;
        }
        Poll::Ready(Ok(self.ahead.get(self.at..self.end).unwrap_or_default()))
    }

    /// Records that this number of bytes was consumed.
    #[inline]
    pub(crate) fn consume(&mut self, count: usize) {
        self.at = self.end.min(self.at + count);
        if self.at == self.end && count > 0 {
            self.put_back();
        }
    }

    /// Records the outcome of a write.
    #[inline]
    fn count(&mut self, polled: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let was_blocked = std::mem::replace(&mut self.blocked, polled.is_pending());
        let written = ready!(polled)?;
        self.has_drained |= was_blocked;
        self.written += written as u64;
        Poll::Ready(Ok(written))
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
        self.count(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = on_stream!(self, stream => stream.poll_write_vectored(cx, slices));
        self.count(polled)
    }

    fn is_write_vectored(&self) -> bool {
        match &self.kind {
            Kind::Tcp(stream) => stream.is_write_vectored(),
            #[cfg(unix)]
            Kind::Unix(stream) => stream.is_write_vectored(),
            Kind::Memory(stream) => stream.is_write_vectored(),
            #[cfg(feature = "tls")]
            Kind::Tls(stream) => stream.is_write_vectored(),
            Kind::Other(stream) => stream.is_write_vectored(),
        }
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
        // A stream inside of another one: the outer stream is using the buffer while the inner one
        // reads.
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
    async fn bytes_of_vectored_writes_are_counted() {
        let (mut ours, theirs) = tokio::io::duplex(5);
        let mut stream = Stream::other(Stream::memory(theirs));
        assert!(stream.is_write_vectored());
        let slices = [IoSlice::new(b"abc"), IoSlice::new(b"defg")];
        assert_eq!(stream.write_vectored(&slices).await.unwrap(), 5);
        assert_eq!(stream.written(), 5);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let polled = Pin::new(&mut stream).poll_write_vectored(&mut cx, &slices);
        assert!(polled.is_pending() && !stream.has_drained());
        let mut received = [0; 5];
        ours.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"abcde");
        assert_eq!(stream.write_vectored(&slices[1..]).await.unwrap(), 4);
        assert!(stream.has_drained() && stream.written() == 9);
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

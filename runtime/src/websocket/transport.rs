//! A WebSocket after its opening handshake: [`Transport`] receives messages, writes frames, and
//! handles control frames and the close handshake. Only this file uses tungstenite's protocol
//! types.

use std::borrow::Cow;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Message, Utf8Bytes};

use crate::config::Config;
use crate::error::CloseReason;
use crate::protocol::slices::LARGE;
use crate::util::yield_now::wake_after_others;
use crate::websocket::frame::{BAD_GATEWAY, swap_bad_gateway};
use crate::websocket::inbox::{Gate, Inbox};
use crate::websocket::stream::Stream;

/// Small, because most messages bypass this buffer, and tungstenite grows it for a larger message.
const READ_BUFFER: usize = 512;

/// The number of frames of one message that are read before the task yields.
const MAX_FRAMES: usize = 128;

/// An upper bound on the configured maximum size of a message: 2 GiB. tungstenite reserves as much
/// memory as a frame's header announces, and the process aborts if it is not available.
const LARGEST: usize = i32::MAX as usize;

/// The number of bytes that are joined for one write to a stream without vectored writes.
const JOINED: usize = 16 * 1024;

/// A WebSocket after its opening handshake.
///
/// It lends the stream and the task's context to tungstenite's state machine for each call.
/// (tokio-tungstenite's stream owns both, and stores two wakers for each message.) Messages that
/// arrive in one piece bypass tungstenite, and so do all messages that this side sends. tungstenite
/// handles fragments, pings and the close handshake.
pub(crate) struct Transport {
    /// tungstenite's state. Present only while it is needed: most connections are idle, and most
    /// messages bypass it.
    socket: Option<Box<WebSocketContext>>,
    stream: Stream,
    inbox: Inbox,
    gate: Gate,
    /// Whether incoming frames are masked.
    masked: bool,
    /// The maximum size of an incoming message.
    limit: usize,
    /// The size of the largest message that tungstenite's buffer has held.
    grown: usize,
    /// Whether there is nothing more to read.
    ended: bool,
    /// Whether a frame of this side is partly written: tungstenite must not write before the rest
    /// of it.
    midway: bool,
    /// Whether tungstenite may have something to write, or may have started to.
    control: bool,
    /// The number of bytes left of tungstenite's current write: no other frame may be written
    /// before them.
    control_left: usize,
    /// Whether the peer sends nothing more. This side still sends its messages before tungstenite
    /// replies to the peer's close frame.
    half_closed: bool,
}

/// A stream as tungstenite expects it: it returns `WouldBlock` instead of waiting.
struct Polled<'a, 'b, 'c> {
    stream: &'a mut Stream,
    cx: &'b mut Context<'c>,
    gate: &'a mut Gate,
    /// The maximum size of an incoming message.
    limit: usize,
    midway: bool,
    control_left: &'a mut usize,
    half_closed: bool,
}

impl Polled<'_, '_, '_> {
    fn now<T>(polled: Poll<io::Result<T>>) -> io::Result<T> {
        match polled {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl io::Read for Polled<'_, '_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.gate.is_closed() || self.half_closed {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let ahead = loop {
            if let Some(given) = self.gate.give_header(buffer) {
                return Ok(given);
            }
            let ahead = Self::now(self.stream.poll_ahead(self.cx))?;
            if ahead.is_empty() {
                return Ok(0);
            }
            match self.gate.take_header(ahead, self.limit) {
                Some(taken) => self.stream.consume(taken),
                None => break ahead,
            }
        };
        let most = ahead.len().min(buffer.len());
        let (Some(to), Some(from)) = (buffer.get_mut(..most), ahead.get(..most)) else {
            return Ok(0);
        };
        to.copy_from_slice(from);
        let taken = self.gate.pass(to);
        self.stream.consume(taken);
        Ok(taken)
    }
}

impl io::Write for Polled<'_, '_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.midway {
            // The rest of the frame comes first; its writer is registered to be woken.
            return Err(io::ErrorKind::WouldBlock.into());
        }
        if self.half_closed {
            // The reply to the close frame comes after this and must wait.
            let rest = bytes.get(..*self.control_left).filter(|rest| !rest.is_empty());
            let rest = rest.ok_or(io::ErrorKind::WouldBlock)?;
            let written = Self::now(Pin::new(&mut *self.stream).poll_write(self.cx, rest))?;
            *self.control_left -= written;
            return Ok(written);
        }
        let replaced = self.gate.replaced_code().and_then(|back| bytes.len().checked_sub(back));
        let changed = replaced.map(|at| {
            let mut changed = bytes.to_vec();
            changed.get_mut(at).into_iter().for_each(swap_bad_gateway);
            changed
        });
        let bytes = changed.as_deref().unwrap_or(bytes);
        let written = Self::now(Pin::new(&mut *self.stream).poll_write(self.cx, bytes))?;
        // tungstenite passes all its pending bytes to each call of `write`.
        *self.control_left = bytes.len() - written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::now(Pin::new(&mut *self.stream).poll_flush(self.cx))
    }
}

/// Converts `WouldBlock` to `Pending`.
fn polled<T>(result: Result<T, WsError>) -> Poll<Result<T, WsError>> {
    match result {
        Err(WsError::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        other => Poll::Ready(other),
    }
}

impl Transport {
    /// `part` holds bytes that were read beyond the end of the opening handshake.
    pub(crate) fn new(mut stream: Stream, part: Vec<u8>, role: Role, config: &Config) -> Self {
        // tungstenite could also take these bytes, but would then ignore the configured size of its
        // buffer.
        stream.unread(part);
        Transport {
            socket: None,
            stream,
            inbox: Inbox::default(),
            gate: Gate::default(),
            masked: role == Role::Server,
            limit: largest(config),
            grown: 0,
            ended: false,
            midway: false,
            control: false,
            control_left: 0,
            half_closed: false,
        }
    }

    /// The next message, control frame, or end.
    // Most messages are already in the inbox, because several arrive together. Everything else is a
    // separate function, so that this one can be inlined.
    #[inline]
    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        match self.inbox.next() {
            Some(message) if !self.ended => Poll::Ready(self.text(message)),
            _ => self.poll_more(cx),
        }
    }

    #[inline(never)]
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        if self.ended {
            return Poll::Ready(Received::End(CloseReason::Local));
        }
        let mut frames = 0;
        let read = loop {
            if let Some(message) = ready!(self.poll_whole(cx)) {
                return Poll::Ready(message);
            }
            let (socket, mut stream) = self.parts(cx);
            match polled(socket.read(&mut stream)) {
                Poll::Ready(read) => break read,
                // tungstenite has read a whole frame that was not the last of its message.
                Poll::Pending if self.gate.is_closed() => {
                    frames += 1;
                    if frames == MAX_FRAMES {
                        self.stream.rest(cx);
                        return Poll::Pending;
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        };
        let message = match read {
            Ok(message) => message,
            Err(WsError::ConnectionClosed | WsError::AlreadyClosed) => {
                self.ended = true;
                return Poll::Ready(Received::End(CloseReason::Local));
            }
            Err(error) => return Poll::Ready(self.fail(error)),
        };
        if !matches!(message, Message::Text(_) | Message::Binary(_)) {
            self.control = true;
        }
        Poll::Ready(match message {
            Message::Text(text) if self.shares(text.len()) => Received::Text(text.as_str().into()),
            Message::Text(text) => Received::Text(text),
            Message::Binary(bytes) if self.shares(bytes.len()) => {
                Received::Binary(Bytes::copy_from_slice(&bytes))
            }
            Message::Binary(bytes) => Received::Binary(bytes),
            Message::Close(frame) => Received::close(frame, self.gate.close_code()),
            Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Received::Control,
        })
    }

    /// A message that is complete in the bytes read so far. `None`: tungstenite has to read the
    /// next frame.
    #[inline]
    fn poll_whole(&mut self, cx: &mut Context<'_>) -> Poll<Option<Received>> {
        loop {
            if let Some(message) = self.inbox.next() {
                return Poll::Ready(Some(self.text(message)));
            }
            if !self.gate.is_closed() {
                return Poll::Ready(None);
            }
            if self.socket.as_ref().is_some_and(|socket| !socket.can_read()) {
                self.gate.open_for_good();
                return Poll::Ready(None);
            }
            let ahead = match ready!(self.stream.poll_ahead(cx)) {
                Ok([]) => {
                    // The end of the stream. tungstenite decides whether it is an error.
                    self.gate.open_for_good();
                    return Poll::Ready(None);
                }
                Ok(ahead) => ahead,
                Err(error) => return Poll::Ready(Some(self.fail(error.into()))),
            };
            let in_message = self.gate.is_in_message();
            let taken =
                if in_message { 0 } else { self.inbox.take(ahead, self.masked, self.limit) };
            if taken == 0 {
                self.gate.open();
                return Poll::Ready(None);
            }
            self.stream.consume(taken);
        }
    }

    /// Whether a message of this size, which tungstenite has just returned, shares a much larger
    /// buffer and must be copied. tungstenite cuts messages from a buffer that grows with them and
    /// never shrinks.
    fn shares(&mut self, size: usize) -> bool {
        self.grown = self.grown.max(size);
        self.dismiss();
        size < self.grown / 2
    }

    /// Drops tungstenite's state and its buffer if a new state is equivalent: between two messages,
    /// with nothing to write, and before the close handshake.
    fn dismiss(&mut self) {
        let between = self.gate.is_closed() && !self.gate.is_in_message() && !self.control;
        if between
            && self.socket.as_ref().is_some_and(|socket| socket.can_read() && socket.can_write())
        {
            self.socket = None;
            self.grown = 0;
        }
    }

    fn can_write(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| socket.can_write())
    }

    /// tungstenite's state, and the stream in the form that tungstenite expects.
    fn parts<'a, 'b, 'c>(
        &'a mut self,
        cx: &'b mut Context<'c>,
    ) -> (&'a mut WebSocketContext, Polled<'a, 'b, 'c>) {
        let Transport {
            socket,
            stream,
            gate,
            midway,
            control_left,
            half_closed,
            masked,
            limit,
            ..
        } = self;
        let (midway, half_closed) = (*midway, *half_closed);
        let role = if *masked { Role::Server } else { Role::Client };
        let new = || Box::new(WebSocketContext::new(role, Some(limits(*limit))));
        let socket = socket.get_or_insert_with(new);
        (socket, Polled { stream, cx, gate, limit: *limit, midway, control_left, half_closed })
    }

    /// Called when the peer sends nothing more and this side has sent no close frame. Messages can
    /// still be written and flushed until [`end_half_closed`](Self::end_half_closed) is called.
    /// Nothing may be received meanwhile.
    pub(crate) fn begin_half_closed(&mut self) {
        self.half_closed = true;
    }

    /// Called when no more messages follow: with the next flush, tungstenite replies to the peer's
    /// close frame.
    pub(crate) fn end_half_closed(&mut self) {
        self.half_closed = false;
    }

    #[inline]
    fn text(&mut self, message: Bytes) -> Received {
        match Utf8Bytes::try_from(message) {
            Ok(text) => Received::Text(text),
            Err(error) => self.fail(error.into()),
        }
    }

    #[cold]
    fn fail(&mut self, error: WsError) -> Received {
        self.ended = true;
        Received::of(error)
    }

    /// Writes some bytes of one or more message frames, and returns their number.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, CloseReason>> {
        ready!(self.poll_writable(cx))?;
        let written = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(count(written))
    }

    /// Like [`poll_write`](Self::poll_write), for bytes in several places.
    pub(crate) fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<Result<usize, CloseReason>> {
        ready!(self.poll_writable(cx))?;
        if self.stream.is_write_vectored() {
            let written = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
            return Poll::Ready(count(written));
        }
        // One write for many small slices.
        let joined = match slices.first() {
            Some(first) if first.len() < JOINED => join(slices),
            Some(first) => Cow::Borrowed(&**first),
            None => Cow::Borrowed(&[][..]),
        };
        Poll::Ready(count(ready!(Pin::new(&mut self.stream).poll_write(cx, &joined))))
    }

    /// Ready when a message frame, or the next part of one, may be written.
    #[inline]
    fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.half_closed {
            return self.finish_control(cx);
        }
        if !self.midway {
            if self.control {
                ready!(self.poll_flush(cx))?;
            }
            if !self.can_write() {
                return Poll::Ready(Err(lost(ProtocolError::SendAfterClosing.into())));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the rest of a control frame that is partly written.
    fn finish_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.control_left == 0 {
            return Poll::Ready(Ok(()));
        }
        let (socket, mut stream) = self.parts(cx);
        // This reads nothing. tungstenite needs the call to remember that its reply to the close
        // frame is not sent yet.
        let _ = socket.read(&mut stream);
        match polled(socket.flush(&mut stream)) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(lost(error))),
            _ if self.control_left > 0 => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }

    /// Sets whether the last write ended inside a frame.
    pub(crate) fn set_midway(&mut self, midway: bool) {
        self.midway = midway;
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        if self.half_closed || self.socket.is_none() {
            let flushed = ready!(Pin::new(&mut self.stream).poll_flush(cx));
            return Poll::Ready(flushed.map_err(|error| lost(error.into())));
        }
        let (socket, mut stream) = self.parts(cx);
        let flushed = ready!(polled(socket.flush(&mut stream)));
        self.control = false;
        self.dismiss();
        Poll::Ready(match flushed {
            // The close handshake is complete.
            Err(WsError::ConnectionClosed) => Ok(()),
            flushed => flushed.map_err(lost),
        })
    }

    /// Starts the close handshake. Later reads continue it.
    pub(crate) fn start_close(
        &mut self,
        cx: &mut Context<'_>,
        code: u16,
        reason: &str,
    ) -> Result<(), CloseReason> {
        let mut end = reason.len().min(123); // a control frame has at most 125 bytes
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default().into();
        let code = match code {
            // tungstenite sends this code, because it does not check codes of this kind.
            BAD_GATEWAY => CloseCode::Iana(BAD_GATEWAY),
            code => Some(CloseCode::from(code))
                .filter(|code| code.is_allowed())
                .unwrap_or(CloseCode::Normal),
        };
        self.gate.close();
        self.write_control(cx, Message::Close(Some(CloseFrame { code, reason })))
    }

    /// Sends a ping between two messages, once the network accepts it. Whatever the peer sends next
    /// counts as a reply.
    pub(crate) fn start_ping(&mut self, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        self.stream.clear_drained();
        if !self.can_write() {
            return Ok(());
        }
        self.write_control(cx, Message::Ping(Bytes::new()))
    }

    fn write_control(&mut self, cx: &mut Context<'_>, frame: Message) -> Result<(), CloseReason> {
        self.control = true;
        let (socket, mut stream) = self.parts(cx);
        // If the stream would block, tungstenite keeps the frame for the next flush.
        match polled(socket.write(&mut stream, frame)) {
            Poll::Ready(written) => written.map_err(lost),
            Poll::Pending => Ok(()),
        }
    }

    /// Shuts down the writing side, then reads and drops what still arrives. Closing a TCP socket
    /// with unread bytes resets the connection, and the peer might never see this side's close
    /// frame.
    pub(crate) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = &mut self.stream;
        if ready!(Pin::new(&mut *stream).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        let mut waste = [0; 1024];
        // Bounded, so that a flood cannot keep the task here.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        wake_after_others(cx);
        Poll::Pending
    }

    /// The number of bytes read from the network so far.
    pub(crate) fn brought(&self) -> u64 {
        self.stream.brought()
    }

    /// The number of bytes written to the network so far.
    pub(crate) fn written(&self) -> u64 {
        self.stream.written()
    }

    /// Whether the peer has sent any bytes since [`clear_activity`](Self::clear_activity).
    pub(crate) fn has_activity(&self) -> bool {
        self.stream.has_activity()
    }

    pub(crate) fn clear_activity(&mut self) {
        self.stream.clear_activity();
    }

    /// See [`Stream::has_drained`].
    pub(crate) fn has_drained(&self) -> bool {
        self.stream.has_drained()
    }

    pub(crate) fn clear_drained(&mut self) {
        self.stream.clear_drained();
    }

    /// Whether reading has stopped in order to yield since the last call. The task is woken to read
    /// the rest.
    pub(crate) fn take_rest(&mut self) -> bool {
        self.stream.take_rest()
    }
}

fn largest(config: &Config) -> usize {
    config.max_incoming_message.min(LARGEST)
}

/// The buffers and limits of a WebSocket. tungstenite's defaults are 128 KiB for reading and no
/// limit for writing.
fn limits(limit: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        // For control frames only.
        .write_buffer_size(0)
        // No limit: reading pauses before too many pongs are queued, and tungstenite treats a full
        // buffer as an error.
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
}

/// One thing that was received.
#[derive(Debug)]
pub(crate) enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// A ping, already answered, or a pong.
    Control,
    /// The peer's close frame, valid or not. Later reads send the reply.
    Close(CloseReason),
    /// The end of the stream, clean or not. Nothing can be sent any more.
    End(CloseReason),
    /// The peer broke the protocol. It should be sent this close code. Nothing can be read any
    /// more.
    Broken {
        code: u16,
        reason: String,
    },
}

impl Received {
    /// Converts a binary message that is UTF-8 to text, unless it is so large that checking it
    /// would take long.
    #[inline]
    pub(crate) fn into_text(self) -> Self {
        let Received::Binary(bytes) = self else { return self };
        if bytes.len() > LARGE {
            return Received::Binary(bytes);
        }
        Utf8Bytes::try_from(bytes.clone()).map_or(Received::Binary(bytes), Received::Text)
    }

    /// Converts the peer's close frame. `sent` is the code on the wire, if the frame has one.
    pub(crate) fn close(frame: Option<CloseFrame>, sent: Option<u16>) -> Self {
        let Some(CloseFrame { code, reason }) = frame else {
            let code = CloseCode::Status.into();
            return Received::Close(CloseReason::Remote { code, reason: String::new() });
        };
        Received::Close(match sent {
            Some(BAD_GATEWAY) => {
                CloseReason::Remote { code: BAD_GATEWAY, reason: reason.as_str().to_owned() }
            }
            // tungstenite has replaced the code by 1002, and replies with 1002.
            Some(sent) if sent != u16::from(code) => CloseReason::Protocol(format!(
                "invalid close code {sent} in the peer's close frame"
            )),
            _ => CloseReason::Remote { code: code.into(), reason: reason.as_str().to_owned() },
        })
    }

    /// Converts an error of tungstenite.
    pub(crate) fn of(error: WsError) -> Self {
        let code = match &error {
            WsError::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::Size,
            WsError::Utf8(_) => CloseCode::Invalid,
            WsError::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
            )
            | WsError::Io(_) => return Received::End(lost(error)),
            _ => CloseCode::Protocol,
        };
        let reason = match error {
            WsError::Capacity(CapacityError::MessageTooLong { size, max_size }) => {
                format!("message too large: at least {size} bytes, the limit is {max_size}")
            }
            error => error.to_string(),
        };
        Received::Broken { code: code.into(), reason }
    }
}

/// The number of bytes written.
#[inline]
fn count(written: io::Result<usize>) -> Result<usize, CloseReason> {
    match written {
        Ok(0) => Err(lost(io::Error::from(io::ErrorKind::WriteZero).into())),
        written => written.map_err(|error| lost(error.into())),
    }
}

/// The first bytes of these slices, at most [`JOINED`].
fn join<'a>(slices: &[IoSlice<'_>]) -> Cow<'a, [u8]> {
    let mut joined = Vec::with_capacity(JOINED.min(slices.iter().map(|slice| slice.len()).sum()));
    for slice in slices {
        let left = JOINED - joined.len();
        joined.extend_from_slice(slice.get(..left).unwrap_or(slice));
    }
    Cow::Owned(joined)
}

pub(crate) fn lost(error: WsError) -> CloseReason {
    CloseReason::Lost(Arc::new(match error {
        WsError::Io(error) => error,
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection ended without a close frame",
        ),
        other => io::Error::other(other),
    }))
}

#[cfg(test)]
mod tests;

//! One WebSocket: text messages in and out, control frames, the close handshake.
//!
//! The only file that speaks tungstenite's language. Must not know JSON-RPC.

use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message, Utf8Bytes};

use crate::config::Config;
use crate::error::CloseReason;
use crate::stream::Stream;

/// Allocated for each connection as long as it lives, so small: `stream` reads ahead of it, and
/// larger messages get a buffer of their own for as long as they need it.
const READ_BUFFER: usize = 2 * 1024;
/// What is collected before a write to the network; allocated only when needed.
const WRITE_BUFFER: usize = 32 * 1024;

/// What came in.
#[derive(Debug)]
pub(crate) enum Received {
    Text(Utf8Bytes),
    /// A binary frame that is not UTF-8.
    NotText,
    /// A ping, already answered, or a pong.
    Control,
    /// The peer's close frame; the answer to it goes out with the next reads.
    Close {
        code: u16,
        reason: String,
    },
    /// The stream is at its end, cleanly or not; there is nobody to send anything to.
    End(CloseReason),
    /// The peer broke the rules; it should be told this code, and nothing it sends is readable.
    Broken {
        code: u16,
        reason: String,
    },
}

/// A WebSocket after its opening handshake.
pub(crate) struct Transport {
    socket: WebSocketStream<Stream>,
}

impl Transport {
    /// `part` is what was read behind the opening handshake.
    pub(crate) fn new(stream: Stream, part: Vec<u8>, role: Role, config: &Config) -> Self {
        let socket = WebSocketStream::from_partially_read(stream, part, role, Some(limits(config)));
        // Only async by its signature, which wants a task's context: it is ready at once.
        let mut socket = pin!(socket);
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(socket) = socket.as_mut().poll(&mut cx) {
                return Transport { socket };
            }
        }
    }

    pub(crate) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Received> {
        Poll::Ready(match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
            Some(Ok(Message::Text(text))) => Received::Text(text),
            Some(Ok(Message::Binary(bytes))) => {
                Utf8Bytes::try_from(bytes).map_or(Received::NotText, Received::Text)
            }
            Some(Ok(Message::Close(frame))) => match frame {
                Some(frame) => Received::Close {
                    code: frame.code.into(),
                    reason: frame.reason.as_str().to_owned(),
                },
                None => Received::Close { code: CloseCode::Status.into(), reason: String::new() },
            },
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => Received::Control,
            Some(Err(error)) => failure(error),
            None => Received::End(CloseReason::Local),
        })
    }

    /// Ready when the next message can be given to [`send`](Self::send).
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        Pin::new(&mut self.socket).poll_ready(cx).map_err(lost)
    }

    /// Takes a message, which must be UTF-8; it goes out with the next flush at the latest.
    pub(crate) fn send(&mut self, text: Bytes) -> Result<(), CloseReason> {
        let frame = Frame::message(text, OpCode::Data(Data::Text), true);
        Pin::new(&mut self.socket).start_send(Message::Frame(frame)).map_err(lost)
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(lost)
    }

    /// Begins the closing handshake. It goes on with the next reads.
    pub(crate) fn start_close(&mut self, code: u16, reason: &str) -> Result<(), CloseReason> {
        let mut end = reason.len().min(123); // a control frame has 125 bytes at most
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let reason = reason.get(..end).unwrap_or_default().into();
        let code = CloseCode::from(code);
        let code = if code.is_allowed() { code } else { CloseCode::Normal };
        let frame = CloseFrame { code, reason };
        Pin::new(&mut self.socket).start_send(Message::Close(Some(frame))).map_err(lost)
    }

    /// Ends the writing side, then reads and drops what still comes. Closing a TCP socket with
    /// unread bytes resets it, and the peer might never see our close frame.
    pub(crate) fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let stream = self.socket.get_mut();
        if ready!(Pin::new(&mut *stream).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        let mut waste = [0; 1024];
        // A bound for one turn, so that a flood can't keep the task here.
        for _ in 0..64 {
            let mut buffer = ReadBuf::new(&mut waste);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(()),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// How many bytes the network has taken so far.
    pub(crate) fn written(&self) -> u64 {
        self.socket.get_ref().written()
    }
}

/// The buffers and limits of a WebSocket. tungstenite's defaults are 128 KiB for reading and no
/// bound at all for writing.
fn limits(config: &Config) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        // No bound of its own: nothing is given to it before it has taken what it has, so it holds
        // WRITE_BUFFER and one message at most. A full buffer would be an error, and the outbox
        // is where messages wait.
        .max_write_buffer_size(usize::MAX)
        .max_message_size(Some(config.max_incoming_message))
        .max_frame_size(Some(config.max_incoming_message))
}

fn failure(error: WsError) -> Received {
    let code = match &error {
        WsError::Capacity(CapacityError::MessageTooLong { .. }) => CloseCode::Size,
        WsError::Utf8(_) => CloseCode::Invalid,
        WsError::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::ReceivedAfterClosing,
        )
        | WsError::Io(_)
        | WsError::ConnectionClosed
        | WsError::AlreadyClosed => return Received::End(lost(error)),
        _ => CloseCode::Protocol,
    };
    Received::Broken { code: code.into(), reason: error.to_string() }
}

fn lost(error: WsError) -> CloseReason {
    CloseReason::Lost(Arc::new(match error {
        WsError::Io(error) => error,
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the connection ended without a close frame",
        ),
        other => io::Error::other(other),
    }))
}

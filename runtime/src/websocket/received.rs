//! What a WebSocket receives: [`Received`], and its conversion from tungstenite's messages and
//! errors.

use std::io;
use std::sync::Arc;

use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Bytes, Error as WsError, Utf8Bytes};

use crate::error::CloseReason;
use crate::websocket::frame::BAD_GATEWAY;

/// One thing that was received.
#[derive(Debug)]
pub(crate) enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
    /// A ping, already answered, or a pong.
    Control,
    /// The peer's close frame, or an invalid one; the reply is sent with the next reads.
    Close(CloseReason),
    /// The end of the stream, cleanly or not; nothing can be sent any more.
    End(CloseReason),
    /// The peer broke the protocol; it should get this close code, and nothing it sends can be read
    /// any more.
    Broken {
        code: u16,
        reason: String,
    },
}

impl Received {
    /// Treats a binary message that is UTF-8 as text.
    #[inline]
    pub(crate) fn into_text(self) -> Self {
        let Received::Binary(bytes) = self else { return self };
        Utf8Bytes::try_from(bytes.clone()).map_or(Received::Binary(bytes), Received::Text)
    }

    /// Handles the peer's close frame. `sent`: the code that it has on the wire, if it has one.
    pub(crate) fn close(frame: Option<CloseFrame>, sent: Option<u16>) -> Self {
        let Some(CloseFrame { code, reason }) = frame else {
            let code = CloseCode::Status.into();
            return Received::Close(CloseReason::Remote { code, reason: String::new() });
        };
        Received::Close(match sent {
            Some(BAD_GATEWAY) => {
                CloseReason::Remote { code: BAD_GATEWAY, reason: reason.as_str().to_owned() }
            }
            // tungstenite has replaced it by 1002, and that is the reply.
            Some(sent) if sent != u16::from(code) => CloseReason::Protocol(format!(
                "its close frame has code {sent}, which is not allowed"
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
                format!("a message of {size} bytes or more; the limit is {max_size}")
            }
            error => error.to_string(),
        };
        Received::Broken { code: code.into(), reason }
    }
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

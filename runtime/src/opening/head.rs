//! The head of an HTTP message: read up to its empty line, within a bound. For both halves of the
//! opening handshake.
//!
//! Must not know what a head has to say.

use std::io;

use http::HeaderMap;
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;

use crate::socket::stream::Stream;

/// Why there is no head.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// It does not end within the limit.
    TooLarge,
    /// It begins as a record of TLS does, and as no HTTP message can.
    Tls,
    Malformed(WsError),
    Io(io::Error),
}

impl From<io::Error> for HeadError {
    fn from(error: io::Error) -> Self {
        HeadError::Io(error)
    }
}

/// Reads a request or a response into an empty buffer, which stays empty as long as nothing comes.
/// Gives what was read behind it, too.
pub(crate) async fn read_head<T: TryParse>(
    stream: &mut Stream,
    head: &mut Vec<u8>,
    limit: usize,
) -> Result<(T, Vec<u8>), HeadError> {
    const END: &[u8] = b"\r\n\r\n";
    let mut searched = 0;
    let end = loop {
        if stream.read_buf(head).await? == 0 {
            return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
        // Its types of records are 20 to 23.
        if matches!(head.first(), Some(20..=23)) {
            return Err(HeadError::Tls);
        }
        // Parsed only once it is whole, and each byte is looked at once: a slow sender makes
        // nothing quadratic.
        let new = head.get(searched..).unwrap_or_default();
        if let Some(at) = new.windows(END.len()).position(|window| window == END) {
            break searched + at + END.len();
        }
        searched = head.len().saturating_sub(END.len() - 1);
        if head.len() >= limit {
            return Err(HeadError::TooLarge);
        }
    };
    if end > limit {
        return Err(HeadError::TooLarge);
    }
    match T::try_parse(head) {
        Ok(Some((size, message))) => Ok((message, head.split_off(size))),
        // Empty lines before a first line that is not there.
        Ok(None) => Err(HeadError::Malformed(ProtocolError::HandshakeIncomplete.into())),
        Err(error) => Err(HeadError::Malformed(error)),
    }
}

/// Writes header lines; they are bytes, and need not be text.
pub(crate) fn write_headers(bytes: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

//! The client's half of the opening handshake: writes the HTTP request, and checks the response.

use std::io;
use std::pin::pin;
use std::time::Duration;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderName, RETRY_AFTER,
    SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::error::connect_error::ConnectError;
use crate::handshake::head::{HeadError, parse_response, read_head, write_headers};
use crate::handshake::url::Target;
use crate::handshake::{list, names, offered_subprotocols};
use crate::protocol::request_extensions::{HEADER, VERSION};
use crate::util::runtime::timeout;
use crate::websocket::stream::Stream;

/// How many bytes of a refusal's body are kept.
const MAX_WORDS: usize = 4096;
/// How many bytes are read to get them, because chunks have headers.
const MAX_READ: usize = 16 * MAX_WORDS;
/// How long the body may take to arrive after its head.
const WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers that the handshake sets itself, or that describe a body. The request has no body, and
/// the server would wait for one.
pub(crate) const RESERVED: [HeaderName; 13] = [
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
    HeaderName::from_static(HEADER),
];

/// Performs the handshake. Returns the headers of the response, the agreed subprotocol, and the
/// bytes that were read after the response.
pub(crate) async fn open(
    stream: &mut Stream,
    target: &Target,
    headers: &HeaderMap,
    max_head: usize,
) -> Result<(HeaderMap, Option<String>, Vec<u8>), ConnectError> {
    let key = generate_key();
    stream.write_all(&request(target, headers, &key)).await.map_err(ConnectError::Io)?;
    stream.flush().await.map_err(ConnectError::Io)?;
    let (response, behind) = read_response(stream, max_head).await.map_err(no_response)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(refused(stream, response, behind).await);
    }
    let subprotocol = judge(&response, headers, &key)
        .map_err(|words| ConnectError::Handshake(words.to_owned()))?;
    let subprotocol = subprotocol.map(str::to_owned);
    Ok((response.into_parts().0.headers, subprotocol, behind))
}

/// Reads the final response. Earlier ones (1xx, RFC 9110, section 15.2) only announce it. The limit
/// applies to all of them together.
async fn read_response(
    stream: &mut Stream,
    max_head: usize,
) -> Result<(Response<()>, Vec<u8>), HeadError> {
    let (mut head, mut limit) = (Vec::new(), max_head);
    loop {
        let behind = read_head(stream, &mut head, b"HTTP/1.", limit).await?;
        let response = parse_response(&head)?;
        let status = response.status();
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok((response, behind));
        }
        limit = limit.saturating_sub(head.len());
        head = behind;
    }
}

/// The error from a response other than 101.
async fn refused(stream: &mut Stream, response: Response<()>, behind: Vec<u8>) -> ConnectError {
    let (head, ()) = response.into_parts();
    let body = words(stream, head.status, &head.headers, behind).await;
    let retry_after = retry_after(&head.headers);
    let mut headers = Box::new(head.headers);
    headers.values_mut().for_each(|value| value.set_sensitive(true));
    ConnectError::Refused { status: head.status, body, retry_after, headers }
}

/// The delay of `Retry-After`, if it is in seconds. A date would need a clock that both sides agree
/// on.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = std::str::from_utf8(headers.get(RETRY_AFTER)?.as_bytes()).ok()?.trim();
    let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    // A number too large for the integer is longer than any client waits.
    is_number.then(|| Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)))
}

/// The body of a refusal, for error messages: what arrives soon and is readable text. `part` was
/// read after the head.
async fn words(
    stream: &mut Stream,
    status: StatusCode,
    headers: &HeaderMap,
    mut part: Vec<u8>,
) -> String {
    let mut body = Body::new(status, headers);
    let reading = async {
        let mut read = part.len();
        body.take(&part);
        while !body.is_complete() && read < MAX_READ {
            part.clear();
            match stream.read_buf(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(count) => read += count,
            }
            body.take(&part);
        }
    };
    let _ = timeout(WORDS_TIMEOUT, pin!(reading)).await;
    String::from_utf8_lossy(&body.content).trim().to_owned()
}

/// The start of a response's body, and where the body ends: RFC 9112, section 6.3.
struct Body {
    content: Vec<u8>,
    rest: Rest,
}

/// What follows next in a body.
#[derive(Clone, Copy)]
enum Rest {
    /// This many bytes.
    Bytes(usize),
    /// Everything up to the end of the connection.
    ToEnd,
    /// The header of a chunk, with the size read so far.
    Size(usize),
    /// The rest of a chunk's header, with the chunk's size.
    Extension(usize),
    /// This many bytes of a chunk.
    Chunk(usize),
    /// The line end after a chunk.
    Behind,
}

impl Body {
    fn new(status: StatusCode, headers: &HeaderMap) -> Self {
        let is_empty = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status);
        let rest = if is_empty {
            Rest::Bytes(0)
        } else if let Some(last) = list(headers, TRANSFER_ENCODING).last() {
            if last.eq_ignore_ascii_case(b"chunked") { Rest::Size(0) } else { Rest::ToEnd }
        } else {
            let length = list(headers, CONTENT_LENGTH).next();
            let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse().ok());
            length.map_or(Rest::ToEnd, Rest::Bytes)
        };
        Body { content: Vec::new(), rest }
    }

    /// Whether the body is complete.
    fn is_complete(&self) -> bool {
        self.content.len() >= MAX_WORDS || matches!(self.rest, Rest::Bytes(0))
    }

    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.is_complete() {
                return;
            }
            self.rest = match (self.rest, *byte) {
                (Rest::Bytes(left), byte) => {
                    self.content.push(byte);
                    Rest::Bytes(left - 1)
                }
                (Rest::ToEnd, byte) => {
                    self.content.push(byte);
                    Rest::ToEnd
                }
                (Rest::Chunk(left), byte) => {
                    self.content.push(byte);
                    if left > 1 { Rest::Chunk(left - 1) } else { Rest::Behind }
                }
                (Rest::Size(0) | Rest::Extension(0), b'\n') => Rest::Bytes(0),
                (Rest::Size(size) | Rest::Extension(size), b'\n') => Rest::Chunk(size),
                (Rest::Size(size), byte) => match char::from(byte).to_digit(16) {
                    Some(digit) => {
                        Rest::Size(size.saturating_mul(16).saturating_add(digit as usize))
                    }
                    None => Rest::Extension(size),
                },
                (Rest::Behind, b'\n') => Rest::Size(0),
                (rest @ (Rest::Extension(_) | Rest::Behind), _) => rest,
            };
        }
    }
}

fn request(target: &Target, headers: &HeaderMap, key: &str) -> Vec<u8> {
    let Target { uri, credentials, .. } = target;
    let path = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut bytes = format!("GET {path} HTTP/1.1\r\n").into_bytes();
    // The application's own headers replace those derived from the URL.
    if !headers.contains_key(HOST) {
        let host = uri.authority().map_or("", |authority| authority.as_str());
        bytes.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
    }
    if let Some(credentials) = credentials.as_ref().filter(|_| !headers.contains_key(AUTHORIZATION))
    {
        bytes.extend_from_slice(b"Authorization: ");
        bytes.extend_from_slice(credentials.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    // Some servers accept these only in this spelling.
    let own = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\
         Wsjsonrpc-Extensions: {VERSION}\r\n"
    );
    bytes.extend_from_slice(own.as_bytes());
    write_headers(&mut bytes, headers);
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Validates the response as RFC 6455, section 4.1, requires. Returns the subprotocol.
fn judge<'a>(
    response: &'a Response<()>,
    request: &HeaderMap,
    key: &str,
) -> Result<Option<&'a str>, &'static str> {
    if response.version() == Version::HTTP_10 {
        return Err("the response is HTTP/1.0, which cannot upgrade to WebSocket; if nginx is in \
                    between, set `proxy_http_version 1.1;`");
    }
    let answer = response.headers();
    if !names(answer, UPGRADE, "websocket") {
        return Err("the response has no `Upgrade: websocket` header");
    }
    if !names(answer, CONNECTION, "upgrade") {
        return Err("the response has no `Connection: Upgrade` header");
    }
    let accept = answer.get(SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err("the response has a wrong `Sec-WebSocket-Accept` header");
    }
    // The client offered none.
    if answer.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err("the server chose a WebSocket extension that the client did not offer");
    }
    let mut agreed = answer.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (agreed.next(), agreed.next()) {
        (None, _) if offered_subprotocols(request).next().is_none() => Ok(None),
        (None, _) => Err("the server supports none of the offered subprotocols"),
        (Some(_), Some(_)) => Err("the server chose more than one subprotocol"),
        (Some(name), None) => {
            let name = std::str::from_utf8(name.as_bytes()).unwrap_or_default();
            let offered = offered_subprotocols(request).any(|offered| offered == name);
            let words = "the server chose a subprotocol that the client did not offer";
            if offered { Ok(Some(name)) } else { Err(words) }
        }
    }
}

fn no_response(error: HeadError) -> ConnectError {
    ConnectError::Handshake(match error {
        HeadError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let words = "the server closed the connection without a response";
            return ConnectError::Io(io::Error::new(error.kind(), words));
        }
        HeadError::Io(error) => return ConnectError::Io(error),
        HeadError::TooLarge => {
            "the head of the response is larger than `Config::max_handshake_size`".to_owned()
        }
        HeadError::TooManyHeaders => "the response has too many headers".to_owned(),
        HeadError::Tls => "the server speaks TLS; connect with wss://".to_owned(),
        HeadError::BareLineFeed => {
            "malformed response: its lines end with LF; HTTP/1.1 requires CR LF".to_owned()
        }
        HeadError::Malformed => "the response is not HTTP/1.1".to_owned(),
    })
}

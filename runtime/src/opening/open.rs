//! The client's half of the opening handshake: writes the HTTP request, judges the response.
//!
//! Must not know where the stream leads, or JSON-RPC.

use std::io;
use std::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::{HeaderMap, StatusCode, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::client::{Response, generate_key};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::opening::handshake::offered_subprotocols;
use crate::opening::head::{HeadError, read_head, write_headers};
use crate::protocol::extra::{HEADER, VERSION};
use crate::socket::stream::Stream;
use crate::unopened::ConnectError;

/// How much of a refusal's body is kept, in bytes.
const MAX_WORDS: usize = 4096;
/// How long it may take to come, behind its head.
const WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// Headers that are the handshake's own business.
pub(crate) const RESERVED: [HeaderName; 8] = [
    CONNECTION,
    UPGRADE,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
    HeaderName::from_static(HEADER),
];

/// Does the handshake. Gives the headers of the response, the subprotocol that both agreed on, and
/// what was read behind it.
pub(crate) async fn open(
    stream: &mut Stream,
    uri: &Uri,
    headers: &HeaderMap,
    max_head: usize,
) -> Result<(HeaderMap, Option<String>, Vec<u8>), ConnectError> {
    let key = generate_key();
    stream.write_all(&request(uri, headers, &key)).await.map_err(ConnectError::Io)?;
    stream.flush().await.map_err(ConnectError::Io)?;
    let mut head = Vec::new();
    let reading = read_head::<Response>(stream, &mut head, max_head);
    let (response, part) = reading.await.map_err(no_response)?;
    let (head, _) = response.into_parts();
    if head.status != StatusCode::SWITCHING_PROTOCOLS {
        let body = words(stream, &head.headers, part).await;
        let retry_after = retry_after(&head.headers);
        return Err(ConnectError::Refused { status: head.status, body, retry_after });
    }
    let subprotocol = judge(&head.headers, headers, &key)
        .map_err(|words| ConnectError::Handshake(words.to_owned()))?;
    let subprotocol = subprotocol.map(str::to_owned);
    Ok((head.headers, subprotocol, part))
}

/// When to come again, in whole seconds. A date would need a clock that both sides agree on.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let is_number = !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit());
    // What no integer can hold is longer than anybody waits.
    is_number.then(|| Duration::from_secs(seconds.parse().unwrap_or(u64::MAX)))
}

/// The body of a refusal, for a person: as much of it as comes soon and makes sense to show.
async fn words(stream: &mut Stream, headers: &HeaderMap, mut body: Vec<u8>) -> String {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(MAX_WORDS).min(MAX_WORDS);
    let reading = async {
        while body.len() < length && stream.read_buf(&mut body).await.is_ok_and(|count| count > 0) {
        }
    };
    let _ = timeout(WORDS_TIMEOUT, reading).await;
    body.truncate(length);
    String::from_utf8_lossy(&body).trim().to_owned()
}

fn request(uri: &Uri, headers: &HeaderMap, key: &str) -> Vec<u8> {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut bytes = format!("GET {target} HTTP/1.1\r\n").into_bytes();
    // A `Host` of the application's own takes the place of the URL's.
    if !headers.contains_key(HOST) {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        bytes.extend_from_slice(format!("Host: {host}\r\n").as_bytes());
    }
    // Some servers know these only in this spelling.
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

/// RFC 6455, section 4.1: what the client must validate in the response. Gives the subprotocol.
fn judge<'a>(
    answer: &'a HeaderMap,
    request: &HeaderMap,
    key: &str,
) -> Result<Option<&'a str>, &'static str> {
    let has = |name: HeaderName, word: &str| {
        let values = answer.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|token| token.trim().eq_ignore_ascii_case(word))
    };
    if !has(UPGRADE, "websocket") {
        return Err("the response does not upgrade to `websocket`");
    }
    if !has(CONNECTION, "upgrade") {
        return Err("the response has no `Connection: Upgrade`");
    }
    let accept = answer.get(SEC_WEBSOCKET_ACCEPT);
    if accept.is_none_or(|accept| accept.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
    {
        return Err("the response's `Sec-WebSocket-Accept` does not fit the request");
    }
    // None was asked for.
    if answer.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return Err("the server has chosen an extension that was not offered");
    }
    let mut agreed = answer.get_all(SEC_WEBSOCKET_PROTOCOL).iter();
    match (agreed.next(), agreed.next()) {
        (None, _) if offered_subprotocols(request).next().is_none() => Ok(None),
        (None, _) => Err("the server speaks none of the subprotocols that were offered"),
        (Some(_), Some(_)) => Err("the server has chosen more than one subprotocol"),
        (Some(name), None) => {
            let name = name.to_str().unwrap_or_default();
            let offered = offered_subprotocols(request).any(|offered| offered == name);
            let words = "the server has chosen a subprotocol that was not offered";
            if offered { Ok(Some(name)) } else { Err(words) }
        }
    }
}

fn no_response(error: HeadError) -> ConnectError {
    ConnectError::Handshake(match error {
        HeadError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            let words = "the server closed the connection without an answer";
            return ConnectError::Io(io::Error::new(error.kind(), words));
        }
        HeadError::Io(error) => return ConnectError::Io(error),
        HeadError::TooLarge => "the head of the response is too large".to_owned(),
        HeadError::Tls => "the server speaks TLS; connect with wss://".to_owned(),
        HeadError::Malformed(WsError::Capacity(_)) => {
            "the response has too many headers".to_owned()
        }
        HeadError::Malformed(_) => "what answers does not speak HTTP/1.1".to_owned(),
    })
}

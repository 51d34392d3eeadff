//! The server's half of the opening handshake: reads the HTTP request, applies the rules, and
//! writes the response. Every refusal is an HTTP response that gives the reason.

use std::io;
use std::pin::pin;
use std::time::Duration;

use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE};
use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::handshake::Handshake;
use crate::handshake::authorize::Grant;
use crate::handshake::head::{HeadError, parse_request, read_head, write_headers};
use crate::handshake::refusal::Refusal;
use crate::handshake::rules::{Arrival, Rules, Welcome};
use crate::util::runtime::{timeout, timeout_at};
use crate::websocket::stream::Stream;

/// How long a refused client may take to read the refusal and close the connection. Closing a TCP
/// socket with unread bytes resets it, and the client might never see the response.
const LINGER: Duration = Duration::from_secs(1);

/// A client that was accepted.
pub(crate) struct Accepted {
    pub(crate) handshake: Handshake,
    pub(crate) grant: Grant,
    /// Bytes that were read after its request.
    pub(crate) part: Vec<u8>,
}

/// Why a client was not accepted.
#[derive(Debug)]
pub(crate) enum AcceptError {
    Refused(Refusal),
    /// The request was a health check; `body` is `false` for a HEAD request.
    Health {
        body: bool,
    },
    Io(io::Error),
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        AcceptError::Io(error)
    }
}

impl From<Refusal> for AcceptError {
    fn from(refusal: Refusal) -> Self {
        AcceptError::Refused(refusal)
    }
}

/// Performs the handshake. A refused client has received its response when this returns.
pub(crate) async fn accept(
    stream: &mut Stream,
    arrival: Arrival,
    rules: &Rules,
    max_head: usize,
) -> Result<Accepted, AcceptError> {
    let deadline = arrival.deadline;
    match receive(stream, arrival, rules, max_head).await {
        Ok((response, accepted)) => {
            let writing = async {
                stream.write_all(&response).await?;
                stream.flush().await
            };
            timeout_at(deadline, pin!(writing)).await.unwrap_or_else(|_| Err(too_late()))?;
            Ok(accepted)
        }
        Err(AcceptError::Refused(refusal)) => Err(refuse(stream, refusal).await),
        Err(AcceptError::Health { body }) => {
            let told = timeout(LINGER, pin!(tell_health(stream, body))).await;
            told.unwrap_or(Ok(()))?;
            Err(AcceptError::Health { body })
        }
        Err(error) => Err(error),
    }
}

/// Sends a refusal. The client gets a short time to read it, even after its deadline.
pub(crate) async fn refuse(stream: &mut Stream, refusal: Refusal) -> AcceptError {
    let told = timeout(LINGER, pin!(tell(stream, &refusal))).await;
    told.unwrap_or(Ok(())).map_or_else(AcceptError::Io, |()| AcceptError::Refused(refusal))
}

/// The error for a client that is too late to get a response.
pub(crate) fn too_late() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "the client did not complete its handshake within `Config::handshake_timeout`",
    )
}

/// Sends the refusal and waits until the client closes the connection.
async fn tell(stream: &mut Stream, refusal: &Refusal) -> io::Result<()> {
    let (status, words) = (refusal.status(), refusal.message());
    let length = words.len() + 1;
    let also = if refusal.names_upgrade() { ", upgrade" } else { "" };
    let mut response = format!(
        "HTTP/1.1 {status}\r\n{CONTENT_TYPE}: text/plain; charset=utf-8\r\n\
         {CONTENT_LENGTH}: {length}\r\n{CONNECTION}: close{also}\r\n"
    )
    .into_bytes();
    write_headers(&mut response, refusal.headers());
    response.extend_from_slice(format!("\r\n{words}\n").as_bytes());
    finish(stream, &response).await
}

/// Answers a health check.
async fn tell_health(stream: &mut Stream, body: bool) -> io::Result<()> {
    let body = if body { "ok\n" } else { "" };
    let response = format!(
        "HTTP/1.1 200 OK\r\n{CONTENT_TYPE}: text/plain; charset=utf-8\r\n{CONTENT_LENGTH}: 3\r\n\
         {CACHE_CONTROL}: no-store\r\n{CONNECTION}: close\r\n\r\n{body}"
    );
    finish(stream, response.as_bytes()).await
}

/// Sends a final response, and waits until the client closes the connection.
async fn finish(stream: &mut Stream, response: &[u8]) -> io::Result<()> {
    stream.write_all(response).await?;
    stream.shutdown().await?;
    // Boxed, or every handshake would reserve space for it.
    let mut waste = vec![0; 8 * 1024];
    while stream.read(&mut waste).await.is_ok_and(|count| count > 0) {}
    Ok(())
}

/// Reads the request, and accepts or refuses it.
async fn receive(
    stream: &mut Stream,
    arrival: Arrival,
    rules: &Rules,
    max_head: usize,
) -> Result<(Vec<u8>, Accepted), AcceptError> {
    // Grows with what arrives, so a client that sends nothing costs nothing.
    let mut head = Vec::new();
    let read = {
        let reading = pin!(read_head(stream, &mut head, b"", max_head));
        timeout_at(arrival.deadline, reading).await
    };
    let part = match read {
        Ok(read) => read.map_err(no_request)?,
        Err(_) if head.is_empty() => return Err(too_late().into()),
        Err(_) => {
            let words =
                "the request did not arrive completely within the server's handshake timeout";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, words).into());
        }
    };
    let mut request = parse_request(&head).map_err(no_request)?;
    drop(head);
    if rules.is_health_check(&request) {
        return Err(AcceptError::Health { body: request.method() == Method::GET });
    }
    // What the stream knows about the client goes where web frameworks put it, too.
    *request.extensions_mut() = stream.extensions();
    let Welcome { response, handshake, grant } = rules.decide(request, arrival).await?;
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    write_headers(&mut bytes, response.headers());
    bytes.extend_from_slice(b"\r\n");
    Ok((bytes, Accepted { handshake, grant, part }))
}

fn no_request(error: HeadError) -> AcceptError {
    let (status, words) = match error {
        HeadError::Io(error) => return AcceptError::Io(error),
        HeadError::Malformed => (StatusCode::BAD_REQUEST, "malformed WebSocket request"),
        HeadError::BareLineFeed => (
            StatusCode::BAD_REQUEST,
            "malformed request: its lines end with LF; HTTP/1.1 requires CR LF",
        ),
        HeadError::TooLarge => (
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "the request line and headers are too large",
        ),
        HeadError::TooManyHeaders => {
            (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request has too many headers")
        }
        HeadError::Tls => {
            (StatusCode::BAD_REQUEST, "this server does not speak TLS; connect with ws://")
        }
    };
    AcceptError::Refused(Refusal::new(status, words))
}

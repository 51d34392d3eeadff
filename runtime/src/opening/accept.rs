//! The server's half of the opening handshake: reads the HTTP request, decides, answers.
//!
//! Must not know JSON-RPC. Every refusal is an HTTP response that says what is wrong.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response, create_response};

use crate::opening::authorize::{Authorize, Grant, ask};
use crate::opening::handshake::Handshake;
use crate::opening::head::{HeadError, read_head, write_headers};
use crate::opening::origin::Origins;
use crate::opening::refusal::Refusal;
use crate::protocol::extra::{HEADER, VERSION};
use crate::socket::stream::Stream;

/// How long a client that is refused may take to read why, and to hang up. Closing a TCP socket with
/// unread bytes resets it, and the client might never see the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Which clients are let in, and how.
#[derive(Clone, Default)]
pub(crate) struct Rules {
    /// The paths that are served; empty: any.
    pub(crate) paths: Vec<String>,
    /// The subprotocols that are spoken, the most wanted first.
    pub(crate) subprotocols: Vec<String>,
    pub(crate) origins: Origins,
    pub(crate) authorize: Option<Arc<dyn Authorize>>,
}

/// What is known of a client before it has said anything.
pub(crate) struct Arrival {
    pub(crate) remote_addr: Option<SocketAddr>,
    /// Whether it speaks TLS with this side.
    pub(crate) secure: bool,
    /// When its time is up.
    pub(crate) deadline: Instant,
    /// It is refused whatever it says.
    pub(crate) refusal: Option<Refusal>,
}

/// A client that was let in.
pub(crate) struct Accepted {
    pub(crate) handshake: Handshake,
    pub(crate) grant: Grant,
    /// What was read behind its request.
    pub(crate) part: Vec<u8>,
}

/// A client that is let in once it is told so.
pub(crate) struct Welcome {
    /// What it is told: with the headers of the grant.
    pub(crate) response: Response,
    pub(crate) handshake: Handshake,
    pub(crate) grant: Grant,
}

/// Why a client was not let in.
#[derive(Debug)]
pub(crate) enum AcceptError {
    Refused(Refusal),
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

/// Does the handshake. A client that is refused has been told so.
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
            timeout_at(deadline, writing).await.unwrap_or_else(|_| Err(too_late()))?;
            Ok(accepted)
        }
        Err(AcceptError::Refused(refusal)) => Err(refuse(stream, refusal).await),
        Err(error) => Err(error),
    }
}

/// Tells a client that it is refused. It gets a little time for that, whatever it has used up.
pub(crate) async fn refuse(stream: &mut Stream, refusal: Refusal) -> AcceptError {
    let told = timeout(LINGER, tell(stream, &refusal)).await;
    told.unwrap_or(Ok(())).map_or_else(AcceptError::Io, |()| AcceptError::Refused(refusal))
}

/// For a client that can't be told so.
pub(crate) fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the client did not finish its handshake in time")
}

/// Until the client hangs up.
async fn tell(stream: &mut Stream, refusal: &Refusal) -> io::Result<()> {
    let (status, words) = (refusal.status(), refusal.words());
    let length = words.len() + 1;
    let also = if refusal.names_upgrade() { ", upgrade" } else { "" };
    let mut response = format!(
        "HTTP/1.1 {status}\r\n{CONTENT_TYPE}: text/plain; charset=utf-8\r\n\
         {CONTENT_LENGTH}: {length}\r\n{CONNECTION}: close{also}\r\n"
    )
    .into_bytes();
    write_headers(&mut response, refusal.headers());
    response.extend_from_slice(format!("\r\n{words}\n").as_bytes());
    stream.write_all(&response).await?;
    stream.shutdown().await?;
    // On the heap, or every handshake would have room for it.
    let mut waste = vec![0; 8 * 1024];
    while stream.read(&mut waste).await.is_ok_and(|count| count > 0) {}
    Ok(())
}

/// Reads the request, and decides about it.
async fn receive(
    stream: &mut Stream,
    arrival: Arrival,
    rules: &Rules,
    max_head: usize,
) -> Result<(Vec<u8>, Accepted), AcceptError> {
    // Grows with what comes: one who says nothing costs nothing.
    let mut head = Vec::new();
    let reading = read_head::<Request>(stream, &mut head, max_head);
    let (mut request, part) = match timeout_at(arrival.deadline, reading).await {
        Ok(read) => read.map_err(no_request)?,
        Err(_) if head.is_empty() => return Err(too_late().into()),
        Err(_) => {
            let words = "the request was not whole in time";
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, words).into());
        }
    };
    drop(head);
    // What the stream itself knows of the client is where a web application leaves what it knows.
    *request.extensions_mut() = stream.extensions();
    let Welcome { response, handshake, grant } = rules.decide(request, arrival).await?;
    let mut bytes = format!("HTTP/1.1 {}\r\n", response.status()).into_bytes();
    write_headers(&mut bytes, response.headers());
    bytes.extend_from_slice(b"\r\n");
    Ok((bytes, Accepted { handshake, grant, part }))
}

impl Rules {
    /// Decides about a client that wants to open a WebSocket, from its request alone.
    pub(crate) async fn decide(
        &self,
        request: Request,
        arrival: Arrival,
    ) -> Result<Welcome, Refusal> {
        if let Some(refusal) = arrival.refusal {
            return Err(refusal);
        }
        let mut response = self.check(&request, arrival.secure)?;
        let mut handshake = handshake(request.into_parts().0, arrival.remote_addr);
        let agreed = self.agree(handshake.offered_subprotocols());
        if let Some(Ok(name)) = agreed.map(HeaderValue::from_str) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        handshake.subprotocol = agreed.map(str::to_owned);
        if handshake.is_extended() {
            let version = HeaderValue::from_static(VERSION);
            response.headers_mut().insert(HeaderName::from_static(HEADER), version);
        }
        let mut grant = self.authorize(&handshake, arrival.deadline).await?;
        // None of them is there yet.
        response.headers_mut().extend(std::mem::take(&mut grant.headers));
        Ok(Welcome { response, handshake, grant })
    }

    /// Decides about a client that has one message, from the head of its request. `check` looks at
    /// what it says of that; last before the application is asked.
    #[cfg(feature = "tower")]
    pub(crate) async fn decide_message(
        &self,
        request: Parts,
        arrival: Arrival,
        check: impl FnOnce(&HeaderMap) -> Result<(), Refusal>,
    ) -> Result<(Handshake, Grant), Refusal> {
        if let Some(refusal) = arrival.refusal {
            return Err(refusal);
        }
        self.check_path(&request.uri)?;
        check_host(&request.headers)?;
        self.origins.check(&request.headers, arrival.secure)?;
        check(&request.headers)?;
        let handshake = handshake(request, arrival.remote_addr);
        let grant = self.authorize(&handshake, arrival.deadline).await?;
        Ok((handshake, grant))
    }

    /// One that is served.
    pub(crate) fn first_path(&self) -> &str {
        self.paths.first().map_or("/", String::as_str)
    }

    /// Whether this is a WebSocket request that may come from where it comes from.
    fn check(&self, request: &Request, secure: bool) -> Result<Response, Refusal> {
        self.check_path(request.uri())?;
        let response = create_response(request).map_err(|error| bad_request(&error))?;
        let headers = request.headers();
        check_host(headers)?;
        // RFC 6455, sections 11.3.1 and 11.3.5.
        if !is_single(headers, SEC_WEBSOCKET_KEY) || !is_single(headers, SEC_WEBSOCKET_VERSION) {
            let words = "the WebSocket request is malformed";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
        }
        self.origins.check(headers, secure)?;
        Ok(response)
    }

    /// Whether anything is served there.
    fn check_path(&self, uri: &Uri) -> Result<(), Refusal> {
        if !self.paths.is_empty() && !self.paths.iter().any(|path| path == uri.path()) {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "nothing is served at this path"));
        }
        Ok(())
    }

    /// The most wanted subprotocol that the client offers too.
    pub(crate) fn agree<'a>(&self, offers: impl Iterator<Item = &'a str>) -> Option<&str> {
        let offers: Vec<&str> = offers.collect();
        self.subprotocols.iter().map(String::as_str).find(|name| offers.contains(name))
    }

    /// Asks the application's hook, if there is one.
    pub(crate) async fn authorize(
        &self,
        handshake: &Handshake,
        deadline: Instant,
    ) -> Result<Grant, Refusal> {
        match &self.authorize {
            Some(hook) => ask(&**hook, handshake, deadline).await,
            None => Ok(Grant::new()),
        }
    }
}

/// What a request tells of its client.
fn handshake(request: Parts, remote_addr: Option<SocketAddr>) -> Handshake {
    let target = request.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let Parts { headers, extensions, .. } = request;
    Handshake { target, headers, remote_addr, subprotocol: None, extensions }
}

fn is_single(headers: &HeaderMap, name: HeaderName) -> bool {
    headers.get_all(name).iter().count() == 1
}

/// RFC 9112, section 3.2.
fn check_host(headers: &HeaderMap) -> Result<(), Refusal> {
    if is_single(headers, HOST) {
        return Ok(());
    }
    Err(Refusal::new(StatusCode::BAD_REQUEST, "the request must have one Host header"))
}

fn no_request(error: HeadError) -> AcceptError {
    AcceptError::Refused(match error {
        HeadError::Io(error) => return AcceptError::Io(error),
        HeadError::Malformed(error) => bad_request(&error),
        HeadError::TooLarge => {
            let words = "the request head is too large";
            Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, words)
        }
        HeadError::Tls => {
            let words = "this server does not speak TLS; connect with ws://";
            Refusal::new(StatusCode::BAD_REQUEST, words)
        }
    })
}

fn bad_request(error: &WsError) -> Refusal {
    match error {
        WsError::Protocol(ProtocolError::WrongHttpMethod) => {
            let words = "a WebSocket is opened with GET";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, words)
                .header(ALLOW, HeaderValue::from_static("GET"))
        }
        // RFC 9110, section 15.5.22: a 426 names what to upgrade to.
        WsError::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader
            | ProtocolError::MissingSecWebSocketVersionHeader,
        ) => {
            let words = "this is a WebSocket endpoint; connect with ws:// or wss://";
            Refusal::new(StatusCode::UPGRADE_REQUIRED, words)
                .header(UPGRADE, HeaderValue::from_static("websocket"))
                .header(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
        }
        WsError::Capacity(_) => {
            let words = "the request has too many headers";
            Refusal::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, words)
        }
        _ => Refusal::new(StatusCode::BAD_REQUEST, "the WebSocket request is malformed"),
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("paths", &self.paths)
            .field("subprotocols", &self.subprotocols)
            .field("origins", &self.origins)
            .field("authorize", &self.authorize.is_some())
            .finish()
    }
}

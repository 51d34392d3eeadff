//! The server's half of the opening handshake: reads the HTTP request, decides, answers.
//!
//! Must not know JSON-RPC. Every refusal is an HTTP response that says what is wrong.

use std::io;
use std::net::SocketAddr;

use http::header::{
    ALLOW, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, SEC_WEBSOCKET_PROTOCOL, UPGRADE,
};
use http::{HeaderValue, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;
use tokio_tungstenite::tungstenite::handshake::server::{
    Request, Response, create_response, write_response,
};

use crate::handshake::Handshake;
use crate::stream::Stream;

/// The largest request head that is read.
const MAX_HEAD: usize = 16 * 1024;

/// Which clients are let in, and how.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// The paths that are served; empty: any.
    pub(crate) paths: Vec<String>,
    /// The subprotocols that are spoken, the most wanted first.
    pub(crate) subprotocols: Vec<String>,
}

/// Why a client was not let in.
#[derive(Debug)]
pub(crate) enum AcceptError {
    /// It was told so with this status.
    Refused(StatusCode),
    Io(io::Error),
}

impl From<io::Error> for AcceptError {
    fn from(error: io::Error) -> Self {
        AcceptError::Io(error)
    }
}

struct Refusal {
    status: StatusCode,
    words: &'static str,
}

/// Does the handshake. Gives what it told, and what was read behind it.
pub(crate) async fn accept(
    stream: &mut Stream,
    remote_addr: Option<SocketAddr>,
    rules: &Rules,
) -> Result<(Handshake, Vec<u8>), AcceptError> {
    let answer = match read_head(stream).await? {
        Ok((request, rest)) => rules.decide(&request).map(|response| (request, response, rest)),
        Err(refusal) => Err(refusal),
    };
    let (request, response, rest) = match answer {
        Ok(accepted) => accepted,
        Err(refusal) => {
            stream.write_all(&refusal.text()).await?;
            stream.shutdown().await?;
            return Err(AcceptError::Refused(refusal.status));
        }
    };
    let mut head = Vec::with_capacity(256);
    write_response(&mut head, &response).map_err(io::Error::other)?;
    stream.write_all(&head).await?;
    stream.flush().await?;
    let agreed = response.headers().get(SEC_WEBSOCKET_PROTOCOL).and_then(|name| name.to_str().ok());
    let subprotocol = agreed.map(str::to_owned);
    let target = request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let headers = request.into_parts().0.headers;
    Ok((Handshake { target, headers, remote_addr, subprotocol }, rest))
}

async fn read_head(
    stream: &mut Stream,
) -> Result<Result<(Request, Vec<u8>), Refusal>, AcceptError> {
    let mut head = Vec::with_capacity(1024);
    let mut searched = 0;
    loop {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        // Parsed only once it is whole, and each byte is looked at once: a slow sender makes
        // nothing quadratic.
        let whole =
            head.get(searched..).is_some_and(|new| new.windows(4).any(|w| w == b"\r\n\r\n"));
        searched = head.len().saturating_sub(3);
        if !whole && head.len() < MAX_HEAD {
            continue;
        }
        if !whole {
            let words = "the request head is too large";
            return Ok(Err(Refusal { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, words }));
        }
        return Ok(match Request::try_parse(&head) {
            Ok(Some((size, request))) => Ok((request, head.split_off(size))),
            Ok(None) => Err(Refusal {
                status: StatusCode::BAD_REQUEST,
                words: "the request head is malformed",
            }),
            Err(error) => Err(Refusal::of(&error)),
        });
    }
}

impl Rules {
    fn decide(&self, request: &Request) -> Result<Response, Refusal> {
        if !self.paths.is_empty() && !self.paths.iter().any(|path| path == request.uri().path()) {
            return Err(Refusal {
                status: StatusCode::NOT_FOUND,
                words: "nothing is served at this path",
            });
        }
        let mut response = create_response(request).map_err(|error| Refusal::of(&error))?;
        let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
        let agreed = self.agree(offers.into_iter().filter_map(|offer| offer.to_str().ok()));
        if let Some(Ok(name)) = agreed.map(HeaderValue::from_str) {
            response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, name);
        }
        Ok(response)
    }

    /// The most wanted subprotocol that the client offers too, in comma-separated lists.
    pub(crate) fn agree<'a>(&self, offers: impl Iterator<Item = &'a str>) -> Option<&str> {
        let offers: Vec<&str> = offers.flat_map(|offer| offer.split(',').map(str::trim)).collect();
        self.subprotocols.iter().map(String::as_str).find(|name| offers.contains(name))
    }
}

impl Refusal {
    fn of(error: &WsError) -> Self {
        let (status, words) = match error {
            WsError::Protocol(ProtocolError::WrongHttpMethod) => {
                (StatusCode::METHOD_NOT_ALLOWED, "a WebSocket is opened with GET")
            }
            WsError::Protocol(
                ProtocolError::MissingConnectionUpgradeHeader
                | ProtocolError::MissingUpgradeWebSocketHeader
                | ProtocolError::MissingSecWebSocketVersionHeader,
            ) => (StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint; connect with ws://"),
            WsError::Capacity(_) => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "the request has too many headers")
            }
            _ => (StatusCode::BAD_REQUEST, "the WebSocket request is malformed"),
        };
        Refusal { status, words }
    }

    fn text(&self) -> Vec<u8> {
        let Refusal { status, words } = self;
        let extra = match *status {
            StatusCode::METHOD_NOT_ALLOWED => format!("{ALLOW}: GET\r\n"),
            // RFC 9110, section 15.5.22: a 426 names what to upgrade to.
            StatusCode::UPGRADE_REQUIRED => {
                format!("{UPGRADE}: websocket\r\nsec-websocket-version: 13\r\n")
            }
            _ => String::new(),
        };
        let length = words.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\n{extra}{CONTENT_TYPE}: text/plain; charset=utf-8\r\n\
             {CONTENT_LENGTH}: {length}\r\n{CONNECTION}: close\r\n\r\n{words}\n"
        )
        .into_bytes()
    }
}

//! The head of an HTTP message, for both sides of the opening handshake: reads it up to its empty
//! line, within a limit, and parses it.

use std::io;

use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::machine::TryParse;

use crate::websocket::stream::Stream;

/// Why a head could not be read.
#[derive(Debug)]
pub(crate) enum HeadError {
    /// The head exceeds the limit.
    TooLarge,
    TooManyHeaders,
    /// The input starts with a TLS record, which no HTTP message does.
    Tls,
    /// The last lines end with a line feed alone. RFC 9112, section 2.2, allows a server to accept
    /// that as the end of the head. Proxies do not agree on it, so such a head is refused as soon
    /// as it is complete.
    BareLineFeed,
    Malformed,
    Io(io::Error),
}

impl From<io::Error> for HeadError {
    fn from(error: io::Error) -> Self {
        HeadError::Io(error)
    }
}

/// Reads a head to its end, and returns the bytes that were read after it. The buffer may already
/// contain a part of the head, and stays unchanged as long as nothing arrives. `beginning` is how
/// each head starts; anything else fails at once.
pub(crate) async fn read_head(
    stream: &mut Stream,
    head: &mut Vec<u8>,
    beginning: &[u8],
    limit: usize,
) -> Result<Vec<u8>, HeadError> {
    let mut searched = 0;
    let end = loop {
        // The types of TLS records are 20 to 23.
        if matches!(head.first(), Some(20..=23)) {
            return Err(HeadError::Tls);
        }
        if head.iter().zip(beginning).any(|(byte, expected)| byte != expected) {
            return Err(HeadError::Malformed);
        }
        // Parsed only when complete, and each byte is searched once, so that a slow sender causes
        // no quadratic work.
        if let Some(end) = empty_line(head, searched) {
            break end;
        }
        searched = head.len().saturating_sub(2);
        if head.len() >= limit {
            return Err(HeadError::TooLarge);
        }
        if stream.read_buf(head).await? == 0 {
            return Err(HeadError::Io(io::ErrorKind::UnexpectedEof.into()));
        }
    };
    if end > limit {
        return Err(HeadError::TooLarge);
    }
    let behind = head.split_off(end);
    if head.ends_with(b"\r\n\r\n") { Ok(behind) } else { Err(HeadError::BareLineFeed) }
}

/// The end of the first empty line, whether its line ends are CRLF or a bare line feed.
fn empty_line(head: &[u8], from: usize) -> Option<usize> {
    let mut rest = head.get(from..)?;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
        rest = rest.get(at + 1..)?;
        let behind = rest.strip_prefix(b"\n").or_else(|| rest.strip_prefix(b"\r\n"));
        if let Some(behind) = behind {
            return Some(head.len() - behind.len());
        }
    }
    None
}

/// Parses the complete head of a request.
pub(crate) fn parse_request(head: &[u8]) -> Result<Request<()>, HeadError> {
    let (line, headers) = line_and_headers(head)?;
    let line = std::str::from_utf8(line).map_err(|_| HeadError::Malformed)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(HeadError::Malformed);
    };
    let mut request = Request::new(());
    *request.method_mut() = method.parse::<Method>().map_err(|_| HeadError::Malformed)?;
    *request.uri_mut() = target.parse::<Uri>().map_err(|_| HeadError::Malformed)?;
    *request.version_mut() = parse_version(version)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Parses the complete head of a response.
pub(crate) fn parse_response(head: &[u8]) -> Result<Response<()>, HeadError> {
    let (line, headers) = line_and_headers(head)?;
    // The reason phrase may contain anything.
    let line = String::from_utf8_lossy(line);
    let (version, rest) = line.split_once(' ').ok_or(HeadError::Malformed)?;
    let status = rest.split(' ').next().unwrap_or_default();
    let mut response = Response::new(());
    *response.status_mut() =
        StatusCode::from_bytes(status.as_bytes()).map_err(|_| HeadError::Malformed)?;
    *response.version_mut() = parse_version(version)?;
    *response.headers_mut() = headers;
    Ok(response)
}

fn parse_version(version: &str) -> Result<Version, HeadError> {
    match version {
        "HTTP/1.0" => Ok(Version::HTTP_10),
        "HTTP/1.1" => Ok(Version::HTTP_11),
        _ => Err(HeadError::Malformed),
    }
}

/// The first line without its line end, and the headers after it.
fn line_and_headers(head: &[u8]) -> Result<(&[u8], HeaderMap), HeadError> {
    // RFC 9112, section 2.2: ignore an empty line before the first line.
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let end = head.iter().position(|byte| *byte == b'\n').ok_or(HeadError::Malformed)?;
    let (line, rest) = head.split_at(end + 1);
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match HeaderMap::try_parse(rest) {
        Ok(Some((_, headers))) => Ok((line, headers)),
        Err(WsError::Capacity(_)) => Err(HeadError::TooManyHeaders),
        _ => Err(HeadError::Malformed),
    }
}

/// Writes header lines. Values are bytes and need not be UTF-8.
pub(crate) fn write_headers(bytes: &mut Vec<u8>, headers: &HeaderMap) {
    for (name, value) in headers {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_head_ends() {
        for (bytes, end) in [
            ("", None),
            ("a\r\n", None),
            ("a\r\n\r", None),
            ("a\r\n\r\n", Some(5)),
            ("a\r\n\r\nb\r\n\r\n", Some(5)),
            ("a\n\nb", Some(3)),
            ("a\nb\n\r\nc", Some(6)),
            ("a\r\n\n", Some(4)),
            ("\n\n", Some(2)),
            ("\r\n\r\n", Some(4)),
            ("a\rb\r\nc", None),
        ] {
            assert_eq!(empty_line(bytes.as_bytes(), 0), end, "{bytes:?}");
            // However it is split.
            for cut in 0..bytes.len() {
                let found = empty_line(&bytes.as_bytes()[..cut], 0);
                if let Some(found) = found {
                    assert_eq!(Some(found), end, "{bytes:?} {cut}");
                    continue;
                }
                assert_eq!(empty_line(bytes.as_bytes(), cut.saturating_sub(2)), end, "{bytes:?}");
            }
        }
    }

    #[test]
    fn first_lines() {
        let request = |line: &str| parse_request(format!("{line}\r\na: b\r\n\r\n").as_bytes());
        let good = request("GET /a?b HTTP/1.1").unwrap();
        assert_eq!((good.method(), good.uri().path()), (&Method::GET, "/a"));
        assert_eq!((good.uri().query(), good.headers().len()), (Some("b"), 1));
        assert_eq!(request("\r\nGET / HTTP/1.0").unwrap().version(), Version::HTTP_10);
        for line in ["", "GET", "GET /", "GET  / HTTP/1.1", "GET / HTTP/1.1 x", "GET / HTTP/2.0"] {
            assert!(matches!(request(line), Err(HeadError::Malformed)), "{line}");
        }
        let response = |line: &str| parse_response(format!("{line}\r\n\r\n").as_bytes());
        for line in ["HTTP/1.1 404 Not Found", "HTTP/1.1 404", "HTTP/1.1 404 ", "HTTP/1.0 404 é"] {
            assert_eq!(response(line).unwrap().status(), 404, "{line}");
        }
        for line in ["", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 40", "HTTP/1.1 4040", "HTTP/3 404"] {
            assert!(matches!(response(line), Err(HeadError::Malformed)), "{line}");
        }
    }
}

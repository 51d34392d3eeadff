//! A JSON-RPC message received over HTTP POST: checks its headers and reads its body.

use std::pin::pin;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Version};
use http_body_util::BodyExt;
use tokio::time::Instant;

use crate::handshake::refusal::Refusal;
use crate::util::runtime::timeout_at;

/// How much is allocated at once for a body in parts, whatever size it announces.
const FIRST_ROOM: usize = 64 * 1024;

/// The content types of a message; all three are in use. A page of another origin cannot send any
/// of them without a preflight request, as it could with plain text and forms.
const TYPES: [&str; 3] = ["application/json", "application/json-rpc", "application/jsonrequest"];

/// Adds a `Host` header, because HTTP/2 has the host elsewhere (RFC 9113, section 8.3.1).
pub(crate) fn name_host(request: &mut Parts) {
    if request.version < Version::HTTP_2 || request.headers.contains_key(HOST) {
        return;
    }
    let host = request.uri.authority().map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = host {
        request.headers.insert(HOST, host);
    }
}

/// Checks what can be refused before the body is read.
pub(crate) fn check(headers: &HeaderMap, limit: usize) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter().map(HeaderValue::as_bytes);
    let is_json = |value: &[u8]| {
        let essence = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        TYPES.iter().any(|known| essence.eq_ignore_ascii_case(known.as_bytes()))
    };
    match (types.next(), types.next()) {
        (Some(value), None) if is_json(value) => {}
        _ => {
            let words =
                "unsupported media type; send JSON-RPC with `Content-Type: application/json`";
            return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
        }
    }
    // For example, a compressed body. A layer that decompresses the body removes the header.
    let is_plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        let words = "`Content-Encoding` is not supported; send the message uncompressed";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    let length = headers.get(CONTENT_LENGTH).map(HeaderValue::as_bytes);
    let length = length.and_then(|length| std::str::from_utf8(length).ok()?.parse::<u64>().ok());
    // The HTTP server handles a length that is not a number.
    match length {
        Some(length) if length > limit as u64 => Err(too_large()),
        _ => Ok(()),
    }
}

/// Reads the whole body, within a limit and until a deadline.
pub(crate) async fn read<B: http_body::Body>(
    body: B,
    limit: usize,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    timeout_at(deadline, pin!(read_all(body, limit))).await.unwrap_or_else(|_| {
        let words = "the request did not arrive completely within the server's handshake timeout";
        Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, words))
    })
}

async fn read_all<B: http_body::Body>(body: B, limit: usize) -> Result<Bytes, Refusal> {
    let mut body = pin!(body);
    // Most bodies arrive in one part, which is not copied.
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            let words = "the request body ended early";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, words));
        };
        // Trailers are ignored.
        let Ok(mut part) = frame.into_data() else { continue };
        let size = part.remaining();
        if size > limit.saturating_sub(first.len() + all.len()) {
            return Err(too_large());
        }
        if first.is_empty() && all.is_empty() {
            first = part.copy_to_bytes(size);
            continue;
        }
        if all.is_empty() {
            all.reserve(FIRST_ROOM.min(limit).max(first.len() + size));
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        // A part may itself consist of several pieces.
        while part.has_remaining() {
            let piece = part.chunk().len();
            all.extend_from_slice(part.chunk());
            part.advance(piece);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn too_large() -> Refusal {
    let words = "the message is larger than the server's limit";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, words)
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_request_gets_one_host_header() {
        let table = [
            (Version::HTTP_2, "https://a:1/x", None, Some("a:1")),
            (Version::HTTP_2, "https://a/x", Some("b"), Some("b")),
            (Version::HTTP_2, "/x", None, None),
            (Version::HTTP_11, "https://a/x", None, None),
        ];
        for (version, uri, host, expected) in table {
            let mut request = Request::builder().version(version).uri(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            name_host(&mut parts);
            let named = parts.headers.get(HOST).map(|host| host.to_str().unwrap());
            assert_eq!(named, expected, "{version:?} {uri} {host:?}");
        }
    }
}

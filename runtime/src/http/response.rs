//! The HTTP responses of an endpoint that is mounted in an HTTP server.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};

use crate::handshake::refusal::Refusal;
use crate::protocol::pieces::Pieces;

/// The body of a response of [`HttpService`](crate::http::HttpService). Needs the feature `tower`.
#[derive(Default)]
pub struct HttpBody {
    text: Pieces,
}

impl HttpBody {
    pub(crate) fn new(text: impl Into<Pieces>) -> Self {
        HttpBody { text: text.into() }
    }
}

impl fmt::Debug for HttpBody {
    /// Leaves out the content, which may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpBody({} bytes)", self.text.len())
    }
}

impl http_body::Body for HttpBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.text.take_first();
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece.into()))))
    }

    fn is_end_stream(&self) -> bool {
        self.text.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.text.len() as u64)
    }
}

/// The response for a refused client.
pub(crate) fn refuse(refusal: &Refusal) -> Response<HttpBody> {
    let mut response =
        Response::new(HttpBody::new(format!("{}\n", refusal.message()).into_bytes()));
    *response.status_mut() = refusal.status();
    response.headers_mut().extend(refusal.headers().clone());
    if refusal.names_upgrade() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("upgrade"));
    }
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// The response with a JSON text and these headers.
pub(crate) fn json(text: Pieces, headers: HeaderMap) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::new(text));
    *response.headers_mut() = headers;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

/// The response to a message that needs none: RFC 9110, section 15.3.5.
pub(crate) fn nothing(headers: HeaderMap) -> Response<HttpBody> {
    let mut response = Response::new(HttpBody::default());
    *response.status_mut() = StatusCode::NO_CONTENT;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_hides_the_body() {
        let response = json(b"secret".to_vec().into(), HeaderMap::new());
        assert_eq!(format!("{:?}", response.body()), "HttpBody(6 bytes)");
    }
}

//! Messages over HTTP POST.

use std::net::SocketAddr;

use wsjsonrpc::server::ServerBuilder;

use crate::http::{parts, say};
use crate::mounted::in_axum;

/// Runs a server as a route `/rpc` of an axum application.
pub async fn address(server: ServerBuilder) -> SocketAddr {
    in_axum(server.build().unwrap().http_service()).await
}

/// The head of a request with these headers and a body of this length.
pub fn head(headers: &str, length: usize) -> String {
    format!(
        "POST /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n"
    )
}

/// The content type of JSON, as a header.
pub const JSON: &str = "Content-Type: application/json\r\n";

/// Posts a message; returns status line, headers and body of the response.
pub async fn post(address: SocketAddr, headers: &str, body: &str) -> (String, String, String) {
    let answer = say(address, format!("{}{body}", head(headers, body.len()))).await;
    let (line, headers, body) = parts(&answer);
    (line.to_owned(), headers, body.to_owned())
}

/// Posts a message that must be accepted; returns the body of the response.
pub async fn ask(address: SocketAddr, body: &str) -> String {
    let (line, headers, answer) = post(address, JSON, body).await;
    // RFC 9110, section 15.3.5: a response without content has no content type.
    let expected = if answer.is_empty() { "204 No Content" } else { "200 OK" };
    assert_eq!(line, format!("HTTP/1.1 {expected}"), "{body}: {answer}");
    let has_type = headers.contains("content-type: application/json");
    assert_eq!(has_type, !answer.is_empty(), "{headers}");
    assert!(has_type || !headers.contains("content-"), "{headers}");
    answer
}

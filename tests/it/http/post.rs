//! JSON-RPC over HTTP POST, as text: responses and their status, and requests that are refused before
//! anything is handled.

use std::net::SocketAddr;
use std::time::Duration;

use http::HeaderValue;
use http::header::{CONTENT_TYPE, HeaderName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{Config, Context, ErrorObject};
use wsjsonrpc_tests::http::{parts, say};
use wsjsonrpc_tests::mounted::in_axum;
use wsjsonrpc_tests::post::{JSON, address, ask, head, post};
use wsjsonrpc_tests::{
    cancel, empty_batch, error, invalid_request, method_not_found, not_an_object, notification,
    request, result, too_large,
};

/// The status and the body of a refusal.
async fn refused(address: SocketAddr, headers: &str, body: &str) -> (u16, String) {
    let (line, headers, words) = post(address, headers, body).await;
    assert!(headers.contains("content-type: text/plain; charset=utf-8"), "{headers}");
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap(), words)
}

fn server() -> ServerBuilder {
    wsjsonrpc_tests::server()
        .expose_errors(false)
        .method("refuse", |_, ()| async { Err::<(), _>(ErrorObject::new(7, "no").with_data(1)) })
        .method("inside", |_, ()| async { Ok("x".parse::<u8>()?) })
        .method("cookie", |ctx: Context, ()| async move {
            Ok(ctx.handshake().cookie("a").map(str::to_owned))
        })
        .method("back", |ctx: Context, ()| async move { Ok(ctx.peer().call::<()>("x", ()).await?) })
}

#[tokio::test]
async fn a_posted_message_is_answered_in_the_response_body() {
    let address = address(server()).await;
    let socket = "This method needs a WebSocket: it sends messages to its caller";
    let both = format!("[{},{}]", request("later", "[1]", "1"), request("double", "[2]", "2"));
    let with_news =
        format!("[{},{}]", notification("double", "[1]"), request("double", "[2]", "2"));
    let news = format!("[{},{}]", notification("double", "[1]"), notification("later", "[1]"));
    let large = format!("[{}]", vec!["1"; 1001].join(","));
    let cancelled = cancel("1");
    let table = [
        (request("double", "[21]", "1"), result("42", "1")),
        (request("later", "[21]", "\"é\""), result("21", "\"é\"")),
        (format!(" \r\n{}\t", request("double", "[1]", "null")), result("2", "null")),
        (
            request("refuse", "[]", "1"),
            r#"{"jsonrpc":"2.0","error":{"code":7,"message":"no","data":1},"id":1}"#.to_owned(),
        ),
        (request("inside", "[]", "1"), error(-32603, "Internal error", "1")),
        (request("panic", "[]", "1"), error(-32603, "Internal error", "1")),
        (request("nothing", "[]", "1"), method_not_found("nothing", "1")),
        (request("back", "[]", "1"), error(-32006, socket, "1")),
        (request("silence", "[]", "1"), error(-32006, socket, "1")),
        (request("unsubscribe_silence", "[\"0x1\"]", "1"), result("false", "1")),
        (both, format!("[{},{}]", result("1", "1"), result("4", "2"))),
        (with_news, format!("[{}]", result("4", "2"))),
        (notification("double", "[1]"), String::new()),
        (notification("nothing", "[1]"), String::new()),
        (cancelled, String::new()),
        (news, String::new()),
        // A response to a call that was never made.
        (result("1", "1"), String::new()),
        ("[]".to_owned(), empty_batch()),
        ("[1]".to_owned(), format!("[{}]", not_an_object())),
        ("1".to_owned(), not_an_object()),
        (r#"{"jsonrpc":"2.0","id":5}"#.to_owned(), invalid_request("\"method\" is missing", "5")),
        (String::new(), error(-32700, "Parse error", "null")),
        ("{".to_owned(), error(-32700, "Parse error", "null")),
        (large, error(-32600, "Invalid Request: a batch may have at most 1000 entries", "null")),
    ];
    for (message, expected) in table {
        assert_eq!(ask(address, &message).await, expected, "{message}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_utf_8_is_a_parse_error() {
    let address = address(server()).await;
    let mut message = head(JSON, 3).into_bytes();
    message.extend_from_slice(b"\"\xff\"");
    let answer = say(address, message).await;
    assert!(answer.ends_with(&error(-32700, "Parse error", "null")), "{answer}");
}

#[tokio::test]
async fn only_json_content_types_are_accepted() {
    let address = address(server()).await;
    let message = request("double", "[1]", "1");
    let good = [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json ;charset=UTF-8",
        "application/json-rpc",
        "application/jsonrequest;x=y",
    ];
    for good in good {
        let headers = format!("Content-Type: {good}\r\n");
        assert_eq!(post(address, &headers, &message).await.2, result("2", "1"), "{good}");
    }
    let bad = [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: text/plain; application/json\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: multipart/form-data\r\n",
        "Content-Type: application/jsonp\r\n",
        "Content-Type:\r\n",
        "Content-Type: application/json\r\nContent-Type: text/plain\r\n",
        "Content-Type: application/json, text/plain\r\n",
    ];
    for bad in bad {
        let words = "unsupported media type; send JSON-RPC with `Content-Type: application/json`\n";
        assert_eq!(refused(address, bad, &message).await, (415, words.to_owned()), "{bad}");
    }
    let plain = format!("{JSON}Content-Encoding: identity\r\n");
    assert_eq!(post(address, &plain, &message).await.2, result("2", "1"));
    let compressed = format!("{JSON}Content-Encoding: gzip\r\n");
    let words = "`Content-Encoding` is not supported; send the message uncompressed\n";
    assert_eq!(refused(address, &compressed, &message).await, (415, words.to_owned()));
}

#[tokio::test]
async fn posts_pass_the_same_checks_as_websockets() {
    let server = server().path("/rpc").authorize_fn(|handshake| async move {
        match handshake.cookie("a") {
            Some("1") => Ok(Grant::new()
                .set(5_u8)
                .header(HeaderName::from_static("x-granted"), HeaderValue::from_static("yes"))
                .header(CONTENT_TYPE, HeaderValue::from_static("text/html"))),
            _ => Err(Refusal::unauthorized("log in first")
                .header(HeaderName::from_static("x-how"), HeaderValue::from_static("so"))),
        }
    });
    let server =
        server.method("granted", |ctx: Context, ()| async move { Ok(ctx.get::<u8>().map(|n| *n)) });
    let address = address(server).await;
    let message = request("granted", "[]", "1");
    let cookie = format!("{JSON}Cookie: a=1\r\n");
    let (line, headers, body) = post(address, &cookie, &message).await;
    assert_eq!((line.as_str(), body), ("HTTP/1.1 200 OK", result("5", "1")));
    assert!(headers.contains("x-granted: yes"), "{headers}");
    assert!(headers.contains("content-type: application/json") && !headers.contains("text/html"));
    let (line, headers, body) = post(address, JSON, &message).await;
    assert!(line.contains(" 401 ") && headers.contains("x-how: so"), "{line} {headers}");
    assert_eq!(body, "log in first\n");
    // Pages of other origins are refused here, whatever cookies they have.
    for origin in ["https://evil.example", "null"] {
        let foreign = format!("{cookie}Origin: {origin}\r\n");
        assert_eq!(refused(address, &foreign, &message).await.0, 403, "{origin}");
    }
    let own = format!("{cookie}Origin: http://x\r\n");
    assert_eq!(post(address, &own, &message).await.2, result("5", "1"));
    let hostless = head(&cookie, message.len()).replace("Host: x\r\n", "") + &message;
    assert!(say(address, hostless).await.starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    const LIMIT: usize = 500;
    let config =
        Config { max_incoming_message: LIMIT, max_outgoing_message: 100, ..Config::default() };
    let server = server().config(config);
    let server = server.method("long", |_, (n,): (usize,)| async move { Ok("x".repeat(n)) });
    let address = address(server).await;
    let words = "the message is larger than the server's limit\n".to_owned();
    let message = request("double", "[1]", "1");
    let fits = format!("{message}{}", " ".repeat(LIMIT - message.len()));
    assert_eq!(ask(address, &fits).await, result("2", "1"));
    // Too large by its `Content-Length`, before any of it is sent.
    let said = say(address, head(JSON, LIMIT + 1)).await;
    assert!(said.starts_with("HTTP/1.1 413 ") && said.ends_with(&words), "{said}");
    // Too large by its size, in chunks without a length in the head.
    let chunked = |sizes: &[usize]| {
        let mut text = "POST /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                        Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            .to_owned();
        let mut rest = fits.clone() + " ";
        for size in sizes {
            let left = rest.split_off(*size);
            text += &format!("{size:x}\r\n{rest}\r\n");
            rest = left;
        }
        text + "0\r\n\r\n"
    };
    for (sizes, expected) in [
        (&[200, 299, 1][..], result("2", "1")),
        (&[1, 1, 498], result("2", "1")),
        (&[500], result("2", "1")),
        (&[501], words.clone()),
        (&[200, 301], words.clone()),
        (&[1, 499, 1], words.clone()),
    ] {
        let answer = say(address, chunked(sizes)).await;
        assert_eq!(parts(&answer).2, expected, "{sizes:?}");
    }
    // A response that is too large is a JSON-RPC error.
    let answer = ask(address, &request("long", "[100]", "1")).await;
    assert_eq!(answer, too_large("1"));
}

/// The client sends slowly, or stops in the middle.
#[tokio::test(start_paused = true)]
async fn a_message_that_arrives_too_slowly_is_refused() {
    let config = Config { handshake_timeout: Duration::from_secs(3), ..Config::default() };
    let endpoint = server().config(config).build().unwrap();
    let address = in_axum(endpoint.http_service()).await;
    let answer = say(address, head(JSON, 20) + "{\"jsonrpc\"").await;
    let (line, _, words) = parts(&answer);
    assert_eq!(
        (line, words),
        (
            "HTTP/1.1 408 Request Timeout",
            "the request did not arrive completely within the server's handshake timeout\n"
        )
    );
}

#[tokio::test]
async fn a_truncated_body_is_not_handled() {
    let address = address(server()).await;
    let broken = "POST /rpc HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                  Transfer-Encoding: chunked\r\n\r\nno number\r\n";
    let answer = say(address, broken).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(ask(address, &request("double", "[1]", "1")).await, result("2", "1"));
}

/// One HTTP connection, several messages.
#[tokio::test]
async fn several_messages_may_share_a_connection() {
    let address = address(server()).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    for number in 0..5_u8 {
        let id = number.to_string();
        let message = request("later", &format!("[{number}]"), &id);
        let request = head(JSON, message.len()).replace("Connection: close\r\n", "") + &message;
        stream.write_all(request.as_bytes()).await.unwrap();
        let expected = result(&number.to_string(), &id);
        let mut answer = Vec::new();
        while !answer.ends_with(expected.as_bytes()) {
            answer.push(stream.read_u8().await.unwrap());
        }
    }
}

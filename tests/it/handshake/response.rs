//! How a client reacts to a server's response to its opening handshake, byte for byte.

use tokio::io::AsyncWriteExt;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::{Client, Config};
use wsjsonrpc_tests::http::{accept_key, read_head};

/// The outcome of connecting to a server that sends this response, with `{accept}` replaced by the
/// value that the client expects. The server disconnects only after the client. With paused time,
/// any wait would show.
async fn connect_with(client: ClientBuilder, response: &[u8]) -> Result<Client, ConnectError> {
    let (ours, mut theirs) = tokio::io::duplex(256 * 1024);
    let response = response.to_vec();
    let (hang_up, hung_up) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        let accept = accept_key(&read_head(&mut theirs).await);
        let place = response.windows(8).position(|window| window == b"{accept}");
        let (before, behind) = response.split_at(place.unwrap_or(response.len()));
        theirs.write_all(before).await.unwrap();
        if let Some(behind) = behind.strip_prefix(b"{accept}") {
            theirs.write_all(accept.as_bytes()).await.unwrap();
            theirs.write_all(behind).await.unwrap();
        }
        let _ = hung_up.await;
    });
    let connected = client.connect_over("ws://localhost/", ours).await;
    drop(hang_up);
    connected
}

async fn connect(response: impl AsRef<[u8]>) -> Result<Client, ConnectError> {
    connect_with(Client::builder(), response.as_ref()).await
}

const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                        Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n";

#[tokio::test]
async fn interim_responses_are_skipped() {
    for before in [
        "HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 199 x\r\n\r\n",
    ] {
        let client = connect(format!("{before}{SWITCHES}")).await.unwrap();
        // The headers are those of the final response.
        assert_eq!(client.handshake().header("link"), None);
        assert_eq!(client.handshake().header("upgrade"), Some("websocket"));

        let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
        let error = connect(format!("{before}{refusal}")).await.unwrap_err();
        let ConnectError::Refused { status, body, .. } = &error else { panic!("{error:?}") };
        assert_eq!((status.as_u16(), body.as_str()), (403, "no"));
    }
}

#[tokio::test]
async fn interim_responses_are_bounded_together() {
    let early = "HTTP/1.1 103 Early Hints\r\nLink: </style.css>\r\n\r\n";
    let config = || Config { max_handshake_size: 2048, ..Config::default() };
    let connect = |count: usize| {
        let response = format!("{}{SWITCHES}", early.repeat(count));
        async move { connect_with(Client::builder().config(config()), response.as_bytes()).await }
    };
    drop(connect(2048 / early.len() - 5).await.unwrap());
    let error = connect(2048 / early.len() + 1).await.unwrap_err();
    let words = "WebSocket handshake failed: the head of the response is larger than `Config::max_handshake_size`";
    assert_eq!(error.to_string(), words);
}

/// With paused time: if the client had waited for anything, the clock would have moved.
#[tokio::test(start_paused = true)]
async fn the_body_of_a_refusal_ends_where_its_head_says() {
    let long = "x".repeat(10_000);
    let chunked_long = format!("Transfer-Encoding: chunked\r\n\r\n2710\r\n{long}\r\n0\r\n\r\n");
    let tiny_chunks =
        format!("Transfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", "1\r\ny\r\n".repeat(99));
    for (rest, expected) in [
        ("401 No\r\nContent-Length: 7\r\n\r\nwho are you?", "who are"),
        ("401 No\r\nContent-Length: 0\r\n\r\nwho", ""),
        ("401 No\r\nContent-Length: 3, 3\r\n\r\nwho", "who"),
        (
            "401 No\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nwho \r\n8\r\nare you?\r\n0\r\n\r\n",
            "who are you?",
        ),
        (
            "401 No\r\nTransfer-Encoding: chunked\r\n\r\n0C;a=b\r\nwho are you?\r\n0\r\n\r\n",
            "who are you?",
        ),
        (
            "401 No\r\ntransfer-encoding: gzip, Chunked\r\nContent-Length: 99\r\n\r\n3\r\nwho\r\n0\r\n\r\n",
            "who",
        ),
        ("401 No\r\nTransfer-Encoding: chunked\r\n\r\n3\nwho\n0\n\n", "who"),
        ("401 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""),
        ("204 No Content\r\n\r\n", ""),
        ("304 Not Modified\r\nContent-Length: 12\r\n\r\n", ""),
        (&format!("401 No\r\n{chunked_long}"), &long[..4096]),
        (&format!("401 No\r\n\r\n{long}"), &long[..4096]),
        (&format!("401 No\r\n{tiny_chunks}"), &"y".repeat(99)),
    ] {
        let begun = tokio::time::Instant::now();
        let error = connect(format!("HTTP/1.1 {rest}")).await.unwrap_err();
        let ConnectError::Refused { body, .. } = &error else { panic!("{error:?}") };
        assert_eq!(body, expected, "{rest}");
        assert_eq!(tokio::time::Instant::now(), begun, "{rest}");
    }
}

/// Invalid sizes, and chunk headers without end.
#[tokio::test(start_paused = true)]
async fn a_malformed_body_is_bounded() {
    let extension = format!("Transfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(128 * 1024));
    for (rest, expected) in [
        ("Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nwho", "who"),
        ("Transfer-Encoding: chunked\r\n\r\nno chunk", ""),
        ("Content-Length: many\r\n\r\nwho", "who"),
        ("Content-Length: 99999999999999999999\r\n\r\nwho", "who"),
        ("Content-Length: -1\r\n\r\nwho", "who"),
        (&extension, ""),
    ] {
        let error = connect(format!("HTTP/1.1 401 No\r\n{rest}")).await.unwrap_err();
        let ConnectError::Refused { body, .. } = &error else { panic!("{error:?}") };
        assert_eq!(body, expected);
    }
}

#[tokio::test]
async fn headers_of_a_refusal_are_readable_and_not_in_its_debug() {
    let response = "HTTP/1.1 308 Permanent Redirect\r\nLocation: wss://new.example/?token=s3cr3t\r\n\
                    Set-Cookie: a=s3cr3t\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n";
    let error = connect(response).await.unwrap_err();
    for shown in [error.to_string(), format!("{error:?}")] {
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }
    let words = "the server refused the connection with HTTP status 308 Permanent Redirect; connect \
                 to the URL in its `Location` header";
    assert_eq!(error.to_string(), words);
    let ConnectError::Refused { headers, .. } = error else { panic!() };
    assert_eq!(headers["location"], "wss://new.example/?token=s3cr3t");
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_not_http_1_1_fails_at_once() {
    let bare = SWITCHES.replace("\r\n", "\n");
    let old = SWITCHES.replace("HTTP/1.1", "HTTP/1.0");
    let line_feed = "malformed response: its lines end with LF; HTTP/1.1 requires CR LF";
    let no_http = "the response is not HTTP/1.1";
    let http_1_0 = "the response is HTTP/1.0, which cannot upgrade to WebSocket; if nginx is in \
                    between, set `proxy_http_version 1.1;`";
    for (response, words) in [
        (bare.as_str(), line_feed),
        ("HTTP/1.1 404 Not Found\n\n", line_feed),
        ("HTTP/1.1 404 Not Found\nContent-Length: 0\n\r\n", line_feed),
        (&old, http_1_0),
        // Neither is complete, and the rest never arrives.
        ("SSH-2.0-OpenSSH_9.6\r\n", no_http),
        ("HTTP/2.0 200 OK\r\n", no_http),
        ("HTTP/1.1 abc\r\n\r\n", no_http),
        ("HTTP/1.2 200 OK\r\n\r\n", no_http),
        ("\0", no_http),
        ("\u{15}\u{3}\u{3}", "the server speaks TLS; connect with wss://"),
    ] {
        let begun = tokio::time::Instant::now();
        let error = connect(response).await.unwrap_err();
        assert!(matches!(error, ConnectError::Handshake(_)), "{response}: {error:?}");
        assert_eq!(error.to_string(), format!("WebSocket handshake failed: {words}"));
        assert_eq!(tokio::time::Instant::now(), begun, "{response}");
    }
    // A refusal may have any version: Python's http.server uses 1.0.
    let error = connect("HTTP/1.0 404 File not found\r\nContent-Length: 2\r\n\r\nno").await;
    assert!(matches!(error, Err(ConnectError::Refused { status, .. }) if status == 404));
}

#[tokio::test]
async fn list_headers_may_have_several_lines_and_any_bytes() {
    let lines = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nUpgrade: \xff, WebSocket\r\n\
                  Connection: keep-alive, \xe4\r\nConnection: upgrade\r\n\
                  Sec-WebSocket-Accept: {accept}\r\n\r\n";
    drop(connect(lines).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_what_was_waited_for() {
    let (_silent, stream) = tokio::io::duplex(4096);
    let error = Client::builder().connect_over("ws://x/", stream).await.unwrap_err();
    let response = "connecting timed out after 10 s while waiting for the server's response to the WebSocket \
                    handshake; is the server running? (`Server::run` does nothing until it is \
                    awaited or spawned)";
    assert_eq!(error.to_string(), response);

    // Its port is bound, and nothing accepts connections.
    let server = wsjsonrpc::Server::builder().bind("127.0.0.1:0").await.unwrap();
    let error = Client::connect(&server.url()).await.unwrap_err();
    assert_eq!(error.to_string(), response);

    let (_silent, stream) = tokio::io::duplex(4096);
    let error = Client::builder().connect_over("wss://x/", stream).await.unwrap_err();
    let words = "connecting timed out after 10 s while waiting for the server's TLS handshake; ";
    assert!(error.to_string().starts_with(words), "{error}");

    let never = std::future::pending::<std::io::Result<tokio::io::DuplexStream>>;
    let error = Client::builder().connect_with("ws://x/", never).await.unwrap_err();
    let words = "connecting timed out after 10 s while waiting for the `connect_with` closure";
    assert_eq!(error.to_string(), words);

    let never = std::future::pending::<wsjsonrpc::Result<[(&str, &str); 0]>>;
    let (_silent, stream) = tokio::io::duplex(4096);
    let client = Client::builder().headers_with(never);
    let error = client.connect_over("ws://x/", stream).await.unwrap_err();
    let words = "connecting timed out after 10 s while waiting for the `headers_with` closure";
    assert_eq!(error.to_string(), words);
    let ConnectError::Timeout { waiting_for, .. } = error else { panic!("{error:?}") };
    assert_eq!(waiting_for, "the `headers_with` closure");
}

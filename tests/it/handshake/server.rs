//! How a server reacts to unusual opening handshakes, stand-alone and as a route of a web
//! application.

use axum::Router;
use serde_json::{Value, json};
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{Client, Config, Context, Server};
use wsjsonrpc_tests::http::{address, http, opened, parts, upgrade};
use wsjsonrpc_tests::listen;
use wsjsonrpc_tests::mounted::application;

const SWITCHES: &str = "HTTP/1.1 101 Switching Protocols";

/// The same server on its own port, and as a route of an axum application.
async fn both(server: impl Fn() -> ServerBuilder) -> [std::net::SocketAddr; 2] {
    let alone = address(server()).await;
    let endpoint = server().build().unwrap();
    let router = Router::new().fallback_service(endpoint.http_service());
    [alone, application(router).await]
}

/// A request with a key and a version, and these headers.
fn get(headers: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: x\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    )
}

#[tokio::test]
async fn repeated_headers_form_one_list() {
    for address in both(Server::builder).await {
        for headers in [
            "Connection: keep-alive\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n",
            "Connection: keep-alive, Upgrade\r\nUpgrade: h2c, websocket\r\n",
            "Connection:upgrade,keep-alive\r\nUpgrade: h2c\r\nUpgrade: WebSocket\r\n",
            "Connection: , Upgrade ,\r\nUpgrade: , websocket\r\n",
            "Connection: x, Upgrade\r\nConnection: close\r\nUpgrade: websocket\r\n",
        ] {
            let (_stream, head) = opened(address, &get(headers)).await;
            let (line, answer, _) = parts(&head);
            assert_eq!(line, SWITCHES, "{headers}");
            assert!(answer.contains("upgrade: websocket\r\n"), "{answer}");
            assert!(answer.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{answer}");
        }
        for headers in [
            "Connection: keep-alive\r\nConnection: close\r\nUpgrade: websocket\r\n",
            "Connection: Upgrade\r\nUpgrade: h2c\r\n",
            "Connection: xUpgrade\r\nUpgrade: websocket\r\n",
            "Connection: Upgrade\r\nUpgrade: websocket/13\r\n",
        ] {
            let answer = http(address, get(headers)).await;
            assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{headers}: {answer}");
        }
    }
}

#[tokio::test]
async fn odd_bytes_in_a_list_hide_no_other_element() {
    let server = || Server::builder().subprotocol("chat");
    for address in both(server).await {
        let offers: &[u8] = b"Connection: \xff, Upgrade\r\nUpgrade: \xe4, websocket\r\n\
                              Sec-WebSocket-Protocol: caf\xe9, chat\r\n";
        let mut request = get("").into_bytes();
        request.truncate(request.len() - 2);
        let request = [&request, offers, b"\r\n"].concat();
        let answer = http(address, request).await;
        let (line, headers, _) = parts(&answer);
        assert_eq!(line, SWITCHES);
        assert!(headers.contains("sec-websocket-protocol: chat"), "{answer}");
    }
}

#[tokio::test]
async fn odd_bytes_in_a_cookie_hide_no_other_cookie() {
    let server = || {
        Server::builder().authorize_fn(|handshake| async move {
            let session = handshake.cookie("session").unwrap_or("none").to_owned();
            let name = handshake.cookie("name").unwrap_or("none").to_owned();
            // Only a refusal has a body that can carry the values.
            Err(Refusal::forbidden(format!("{session} {name}")))
        })
    };
    for address in both(server).await {
        for (cookies, expected) in [
            ("name=J\u{fc}rgen; session=abc".as_bytes(), "abc J\u{fc}rgen\n"),
            (b"name=J\xfcrgen; session=abc", "abc none\n"),
            (b"\xff\xfe=\x80; session=abc; name=x", "abc x\n"),
            (b"a=b\r\nCookie: \xff; session=abc", "abc none\n"),
        ] {
            let mut request = upgrade("/", "Cookie: ").into_bytes();
            request.truncate(request.len() - 2);
            let request = [&request, cookies, b"\r\n\r\n"].concat();
            let answer = http(address, request).await;
            let (_, _, body) = parts(&answer);
            assert_eq!(body, expected, "{answer}");
        }
    }
}

#[tokio::test]
async fn http_1_0_is_refused_with_the_proxy_setting_that_helps() {
    let words = "the request is HTTP/1.0, but WebSocket requires HTTP/1.1; behind nginx, set \
                 `proxy_http_version 1.1;`\n";
    for address in both(Server::builder).await {
        for request in [
            upgrade("/", "").replace("HTTP/1.1", "HTTP/1.0"),
            // What nginx sends without configuration.
            "GET / HTTP/1.0\r\nHost: backend\r\nConnection: close\r\n\r\n".to_owned(),
        ] {
            let answer = http(address, &request).await;
            let (line, _, body) = parts(&answer);
            // hyper answers with the version of the request.
            assert!(line.ends_with(" 400 Bad Request"), "{answer}");
            assert_eq!(body, words);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn bare_line_feeds_are_refused_at_once() {
    let endpoint = Server::builder().build().unwrap();
    for request in [
        upgrade("/", "").replace("\r\n", "\n"),
        format!("{}\r\n", upgrade("/", "").replace("\r\n", "\n").trim_end_matches('\n')) + "\n",
    ] {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let serving = endpoint.clone();
        tokio::spawn(async move { serving.serve(theirs, None).await });
        tokio::io::AsyncWriteExt::write_all(&mut ours, request.as_bytes()).await.unwrap();
        let begun = tokio::time::Instant::now();
        let mut answer = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut ours, &mut answer).await.unwrap();
        assert_eq!(tokio::time::Instant::now(), begun);
        let (line, _, body) = parts(&answer);
        assert_eq!(line, "HTTP/1.1 400 Bad Request");
        let words = "malformed request: its lines end with LF; HTTP/1.1 requires CR LF\n";
        assert_eq!(body, words);
    }
}

#[tokio::test]
async fn an_unknown_path_is_quoted_within_bounds() {
    for address in both(|| Server::builder().path("/rpc")).await {
        for (target, shown) in [
            ("/rcp?token=s3cr3t", "/rcp"),
            ("/rpc/", "/rpc/"),
            ("/%3Cscript%3E", "/%3Cscript%3E"),
            ("/\u{202e}x", "/\\u{202e}x"),
            (&format!("/{}", "a".repeat(2000)), &format!("/{}...", "a".repeat(99))),
        ] {
            let answer = http(address, upgrade(target, "")).await;
            let (line, headers, body) = parts(&answer);
            assert_eq!(line, "HTTP/1.1 404 Not Found");
            assert_eq!(body, format!("unknown path `{shown}`\n"));
            assert!(headers.contains("content-type: text/plain; charset=utf-8"), "{answer}");
        }
    }
    let (url, _) = listen(Server::builder().path("/rpc")).await;
    let error = Client::connect(&url.replace("rpc", "rcp?token=x")).await.unwrap_err();
    let words = "the server refused the connection with HTTP status 404 Not Found: unknown \
                 path `/rcp`";
    assert_eq!(error.to_string(), words);
}

#[tokio::test]
async fn a_health_check_is_answered_only_where_enabled() {
    let healthy = |method: &str| {
        let body = if method == "GET" { "ok\n" } else { "" };
        format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: 3\r\n\
             cache-control: no-store\r\nconnection: close\r\n\r\n{body}"
        )
    };
    let nobody = |_| async { Err::<Grant, _>(Refusal::forbidden("nobody comes in")) };
    let server = || Server::builder().path("/rpc").authorize_fn(nobody);
    let checked = address(server().health_check("/healthz")).await;
    let plain = address(server()).await;
    for method in ["GET", "HEAD"] {
        for rest in [" HTTP/1.1\r\nHost: x\r\n\r\n", "?a=b HTTP/1.0\r\n\r\n"] {
            let answer = http(checked, format!("{method} /healthz{rest}")).await;
            assert_eq!(answer, healthy(method), "{method} {rest}");
            let answer = http(plain, format!("{method} /healthz{rest}")).await;
            assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
        }
    }
    // The upgrade that curl offers.
    let h2c = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n\
               Upgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n";
    assert_eq!(http(checked, h2c).await, healthy("GET"));
    for (request, status) in [
        ("GET /rpc HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "426"),
        ("GET /healthz/x HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "404"),
        ("POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(), "404"),
        (upgrade("/healthz", ""), "404"),
        (upgrade("/rpc", ""), "403"),
    ] {
        let answer = http(checked, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {answer}");
    }

    // At the path of WebSockets, and when no more connections are allowed.
    let config = Config { max_connections: 0, ..Config::default() };
    let full = address(Server::builder().config(config).health_check("/")).await;
    assert_eq!(http(full, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").await, healthy("GET"));
    assert!(http(full, upgrade("/", "")).await.starts_with("HTTP/1.1 503 "));
    let (url, _) = listen(Server::builder().health_check("/")).await;
    drop(Client::connect(&url).await.unwrap());
}

#[tokio::test]
async fn a_url_is_no_address_to_listen_on() {
    for address in
        ["ws://127.0.0.1:8080", "127.0.0.1:8080/rpc", "127.0.0.1", "8080", "", "127.0.0.1:99999"]
    {
        let error = Server::builder().bind(address).await.unwrap_err();
        let words =
            format!("cannot listen on {address}: expected host:port, such as 127.0.0.1:8080");
        assert_eq!(error.to_string(), words);
    }
    let error = Server::builder().bind(("no such host", 80)).await.unwrap_err();
    assert!(!error.to_string().contains("expected"), "{error}");
}

#[tokio::test]
async fn both_sides_can_read_the_headers_of_the_other() {
    let server = Server::builder().method("seen", |ctx: Context, ()| async move {
        let handshake = ctx.handshake();
        Ok(json!([handshake.header("x-name"), handshake.header("x-none")]))
    });
    let (url, _) = listen(server).await;
    let client = Client::builder().header("x-name", "J\u{fc}rgen").connect(&url).await.unwrap();
    let seen: Value = client.peer().call("seen", ()).await.unwrap();
    assert_eq!(seen, json!(["J\u{fc}rgen", null]));
    let refusing = Server::builder()
        .authorize_fn(|_| async { Err::<Grant, _>(Refusal::unauthorized("log in first")) });
    let (url, _) = listen(refusing).await;
    let Err(ConnectError::Refused { headers, .. }) = Client::connect(&url).await else { panic!() };
    assert_eq!(headers["content-type"], "text/plain; charset=utf-8");
}

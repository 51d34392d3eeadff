//! Web pages of other hosts may not connect. A browser sends its user's cookies with the WebSocket
//! of any page, and only the `Origin` header identifies the page.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::AsyncReadExt;
use wsjsonrpc::error::{BindError, ConnectError};
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{Client, Context, Server};
use wsjsonrpc_tests::http::{UPGRADE, address, http, opened, parts, refusal};
use wsjsonrpc_tests::{assert_same_json, frame, listen, notification, request, result};

/// Whether a request with these headers is accepted: status line and body.
async fn answer(server: ServerBuilder, host: &str, headers: &str) -> (String, String) {
    let address = address(server).await;
    let head = UPGRADE.replace("Host: x", &format!("Host: {host}"));
    let answer = http(address, format!("GET / HTTP/1.1\r\n{head}{headers}\r\n")).await;
    let (status, _, body) = parts(&answer);
    (status.to_owned(), body.to_owned())
}

const IN: &str = "HTTP/1.1 101 Switching Protocols";
const OUT: &str = "HTTP/1.1 403 Forbidden";

#[tokio::test]
async fn by_default_only_same_origin_pages_and_programs_may_connect() {
    let foreign = "add it with `ServerBuilder::allow_origin`";
    let none = "malformed `Origin` header";
    let cases = [
        ("", "h", IN, ""),
        ("Origin: http://h\r\n", "h", IN, ""),
        ("ORIGIN: HTTP://H:80\r\n", "h", IN, ""),
        ("Origin: https://h\r\n", "h", IN, ""), // a proxy terminates TLS
        ("Origin: http://[::1]:81\r\n", "[0:0::1]:81", IN, ""),
        ("Origin: https://evil.example\r\n", "h", OUT, foreign),
        ("Origin: http://h:81\r\n", "h", OUT, foreign),
        ("Origin: http://h\r\n", "h:81", OUT, foreign),
        ("Origin: http://h.evil.example\r\n", "h", OUT, foreign),
        ("Origin: file://h\r\n", "h", OUT, foreign),
        ("Origin: null\r\n", "h", OUT, "only `ServerBuilder::allow_any_origin` accepts such pages"),
        ("Origin: \r\n", "h", OUT, none),
        ("Origin: h\r\n", "h", OUT, none),
        ("Origin: http://h/\r\n", "h", OUT, none),
        ("Origin: http://h http://evil.example\r\n", "h", OUT, none),
        ("Origin: http://h\u{e9}\r\n", "h", OUT, none),
        ("Origin: http://h\r\nOrigin: http://h\r\n", "h", OUT, "more than one `Origin` header"),
    ];
    for (headers, host, status, words) in cases {
        let (line, body) = answer(Server::builder(), host, headers).await;
        assert_eq!(line, status, "{headers} {host}: {body}");
        assert!(body.contains(words), "{headers} {host}: {body}");
    }
}

/// If a proxy terminates TLS, a page that was loaded without TLS is not same-origin.
#[tokio::test]
async fn behind_a_tls_proxy_only_https_pages_are_same_origin() {
    let cases = [
        ("", IN),
        ("Origin: https://h\r\n", IN),
        ("Origin: https://h:443\r\n", IN),
        ("Origin: http://h\r\n", OUT),
        ("Origin: http://h:443\r\n", OUT),
    ];
    for (headers, status) in cases {
        let (line, body) = answer(Server::builder().secure(true), "h", headers).await;
        assert_eq!(line, status, "{headers}: {body}");
        // The text does not recommend `allow_origin` for a page of the same host.
        let same_host = status == OUT && !headers.contains("443");
        assert_eq!(body.contains("loaded by http://"), same_host, "{headers}: {body}");
    }
    let named = Server::builder().secure(true).allow_origin("http://h");
    assert_eq!(answer(named, "h", "Origin: http://h\r\n").await.0, IN);
    // The server itself does not use TLS.
    let server = Server::builder().secure(true).bind("127.0.0.1:0").await.unwrap();
    assert!(server.url().starts_with("ws://"), "{}", server.url());
}

#[tokio::test]
async fn only_origins_on_the_list_may_connect() {
    let server = || {
        let server = Server::builder().allow_origin("https://app.example.com");
        server.allow_origin("chrome-extension://abc")
    };
    let cases = [
        ("Origin: https://app.example.com\r\n", IN),
        ("Origin: https://APP.example.com:443\r\n", IN),
        ("Origin: chrome-extension://abc\r\n", IN),
        ("Origin: http://h\r\n", IN), // the server's own host is always allowed
        ("", IN),
        ("Origin: http://app.example.com\r\n", OUT),
        ("Origin: https://app.example.com:8443\r\n", OUT),
        ("Origin: https://example.com\r\n", OUT),
        ("Origin: https://x.app.example.com\r\n", OUT),
        ("Origin: chrome-extension://abd\r\n", OUT),
        ("Origin: null\r\n", OUT),
        ("Origin: https://app.example.com\r\nOrigin: http://h\r\n", OUT),
    ];
    for (headers, status) in cases {
        assert_eq!(answer(server(), "h", headers).await.0, status, "{headers}");
    }
    for headers in ["Origin: https://evil.example\r\n", "Origin: null\r\n", "Origin: ?\r\n", ""] {
        let any = Server::builder().allow_any_origin();
        assert_eq!(answer(any, "h", headers).await.0, IN, "{headers}");
    }
}

#[tokio::test]
async fn an_invalid_origin_can_not_be_allowed() {
    for bad in ["app.example.com", "https://app.example.com/", "*", "https://*.example.com", "null"]
    {
        let server = Server::builder().allow_origin("https://fine.example").allow_origin(bad);
        let error = server.allow_origin("second").build().unwrap_err();
        assert!(matches!(error, BindError::Setting(_)), "{error:?}");
        assert!(error.to_string().starts_with(&format!("invalid origin `{bad}`: ")), "{error}");
        let error = Server::builder().allow_origin(bad).bind("127.0.0.1:0").await.unwrap_err();
        assert!(error.to_string().starts_with(&format!("invalid origin `{bad}`: ")), "{error}");
    }
}

/// A bank that identifies its customers by a cookie, and counts how many hooks and calls run.
fn bank(asked: &Arc<AtomicUsize>, paid: &Arc<AtomicUsize>) -> ServerBuilder {
    let (asked, paid) = (Arc::clone(asked), Arc::clone(paid));
    let server = Server::builder().authorize_fn(move |handshake| {
        asked.fetch_add(1, Ordering::Relaxed);
        async move {
            match handshake.cookie("session") {
                Some("victim") => Ok(Grant::new().set("victim")),
                _ => Err(Refusal::unauthorized("log in first")),
            }
        }
    });
    server.method("pay", move |ctx: Context, (amount,): (usize,)| {
        let paid = Arc::clone(&paid);
        async move {
            ctx.require::<&str>()?;
            Ok(paid.fetch_add(amount, Ordering::Relaxed) + amount)
        }
    })
}

#[tokio::test]
async fn a_foreign_page_with_a_victims_cookie_reaches_nothing() {
    let (asked, paid) = (Arc::default(), Arc::default());
    let address = address(bank(&asked, &paid)).await;
    let head = |origin: &str| {
        let headers = UPGRADE.replace("Host: x", &format!("Host: {address}"));
        format!("GET /rpc HTTP/1.1\r\n{headers}Cookie: session=victim\r\nOrigin: {origin}\r\n\r\n")
    };
    let calls = [
        frame(0x81, notification("pay", "[1]").as_bytes()),
        frame(0x81, request("pay", "[2]", "1").as_bytes()),
    ]
    .concat();
    for origin in ["https://evil.example", "null", &format!("http://{address}.evil.example")] {
        let request = [head(origin).into_bytes(), calls.clone()].concat();
        let answer = http(address, request).await;
        assert!(answer.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{answer}");
    }
    assert_eq!((asked.load(Ordering::Relaxed), paid.load(Ordering::Relaxed)), (0, 0));

    // The same bytes from the bank's own page do reach the method.
    let (mut stream, _) = opened(address, &head(&format!("http://{address}"))).await;
    tokio::io::AsyncWriteExt::write_all(&mut stream, &calls).await.unwrap();
    let [0x81, length] = [stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap()] else {
        panic!("a text frame")
    };
    let mut text = vec![0; usize::from(length)];
    stream.read_exact(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_same_json(&text, &result("3", "1"), "the own page");
    assert_eq!((asked.load(Ordering::Relaxed), paid.load(Ordering::Relaxed)), (1, 3));
}

/// A host name of the attacker that resolves to this machine: for the browser, the page and the
/// server have the same origin. The page does not have the victim's cookies. A hook that compares
/// the host with its own names refuses it.
#[tokio::test]
async fn a_hook_that_compares_the_host_stops_dns_rebinding() {
    let reached = Arc::new(AtomicUsize::new(0));
    let own = |address: std::net::SocketAddr| [address.to_string(), "localhost".to_owned()];
    let server = || {
        let reached = Arc::clone(&reached);
        Server::builder().method("reach", move |_, ()| {
            reached.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
    };
    let page = |host: &str, origin: &str| {
        let headers = UPGRADE.replace("Host: x", &format!("Host: {host}"));
        let head = format!("GET / HTTP/1.1\r\n{headers}Origin: {origin}\r\n\r\n");
        [head.as_bytes(), &frame(0x81, notification("reach", "[]").as_bytes())].concat()
    };
    let unguarded = address(server()).await;
    let answer = http(unguarded, page("evil.example", "http://evil.example")).await;
    assert!(answer.starts_with(IN), "{answer}");
    assert_eq!(reached.swap(0, Ordering::Relaxed), 1);

    let names = Arc::new(std::sync::OnceLock::new());
    let known = Arc::clone(&names);
    let guarded = server().authorize_fn(move |handshake| {
        let known: Option<&[String; 2]> = known.get();
        let host = handshake.header("host").unwrap_or_default();
        let is_own = known.is_some_and(|known| known.iter().any(|name| name == host));
        async move {
            let words = "no such host here";
            let refusal = Refusal::new(http::StatusCode::MISDIRECTED_REQUEST, words);
            if is_own { Ok(Grant::new()) } else { Err(refusal) }
        }
    });
    let guarded = address(guarded).await;
    names.set(own(guarded)).unwrap();
    for host in ["evil.example", "localhost.evil.example", "LOCALHOST@evil.example", ""] {
        let answer = http(guarded, page(host, &format!("http://{host}"))).await;
        assert!(answer.starts_with("HTTP/1.1 4"), "{host}: {answer}");
    }
    assert_eq!(reached.load(Ordering::Relaxed), 0);
    let answer = http(guarded, page(&guarded.to_string(), &format!("http://{guarded}"))).await;
    assert!(answer.starts_with(IN), "{answer}");
    assert_eq!(reached.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_refusal_arrives_whole_and_a_client_quotes_it() {
    let (url, _) = listen(Server::builder()).await;
    let client = Client::builder().header("Origin", "null");
    let error = client.connect(&url).await.unwrap_err();
    let ConnectError::Refused { status, body, .. } = &error else { panic!("{error:?}") };
    assert_eq!(status.as_u16(), 403);
    assert!(body.ends_with("only `ServerBuilder::allow_any_origin` accepts such pages"), "{body}");

    let address = address(Server::builder()).await;
    let request = format!("GET / HTTP/1.1\r\n{UPGRADE}Origin: x\r\n\r\n");
    let words =
        "malformed `Origin` header; expected a scheme and a host, such as `https://example.com`";
    assert_eq!(http(address, request).await, refusal("403 Forbidden", "", words));
}

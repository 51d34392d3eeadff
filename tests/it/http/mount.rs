//! An endpoint as a route of an HTTP server: axum's, hyper's, and hyper's automatic one. What a
//! WebSocket on it sees, and which clients are accepted.

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{ConnectInfo, Extension};
use http::HeaderValue;
use http::header::SET_COOKIE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wsjsonrpc::error::ConnectError;
use wsjsonrpc::server::{Grant, Refusal, ServerBuilder};
use wsjsonrpc::{Client, Config, Context};
use wsjsonrpc_tests::http::{opened, parts, read_head, say, upgrade};
use wsjsonrpc_tests::mounted::{application, bare, everywhere, in_axum};
use wsjsonrpc_tests::{frame, frames, request, result};

#[derive(Clone, Debug)]
struct User(String);

fn server() -> ServerBuilder {
    wsjsonrpc_tests::server()
        .method("whoami", |ctx: Context, ()| async move { Ok(ctx.require::<User>()?.0.clone()) })
        .method("target", |ctx: Context, ()| async move { Ok(ctx.handshake().target.clone()) })
        .method("address", |ctx: Context, ()| async move { Ok(ctx.handshake().remote_addr) })
        .method("back", |ctx: Context, ()| async move {
            Ok(ctx.peer().call::<i64>("triple", (7,)).await?)
        })
}

#[tokio::test]
async fn calls_go_both_ways_wherever_the_endpoint_is_mounted() {
    let endpoint = server().build().unwrap();
    for address in everywhere(&endpoint).await {
        let client = Client::builder()
            .method("triple", |_, (x,): (i64,)| async move { Ok(3 * x) })
            .connect(&format!("ws://{address}/rpc?room=7"))
            .await
            .unwrap();
        assert_eq!(client.peer().call::<i64>("double", (21,)).await.unwrap(), 42);
        assert_eq!(client.peer().call::<i64>("back", ()).await.unwrap(), 21);
        assert_eq!(client.peer().call::<String>("target", ()).await.unwrap(), "/rpc?room=7");
        // Both sides use this crate, as the response shows.
        assert_eq!(client.handshake().header("wsjsonrpc-extensions"), Some("1"));
        let connections = endpoint.connections();
        let tripled = connections[0].peer().call::<i64>("triple", (2,)).await.unwrap();
        assert_eq!((connections.len(), tripled), (1, 6));
        client.close().await;
        connections[0].closed().await;
    }
}

#[tokio::test]
async fn a_frame_right_behind_the_request_is_not_lost() {
    let endpoint = server().build().unwrap();
    for address in everywhere(&endpoint).await {
        let call = frame(0x81, request("double", "[4]", "1").as_bytes());
        let mut bytes = upgrade("/rpc", "").into_bytes();
        bytes.extend_from_slice(&call);
        bytes.extend_from_slice(&call[..5]);
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let head = read_head(&mut stream).await.to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        stream.write_all(&call[5..]).await.unwrap();
        let expected = frames::frame_of(0x81, result("8", "1").as_bytes(), false).repeat(2);
        let mut answers = vec![0; expected.len()];
        stream.read_exact(&mut answers).await.unwrap();
        assert_eq!(answers, expected);
        // A regular close: the server's own close frame, then the end of the stream.
        stream.write_all(&frames::frame_of(0x88, &1000_u16.to_be_bytes(), true)).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, [0x88, 2, 0x03, 0xe8]);
    }
}

#[tokio::test]
async fn broken_frames_and_limits_close_with_their_codes() {
    let config = Config { max_incoming_message: 1000, ..Config::default() };
    let endpoint = server().config(config).build().unwrap();
    let unmasked = frames::frame_of(0x81, b"1", false);
    let large = frame(0x81, &[b' '; 1001]);
    for address in everywhere(&endpoint).await {
        for (bytes, code) in [(&unmasked, 1002_u16), (&large, 1009)] {
            let (mut stream, _) = opened(address, &upgrade("/rpc", "")).await;
            stream.write_all(bytes).await.unwrap();
            let mut close = [0; 4];
            stream.read_exact(&mut close).await.unwrap();
            assert_eq!((close[0], u16::from_be_bytes([close[2], close[3]])), (0x88, code));
        }
    }
}

#[tokio::test]
async fn request_extensions_reach_the_hook_and_the_handlers() {
    let endpoint = server()
        .authorize_fn(|handshake| async move {
            let user = handshake.extensions.get::<User>();
            match (user, handshake.cookie("session")) {
                (Some(user), Some(cookie)) if user.0 == cookie => {
                    let value = HeaderValue::from_static("seen=1");
                    Ok(Grant::new().header(SET_COOKIE, value))
                }
                _ => Err(Refusal::unauthorized("log in first")),
            }
        })
        .build()
        .unwrap();
    let router = Router::new()
        .route_service("/rpc", endpoint.http_service())
        .layer(Extension(User("ada".to_owned())));
    let url = format!("ws://{}/rpc", application(router).await);
    let client = Client::builder().header("cookie", "session=ada").connect(&url).await.unwrap();
    assert_eq!(client.peer().call::<String>("whoami", ()).await.unwrap(), "ada");
    assert_eq!(client.handshake().header("set-cookie"), Some("seen=1"));
    let Err(ConnectError::Refused { status, .. }) = Client::connect(&url).await else {
        panic!("it has no cookie")
    };
    assert_eq!(status, 401);
}

#[tokio::test]
async fn the_application_decides_the_remote_address() {
    let endpoint = server().build().unwrap();
    let service = endpoint.http_service();
    // The address that axum reports, unless the application overrides it.
    let by_itself = in_axum(service.clone()).await;
    let unknown = in_axum(service.clone().remote_addr(|_| None)).await;
    let info = |parts: &http::request::Parts| {
        parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0)
    };
    // `remote_addr` reads the value before `forget` removes it.
    let service = service.remote_addr(info).forget::<ConnectInfo<SocketAddr>>();
    let known = in_axum(service).await;
    for (address, is_known) in [(by_itself, true), (unknown, false), (known, true)] {
        let client = Client::connect(&format!("ws://{address}/rpc")).await.unwrap();
        let seen = client.peer().call::<Option<SocketAddr>>("address", ()).await.unwrap();
        assert_eq!(seen.is_some_and(|seen| seen.ip().is_loopback()), is_known);
    }
}

#[tokio::test]
async fn a_nested_route_sees_the_rest_of_the_target() {
    let endpoint = server().path("/rpc").build().unwrap();
    let nested = Router::new().nest_service("/api", endpoint.http_service());
    let address = application(nested).await;
    let client = Client::connect(&format!("ws://{address}/api/rpc?x=1")).await.unwrap();
    assert_eq!(client.peer().call::<String>("target", ()).await.unwrap(), "/rpc?x=1");
    let Err(ConnectError::Refused { status, .. }) =
        Client::connect(&format!("ws://{address}/api/other")).await
    else {
        panic!("nothing is served there")
    };
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_refusal_reads_like_that_of_a_stand_alone_server() {
    let builder = || server().path("/rpc").allow_origin("https://app.example.com");
    let endpoint = builder().build().unwrap();
    let alone = wsjsonrpc_tests::http::address(builder()).await;
    let lacking = |line: &str| upgrade("/rpc", "Connection: close\r\n").replace(line, "");
    let table = [
        (upgrade("/other", ""), "404"),
        ("GET /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_owned(), "426"),
        (lacking("Sec-WebSocket-Version: 13\r\n"), "426"),
        (lacking("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), "400"),
        (lacking("Host: x\r\n"), "400"),
        (upgrade("/rpc", "Origin: https://evil.example\r\n"), "403"),
        (upgrade("/rpc", "Origin: null\r\n"), "403"),
    ];
    for address in everywhere(&endpoint).await.into_iter().skip(1) {
        for (request, status) in &table {
            let request = request.replace("Connection: Upgrade", "Connection: Upgrade, close");
            let answer = say(address, &request).await;
            let ours = wsjsonrpc_tests::http::http(alone, &request).await;
            let ((line, headers, body), (known, _, words)) = (parts(&answer), parts(&ours));
            assert!(line.contains(status), "{request}: {answer}");
            assert_eq!((line, body), (known, words), "{request}");
            assert!(headers.contains("content-type: text/plain; charset=utf-8"), "{headers}");
            let options = headers.lines().find_map(|line| line.strip_prefix("connection: "));
            assert_eq!(*status == "426", options.is_some_and(|all| all.contains("upgrade")));
        }
        let (_, head) =
            opened(address, &upgrade("/rpc", "Origin: https://app.example.com\r\n")).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        for method in ["PUT", "OPTIONS", "DELETE"] {
            let request = format!("{method} /rpc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            let answer = say(address, request).await;
            let (line, headers, _) = parts(&answer);
            assert!(line.contains("405") && headers.contains("allow: get, post"), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_route_may_disable_post() {
    let service = axum::routing::get_service(server().build().unwrap().http_service());
    let address = application(Router::new().route("/rpc", service)).await;
    let message = request("double", "[2]", "1");
    let post = wsjsonrpc_tests::post::head(wsjsonrpc_tests::post::JSON, message.len()) + &message;
    assert!(say(address, post).await.starts_with("HTTP/1.1 405 "));
    let client = Client::connect(&format!("ws://{address}/rpc")).await.unwrap();
    assert_eq!(client.peer().call::<i64>("double", (2,)).await.unwrap(), 4);
}

#[tokio::test]
async fn behind_tls_a_page_loaded_without_tls_is_refused() {
    let endpoint = server().build().unwrap();
    let request = upgrade("/rpc", "Origin: http://x\r\n");
    let plain = bare(endpoint.http_service()).await;
    let secure = bare(endpoint.http_service().secure(true)).await;
    let built = bare(server().secure(true).build().unwrap().http_service()).await;
    assert!(opened(plain, &request).await.1.starts_with("HTTP/1.1 101 "));
    assert!(opened(secure, &request).await.1.starts_with("HTTP/1.1 403 "));
    assert!(opened(built, &request).await.1.starts_with("HTTP/1.1 403 "));
    let request = request.replace("http://x", "https://x");
    assert!(opened(secure, &request).await.1.starts_with("HTTP/1.1 101 "));
}

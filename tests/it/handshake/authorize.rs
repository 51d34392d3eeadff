//! The application's hook in the handshake: which clients it accepts, the values that it grants,
//! and what happens when it fails, panics or is slow.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{HeaderName, SET_COOKIE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::server::{Authorize, Grant, Handshake, Refusal, ServerBuilder};
use wsjsonrpc::{Client, Config, Context, Error, Server, async_trait, memory};
use wsjsonrpc_tests::http::{UPGRADE, address, http, opened, refusal, upgrade};
use wsjsonrpc_tests::{Raw, both_ways, listen, notification, request, result};

struct User(String);

struct Sessions {
    asked: Mutex<Vec<Value>>,
}

#[async_trait]
impl Authorize for Sessions {
    async fn authorize(&self, handshake: Handshake) -> Result<Grant, Refusal> {
        tokio::task::yield_now().await; // like a query to a database
        self.asked.lock().unwrap().push(json!({
            "target": handshake.target,
            "cookie": handshake.cookie("session"),
            "header": handshake.header("x-extra"),
            "local": handshake.remote_addr.map(|address| address.ip().is_loopback()),
            "offered": handshake.offered_subprotocols().collect::<Vec<_>>(),
            "chosen": handshake.subprotocol,
        }));
        match handshake.cookie("session") {
            Some(name) => Ok(Grant::new().set(User(name.to_owned())).set(7_u8)),
            None => Err(Refusal::unauthorized("log in first")),
        }
    }
}

fn server() -> ServerBuilder {
    Server::builder().method("whoami", |ctx: Context, ()| async move {
        let number = ctx.get::<u8>().map(|number| *number);
        let name = ctx.require::<User>()?.0.clone();
        Ok((name, number, ctx.get::<u16>().is_some()))
    })
}

fn sessions() -> Sessions {
    Sessions { asked: Mutex::default() }
}

#[tokio::test]
async fn an_identity_is_seen_only_by_calls_of_its_connection() {
    let client = || Client::builder().header("cookie", "session=ada");
    for (client, _) in both_ways(client, || server().authorize(sessions())).await {
        for _ in 0..2 {
            let seen: (String, u8, bool) = client.peer().call("whoami", ()).await.unwrap();
            assert_eq!(seen, ("ada".to_owned(), 7, false));
        }
    }
    let (url, _) = listen(server().authorize(sessions())).await;
    for name in ["ada", "bob"] {
        let client = Client::builder().header("cookie", format!("session={name}"));
        let client = client.connect(&url).await.unwrap();
        let seen: (String, u8, bool) = client.peer().call("whoami", ()).await.unwrap();
        assert_eq!(seen.0, name);
    }
    let error = Client::connect(&url).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the server refused the connection with HTTP status 401 Unauthorized: log in first"
    );
}

#[tokio::test]
async fn the_hook_sees_the_whole_handshake() {
    let sessions = Arc::new(sessions());
    let (url, _) = listen(server().subprotocol("b").authorize(Arc::clone(&sessions))).await;
    let client = Client::builder().header("cookie", "a=1; session=ada").header("x-extra", "1");
    let client = client.subprotocol("a").subprotocol("b");
    let client = client.connect(&format!("{url}chat?room=7")).await.unwrap();
    assert_eq!(client.handshake().subprotocol.as_deref(), Some("b"));
    let seen = sessions.asked.lock().unwrap().clone();
    let expected = json!({
        "target": "/chat?room=7", "cookie": "ada", "header": "1", "local": true,
        "offered": ["a", "b"], "chosen": "b",
    });
    assert_eq!(seen, [expected]);
}

/// The response to a request whose hook decides like this.
async fn answer(hook: impl Authorize) -> String {
    http(address(server().authorize(hook)).await, upgrade("/", "Cookie: x=s3cr3t\r\n")).await
}

struct Says<F>(F);

#[async_trait]
impl<F: Fn() -> Result<Grant, Refusal> + Send + Sync + 'static> Authorize for Says<F> {
    async fn authorize(&self, _: Handshake) -> Result<Grant, Refusal> {
        (self.0)()
    }
}

#[tokio::test]
async fn refusals_of_the_hook_are_sent_verbatim() {
    let basic = || HeaderValue::from_static("Basic realm=\"x\"");
    let got = answer(Says(move || {
        let refusal = Refusal::unauthorized("who are you? é").header(WWW_AUTHENTICATE, basic());
        // The library sets this header itself.
        Err(refusal.header(http::header::CONTENT_LENGTH, HeaderValue::from_static("1")))
    }));
    let headers = "www-authenticate: Basic realm=\"x\"\r\n";
    assert_eq!(got.await, refusal("401 Unauthorized", headers, "who are you? é"));

    let got = answer(Says(|| Err(Refusal::forbidden(String::from("not you")))));
    assert_eq!(got.await, refusal("403 Forbidden", "", "not you"));
    // A status that is not an error cannot be a refusal.
    for (status, sent) in [
        (StatusCode::TOO_MANY_REQUESTS, "429 Too Many Requests"),
        (StatusCode::SERVICE_UNAVAILABLE, "503 Service Unavailable"),
        (StatusCode::OK, "500 Internal Server Error"),
        (StatusCode::FOUND, "500 Internal Server Error"),
        (StatusCode::SWITCHING_PROTOCOLS, "500 Internal Server Error"),
        (StatusCode::from_u16(600).unwrap(), "500 Internal Server Error"),
    ] {
        let got = answer(Says(move || Err(Refusal::new(status, "words")))).await;
        assert_eq!(got, refusal(sent, "", "words"));
    }
}

const FAILED: &str = "the server failed to authorize this connection";

#[tokio::test]
async fn errors_and_panics_of_the_hook_are_a_500_without_details() {
    const WORDS: &str = "password of the database: s3cr3t";
    // The hook accepts with `?` what a handler accepts.
    let hooks: [fn() -> Result<Grant, Refusal>; 4] = [
        || Err(io::Error::other(WORDS))?,
        || Err(anyhow::anyhow!(WORDS))?,
        || Err(Box::<dyn std::error::Error + Send + Sync>::from(WORDS))?,
        || Err(WORDS)?,
    ];
    for hook in hooks {
        let broken = answer(Says(hook)).await;
        assert_eq!(broken, refusal("500 Internal Server Error", "", FAILED));
    }

    let hook = |handshake: Handshake| async move {
        if handshake.path() == "/panic" {
            panic!("s3cr3t");
        }
        tokio::task::yield_now().await;
        assert_ne!(handshake.path(), "/later", "s3cr3t");
        Ok(Grant::new().set(User("ada".to_owned())))
    };
    let server = server().authorize_fn(move |handshake| {
        assert_ne!(handshake.path(), "/at-once", "s3cr3t");
        hook(handshake)
    });
    let (url, endpoint) = listen(server).await;
    let bystander = Client::connect(&url).await.unwrap();
    for path in ["panic", "later", "at-once"] {
        let error = Client::connect(&format!("{url}{path}")).await.unwrap_err();
        let ConnectError::Refused { status, body, .. } = &error else { panic!("{error:?}") };
        assert_eq!((status.as_u16(), body.as_str()), (500, FAILED));
    }
    bystander.peer().call::<Value>("whoami", ()).await.unwrap();
    Client::connect(&url).await.unwrap().peer().call::<Value>("whoami", ()).await.unwrap();
    assert!(!endpoint.connections().is_empty());
}

#[tokio::test]
async fn the_hook_may_set_headers_except_those_of_the_handshake() {
    let server = server().authorize_fn(|_| async {
        let grant = Grant::new().header(SET_COOKIE, HeaderValue::from_static("a=1"));
        let grant = grant.header(SET_COOKIE, HeaderValue::from_bytes(b"b=\xff")?);
        let reserved = ["connection", "upgrade", "content-length", "sec-websocket-extensions"];
        let reserved = reserved.into_iter().map(HeaderName::from_static);
        Ok(reserved.fold(grant, |grant, name| grant.header(name, HeaderValue::from_static("0"))))
    });
    let (url, _) = listen(server).await;
    let client = Client::connect(&url).await.unwrap();
    let headers = &client.handshake().headers;
    let cookies: Vec<_> = headers.get_all(SET_COOKIE).iter().map(HeaderValue::as_bytes).collect();
    assert_eq!(cookies, [&b"a=1"[..], b"b=\xff"]);
    for (name, value) in [("connection", Some("Upgrade")), ("upgrade", Some("websocket"))] {
        assert_eq!(headers.get_all(name).iter().count(), 1);
        assert_eq!(client.handshake().header(name), value);
    }
    assert!(!headers.contains_key("content-length"));
}

#[tokio::test(start_paused = true)]
async fn the_hook_is_bounded_by_handshake_timeout() {
    let config = Config { handshake_timeout: Duration::from_secs(3), ..Config::default() };
    let server = server().config(config).authorize_fn(|_| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        std::future::pending().await
    });
    let endpoint = server.build().unwrap();
    let (mut ours, theirs) = tokio::io::duplex(4096);
    ours.write_all(upgrade("/", "").as_bytes()).await.unwrap();
    let error = endpoint.serve(theirs, None).await.unwrap_err();
    assert!(error.to_string().contains("HTTP status 503"), "{error}");
    let mut answer = String::new();
    ours.read_to_string(&mut answer).await.unwrap();
    let words = "the server did not authorize this connection in time; try again later";
    assert_eq!(answer, refusal("503 Service Unavailable", "", words));
}

/// In memory there is no HTTP, so a refusal closes the connection.
#[tokio::test]
async fn in_memory_no_call_is_handled_before_the_hook_decides() {
    let reached = Arc::new(Mutex::new(Vec::new()));
    for verdict in [true, false] {
        let (seen, gate) = (Arc::clone(&reached), Arc::new(tokio::sync::Semaphore::new(0)));
        let server = server().method("reach", move |_, (how,): (String,)| {
            seen.lock().unwrap().push((verdict, how));
            async { Ok(()) }
        });
        let waiting = Arc::clone(&gate);
        let server = server.authorize_fn(move |_| {
            let waiting = Arc::clone(&waiting);
            async move {
                waiting.acquire().await?.forget();
                if verdict { Ok(Grant::new()) } else { Err(Refusal::forbidden("not you")) }
            }
        });
        let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
        let peer = client.peer();
        peer.notify("reach", ["notification"]).await.unwrap();
        let call = tokio::spawn(peer.call::<()>("reach", ["call"]).into_future());
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(reached.lock().unwrap().len(), if verdict { 0 } else { 2 });
        gate.add_permits(1);
        match call.await.unwrap() {
            Ok(()) => assert!(verdict),
            Err(Error::Closed(CloseReason::Lost(_))) => assert!(!verdict),
            other => panic!("{other:?}"),
        }
    }
    let reached = reached.lock().unwrap();
    assert_eq!(*reached, [(true, "notification".to_owned()), (true, "call".to_owned())]);
}

#[tokio::test]
async fn the_hook_does_not_see_an_upgraded_stream() {
    let server = Server::builder()
        .authorize_fn(|_| async { Err(Refusal::forbidden("nobody")) })
        .method("one", |_, ()| async { Ok(1) });
    let mut raw = Raw::client(server).await;
    raw.check(&request("one", "[]", "1"), &[&result("1", "1")]).await;
    raw.check(&notification("one", "[]"), &[]).await;
}

#[tokio::test]
async fn the_hook_sees_only_valid_handshakes() {
    let sessions = Arc::new(Mutex::new(0));
    let count = Arc::clone(&sessions);
    let address = address(server().path("/rpc").authorize_fn(move |_| {
        *count.lock().unwrap() += 1;
        async { Ok(Grant::new()) }
    }))
    .await;
    for (request, status) in [
        (upgrade("/", ""), "404"),
        ("GET /rpc HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "426"),
        (upgrade("/rpc", "Origin: http://y\r\n"), "403"),
        (format!("GET /rpc HTTP/1.1\r\n{UPGRADE}X: {}\r\n\r\n", "x".repeat(17_000)), "431"),
    ] {
        let answer = http(address, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    assert_eq!(*sessions.lock().unwrap(), 0);
    let (_stream, head) = opened(address, &upgrade("/rpc", "Origin: http://x\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(*sessions.lock().unwrap(), 1);
}

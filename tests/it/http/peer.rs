//! Calls over HTTP POST to a scripted server: what is sent, and how responses are interpreted.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use wsjsonrpc::error::{CloseReason, ConnectError};
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::{
    Config, Context, Error, ErrorCode, ErrorObject, Peer, Result, RpcError, reqwest, rpc,
};
use wsjsonrpc_tests::scripted::{Asked, Scripted, answer, http_error};
use wsjsonrpc_tests::{assert_same_json, begin, error, result};

#[derive(Debug, PartialEq, RpcError)]
enum ShopError {
    #[rpc_error(code = 1001)]
    SoldOut { left: u32 },
}

#[rpc]
trait Shop {
    async fn price(&self, ctx: &Context, article: &str, count: u32) -> Result<f64, ShopError>;
    #[subscription]
    fn prices(&self, ctx: &Context) -> impl wsjsonrpc::Stream<Item = f64>;
}

/// A server that does not respond.
async fn silent() -> Scripted {
    Scripted::new(|_| std::future::pending()).await
}

/// The ids of a request or of a batch.
fn ids(asked: &Asked) -> Vec<u64> {
    let body: Value = serde_json::from_str(&asked.body).unwrap();
    let entries = match body {
        Value::Array(entries) => entries,
        entry => vec![entry],
    };
    entries.iter().filter_map(|entry| entry["id"].as_u64()).collect()
}

#[tokio::test]
async fn a_call_is_a_post_and_typed_clients_work_unchanged() {
    let server = Scripted::new(|asked| async move {
        let id = ids(&asked)[0].to_string();
        answer(
            "200 OK",
            &if asked.body.contains("pear") {
                let data = r#"{"code":1001,"message":"sold out","data":{"left":2}}"#;
                format!(r#"{{"jsonrpc":"2.0","error":{data},"id":{id}}}"#)
            } else {
                result("9.5", &id)
            },
        )
    })
    .await;
    let shop = ShopClient::new(HttpPeer::new(&server.url).unwrap());
    assert_eq!(shop.price("apple", 1).await.unwrap(), 9.5);
    assert_eq!(shop.price("plum", 2).by_name().idempotent().await.unwrap(), 9.5);
    match shop.price("pear", 3).await {
        Err(Error::Call(error)) => assert_eq!(error, ShopError::SoldOut { left: 2 }),
        other => panic!("{other:?}"),
    }
    let asked = server.asked();
    let expected = r#"{"jsonrpc":"2.0","method":"price","params":["apple",1],"id":1}"#;
    assert_eq!(asked[0].body, expected);
    let expected =
        r#"{"jsonrpc":"2.0","method":"price","params":{"article":"plum","count":2},"id":2}"#;
    assert_eq!(asked[1].body, expected);
    let head = asked[0].head.to_lowercase();
    assert!(head.starts_with("post /rpc http/1.1\r\n"), "{head}");
    assert!(head.contains("\r\ncontent-type: application/json\r\n"), "{head}");
    assert!(head.contains("\r\naccept: application/json\r\n"), "{head}");
}

#[tokio::test]
async fn a_notification_needs_only_a_success_status() {
    let server = Scripted::new(|asked| async move {
        match asked.body {
            body if body.contains("lost") => answer("503 Service Unavailable", "later\n"),
            body if body.contains("garbage") => answer("200 OK", "<html>"),
            _ => answer("204 No Content", ""),
        }
    })
    .await;
    let peer = server.peer();
    peer.notify("log", ["ready"]).await.unwrap();
    peer.notify("garbage", ()).await.unwrap();
    let error = http_error(peer.notify("lost", ()).await.unwrap_err());
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(server.asked()[0].body, r#"{"jsonrpc":"2.0","method":"log","params":["ready"]}"#);
}

#[tokio::test]
async fn responses_are_accepted_and_other_bodies_are_errors() {
    const ID: &str = "1";
    let ours = result("7", ID);
    let rows: Vec<(Vec<u8>, std::result::Result<i64, &str>)> = vec![
        (answer("200 OK", &ours), Ok(7)),
        (answer("200 OK", &format!(" {ours}\n")), Ok(7)),
        (answer("200 OK", &result("7", "1.0")), Ok(7)),
        (answer("200 OK", &format!("[{ours}]")), Ok(7)),
        // An error status with a valid response, as some servers send it.
        (answer("500 Internal Server Error", &ours), Ok(7)),
        (answer("200 OK", &result("7", "2")), Err("it has another id")),
        (answer("200 OK", &result("7", "\"1\"")), Ok(7)),
        (answer("200 OK", &result("7", "\"01\"")), Err("it has another id")),
        (answer("200 OK", &result("7", "null")), Err("it has another id")),
        (answer("200 OK", "[]"), Err("the array has no response with the call's id")),
        (answer("200 OK", "[1,2,3]"), Err("it is not an array of responses")),
        (answer("200 OK", ""), Err("it is empty")),
        (answer("200 OK", "<html>"), Err("it is not JSON")),
        (answer("200 OK", &ours[..ours.len() - 1]), Err("it is not JSON")),
        (answer("200 OK", r#"{"jsonrpc":"2.0","id":1}"#), Err("neither a result nor an error")),
        (
            {
                let mut broken = answer("200 OK", "xx");
                broken.pop();
                broken.push(0xff);
                broken
            },
            Err("it is not UTF-8"),
        ),
        (
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
                &ours[..5],
                ours.len() - 5,
                &ours[5..]
            )
            .into_bytes(),
            Ok(7),
        ),
        // The body ends where the server disconnects.
        (format!("HTTP/1.1 200 OK\r\n\r\n{ours}").into_bytes(), Ok(7)),
    ];
    for (bytes, expected) in rows {
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let server = Scripted::saying(bytes).await;
        match (server.peer().call::<i64>("m", ()).await, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{shown}"),
            (Err(Error::InvalidResponse(what)), Err(words)) => {
                assert!(what.contains(words), "{what} for {shown}");
            }
            (got, expected) => panic!("{got:?} where {expected:?} was expected, for {shown}"),
        }
    }
    // A malformed error is kept unchanged.
    let server = Scripted::saying(answer("200 OK", r#"{"id":1,"error":"out of apples"}"#)).await;
    match server.peer().call::<i64>("m", ()).await {
        Err(Error::Call(error)) => {
            assert_eq!((error.code().0, error.message()), (-32603, "out of apples"));
            assert_eq!(error.data().unwrap().get(), r#""out of apples""#);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn other_statuses_are_errors_that_quote_the_body() {
    let long = "x".repeat(10_000);
    for (status, body, expected) in [
        ("404 Not Found", "no such page\n", "no such page"),
        ("302 Found", "", ""),
        ("401 Unauthorized", "line\n\u{1b}[31mred", "line\n\u{1b}[31mred"),
        ("413 Payload Too Large", r#"{"jsonrpc":"2.0","result":1,"id":99}"#, "99"),
        ("502 Bad Gateway", long.as_str(), "xxx"),
    ] {
        let mut bytes = answer(status, body);
        if status.starts_with("302") {
            bytes = b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n".to_vec();
        }
        let server = Scripted::saying(bytes).await;
        let error = http_error(server.peer().call::<i64>("m", ()).await.unwrap_err());
        assert_eq!(error.status().unwrap().to_string(), status);
        assert!(error.body().contains(expected) && error.body().len() <= 4096, "{error}");
        let shown = error.to_string();
        assert!(shown.contains(status) && !shown.contains(['\n', '\u{1b}']), "{shown}");
        assert_eq!(server.asked().len(), 1, "nothing is sent again or to another address");
    }
}

#[tokio::test]
async fn an_error_about_the_whole_message_fails_the_call() {
    let whole = error(-32700, "Parse error", "null");
    for status in ["200 OK", "400 Bad Request"] {
        let server = Scripted::saying(answer(status, &whole)).await;
        let peer = server.peer();
        match peer.call::<i64>("m", ()).await {
            Err(Error::Call(object)) => assert_eq!(object.code(), ErrorCode::PARSE_ERROR),
            other => panic!("{other:?}"),
        }
        let both = (peer.call::<i64>("a", ()), peer.call::<String>("b", ()));
        let (a, b) = peer.batch(both).await.unwrap();
        assert!(matches!(a, Err(Error::Call(object)) if object.code().0 == -32700));
        assert!(matches!(b, Err(Error::Call(object)) if object.code().0 == -32700));
    }
}

#[tokio::test]
async fn request_and_response_sizes_are_bounded() {
    let config =
        Config { max_incoming_message: 100, max_outgoing_message: 200, ..Config::default() };
    let limited =
        |server: &Scripted| HttpPeer::new(&server.url).unwrap().config(config.clone()).peer();
    let fits = result(&format!("\"{}\"", "x".repeat(100 - result("\"\"", "1").len())), "1");
    assert_eq!(fits.len(), 100);
    let server = Scripted::saying(answer("200 OK", &fits)).await;
    limited(&server).call::<String>("m", ()).await.unwrap();

    // Too large by its `content-length`, and by its size alone: the rest never arrives.
    let said = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n{".to_owned();
    let chunk = format!("{:x}\r\n{}\r\n", 101, "x".repeat(101));
    let unsaid = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunk}");
    for endless in [said, unsaid] {
        let mut server = Scripted::saying(endless).await;
        let outcome = limited(&server).call::<String>("m", ()).without_timeout().await;
        assert!(
            matches!(outcome, Err(Error::InvalidResponse(what)) if what.contains("larger")),
            "{outcome:?}"
        );
        server.gone().await;
    }

    let server = Scripted::saying(answer("200 OK", &fits)).await;
    let large = "x".repeat(200);
    let peer = limited(&server);
    let outcome = peer.call::<String>("m", [&large]).await;
    assert!(matches!(outcome, Err(Error::TooLarge { limit: 200, .. })), "{outcome:?}");
    let outcome = peer.notify("m", [&large]).await;
    assert!(matches!(outcome, Err(Error::TooLarge { limit: 200, .. })), "{outcome:?}");
    let outcome = peer.batch(vec![peer.call::<String>("m", [&large])]).await;
    assert!(matches!(outcome, Err(Error::TooLarge { limit: 200, .. })), "{outcome:?}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn calls_time_out_and_dropped_calls_are_aborted() {
    let mut server = silent().await;
    let peer = server.peer();
    let soon = Duration::from_millis(20);
    let words = "no response to \"m\" within 20 ms";
    let outcome = peer.call::<i64>("m", ()).timeout(soon).await;
    assert_eq!(outcome.unwrap_err().to_string(), words);
    let outcome = peer.call::<i64>("m", ()).timeout(Duration::ZERO).await;
    assert!(matches!(outcome, Err(Error::Timeout(_))), "{outcome:?}");
    assert_eq!((server.asked().len(), peer.pending_calls()), (1, 0));

    let calling = begin(peer.call::<i64>("m", ()).into_future()).await;
    assert_eq!(peer.pending_calls(), 1);
    drop(calling);
    assert_eq!(peer.pending_calls(), 0);

    let limited = HttpPeer::new(&server.url).unwrap().call_timeout(soon).peer();
    let outcome = limited.notify("m", ()).await;
    assert_eq!(outcome.unwrap_err().to_string(), words);
    let client = reqwest::Client::builder().timeout(soon).build().unwrap();
    let own = HttpPeer::with_client(client, &server.url).unwrap().call_timeout(None).peer();
    let Err(Error::Timeout(timeout)) = own.call::<i64>("m", ()).await else { panic!() };
    assert!(timeout.method() == "m" && timeout.after() >= soon, "{timeout}");
    drop((peer, limited, own));
    server.gone().await;
}

#[tokio::test]
async fn a_network_error_has_its_cause_and_no_secrets() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("http://{address}/?token=s3cr3t");
    drop(listener);
    let peer = HttpPeer::new(&url).unwrap().peer();
    let error = http_error(peer.call::<i64>("m", ()).await.unwrap_err());
    assert!(error.status().is_none() && error.cause().is_some());
    let words = Error::<ErrorObject>::Http(error).to_string();
    assert!(words.contains("refused") && !words.contains("s3cr3t"), "{words}");
    assert!(words.contains(&format!("failed: {address}: ")), "{words}");

    // The server disconnects in the middle of a response, or before it.
    for cut in
        ["HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{", "HTTP"]
    {
        let server = Scripted::saying(cut).await;
        let error = http_error(server.peer().call::<i64>("m", ()).await.unwrap_err());
        assert_eq!(error.status().is_some(), cut.len() > 4, "{error}");
    }
}

#[tokio::test]
async fn a_custom_http_client_keeps_its_headers() {
    let server = Scripted::saying(answer("200 OK", &result("1", "1"))).await;
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", http::HeaderValue::from_static("Bearer s3cr3t"));
    let client = reqwest::Client::builder().default_headers(headers).build().unwrap();
    let peer = Peer::from(HttpPeer::with_client(client, &server.url).unwrap());
    assert_eq!(peer.call::<i64>("m", ()).await.unwrap(), 1);
    assert!(server.asked()[0].head.to_lowercase().contains("authorization: bearer s3cr3t"));
}

#[tokio::test]
async fn invalid_urls_are_errors_without_secrets() {
    for url in ["ws://host/", "host/path?token=s3cr3t", "http://:80/?token=s3cr3t", "unix:/a", ""] {
        let error = HttpPeer::new(url).unwrap_err();
        assert!(matches!(&error, ConnectError::Url(_)), "{error:?}");
        assert!(!error.to_string().contains("s3cr3t"), "{error}");
    }
    let debug = format!("{:?}", HttpPeer::new("http://u:p@host/?token=s3cr3t").unwrap());
    assert!(!debug.contains("s3cr3t") && !debug.contains("u:p"), "{debug}");
}

#[tokio::test]
async fn without_tls_in_reqwest_an_error_says_what_to_enable() {
    let server = silent().await;
    let url = server.url.replace("http", "https");
    let peer = HttpPeer::new(&url).unwrap().peer();
    let error = http_error(peer.call::<i64>("m", ()).await.unwrap_err());
    assert!(error.to_string().contains("features = [\"rustls\"]"), "{error}");
}

#[tokio::test]
async fn closing_a_peer_ends_all_its_handles() {
    let server = silent().await;
    let (peer, other) = (server.peer(), server.peer());
    let clone = peer.clone();
    assert!(peer.is_same(&clone) && !peer.is_same(&other) && !peer.is_closed());
    let calling = begin(peer.call::<i64>("m", ()).into_future()).await;
    let telling = begin(peer.notify("m", ()).into_future()).await;
    let closed = begin(clone.closed()).await;
    peer.close(1000, "enough");
    assert!(matches!(calling.await, Err(Error::Closed(CloseReason::Local))));
    assert!(matches!(telling.await, Err(Error::Closed(CloseReason::Local))));
    assert!(matches!(closed.await, CloseReason::Local));
    assert!(clone.is_closed() && !other.is_closed());
    for outcome in [
        clone.call::<()>("m", ()).await,
        clone.notify("m", ()).await,
        clone.batch(vec![clone.call::<()>("m", ())]).await.map(drop),
    ] {
        assert!(matches!(outcome, Err(Error::Closed(CloseReason::Local))), "{outcome:?}");
    }
}

#[tokio::test]
async fn subscribing_fails_over_http() {
    let server = silent().await;
    let shop = ShopClient::new(HttpPeer::new(&server.url).unwrap());
    let error = shop.prices().await.unwrap_err().to_string();
    assert!(error.contains("needs a WebSocket"), "{error}");
    assert!(server.asked().is_empty());
}

#[tokio::test]
async fn call_futures_are_send_and_sync() {
    fn is_send_and_sync<T: Send + Sync>(value: T) -> T {
        value
    }
    let server = Scripted::saying(answer("200 OK", &result(&json!([1]).to_string(), "1"))).await;
    let peer = server.peer();
    let call = is_send_and_sync(peer.call::<Value>("m", ()).into_future());
    assert_same_json(&call.await.unwrap().to_string(), "[1]", "a call");
}

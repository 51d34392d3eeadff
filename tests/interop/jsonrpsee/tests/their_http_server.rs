//! Our client against jsonrpsee's server over HTTP POST, on the port of its WebSockets.
//!
//! jsonrpsee answers an error with status 200, and a notification with 200 and an empty body.

use std::time::Duration;

use interop_jsonrpsee::JsonrpseeServer;
use serde_json::{Value, json};
use wsjsonrpc::{Context, Error, ErrorCode, Peer, Result, rpc};
use wsjsonrpc::http::HttpPeer;

/// The methods of the jsonrpsee server; only the generated client is used.
#[rpc]
trait Interop {
    #[method(name = "math.sum")]
    async fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
    async fn nothing(&self, ctx: &Context) -> Result<()>;
    async fn slow(&self, ctx: &Context, ms: u64) -> Result<u64>;
}

async fn setup() -> (JsonrpseeServer, Peer) {
    let server = JsonrpseeServer::start().await;
    let url = server.url.replacen("ws:", "http:", 1);
    (server, HttpPeer::new(&url).unwrap().peer())
}

#[tokio::test]
async fn requests_by_http() {
    let (_server, peer) = setup().await;
    let client = InteropClient::new(&peer);
    assert_eq!(client.math_sum(1, 2).await.unwrap(), 3);
    assert_eq!(client.math_sum(1, 2).by_name().await.unwrap(), 3);
    assert_eq!(client.echo("é☃𝄞\n").await.unwrap(), "é☃𝄞\n");
    client.nothing().await.unwrap();
    client.math_sum(1, 2).notify().await.unwrap();
    let late = client.slow(5_000).timeout(Duration::from_millis(20)).await;
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
}

#[tokio::test]
async fn errors_by_http() {
    let (_server, peer) = setup().await;
    for (method, params, code) in [
        ("no.such.method", json!([]), ErrorCode::METHOD_NOT_FOUND),
        ("math.sum", json!(["x"]), ErrorCode::INVALID_PARAMS),
        ("fail", json!([]), ErrorCode(1001)),
    ] {
        match peer.call::<Value>(method, params).await {
            Err(Error::Call(object)) => assert_eq!(object.code(), code, "{method}"),
            other => panic!("{method}: expected an error object, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_batch_by_http() {
    let (_server, peer) = setup().await;
    let client = InteropClient::new(&peer);
    let (sum, missing, told, text) = peer
        .batch((
            client.math_sum(1, 2),
            peer.call::<i64>("no.such.method", ()),
            client.nothing().notify(),
            client.echo("x"),
        ))
        .await
        .unwrap();
    assert_eq!((sum.unwrap(), text.unwrap()), (3, "x".to_owned()));
    assert!(matches!(missing, Err(Error::Call(_))) && told.is_ok());
}

#[tokio::test]
async fn a_server_that_stops_by_http() {
    let (server, peer) = setup().await;
    assert_eq!(peer.call::<i64>("math.sum", (1, 2)).await.unwrap(), 3);
    server.stop().await;
    let outcome = peer.call::<i64>("math.sum", (1, 2)).await;
    assert!(matches!(outcome, Err(Error::Http(_))), "{outcome:?}");
}

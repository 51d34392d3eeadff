//! Our client against jsonrpsee's server.
//!
//! jsonrpsee's server passes no notification to a handler, does not answer an unknown one, and does
//! not accept fractional ids.

use std::time::Duration;

use interop_jsonrpsee::JsonrpseeServer;
use serde_json::{Value, json};
use wsjsonrpc::{Client, Context, Error, ErrorObject, Peer, Result, RpcError, rpc};

#[derive(Debug, PartialEq)]
enum BankError {
    Insufficient { missing: u64 },
}

impl RpcError for BankError {
    fn to_object(&self) -> ErrorObject {
        let BankError::Insufficient { missing } = self;
        ErrorObject::new(1001, "insufficient funds").with_data(json!({"missing": missing}))
    }

    fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> {
        let missing = object.data_as::<Value>().and_then(|data| data["missing"].as_u64());
        missing.map(|missing| BankError::Insufficient { missing }).ok_or(object)
    }
}

/// The methods of the jsonrpsee server; only the generated client is used.
#[rpc]
trait Interop {
    #[method(name = "math.sum")]
    async fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
    async fn nothing(&self, ctx: &Context) -> Result<()>;
    async fn slow(&self, ctx: &Context, ms: u64) -> Result<u64>;
    async fn fail(&self, ctx: &Context) -> Result<(), BankError>;
}

async fn setup() -> (JsonrpseeServer, InteropClient) {
    let server = JsonrpseeServer::start().await;
    let client = InteropClient::connect(&server.url).await.unwrap();
    (server, client)
}

/// The code of the error object that an untyped call returns.
async fn code_of(peer: &Peer, method: &str, params: Value) -> i64 {
    match peer.call::<Value>(method, params).await {
        Err(Error::Call(object)) => object.code().0,
        other => panic!("{method}: expected an error object, got {other:?}"),
    }
}

#[tokio::test]
async fn requests() {
    let (_server, client) = setup().await;
    assert_eq!(client.math_sum(1, 2).await.unwrap(), 3);
    assert_eq!(client.math_sum(1, 2).by_name().await.unwrap(), 3);
    assert_eq!(client.echo("é☃𝄞\n").await.unwrap(), "é☃𝄞\n");
    client.nothing().await.unwrap();
    let sum: i64 = client.peer().call("math.sum", json!({"y": 2, "x": 1})).await.unwrap();
    assert_eq!(sum, 3);
}

#[tokio::test]
async fn five_hundred_requests_at_once() {
    let (_server, client) = setup().await;
    let slow = tokio::spawn(client.slow(300).into_future());
    let calls: Vec<_> =
        (0..500).map(|n| tokio::spawn(client.math_sum(n, n).into_future())).collect();
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap(), 2 * n as i64);
    }
    assert_eq!(slow.await.unwrap().unwrap(), 300);
}

#[tokio::test]
async fn errors() {
    let (_server, client) = setup().await;
    assert_eq!(code_of(client.peer(), "nope", json!([])).await, -32601);
    assert_eq!(code_of(client.peer(), "math.sum", json!([1])).await, -32602);
    match client.fail().await {
        Err(Error::Call(error)) => assert_eq!(error, BankError::Insufficient { missing: 7 }),
        other => panic!("expected an error of the bank, got {other:?}"),
    }
    let late = client.slow(500).timeout(Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Error::Timeout(_))), "{late:?}");
    assert_eq!(client.slow(600).await.unwrap(), 600);
    assert_eq!(client.math_sum(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn notifications() {
    let (_server, client) = setup().await;
    client.math_sum(1, 2).notify().await.unwrap();
    client.peer().notify("nope", [1]).await.unwrap();
    client.peer().notify("nope", ()).await.unwrap();
    assert_eq!(client.math_sum(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn batches() {
    let (_server, client) = setup().await;
    let (slow, sum, missing, noted, by_name, fail) = client
        .batch((
            client.slow(100),
            client.math_sum(1, 2),
            client.peer().call::<Value>("nope", ()),
            client.math_sum(9, 9).notify(),
            client.math_sum(3, 4).by_name(),
            client.fail(),
        ))
        .await
        .unwrap();
    assert_eq!(slow.unwrap(), 100);
    assert_eq!(sum.unwrap(), 3);
    assert!(matches!(missing, Err(Error::Call(object)) if object.code().0 == -32601));
    noted.unwrap();
    assert_eq!(by_name.unwrap(), 7);
    assert!(matches!(fail, Err(Error::Call(BankError::Insufficient { missing: 7 }))));
}

#[tokio::test]
async fn a_batch_of_only_notifications() {
    let (_server, client) = setup().await;
    client.batch(vec![client.math_sum(1, 2).notify(), client.nothing().notify()]).await.unwrap();
    assert_eq!(client.math_sum(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn the_end_of_the_connection() {
    let (server, client) = setup().await;
    assert_eq!(client.math_sum(1, 2).await.unwrap(), 3);
    server.stop().await;
    client.peer().closed().await;
    let closed = client.math_sum(1, 2).await;
    assert!(matches!(closed, Err(Error::Closed(_))), "{closed:?}");
}

#[tokio::test]
async fn a_client_that_serves_as_well() {
    let server = JsonrpseeServer::start().await;
    let client = Client::builder()
        .method("client.add", |_, (x, y): (i64, i64)| async move { Ok::<_, ErrorObject>(x + y) })
        .connect(&server.url)
        .await
        .unwrap();
    let sum: i64 = client.peer().call("math.sum", [1, 2]).await.unwrap();
    assert_eq!(sum, 3);
}

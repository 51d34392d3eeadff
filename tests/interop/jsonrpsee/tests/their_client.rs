//! jsonrpsee's WebSocket client against our server.

use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::DeserializeOwned;
use jsonrpsee::core::client::{ClientT, Error, IdKind, Subscription, SubscriptionClientT};
use jsonrpsee::core::params::{ArrayParams, BatchRequestBuilder, ObjectParams};
use jsonrpsee::rpc_params;
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use wsjsonrpc::{Context, ErrorObject, Result, RpcError, Server, rpc};

#[derive(Debug)]
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

#[rpc]
trait Interop {
    #[method(name = "math.sum")]
    async fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
    async fn nothing(&self, ctx: &Context) -> Result<()>;
    async fn slow(&self, ctx: &Context, ms: u64) -> Result<u64>;
    async fn fail(&self, ctx: &Context) -> Result<(), BankError>;
    async fn broken(&self, ctx: &Context) -> Result<()>;
    async fn panic(&self, ctx: &Context) -> Result<()>;
    async fn remember(&self, ctx: &Context, text: String);
    async fn remembered(&self, ctx: &Context) -> Result<String>;
    async fn notify_me(&self, ctx: &Context, method: &str) -> Result<()>;
}

struct Served;

struct Text(String);

impl Interop for Served {
    async fn math_sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }

    async fn echo(&self, _ctx: &Context, s: &str) -> Result<String> {
        Ok(s.to_owned())
    }

    async fn nothing(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }

    async fn slow(&self, _ctx: &Context, ms: u64) -> Result<u64> {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        Ok(ms)
    }

    async fn fail(&self, _ctx: &Context) -> Result<(), BankError> {
        Err(BankError::Insufficient { missing: 7 })
    }

    async fn broken(&self, _ctx: &Context) -> Result<()> {
        "no number".parse::<u8>()?;
        Ok(())
    }

    async fn panic(&self, _ctx: &Context) -> Result<()> {
        panic!("the test asked for this panic")
    }

    async fn remember(&self, ctx: &Context, text: String) {
        ctx.set(Text(text));
    }

    async fn remembered(&self, ctx: &Context) -> Result<String> {
        Ok(ctx.require::<Text>()?.0.clone())
    }

    /// Params as an object, as a list, and none. Not a list of two, because jsonrpsee takes it for
    /// the id and the item of a subscription.
    async fn notify_me(&self, ctx: &Context, method: &str) -> Result<()> {
        let peer = ctx.peer();
        let sent = async {
            peer.notify(method, json!({"a": 1})).await?;
            peer.notify(method, [1, 2, 3]).await?;
            peer.notify(method, ()).await?;
            peer.notify("nobody.listens", [1, 2]).await
        };
        sent.await.map_err(Into::into)
    }
}

/// Our server; dropping it shuts the server down.
struct OurServer {
    stop: oneshot::Sender<()>,
    server: tokio::task::JoinHandle<()>,
}

async fn setup_with(builder: WsClientBuilder) -> (WsClient, OurServer) {
    let server =
        Server::builder().service(Served.into_service()).bind("127.0.0.1:0").await.unwrap();
    let url = server.url();
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(async move {
        let unfinished = server.run_until(async { drop(stopped.await) }).await;
        assert_eq!(unfinished, 0);
    });
    (builder.build(url).await.unwrap(), OurServer { stop, server })
}

async fn setup() -> (WsClient, OurServer) {
    setup_with(WsClientBuilder::default()).await
}

fn by_name(members: &[(&str, i64)]) -> ObjectParams {
    let mut params = ObjectParams::new();
    for (name, value) in members {
        params.insert(name, value).unwrap();
    }
    params
}

/// A call that can be spawned.
fn call<T: DeserializeOwned>(
    client: &Arc<WsClient>,
    method: &'static str,
    params: ArrayParams,
) -> impl Future<Output = T> + use<T> {
    let client = client.clone();
    async move { client.request(method, params).await.unwrap() }
}

/// Code, message and data of the error object.
async fn error_of(client: &WsClient, method: &str) -> (i32, String, Option<Value>) {
    match client.request::<Value, _>(method, rpc_params![]).await {
        Err(Error::Call(object)) => {
            let data = object.data().map(|data| serde_json::from_str(data.get()).unwrap());
            (object.code(), object.message().to_owned(), data)
        }
        other => panic!("{method}: expected an error object, got {other:?}"),
    }
}

#[tokio::test]
async fn requests() {
    let (client, _server) = setup().await;
    assert_eq!(client.request::<i64, _>("math.sum", rpc_params![1, 2]).await.unwrap(), 3);
    assert_eq!(
        client.request::<i64, _>("math.sum", by_name(&[("y", 2), ("x", 1)])).await.unwrap(),
        3
    );
    assert_eq!(client.request::<String, _>("echo", rpc_params!["é☃𝄞\n"]).await.unwrap(), "é☃𝄞\n");
    assert_eq!(client.request::<Value, _>("nothing", rpc_params![]).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn requests_with_string_ids() {
    let (client, _server) = setup_with(WsClientBuilder::default().id_format(IdKind::String)).await;
    assert_eq!(client.request::<i64, _>("math.sum", rpc_params![1, 2]).await.unwrap(), 3);
    assert_eq!(client.request::<i64, _>("math.sum", rpc_params![3, 4]).await.unwrap(), 7);
}

#[tokio::test]
async fn two_hundred_requests_at_once() {
    let (client, _server) = setup().await;
    let client = Arc::new(client);
    let slow = tokio::spawn(call::<u64>(&client, "slow", rpc_params![300]));
    let calls: Vec<_> = (0..200_i64)
        .map(|n| tokio::spawn(call::<i64>(&client, "math.sum", rpc_params![n, n])))
        .collect();
    for (n, sum) in calls.into_iter().enumerate() {
        assert_eq!(sum.await.unwrap(), 2 * n as i64);
    }
    assert_eq!(slow.await.unwrap(), 300);
}

#[tokio::test]
async fn errors() {
    let (client, _server) = setup().await;
    assert_eq!(error_of(&client, "nope").await, (-32601, "Method not found: \"nope\"".to_owned(), None));
    assert_eq!(error_of(&client, "broken").await, (-32603, "Internal error".to_owned(), None));
    assert_eq!(error_of(&client, "panic").await, (-32603, "Internal error".to_owned(), None));
    assert_eq!(error_of(&client, "math.sum").await.0, -32602);
    assert_eq!(
        error_of(&client, "fail").await,
        (1001, "insufficient funds".to_owned(), Some(json!({"missing": 7})))
    );
    assert!(client.is_connected());
}

#[tokio::test]
async fn notifications() {
    let (client, _server) = setup().await;
    client.notification("nope", rpc_params![1]).await.unwrap();
    client.notification("fail", rpc_params![]).await.unwrap();
    client.notification("remember", rpc_params!["a text"]).await.unwrap();
    let remembered: String = client.request("remembered", rpc_params![]).await.unwrap();
    assert_eq!(remembered, "a text");
    assert!(client.is_connected());
}

#[tokio::test]
async fn batches() {
    let (client, _server) = setup().await;
    let mut batch = BatchRequestBuilder::new();
    batch.insert("slow", rpc_params![100]).unwrap();
    batch.insert("math.sum", rpc_params![1, 2]).unwrap();
    batch.insert("nope", rpc_params![]).unwrap();
    batch.insert("math.sum", by_name(&[("x", 3), ("y", 4)])).unwrap();
    let answers: Vec<_> = client
        .batch_request::<i64>(batch)
        .await
        .unwrap()
        .into_iter()
        .map(|answer| answer.map_err(|object| object.code()))
        .collect();
    assert_eq!(answers, [Ok(100), Ok(3), Err(-32601), Ok(7)]);
}

#[tokio::test]
async fn notifications_from_our_server() {
    let (client, _server) = setup().await;
    let mut news: Subscription<Value> = client.subscribe_to_method("news").await.unwrap();
    client.request::<Value, _>("notify_me", rpc_params!["news"]).await.unwrap();
    for expected in [json!({"a": 1}), json!([1, 2, 3]), Value::Null] {
        let one = tokio::time::timeout(Duration::from_secs(10), news.next()).await;
        assert_eq!(one.unwrap().unwrap().unwrap(), expected);
    }
    assert_eq!(client.request::<i64, _>("math.sum", rpc_params![1, 2]).await.unwrap(), 3);
}

#[tokio::test]
async fn a_call_in_progress_is_answered_at_shutdown() {
    let (client, OurServer { stop, server }) = setup().await;
    let client = Arc::new(client);
    let slow = tokio::spawn(call::<u64>(&client, "slow", rpc_params![400]));
    // The server has received `slow` before: handlers start in the order of their messages.
    tokio::task::yield_now().await;
    assert_eq!(client.request::<i64, _>("math.sum", rpc_params![1, 2]).await.unwrap(), 3);
    stop.send(()).unwrap();
    assert_eq!(slow.await.unwrap(), 400);
    server.await.unwrap();
    client.on_disconnect().await;
    assert!(!client.is_connected());
}

//! Middleware around outgoing calls: what it sees, and what it may do.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use wsjsonrpc::client::{ClientBuilder, Reconnect};
use wsjsonrpc::middleware::{
    BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{
    Client, Context, Error, ErrorCode, ErrorObject, Result, RpcError, async_trait, memory, rpc,
};
use wsjsonrpc_tests::{Raw, listen, request, result};

/// Records calls, and passes them on.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<String>>>);

impl Record {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

fn shown(request: &OutgoingRequest) -> String {
    let kind = if request.is_notification() { "notification" } else { "request" };
    format!("{kind} {} {}", request.method(), request.params().unwrap_or("-"))
}

#[async_trait]
impl OutgoingMiddleware for Record {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        self.add(shown(&request));
        let reply = next.run(request).await;
        self.add(match &reply {
            Ok(reply) => reply.json().to_owned(),
            Err(error) => error.to_string(),
        });
        reply
    }

    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let requests: Vec<String> = batch.requests().iter().map(shown).collect();
        self.add(requests.join(", "));
        let sent = next.run().await;
        self.add(format!("{sent:?}"));
        sent
    }
}

#[derive(Debug, RpcError)]
enum BankError {
    #[rpc_error(code = 1001)]
    Insufficient { missing: u64 },
}

#[rpc]
trait Bank {
    async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
    #[method(idempotent)]
    async fn balance(&self, ctx: &Context) -> Result<u64>;
}

struct Vault;

impl Bank for Vault {
    async fn withdraw(&self, _: &Context, amount: u64) -> Result<u64, BankError> {
        if amount > 100 {
            return Err(BankError::Insufficient { missing: amount - 100 });
        }
        Ok(100 - amount)
    }

    async fn balance(&self, _: &Context) -> Result<u64> {
        Ok(100)
    }
}

fn server() -> ServerBuilder {
    let ask = |ctx: Context, (method,): (String,)| async move {
        ctx.peer().call::<u64>(&method, ()).await.map_err(Error::into_object)
    };
    wsjsonrpc_tests::server().service(Vault.into_service()).method("ask", ask)
}

fn pair(middleware: impl OutgoingMiddleware) -> Client {
    let client = Client::builder().outgoing_middleware(middleware);
    memory::pair(client, server()).unwrap().0
}

#[tokio::test]
async fn every_way_of_calling_is_seen() {
    let record = Record::default();
    let client = pair(record.clone());
    let (peer, bank) = (client.peer().clone(), BankClient::new(client.peer()));
    assert_eq!(bank.withdraw(30).await.unwrap(), 70);
    assert_eq!(record.take(), ["request withdraw [30]", "70"]);
    match bank.withdraw(150).await {
        Err(Error::Call(BankError::Insufficient { missing })) => assert_eq!(missing, 50),
        other => panic!("{other:?}"),
    }
    assert_eq!(record.take()[0], "request withdraw [150]");
    bank.withdraw(1).by_name().await.unwrap();
    assert_eq!(record.take()[0], r#"request withdraw {"amount":1}"#);
    assert_eq!(peer.call::<u64>("balance", ()).await.unwrap(), 100);
    assert_eq!(record.take(), ["request balance -", "100"]);
    peer.notify("withdraw", [1]).await.unwrap();
    assert_eq!(record.take(), ["notification withdraw [1]", "null"]);
    let numbers = peer.subscribe::<u32>("count", (3,)).await.unwrap();
    let numbers: Vec<u32> = numbers.map(|number| number.unwrap()).collect().await;
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(record.take(), ["request count [3]", "\"0x1\""]);
    let missing = peer.call::<()>("n\"one", ()).await;
    assert!(matches!(missing, Err(Error::Call(error)) if error.code().0 == -32601));
    assert_eq!(record.take(), ["request n\"one -", "Method not found: \"n\"one\" (-32601)"]);
}

#[tokio::test]
async fn calls_back_to_the_caller_are_seen() {
    let record = Record::default();
    let client = Client::builder().method("seven", |_, ()| async { Ok(7) });
    let server = server().outgoing_middleware(record.clone());
    let (client, _) = memory::pair(client, server).unwrap();
    assert_eq!(client.peer().call::<u64>("ask", ["seven"]).await.unwrap(), 7);
    assert_eq!(record.take(), ["request seven -", "7"]);
}

#[tokio::test]
async fn a_batch_is_seen_as_a_whole() {
    for reconnect in [false, true] {
        let record = Record::default();
        let (url, _) = listen(server()).await;
        let shared: Arc<dyn OutgoingMiddleware> = Arc::new(record.clone());
        let mut client = Client::builder().outgoing_middleware(shared);
        if reconnect {
            client = client.reconnect(Reconnect::default());
        }
        let client = client.connect(&url).await.unwrap();
        let (peer, bank) = (client.peer(), BankClient::new(client.peer()));
        let calls = (bank.withdraw(10), bank.balance(), peer.notify("balance", ()));
        let (left, balance, told) = peer.batch(calls).await.unwrap();
        assert_eq!((left.unwrap(), balance.unwrap()), (90, 100));
        told.unwrap();
        let lines = ["request withdraw [10], request balance -, notification balance -", "Ok(())"];
        assert_eq!(record.take(), lines);
    }
}

/// Changes calls according to their method name.
struct Changes;

#[async_trait]
impl OutgoingMiddleware for Changes {
    async fn call(
        &self,
        mut request: OutgoingRequest,
        next: OutgoingNext<'_>,
    ) -> Result<Reply, Error> {
        match request.method() {
            "refused" => Err(Error::Call(ErrorObject::new(9, "not from here"))),
            "cached" => Reply::new([1, 2]),
            "slow" => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                next.run(request).await
            }
            "withdraw" if request.params() == Some("[13]") => {
                request.set_params((14,))?;
                next.run(request).await
            }
            "balance" if request.params().is_some() => {
                request.set_params(())?;
                next.run(request).await
            }
            _ => next.run(request).await,
        }
    }

    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        if batch.requests().len() > 2 {
            return Err(Error::Call(ErrorObject::new(9, "too many")));
        }
        next.run().await
    }
}

#[tokio::test(start_paused = true)]
async fn middleware_may_refuse_answer_delay_and_change_calls() {
    let client = pair(Changes);
    let (peer, bank) = (client.peer(), BankClient::new(client.peer()));
    let refused = peer.call::<()>("refused", ()).await;
    assert!(matches!(refused, Err(Error::Call(error)) if error.code() == ErrorCode(9)));
    assert!(peer.notify("refused", ()).await.is_err());
    assert_eq!(peer.call::<[u32; 2]>("cached", ()).await.unwrap(), [1, 2]);
    assert_eq!(bank.withdraw(13).await.unwrap(), 86);
    assert_eq!(peer.call::<u64>("balance", [[1]]).await.unwrap(), 100);
    let late = peer.call::<()>("slow", ()).timeout(Duration::from_secs(9)).await;
    let late = late.unwrap_err().to_string();
    assert_eq!(late, "no response to \"slow\" within 9 s", "the time in the middleware counts");
    let slow = peer.call::<()>("slow", ()).timeout(Duration::from_secs(11)).await;
    assert!(matches!(slow, Err(Error::Call(error)) if error.code().0 == -32601));
    let refused = peer.batch([(); 3].map(|()| bank.balance())).await;
    assert!(matches!(refused, Err(Error::Call(error)) if error.code() == ErrorCode(9)));
    assert_eq!(peer.batch([bank.balance()]).await.unwrap().pop().unwrap().unwrap(), 100);
    // If middleware answers the call of a subscription, no items can arrive.
    assert!(peer.subscribe::<u32>("cached", ()).await.is_err());
}

/// Fails, or never returns, after the peer has responded.
struct Late(bool);

#[async_trait]
impl OutgoingMiddleware for Late {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        next.run(request).await?;
        if self.0 {
            std::future::pending::<()>().await;
        }
        Err(Error::Call(ErrorObject::new(9, "too late")))
    }
}

#[tokio::test]
async fn a_subscription_that_fails_after_the_answer_is_unsubscribed() {
    for waits in [false, true] {
        let (mut raw, client) =
            Raw::server(Client::builder().outgoing_middleware(Late(waits))).await;
        let asking = client.peer().subscribe::<u32>("count", ()).without_timeout();
        let mut asking = Box::pin(asking.into_future());
        assert!(wsjsonrpc_tests::poll_once(&mut asking).await.is_pending());
        let sent = raw.receive().await;
        let id = serde_json::from_str::<serde_json::Value>(&sent).unwrap()["id"].to_string();
        raw.send(result("\"0x5\"", &id)).await;
        if waits {
            // Messages are handled in order, so the response was read.
            raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
            assert!(wsjsonrpc_tests::poll_once(&mut asking).await.is_pending());
            drop(asking);
        } else {
            let failed = asking.await;
            assert!(matches!(failed, Err(Error::Call(error)) if error.code() == ErrorCode(9)));
        }
        let told = raw.receive().await;
        assert!(told.contains("unsubscribe_count") && told.contains("0x5"), "{told}");
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_on_the_peer() {
    let record = Record::default();
    let builder: ClientBuilder = Client::builder().outgoing_middleware(record.clone());
    let (mut raw, client) = Raw::knowing_server(builder).await;
    let peer = client.peer().clone();
    let mut call = Box::pin(peer.call::<u32>("wait", ()).without_timeout().into_future());
    assert!(wsjsonrpc_tests::poll_once(&mut call).await.is_pending());
    assert!(raw.receive().await.contains("wait"));
    drop(call);
    assert!(raw.receive().await.contains("$/cancelRequest"));
    assert_eq!(record.take(), ["request wait -"]);
    assert_eq!(peer.pending_calls(), 0);
    let call = tokio::spawn(peer.call::<u32>("sum", [1]).without_timeout().into_future());
    let sent = raw.receive().await;
    assert!(sent.contains(r#""method":"sum","params":[1]"#), "{sent}");
    let id = serde_json::from_str::<serde_json::Value>(&sent).unwrap()["id"].to_string();
    raw.send(result("5", &id)).await;
    assert_eq!(call.await.unwrap().unwrap(), 5);
    assert_eq!(record.take(), ["request sum [1]", "5"]);
    raw.send(request("none", "[]", "1")).await;
}

#[tokio::test]
async fn a_reconnecting_client_passes_middleware_once_per_call() {
    let record = Record::default();
    let (url, endpoint) = listen(server()).await;
    let client = Client::builder()
        .outgoing_middleware(record.clone())
        .reconnect(Reconnect { initial: Duration::from_millis(1), ..Reconnect::default() })
        .connect(&url)
        .await
        .unwrap();
    let bank = BankClient::new(client.peer());
    assert_eq!(bank.balance().await.unwrap(), 100);
    endpoint.connections().iter().for_each(|it| it.close(1012, "again"));
    assert_eq!(bank.balance().await.unwrap(), 100);
    client.peer().notify("balance", ()).await.unwrap();
    let lines = ["request balance -", "100", "request balance -", "100"];
    assert_eq!(record.take(), [&lines[..], &["notification balance -", "null"]].concat());
}

/// The future of a call can be shared between threads, whatever middleware it runs in.
#[test]
fn call_futures_stay_send_and_sync() {
    fn shared<T: Send + Sync>(_: &T) {}
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _entered = runtime.enter();
    let client = pair(Changes);
    shared(&client.peer().call::<u32>("balance", ()).into_future());
}

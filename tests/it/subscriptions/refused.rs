//! Subscribing to an ordinary method: between peers of this crate it fails before the method is
//! called.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{Stream, stream};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::http::HttpPeer;
use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::server::{Fallback, ServerBuilder};
use wsjsonrpc::service::{Outcome, Params, Request, Response, Service};
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{
    Client, Context, Error, ErrorObject, Methods, Peer, Result, Server, async_trait, rpc,
};
use wsjsonrpc_tests::{Raw, both_ways, error, request, result};

use wsjsonrpc_tests::mounted::in_axum;

/// The trait that the caller uses. The first four names are ordinary methods on the server.
#[rpc]
trait Expected {
    #[subscription]
    fn plain(&self, ctx: &Context) -> impl Stream<Item = u64> + Send;
    #[subscription]
    fn waiting(&self, ctx: &Context, x: i64) -> impl Stream<Item = u64> + Send;
    #[subscription]
    fn all(&self, ctx: &Context, x: i64) -> impl Stream<Item = u64> + Send;
    #[subscription]
    fn closure(&self, ctx: &Context) -> impl Stream<Item = u64> + Send;
    #[subscription]
    fn real(&self, ctx: &Context) -> impl Stream<Item = u64> + Send;
}

/// The trait that the server implements.
#[rpc]
trait Ordinary {
    fn plain(&self, ctx: &Context) -> Result<u64>;
    #[method(ordered, cancel = "drop")]
    async fn waiting(&self, ctx: &Context, x: i64) -> Result<u64>;
    #[method(params = "whole", blocking)]
    fn all(&self, ctx: &Context, xs: Vec<i64>) -> Result<u64>;
    #[subscription]
    fn real(&self, ctx: &Context) -> impl Stream<Item = u64> + Send;
}

/// Counts calls.
#[derive(Clone, Default)]
struct Counter(Arc<AtomicUsize>);

impl Counter {
    fn add(&self) -> Result<u64> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(7)
    }
}

impl Ordinary for Counter {
    fn plain(&self, _: &Context) -> Result<u64> {
        self.add()
    }
    async fn waiting(&self, _: &Context, _: i64) -> Result<u64> {
        self.add()
    }
    fn all(&self, _: &Context, _: Vec<i64>) -> Result<u64> {
        self.add()
    }
    fn real(&self, _: &Context) -> impl Stream<Item = u64> + Send {
        stream::iter([1])
    }
}

impl Counter {
    fn closure(&self) -> Methods {
        let counter = self.clone();
        Methods::new().method("closure", move |_, ()| {
            let seven = counter.add();
            async { seven }
        })
    }

    fn server(&self) -> ServerBuilder {
        Server::builder().service(self.clone().into_service()).service(self.closure())
    }

    fn client(&self) -> ClientBuilder {
        Client::builder().service(self.clone().into_service()).service(self.closure())
    }

    fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

#[track_caller]
fn is_refused<T>(outcome: Result<T, Error>, method: &str) {
    let Err(Error::Call(error)) = outcome else { panic!("{method} is no subscription") };
    assert_eq!(error.code().0, -32600);
    let words = format!(
        "Invalid Request: method `{method}` is not a subscription; call it without subscribing"
    );
    assert_eq!(error.message(), words);
}

async fn every_way(peer: &Peer) {
    for method in ["plain", "waiting", "all", "closure"] {
        is_refused(peer.subscribe::<u64>(method, [1]).await, method);
        let (refused, real) = peer
            .batch((peer.subscribe::<u64>(method, ()), peer.subscribe::<u64>("real", ())))
            .await
            .unwrap();
        is_refused(refused, method);
        assert_eq!(real.unwrap().next().await.unwrap().unwrap(), 1);
    }
    let expected = ExpectedClient::new(peer.clone());
    is_refused(expected.plain().await, "plain");
    is_refused(expected.waiting(1).by_name().await, "waiting");
    is_refused(expected.all(1).await, "all");
    is_refused(expected.closure().await, "closure");
    let (refused, real) = peer.batch((expected.plain(), expected.real())).await.unwrap();
    is_refused(refused, "plain");
    assert_eq!(real.unwrap().next().await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn subscribing_to_a_method_is_refused_before_it_runs() {
    let counter = Counter::default();
    for (client, peer) in both_ways(|| counter.client(), || counter.server()).await {
        every_way(&client.peer()).await;
        every_way(&peer).await;
        assert_eq!(counter.0.swap(0, Ordering::SeqCst), 0, "no method was called");
        assert_eq!(client.peer().call::<u64>("waiting", [1]).await.unwrap(), 7);
        assert_eq!(peer.call::<u64>("closure", ()).await.unwrap(), 7);
        assert_eq!(counter.0.swap(0, Ordering::SeqCst), 2);
    }
}

struct Around;

#[async_trait]
impl Middleware for Around {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        next.run(request).await
    }
}

#[tokio::test]
async fn subscribing_to_a_method_is_refused_behind_middleware() {
    let counter = Counter::default();
    let (client, peer) =
        (|| counter.client().middleware(Around), || counter.server().middleware(Around));
    for (client, peer) in both_ways(client, peer).await {
        every_way(&client.peer()).await;
        every_way(&peer).await;
    }
    assert_eq!(counter.calls(), 0);
}

#[tokio::test]
async fn over_http_the_caller_refuses_to_subscribe() {
    let counter = Counter::default();
    let address = in_axum(counter.server().build().unwrap().http_service()).await;
    let http = HttpPeer::new(&format!("http://{address}/rpc")).unwrap();
    let peer = Peer::from(http);
    assert!(matches!(peer.subscribe::<u64>("plain", ()).await, Err(Error::Http(_))));
    let batch = peer.batch((peer.subscribe::<u64>("plain", ()), peer.call::<u64>("plain", ())));
    let (refused, called) = batch.await.unwrap();
    assert!(matches!(refused, Err(Error::Http(_))));
    assert_eq!((called.unwrap(), counter.calls()), (7, 1));
}

#[tokio::test]
async fn peers_without_the_extensions_get_the_plain_result() {
    // A server that did not announce the extensions: the client takes its result for the id.
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let asked = tokio::spawn(async move { peer.subscribe::<u64>("plain", ()).await });
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"plain","id":1}"#);
    raw.send(result("7", "1")).await;
    assert_eq!(asked.await.unwrap().unwrap().id(), "7");

    // A client that did not announce the extensions gets the result, whatever the member says. A
    // client that announced them is refused.
    let asked = r#"{"jsonrpc":"2.0","method":"plain","wsjsonrpc":{"window":5},"id":1}"#;
    let mut raw = Raw::client(Counter::default().server()).await;
    assert_eq!(raw.ask(asked).await, result("7", "1"));
    let (mut raw, _peer) = Raw::knowing_client(Counter::default().server()).await;
    let words =
        "Invalid Request: method `plain` is not a subscription; call it without subscribing";
    assert_eq!(raw.ask(asked).await, error(-32600, words, "1"));
    assert_eq!(raw.ask(request("plain", "[]", "2")).await, result("7", "2"));
}

/// Responds to every call with an id, like a proxy.
struct Relay;

#[async_trait]
impl Fallback for Relay {
    async fn call(
        &self,
        _: &Context,
        _: &str,
        _: Params<'_>,
    ) -> Result<Box<serde_json::value::RawValue>> {
        Ok(serde_json::value::to_raw_value("0x7")?)
    }
}

impl Service for Relay {
    fn methods(&self) -> Vec<(std::borrow::Cow<'static, str>, usize)> {
        vec![("relayed".into(), 0)]
    }
    fn call(&self, _: usize, request: Request) -> Outcome {
        Outcome::ready(|| request.reply(Ok::<_, ErrorObject>("0x8")))
    }
}

#[tokio::test]
async fn fallbacks_and_custom_services_decide_for_themselves() {
    let server = Server::builder().fallback(Relay).service(Relay).service(
        Methods::new().subscription(Topic::new("silence"), |_, ()| async {
            Ok(stream::pending::<Result<u8>>())
        }),
    );
    let (client, _peer) = wsjsonrpc::memory::pair(Client::builder(), server).unwrap();
    for (method, id) in [("unknown", "0x7"), ("relayed", "0x8"), ("silence", "0x1")] {
        let subscription = client.peer().subscribe::<u64>(method, ()).await.unwrap();
        assert_eq!(subscription.id(), format!("\"{id}\""));
    }
}

//! Subscriptions of a trait: in both directions, alone and in batches, with typed items and errors.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use wsjsonrpc::{
    Client, Context, Error, ErrorObject, Result, RpcError, Server, Stream, memory, rpc,
};
use wsjsonrpc_tests::{Raw, first_peer, listen, request, result};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Tick {
    symbol: String,
    price: u32,
}

#[derive(Debug, PartialEq)]
struct Unknown(String);

impl RpcError for Unknown {
    fn to_object(&self) -> ErrorObject {
        ErrorObject::new(404, "unknown").with_data(&self.0)
    }

    fn from_object(object: ErrorObject) -> Result<Self> {
        object.data_as().map(Unknown).ok_or(object)
    }
}

#[rpc(namespace = "market", rename_all = "camelCase")]
trait Market {
    /// Borrows from all arguments.
    #[subscription]
    fn all_ticks(&self, ctx: &Context, symbol: &str) -> impl Stream<Item = Tick> + Send;

    #[subscription(item = Tick, params = "named")]
    async fn some(
        &self,
        ctx: &Context,
        symbol: String,
        #[param(default)] most: usize,
    ) -> Result<impl Stream<Item = Tick> + Send, Unknown>;

    #[subscription(name = "failing", unsubscribe = "stop", notification = "piece")]
    fn failing(&self, ctx: &Context) -> impl Stream<Item = Result<u8, Unknown>>;

    async fn double(&self, ctx: &Context, x: i64) -> Result<i64>;
}

#[derive(Clone, Default)]
struct Prices {
    base: u32,
    living: Arc<AtomicUsize>,
}

struct Living(Arc<AtomicUsize>);

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Market for Prices {
    fn all_ticks(&self, _ctx: &Context, symbol: &str) -> impl Stream<Item = Tick> + Send {
        stream::iter(0..)
            .map(move |price| Tick { symbol: symbol.to_owned(), price: self.base + price })
    }

    async fn some(
        &self,
        _ctx: &Context,
        symbol: String,
        most: usize,
    ) -> Result<impl Stream<Item = Tick> + Send, Unknown> {
        if symbol == "?" {
            return Err(Unknown(symbol));
        }
        tokio::task::yield_now().await;
        self.living.fetch_add(1, Ordering::SeqCst);
        let living = Living(Arc::clone(&self.living));
        let ticks = stream::iter(0..).map(move |price| {
            let _ = &living;
            Tick { symbol: symbol.clone(), price }
        });
        Ok(ticks.take(most))
    }

    fn failing(&self, _ctx: &Context) -> impl Stream<Item = Result<u8, Unknown>> {
        stream::iter([Ok(1), Ok(2), Err(Unknown("three".to_owned())), Ok(4)])
    }

    async fn double(&self, _ctx: &Context, x: i64) -> Result<i64> {
        Ok(2 * x)
    }
}

fn tick(symbol: &str, price: u32) -> Tick {
    Tick { symbol: symbol.to_owned(), price }
}

#[tokio::test]
async fn names_on_the_wire_follow_the_trait() {
    let mut raw = Raw::client(Server::builder().service(Prices::default().into_service())).await;
    let response = raw.ask(request("market.some", r#"{"symbol":"a","most":1}"#, "1")).await;
    assert_eq!(response, result(r#""0x1""#, "1"));
    assert_eq!(
        raw.receive().await,
        r#"{"jsonrpc":"2.0","method":"market.some","params":{"subscription":"0x1","result":{"symbol":"a","price":0}}}"#
    );
    assert_eq!(
        raw.receive().await,
        r#"{"jsonrpc":"2.0","method":"market.some","params":{"subscription":"0x1","error":null}}"#
    );
    for name in ["market.unsubscribeAllTicks", "market.unsubscribeSome", "stop"] {
        raw.check(&request(name, r#"["0x1"]"#, "2"), &[&result("false", "2")]).await;
    }
}

#[tokio::test]
async fn typed_items_and_errors_arrive() {
    let prices = Prices { base: 100, ..Prices::default() };
    let living = Arc::clone(&prices.living);
    let (client, _) =
        memory::pair(Client::builder(), Server::builder().service(prices.into_service())).unwrap();
    let market = MarketClient::new(client.peer());
    let mut ticks = market.all_ticks("xyz").await.unwrap();
    assert_eq!(ticks.next().await.unwrap().unwrap(), tick("xyz", 100));
    assert_eq!(ticks.next().await.unwrap().unwrap(), tick("xyz", 101));
    drop(ticks);

    let some = market.some("abc".to_owned(), 2).await.unwrap();
    let some: Vec<Tick> = some.map(|tick| tick.unwrap()).collect().await;
    assert_eq!(some, [tick("abc", 0), tick("abc", 1)]);
    let refused = market.some("?".to_owned(), 2).await;
    assert!(matches!(refused, Err(Error::Call(Unknown(what))) if what == "?"));

    let mut failing = market.failing().await.unwrap();
    assert_eq!(failing.next().await.unwrap().unwrap(), 1);
    assert_eq!(failing.next().await.unwrap().unwrap(), 2);
    let error = failing.next().await.unwrap();
    assert!(matches!(error, Err(Error::Call(Unknown(what))) if what == "three"));
    assert!(failing.next().await.is_none());

    let ticks = market.some("abc".to_owned(), 1_000_000).await.unwrap();
    assert_eq!(living.load(Ordering::SeqCst), 1);
    drop(ticks);
    while living.load(Ordering::SeqCst) > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(market.double(4).await.unwrap(), 8);
}

#[tokio::test]
async fn a_server_subscribes_to_its_client() {
    let (url, endpoint) = listen(Server::builder()).await;
    let client =
        Client::builder().service(Prices::default().into_service()).connect(&url).await.unwrap();
    let peer = first_peer(&endpoint).await;
    let market = MarketClient::new(peer);
    let (ticks, double, refused, some) = market
        .batch((
            market.all_ticks("xyz"),
            market.double(21),
            market.some("?".to_owned(), 1),
            market.some("abc".to_owned(), 3),
        ))
        .await
        .unwrap();
    assert_eq!(double.unwrap(), 42);
    assert!(matches!(refused, Err(Error::Call(Unknown(_)))));
    let mut ticks = ticks.unwrap();
    for price in 0..1000 {
        assert_eq!(ticks.next().await.unwrap().unwrap(), tick("xyz", price));
    }
    assert_eq!(some.unwrap().count().await, 3);
    drop(client);
    loop {
        match ticks.next().await {
            Some(Ok(_)) => {}
            Some(Err(Error::Closed(_))) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(ticks.next().await.is_none());
}

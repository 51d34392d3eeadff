//! Mocks from `#[rpc(mock)]`: every kind of method, and the response if a closure is missing.

use std::collections::HashMap;
use std::future::IntoFuture;
use std::sync::{Arc, Mutex};

use futures_util::stream;
use serde::{Deserialize, Serialize};
use wsjsonrpc::{
    Client, Context, Error, ErrorCode, ErrorObject, Result, RpcError, Server, Stream, memory, rpc,
};
use wsjsonrpc_tests::begin;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Item {
    name: String,
}

#[derive(Debug, PartialEq, RpcError)]
enum ShopError {
    #[rpc_error(code = 1001)]
    SoldOut { left: u32 },
}

#[rpc]
trait Bell {
    async fn ring(&self, ctx: &Context, times: u8) -> Result<u8>;
}

#[rpc(mock, namespace = "shop", rename_all = "camelCase")]
trait Shop {
    async fn find(
        &self,
        ctx: &Context,
        name: &str,
        tags: &[String],
        near: Option<&Item>,
    ) -> Result<Item>;
    async fn buy(&self, ctx: &Context, item: Item, count: u32) -> Result<u64, ShopError>;
    #[method(params = "whole")]
    fn total(&self, ctx: &Context, prices: HashMap<String, f64>) -> Result<f64>;
    #[method(blocking)]
    fn picture(&self, ctx: &Context, name: String) -> Result<Vec<u8>>;
    #[method(ordered, cancel = "drop")]
    async fn queue(&self, ctx: &Context, number: u32) -> Result<u32>;
    #[method(ordered)]
    fn r#move(&self, ctx: &Context) -> Result<()>;
    async fn looked(&self, ctx: &Context, name: &str);
    /// The mock does not use this default body.
    async fn name(&self, _ctx: &Context) -> Result<String> {
        Ok("a shop".to_owned())
    }
    #[cfg(any())]
    async fn gone(&self, ctx: &Context, what: NoSuchType) -> Result<()>;
    #[cfg(not(any()))]
    async fn here(&self, ctx: &Context) -> Result<bool>;
    #[cfg(any())]
    async fn here(&self, ctx: &Context, what: NoSuchType) -> Result<bool>;
    /// Calls its caller back.
    async fn back(&self, ctx: &Context, times: u8) -> Result<u8>;
    #[subscription]
    fn prices(&self, ctx: &Context, name: &str) -> impl Stream<Item = f64>;
    #[subscription]
    async fn news(
        &self,
        ctx: &Context,
        from: u32,
    ) -> Result<impl Stream<Item = Result<Item, ShopError>> + Send, ShopError>;
}

fn item(name: &str) -> Item {
    Item { name: name.to_owned() }
}

fn is_unset<E: RpcError + std::fmt::Debug>(error: Error<E>, method: &str) {
    let words =
        format!("`ShopMock` has no closure for `{method}`; set one with `.{method}(|ctx, …| …)`");
    let object = match error {
        Error::Call(error) => error.to_object(),
        Error::Other(object) => object,
        other => panic!("{other:?}"),
    };
    assert_eq!((object.code(), object.message()), (ErrorCode::METHOD_NOT_FOUND, words.as_str()));
}

#[tokio::test]
async fn closures_have_the_signature_of_their_method() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let looked = Arc::clone(&seen);
    let mut bought = 0;
    let mock = ShopMock::new()
        .find(|_ctx, name, tags, near| {
            let near = near.map_or("nothing", |item| &item.name);
            Ok(item(&format!("{name} of {} near {near}", tags.join(" and "))))
        })
        .buy(move |_ctx, _item, count| {
            bought += count;
            if bought > 10 { Err(ShopError::SoldOut { left: 2 }) } else { Ok(u64::from(bought)) }
        })
        .total(|_ctx, prices| Ok(prices.values().sum()))
        .picture(|_ctx, name| Ok(name.into_bytes()))
        .queue(|_ctx, number| Ok(number + 1))
        .r#move(|_ctx| Ok(()))
        .looked(move |_ctx, name| looked.lock().unwrap().push(name.to_owned()))
        .name(|_ctx| Ok("a mock".to_owned()))
        .here(|_ctx| Ok(true));
    let shop = mock.clone().into_client();

    let tags = ["red".to_owned(), "sweet".to_owned()];
    assert_eq!(
        shop.find("apple", &tags, Some(&item("pear"))).await.unwrap(),
        item("apple of red and sweet near pear")
    );
    assert_eq!(shop.find("fig", &[], None).await.unwrap(), item("fig of  near nothing"));
    assert_eq!(shop.buy(item("apple"), 4).await.unwrap(), 4);
    assert_eq!(shop.buy(item("apple"), 5).await.unwrap(), 9);
    let error = shop.buy(item("apple"), 6).await.unwrap_err();
    assert!(matches!(error, Error::Call(ShopError::SoldOut { left: 2 })), "{error:?}");
    let prices = HashMap::from([("a".to_owned(), 1.5), ("b".to_owned(), 2.0)]);
    assert_eq!(shop.total(prices).await.unwrap(), 3.5);
    assert_eq!(shop.picture("png".to_owned()).await.unwrap(), b"png");
    assert_eq!(shop.queue(1).await.unwrap(), 2);
    shop.r#move().await.unwrap();
    shop.looked("apple").notify().await.unwrap();
    shop.looked("pear").await.unwrap();
    assert_eq!(shop.name().await.unwrap(), "a mock");
    assert!(shop.here().await.unwrap());

    assert_eq!(*seen.lock().unwrap(), ["apple", "pear"]);
    let counts =
        ["find", "buy", "total", "move", "looked", "here", "back"].map(|name| mock.calls(name));
    assert_eq!(counts, [2, 3, 1, 1, 2, 1, 0]);
}

#[tokio::test]
async fn subscription_closures_return_a_stream_or_refuse() {
    let mock = ShopMock::new()
        .prices(|_ctx, name| {
            let length = name.len() as f64;
            Box::pin(stream::iter([length, 2.0]))
        })
        .news(|_ctx, from| match from {
            0 => Err(ShopError::SoldOut { left: 0 }),
            _ => Ok(Box::pin(stream::iter([
                Ok(item("new")),
                Err(ShopError::SoldOut { left: from }),
            ]))),
        });
    let shop = mock.clone().into_client();
    let mut prices = shop.prices("apple").await.unwrap();
    assert_eq!(prices.next().await.unwrap().unwrap(), 5.0);
    assert_eq!(prices.next().await.unwrap().unwrap(), 2.0);
    assert!(prices.next().await.is_none());

    let refused = shop.news(0).await.unwrap_err();
    assert!(matches!(refused, Error::Call(ShopError::SoldOut { left: 0 })), "{refused:?}");
    let mut news = shop.news(3).await.unwrap();
    assert_eq!(news.next().await.unwrap().unwrap(), item("new"));
    let end = news.next().await.unwrap().unwrap_err();
    assert!(matches!(end, Error::Call(ShopError::SoldOut { left: 3 })), "{end:?}");
    assert_eq!((mock.calls("prices"), mock.calls("news")), (1, 2));
}

#[tokio::test]
async fn a_method_without_a_closure_fails_and_is_counted() {
    let mock = ShopMock::new();
    let shop = mock.clone().into_client();
    is_unset(shop.find("apple", &[], None).await.unwrap_err(), "find");
    is_unset(shop.buy(item("apple"), 1).await.unwrap_err(), "buy");
    is_unset(shop.picture("apple".to_owned()).await.unwrap_err(), "picture");
    is_unset(shop.queue(1).await.unwrap_err(), "queue");
    is_unset(shop.r#move().await.unwrap_err(), "move");
    is_unset(shop.looked("apple").await.unwrap_err(), "looked");
    is_unset(shop.name().await.unwrap_err(), "name");
    is_unset(shop.prices("apple").await.unwrap_err(), "prices");
    is_unset(shop.news(1).await.unwrap_err(), "news");
    assert_eq!((mock.calls("find"), mock.calls("news"), mock.calls("total")), (1, 1, 0));
    let shown = format!("{mock:?}");
    assert!(shown.starts_with("ShopMock { find: no closure, 1 calls, buy: "), "{shown}");

    // A closure can be set later and through a clone, and replaces an earlier one.
    mock.clone().queue(|_, _| Err(ErrorObject::new(1, "not yet")));
    assert!(matches!(shop.queue(1).await, Err(Error::Call(error)) if error.code() == ErrorCode(1)));
    mock.queue(|_, number| Ok(number));
    assert_eq!(shop.queue(1).await.unwrap(), 1);
}

/// However the service was made, the error names the missing closure.
#[tokio::test]
async fn a_mock_is_a_service_like_any_other() {
    async fn served(shop: impl Shop) -> Error<ShopError> {
        let server = Server::builder().service(shop.into_service());
        let (client, _) = memory::pair(Client::builder(), server).unwrap();
        ShopClient::new(client.peer()).buy(item("apple"), 1).await.unwrap_err()
    }
    is_unset(served(ShopMock::new()).await, "buy");
    let service = ShopService::from(Arc::new(ShopMock::new()));
    let (client, _) = memory::pair(Client::builder(), Server::builder().service(service)).unwrap();
    let shop = ShopClient::new(client.peer());
    is_unset(shop.buy(item("apple"), 1).await.unwrap_err(), "buy");
}

struct Ringing;

impl Bell for Ringing {
    async fn ring(&self, _ctx: &Context, times: u8) -> Result<u8> {
        Ok(times * 2)
    }
}

/// The closure gets the caller's context.
#[tokio::test]
async fn a_closure_may_call_its_caller() {
    let (sender, mut rung) = tokio::sync::mpsc::unbounded_channel();
    let mock = ShopMock::new().back(move |ctx, times| {
        let (bell, sender) = (ctx.client::<BellClient>(), sender.clone());
        tokio::spawn(async move { sender.send(bell.ring(times).await.unwrap()) });
        Ok(times)
    });
    let server = Server::builder().service(mock.into_service());
    let client = Client::builder().service(Ringing.into_service());
    let (client, _) = memory::pair(client, server).unwrap();
    assert_eq!(ShopClient::new(client.peer()).back(3).await.unwrap(), 3);
    assert_eq!(rung.recv().await, Some(6));
}

#[tokio::test]
async fn a_closure_that_panicked_is_called_again() {
    let mut first = true;
    let mock = ShopMock::new().name(move |_ctx| {
        if std::mem::take(&mut first) {
            // `resume_unwind` skips the panic hook, whose output would fill the log of the test.
            std::panic::resume_unwind(Box::new("as it should"));
        }
        Ok("again".to_owned())
    });
    let shop = mock.into_client();
    let failed = shop.name().await;
    assert!(matches!(failed, Err(Error::Call(error)) if error.code() == ErrorCode::INTERNAL_ERROR));
    assert_eq!(shop.name().await.unwrap(), "again");
}

/// A closure that runs for a long time delays only the calls of its own method.
#[tokio::test]
async fn a_blocking_closure_delays_no_other_method() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let mock = ShopMock::new().here(|_ctx| Ok(true)).picture(move |_ctx, name| {
        gate.recv().unwrap();
        Ok(name.into_bytes())
    });
    let shop = mock.clone().into_client();
    let first = begin(shop.picture("a".to_owned()).into_future()).await;
    while mock.calls("picture") == 0 {
        tokio::task::yield_now().await;
    }
    let second = begin(shop.picture("b".to_owned()).into_future()).await;
    assert!(shop.here().await.unwrap());
    open.send(()).unwrap();
    open.send(()).unwrap();
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (b"a".to_vec(), b"b".to_vec()));
}

#[tokio::test]
async fn a_closure_may_replace_itself() {
    let mock = ShopMock::new();
    let itself = mock.clone();
    let shop = mock.queue(move |_ctx, number| {
        itself.clone().queue(|_ctx, number| Ok(number * 10));
        Ok(number)
    });
    let shop = shop.into_client();
    assert_eq!(shop.queue(1).await.unwrap(), 1);
    assert_eq!(shop.queue(1).await.unwrap(), 10);
}

#[test]
#[should_panic(expected = "`ShopMock` has no method `fnid`")]
fn asking_for_the_calls_of_an_unknown_method_panics() {
    let _ = ShopMock::new().calls("fnid");
}

trait Key:
    Serialize + serde::de::DeserializeOwned + std::hash::Hash + Eq + Send + Sync + 'static
{
}

impl Key for u8 {}

/// The types of its arguments need the bounds.
#[rpc(mock = "FakeStore")]
trait Store<K: Key, V = String, const N: usize = 2>: std::fmt::Debug + Default
where
    V: Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
    Self: Clone,
{
    async fn put(&self, ctx: &Context, key: &K, values: Vec<V>) -> Result<Row<N>, ShopError>;
    async fn all(&self, ctx: &Context) -> Result<Pairs<K, V>>;
}

#[derive(Debug, Serialize, Deserialize)]
struct Row<const N: usize>(Vec<u8>);

#[derive(Serialize, Deserialize)]
#[serde(bound = "K: Key, V: Serialize + serde::de::DeserializeOwned")]
struct Pairs<K: Key, V>(HashMap<K, V>);

#[tokio::test]
async fn mocks_of_generic_traits_have_the_same_parameters() {
    let mock = FakeStore::<u8>::new()
        .put(|_ctx, key, values| match *key {
            0 => Err(ShopError::SoldOut { left: 1 }),
            key => Ok(Row([key, values.len() as u8].to_vec())),
        })
        .all(|_ctx| Ok(Pairs(HashMap::from([(1, "one".to_owned())]))));
    let store: StoreClient<u8> = mock.clone().into_client();
    assert_eq!(store.put(&7, vec!["a".to_owned()]).await.unwrap().0, [7, 1]);
    assert!(matches!(
        store.put(&0, vec![]).await,
        Err(Error::Call(ShopError::SoldOut { left: 1 }))
    ));
    assert_eq!(store.all().await.unwrap().0[&1], "one");
    assert_eq!(mock.calls("put"), 2);
}

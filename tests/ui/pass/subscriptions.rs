//! Subscriptions in all their forms.

#![deny(warnings, missing_docs, unused, private_interfaces, private_bounds, rust_2018_idioms)]

use futures_util::{StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wsjsonrpc::{Client, Context, Error, ErrorObject, Result, RpcError, Server, Stream, memory, rpc};

/// Why a feed is refused.
#[derive(Debug, PartialEq, RpcError)]
#[rpc_error(code = 5, message = "no feed {0}")]
pub struct NoFeed(pub String);

/// A type of its own for items.
type Numbers = Vec<u64>;

/// Feeds of `K`.
#[rpc(namespace = "feed")]
pub trait Feeds<K>
where
    K: Clone + Serialize + DeserializeOwned + Send + Sync + 'static,
{
    /// A plain function, and a stream that borrows from everything.
    #[subscription]
    fn borrows(&self, ctx: &Context, key: &K, more: &[u8]) -> impl Stream<Item = K> + Send;

    /// An async function that may refuse.
    #[subscription(name = "asked", unsubscribe = "done", notification = "news", item = Numbers)]
    async fn asks(&self, ctx: &Context, name: Option<&str>) -> Result<impl Stream<Item = Numbers>, NoFeed>;

    /// An async function that may not.
    #[subscription(overflow = "drop_oldest", buffer = 100, tell_end = false)]
    async fn agrees(&self, ctx: &Context) -> impl Stream<Item = Result<u64, NoFeed>>;

    /// Has a body.
    #[subscription(overflow = "latest")]
    fn body(&self, _ctx: &Context, upto: u64) -> impl Stream<Item = u64> {
        stream::iter(0..upto)
    }

    /// Has an async body.
    #[subscription]
    async fn async_body(&self, _ctx: &Context, upto: u64) -> Result<impl Stream<Item = u64>, NoFeed> {
        if upto == 0 {
            return Err(NoFeed("empty".to_owned()));
        }
        Ok(stream::iter(0..upto))
    }

    /// Is not there.
    #[cfg(any())]
    #[subscription]
    fn absent(&self, ctx: &Context) -> impl Stream<Item = no::such::Type>;

    /// Is there in one of two ways.
    #[cfg(all())]
    #[subscription(name = "either", unsubscribe = "neither")]
    fn either(&self, _ctx: &Context) -> impl Stream<Item = u8> {
        stream::iter([1])
    }

    /// Is there in one of two ways.
    #[cfg(not(all()))]
    #[subscription(name = "either", unsubscribe = "neither")]
    fn either(&self, ctx: &Context) -> impl Stream<Item = u16>;

    /// A method that has the name of a method that ends something, elsewhere.
    #[cfg(not(all()))]
    #[method(name = "neither")]
    fn neither(&self, ctx: &Context) -> Result<()>;
}

struct All;

impl Feeds<String> for All {
    fn borrows(&self, ctx: &Context, key: &String, more: &[u8]) -> impl Stream<Item = String> + Send {
        let path = ctx.handshake().path();
        stream::iter(more).map(move |number| format!("{key}{number}{path}"))
    }

    async fn asks(&self, _ctx: &Context, name: Option<&str>) -> Result<impl Stream<Item = Numbers>, NoFeed> {
        let name = name.ok_or(NoFeed("nameless".to_owned()))?;
        Ok(stream::iter([vec![name.len() as u64]]))
    }

    async fn agrees(&self, _ctx: &Context) -> impl Stream<Item = Result<u64, NoFeed>> {
        stream::iter([Ok(1), Err(NoFeed("two".to_owned()))])
    }
}

/// Gives what comes, and why it ends.
async fn all<T: DeserializeOwned, E: RpcError>(feed: wsjsonrpc::Subscription<T, E>) -> (Vec<T>, Option<Error<E>>) {
    let mut items = Vec::new();
    let mut error = None;
    for item in feed.collect::<Vec<_>>().await {
        match item {
            Ok(item) => items.push(item),
            Err(why) => error = Some(why),
        }
    }
    (items, error)
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let (client, _peer) =
        memory::pair(Client::builder(), Server::builder().service(All.into_service())).expect("names are unique");
    let feeds = FeedsClient::<String>::new(client.peer());
    let (items, end) = all(feeds.borrows(&"k".to_owned(), &[1, 2]).await.expect("consent")).await;
    assert!(items == ["k1/", "k2/"] && end.is_none());
    let (items, end) = all(feeds.asks(Some("abc")).await.expect("consent")).await;
    assert!(items == [[3]] && end.is_none());
    match feeds.asks(None).await {
        Err(Error::Call(NoFeed(name))) => assert_eq!(name, "nameless"),
        other => panic!("{other:?}"),
    }
    let (items, end) = all(feeds.agrees().await.expect("consent")).await;
    assert!(items == [1] && matches!(end, Some(Error::Call(NoFeed(name))) if name == "two"));
    let (items, _) = all(feeds.body(1).await.expect("consent")).await;
    assert_eq!(items, [0]);
    let (items, _) = all(feeds.async_body(3).await.expect("consent")).await;
    assert_eq!(items, [0, 1, 2]);
    assert!(matches!(feeds.async_body(0).await, Err(Error::Call(NoFeed(_)))));
    let (items, _) = all(feeds.either().await.expect("consent")).await;
    assert_eq!(items, [1]);
    let _: fn(&ErrorObject) -> Option<NoFeed> = |object| NoFeed::from_object(object.clone()).ok();
}

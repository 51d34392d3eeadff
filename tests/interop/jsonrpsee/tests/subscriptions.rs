//! Subscriptions with the names of an Ethereum node: jsonrpsee's client against our server, and our
//! client against jsonrpsee's server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt, stream};
use interop_jsonrpsee::JsonrpseeServer;
use jsonrpsee::core::client::{
    ClientT, Error as TheirError, Subscription as TheirSubscription, SubscriptionClientT,
    SubscriptionCloseReason,
};
use jsonrpsee::rpc_params;
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};
use serde::{Deserialize, Serialize};
use wsjsonrpc::{Client, Context, Error, ErrorObject, Result, Server, Stream, rpc};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    number: String,
}

fn head(number: u64) -> Head {
    Head { number: format!("{number:#x}") }
}

#[rpc(namespace = "eth", separator = "_")]
trait Node {
    #[subscription(unsubscribe = "eth_unsubscribe", notification = "eth_subscription")]
    async fn subscribe(
        &self,
        ctx: &Context,
        kind: String,
    ) -> Result<impl Stream<Item = Result<Head>>>;

    #[method(name = "test_feeds")]
    fn feeds(&self, ctx: &Context) -> Result<usize>;
}

#[derive(Default)]
struct Chain(Arc<AtomicUsize>);

struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Node for Chain {
    async fn subscribe(
        &self,
        _ctx: &Context,
        kind: String,
    ) -> Result<impl Stream<Item = Result<Head>>> {
        let (last, error) = match kind.as_str() {
            "newHeads" => (u64::MAX, None),
            "few" => (3, None),
            "broken" => (3, Some(ErrorObject::new(8, "broken"))),
            _ => return Err(ErrorObject::new(7, "no such feed")),
        };
        self.0.fetch_add(1, Ordering::SeqCst);
        let open = Open(Arc::clone(&self.0));
        let heads = stream::iter(1..=last).map(move |number| {
            let _ = &open;
            Ok(head(number))
        });
        Ok(heads.chain(stream::iter(error.map(Err))))
    }

    fn feeds(&self, _ctx: &Context) -> Result<usize> {
        Ok(self.0.load(Ordering::SeqCst))
    }
}

async fn theirs_at_ours() -> WsClient {
    let server = Server::builder().service(Chain::default().into_service());
    let server = server.bind("127.0.0.1:0").await.unwrap();
    let url = server.url();
    tokio::spawn(server.run());
    let roomy = WsClientBuilder::default().max_buffer_capacity_per_subscription(1 << 20);
    roomy.build(url).await.unwrap()
}

async fn ask(client: &WsClient, kind: &str) -> Result<TheirSubscription<Head>, TheirError> {
    client.subscribe("eth_subscribe", rpc_params![kind], "eth_unsubscribe").await
}

#[tokio::test]
async fn their_client_gets_every_item_and_the_end() {
    let client = theirs_at_ours().await;
    for kind in ["few", "broken"] {
        let mut heads = ask(&client, kind).await.unwrap();
        for number in 1..=3 {
            assert_eq!(heads.next().await.unwrap().unwrap(), head(number));
        }
        // Its client does not distinguish the kinds of ends.
        assert!(heads.next().await.is_none(), "{kind}");
        assert!(matches!(heads.close_reason(), Some(SubscriptionCloseReason::ConnectionClosed)));
    }
    assert!(client.is_connected());
    match ask(&client, "nonsense").await {
        Err(TheirError::Call(error)) => {
            assert_eq!((error.code(), error.message()), (7, "no such feed"))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn their_client_unsubscribes() {
    let client = theirs_at_ours().await;
    let (mut one, mut two) =
        (ask(&client, "newHeads").await.unwrap(), ask(&client, "newHeads").await.unwrap());
    for number in 1..=200 {
        assert_eq!(one.next().await.unwrap().unwrap(), head(number));
        assert_eq!(two.next().await.unwrap().unwrap(), head(number));
    }
    one.unsubscribe().await.unwrap();
    drop(two);
    while client.request::<usize, _>("test_feeds", rpc_params![]).await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(client.is_connected());
}

/// Their server counts the subscriptions of all tests.
#[tokio::test]
async fn their_server_is_heard() {
    let server = JsonrpseeServer::start().await;
    let node = NodeClient::connect(&server.url).await.unwrap();
    let mut heads = node.subscribe("newHeads".to_owned()).await.unwrap();
    for number in 1..=200 {
        assert_eq!(heads.next().await.unwrap().unwrap(), head(number));
    }
    match node.subscribe("nonsense".to_owned()).await {
        Err(Error::Call(error)) => {
            assert_eq!((error.code().0, error.message()), (7, "no such feed"))
        }
        other => panic!("{other:?}"),
    }
    let mut broken = node.subscribe("broken".to_owned()).await.unwrap();
    for number in 1..=3 {
        assert_eq!(broken.next().await.unwrap().unwrap(), head(number));
    }
    match broken.next().await {
        Some(Err(Error::Call(error))) => assert_eq!(error.message(), "broken"),
        other => panic!("{other:?}"),
    }
    assert!(broken.next().await.is_none());
    let (few, open) = node.batch((node.subscribe("few".to_owned()), node.feeds())).await.unwrap();
    assert_eq!(few.unwrap().next().await.unwrap().unwrap(), head(1));
    assert!(open.unwrap() >= 1);
    drop(heads);
    while node.feeds().await.unwrap() > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn their_servers_feeds_end_with_the_connection() {
    let server = JsonrpseeServer::start().await;
    let client = Client::connect(&server.url).await.unwrap();
    let node = NodeClient::new(client.peer());
    let mut heads = node.subscribe("newHeads".to_owned()).await.unwrap();
    assert_eq!(heads.next().await.unwrap().unwrap(), head(1));
    server.stop().await;
    loop {
        match heads.next().await {
            Some(Ok(_)) => {}
            Some(Err(Error::Closed(_))) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!(heads.next().await.is_none());
}

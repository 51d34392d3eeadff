//! Items that arrive before the response that names their subscription, as Solana's and Substrate's
//! servers may send them. They are kept within bounds and delivered in order after the response.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use wsjsonrpc::server::Fallback;
use wsjsonrpc::service::Params;
use wsjsonrpc::{Client, Config, Context, Error, Peer, Result, Server, Subscription, async_trait};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Raw, begin, empty_batch, end, error, item, notification, request, result};

type Subscribed = Result<Subscription<u64>, Error>;

/// Subscribes; returns the task that waits for the outcome, and the id of the call as JSON.
async fn subscribe(raw: &mut Raw, peer: &Peer, window: usize) -> (JoinHandle<Subscribed>, String) {
    let asked = peer.subscribe::<u64>("feed", ()).notification("news").window(window);
    let asked = tokio::spawn(asked.into_future());
    let request: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(request["method"], "feed");
    (asked, request["id"].to_string())
}

async fn take(subscription: &mut Subscription<u64>, items: usize) -> Vec<u64> {
    let mut taken = Vec::new();
    for _ in 0..items {
        taken.push(subscription.next().await.expect("more").expect("no error"));
    }
    taken
}

const WINDOW: usize = 100_000;

/// Checks that the client sent nothing, and has read everything from the raw peer.
async fn silent(raw: &mut Raw) {
    raw.check("[]", &[&empty_batch()]).await;
}

async fn they_come_first(mut raw: Raw, peer: Peer) {
    // No subscribe call is pending, so this item is dropped.
    raw.send(item("news", r#""a""#, "0")).await;
    let (asked, id) = subscribe(&mut raw, &peer, WINDOW).await;
    raw.send(item("news", r#""a""#, "1")).await;
    raw.send(format!("[{},{}]", item("news", r#""a""#, "2"), item("news", r#""b""#, "20"))).await;
    raw.send(r#"{"method":"news","params":{"result": 3, "subscription": "a"},"jsonrpc":"2.0"}"#)
        .await;
    for nobodys in [
        notification("other", r#"{"subscription":"a","result":4}"#),
        notification("news", r#"{"subscription":"a"}"#),
        notification("news", r#"{"result":5}"#),
        notification("news", r#"["a",6]"#),
        notification("news", r#"{"subscription":["a"],"result":7}"#),
        notification("news", r#"{"subscription":null,"result":8}"#),
    ] {
        raw.send(nobodys).await;
    }
    raw.send(format!("[{},{}]", item("news", r#""a""#, "9"), result(r#""a""#, &id))).await;
    raw.send(item("news", r#""a""#, "10")).await;
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 5).await, [1, 2, 3, 9, 10]);
    silent(&mut raw).await;
    // Items that were kept for no subscription were dropped.
    let (asked, id) = subscribe(&mut raw, &peer, WINDOW).await;
    raw.send(result(r#""b""#, &id)).await;
    raw.send(item("news", r#""b""#, "21")).await;
    let mut other = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut other, 1).await, [21]);
}

#[tokio::test]
async fn early_items_are_delivered_first_and_in_order() {
    let (raw, client) = Raw::server(Client::builder()).await;
    they_come_first(raw, client.peer()).await;
    let (raw, client) = Raw::knowing_server(Client::builder()).await;
    they_come_first(raw, client.peer()).await;
    let (raw, peer) = Raw::client_and_peer(Server::builder()).await;
    they_come_first(raw, peer).await;
}

#[tokio::test]
async fn early_items_go_to_their_own_subscription() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let (first, first_id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    let (second, second_id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    for (id, value) in [("7", "1"), ("8", "2"), ("7", "3"), ("8", "4")] {
        raw.send(item("news", id, value)).await;
    }
    raw.send(result("8", &second_id)).await;
    let mut second = second.await.unwrap().unwrap();
    assert_eq!(take(&mut second, 2).await, [2, 4]);
    // The other call is still pending.
    raw.send(item("news", "7", "5")).await;
    raw.send(result("7", &first_id)).await;
    let mut first = first.await.unwrap().unwrap();
    assert_eq!(take(&mut first, 3).await, [1, 3, 5]);
}

#[tokio::test]
async fn an_end_may_come_before_the_response() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    for (error, expected) in [("null", None), (r#"{"code":5,"message":"m"}"#, Some("m"))] {
        let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
        raw.send(item("news", "7", "1")).await;
        raw.send(end("news", "7", error)).await;
        raw.send(item("news", "7", "2")).await;
        raw.send(result("7", &id)).await;
        let mut news = asked.await.unwrap().unwrap();
        assert_eq!(take(&mut news, 1).await, [1]);
        match (news.next().await, expected) {
            (None, None) => {}
            (Some(Err(Error::Call(error))), Some(words)) => assert_eq!(error.message(), words),
            (other, _) => panic!("{other:?}"),
        }
        assert!(news.next().await.is_none());
        // The subscription has ended, so the client does not unsubscribe.
        drop(news);
        silent(&mut raw).await;
    }
}

/// Checks that the next subscription with the same id starts with its own items.
async fn nothing_is_left(raw: &mut Raw, client: &Client) {
    let (asked, id) = subscribe(raw, &client.peer(), WINDOW).await;
    raw.send(result(r#""a""#, &id)).await;
    raw.send(item("news", r#""a""#, "9")).await;
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 1).await, [9]);
}

#[tokio::test(start_paused = true)]
async fn early_items_of_a_failed_call_are_dropped() {
    let config = Config { ping_interval: None, ..Config::default() };
    // The call fails.
    let (mut raw, client) = Raw::server(Client::builder().config(config.clone())).await;
    let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    raw.send(item("news", r#""a""#, "1")).await;
    raw.send(error(7, "no", &id)).await;
    assert!(matches!(asked.await.unwrap(), Err(Error::Call(error)) if error.code().0 == 7));
    nothing_is_left(&mut raw, &client).await;

    // The result is no id.
    let (mut raw, client) = Raw::server(Client::builder().config(config.clone())).await;
    let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    raw.send(item("news", r#""a""#, "1")).await;
    raw.send(result("null", &id)).await;
    assert!(matches!(asked.await.unwrap(), Err(Error::InvalidResponse(_))));
    nothing_is_left(&mut raw, &client).await;

    // The call is dropped.
    let (mut raw, client) = Raw::server(Client::builder().config(config.clone())).await;
    let asked = client.peer().subscribe::<u64>("feed", ()).notification("news");
    let asked = begin(asked.into_future()).await;
    raw.receive().await;
    raw.send(item("news", r#""a""#, "1")).await;
    silent(&mut raw).await;
    drop(asked);
    nothing_is_left(&mut raw, &client).await;

    // The call times out. Its future is kept, but keeps no items.
    let (mut raw, client) = Raw::server(Client::builder().config(config)).await;
    let asked = client.peer().subscribe::<u64>("feed", ()).notification("news");
    let mut asked = begin(asked.timeout(Duration::from_secs(1)).into_future()).await;
    raw.receive().await;
    raw.send(item("news", r#""a""#, "1")).await;
    silent(&mut raw).await;
    assert!(matches!(asked.as_mut().await, Err(Error::Timeout(_))));
    nothing_is_left(&mut raw, &client).await;
    drop(asked);
}

#[tokio::test]
async fn too_many_early_items_end_their_subscription() {
    let (log, _guard) = Log::of_this_thread();
    let (mut raw, client) = Raw::server(Client::builder()).await;
    // Room for three items: each costs 64 bytes more than its JSON and the id.
    let (asked, id) = subscribe(&mut raw, &client.peer(), 3 * 66).await;
    for value in 1..=6 {
        raw.send(item("news", "7", &value.to_string())).await;
    }
    raw.send(result("7", &id)).await;
    raw.send(item("news", "7", "8")).await;
    assert_eq!(raw.receive().await, request("unsubscribe_feed", "[7]", "2"));
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 3).await, [1, 2, 3]);
    assert!(matches!(news.next().await, Some(Err(Error::Lagged))));
    assert!(news.next().await.is_none());

    // The number of items is bounded too, and items without a subscription are dropped.
    let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    for number in 0..2000 {
        raw.send(item("news", &number.to_string(), "0")).await;
    }
    raw.send(result("1023", &id)).await;
    raw.send(item("news", "1023", "1")).await;
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 2).await, [0, 1]);
    let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    raw.send(item("news", "1999", "2")).await;
    raw.send(result("1999", &id)).await;
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 1).await, [2]);
    let log = log.text();
    assert_eq!(log.lines().filter(|line| line.contains("dropped an item")).count(), 1, "{log}");
}

#[tokio::test]
async fn a_registered_method_still_gets_early_items() {
    let (seen, mut notes) = mpsc::unbounded_channel();
    let client = Client::builder().method("news", move |_: Context, note: serde_json::Value| {
        let _ = seen.send(note["result"].clone());
        async { Ok(()) }
    });
    let (mut raw, client) = Raw::server(client).await;
    let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    raw.send(item("news", "7", "1")).await;
    raw.send(result("7", &id)).await;
    raw.send(item("news", "7", "2")).await;
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 1).await, [2]);
    assert_eq!(notes.recv().await.unwrap(), 1);
    assert!(notes.try_recv().is_err());
}

struct Names(mpsc::UnboundedSender<String>);

#[async_trait]
impl Fallback for Names {
    async fn call(
        &self,
        _: &Context,
        method: &str,
        _: Params<'_>,
    ) -> Result<Box<serde_json::value::RawValue>> {
        let _ = self.0.send(method.to_owned());
        Ok(serde_json::value::to_raw_value(&())?)
    }
}

#[tokio::test]
async fn a_fallback_gets_only_what_belongs_to_no_pending_call() {
    let (seen, mut names) = mpsc::unbounded_channel();
    let (mut raw, client) = Raw::server(Client::builder().fallback(Names(seen))).await;
    raw.send(item("news", "7", "0")).await;
    assert_eq!(names.recv().await.unwrap(), "news");
    let (asked, id) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    raw.send(item("news", "7", "1")).await;
    raw.send(result("7", &id)).await;
    let mut news = asked.await.unwrap().unwrap();
    assert_eq!(take(&mut news, 1).await, [1]);
    assert!(names.try_recv().is_err());
}

#[tokio::test]
async fn the_connection_may_end_before_the_response() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let (asked, _) = subscribe(&mut raw, &client.peer(), WINDOW).await;
    raw.send(item("news", "7", "1")).await;
    silent(&mut raw).await;
    raw.hang_up();
    assert!(matches!(asked.await.unwrap(), Err(Error::Closed(_))));
}

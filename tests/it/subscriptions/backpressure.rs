//! Backpressure of subscriptions: a slow consumer slows down only its own stream, credit bounds the
//! items that wait, and `Overflow` decides about items whose source cannot wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::{Stream, StreamExt, stream};
use wsjsonrpc::subscription::{Overflow, Topic};
use wsjsonrpc::{
    Client, Config, Context, Error, ErrorObject, Methods, Peer, Result, Server, Subscription,
    memory,
};
use wsjsonrpc_tests::{Raw, both_ways, notification, request, result};

/// The credit that an item of one digit costs.
const ITEM: usize = 65;

/// How many items the streams of some [`methods`] have produced.
type Brought = Arc<AtomicUsize>;

/// Numbers that are counted when they are produced.
fn count(from: u64, to: u64, brought: &Brought) -> impl Stream<Item = Result<u64>> + use<> {
    let brought = Arc::clone(brought);
    stream::iter(from..=to).map(move |number| {
        brought.fetch_add(1, Ordering::SeqCst);
        Ok(number)
    })
}

/// Counts up from one number to another, and then stays pending.
fn methods(topic: Topic, brought: &Brought) -> Methods {
    let brought = Arc::clone(brought);
    Methods::new().subscription(topic, move |_: Context, (from, to): (u64, u64)| {
        let numbers = count(from, to, &brought);
        async move { Ok(numbers.chain(stream::pending())) }
    })
}

fn numbers() -> Topic {
    Topic::new("numbers")
}

/// Waits until this many items were produced, and checks that no more follow.
async fn settle(peer: &Peer, brought: &Brought, items: usize) {
    while brought.load(Ordering::SeqCst) < items {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        let _ = peer.call::<()>("no.such.method", ()).await;
    }
    assert_eq!(brought.load(Ordering::SeqCst), items);
}

/// Waits until no more items are produced.
async fn settle_down(peer: &Peer, brought: &Brought) {
    loop {
        let before = brought.load(Ordering::SeqCst);
        for _ in 0..50 {
            let _ = peer.call::<()>("no.such.method", ()).await;
        }
        if brought.load(Ordering::SeqCst) == before {
            return;
        }
    }
}

async fn take(subscription: &mut Subscription<u64>, items: usize) -> Vec<u64> {
    let items = subscription.take(items).map(|item| item.expect("no error"));
    items.collect().await
}

#[tokio::test]
async fn a_stalled_subscription_does_not_delay_a_hundred_others() {
    let brought = Brought::default();
    let both = || methods(numbers(), &brought);
    let live = || methods(Topic::new("live"), &Brought::default());
    let sides = both_ways(
        || Client::builder().service(both()).service(live()),
        || Server::builder().service(both()).service(live()),
    );
    for (client, peer) in sides.await {
        for asking in [client.peer(), peer] {
            brought.store(0, Ordering::SeqCst);
            let stalled = asking.subscribe::<u64>("numbers", (1_000_000, u64::MAX));
            // Each item has seven digits.
            let mut stalled = stalled.window(50 * (64 + 7)).await.unwrap();
            let live = (0..100).map(|_| async {
                let mut live = asking.subscribe("live", (1, 500)).await.unwrap();
                assert!(take(&mut live, 500).await.into_iter().eq(1..=500));
            });
            join_all(live).await;
            settle(&asking, &brought, 50).await;
            assert!(take(&mut stalled, 1000).await.into_iter().eq(1_000_000..1_001_000));
            // Its stream ends now and produces nothing more during the next test.
            drop(stalled);
            settle_down(&asking, &brought).await;
        }
    }
}

#[tokio::test]
async fn a_stream_is_polled_only_while_it_has_credit() {
    let brought = Brought::default();
    let server = || Server::builder().service(methods(numbers(), &brought));
    for (client, _peer) in both_ways(Client::builder, server).await {
        brought.store(0, Ordering::SeqCst);
        let peer = client.peer();
        let asked = peer.subscribe("numbers", (10, u64::MAX));
        let mut numbers = asked.window(10 * (ITEM + 1)).await.unwrap();
        settle(&peer, &brought, 10).await;
        // The consumer grants credit when half of the window is free.
        assert!(take(&mut numbers, 4).await.into_iter().eq(10..14));
        settle(&peer, &brought, 10).await;
        assert!(take(&mut numbers, 1).await.into_iter().eq(14..15));
        settle(&peer, &brought, 15).await;
        assert!(take(&mut numbers, 10).await.into_iter().eq(15..25));
        settle(&peer, &brought, 25).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_credit_is_lost_between_threads() {
    let both = || methods(numbers(), &Brought::default());
    let sides =
        both_ways(|| Client::builder().service(both()), || Server::builder().service(both()));
    for (client, peer) in sides.await {
        let consume = |peer: Peer, window: usize| async move {
            let mut numbers = peer.subscribe("numbers", (1, 3000)).window(window).await.unwrap();
            assert!(take(&mut numbers, 3000).await.into_iter().eq(1..=3000));
        };
        let tasks = (1..=10).flat_map(|window| {
            [client.peer(), peer.clone()].map(|peer| tokio::spawn(consume(peer, window * 50)))
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_window_of_one_lets_one_item_through_at_a_time() {
    let brought = Brought::default();
    let client = Client::builder().config(Config { subscription_window: 0, ..Config::default() });
    let server = Server::builder().service(methods(numbers(), &brought));
    let (client, _peer) = memory::pair(client, server).unwrap();
    let mut numbers = client.peer().subscribe("numbers", (1, u64::MAX)).await.unwrap();
    for items in 1..=100 {
        settle(&client.peer(), &brought, items).await;
        assert_eq!(take(&mut numbers, 1).await, [items as u64]);
    }
}

#[tokio::test]
async fn credit_is_sent_to_peers_that_know_the_extensions() {
    let client = Client::builder().config(Config { subscription_window: 130, ..Config::default() });
    let (mut raw, client) = Raw::knowing_server(client).await;
    let asking = client.peer();
    let asked = tokio::spawn(async move { asking.subscribe::<u64>("numbers", (1, 2)).await });
    assert_eq!(
        raw.receive().await,
        r#"{"jsonrpc":"2.0","method":"numbers","params":[1,2],"wsjsonrpc":{"timeout":30000,"window":130},"id":1}"#
    );
    raw.send(result(r#""x""#, "1")).await;
    let mut numbers = asked.await.unwrap().unwrap();
    for item in 1..=3 {
        let params = format!(r#"{{"subscription":"x","result":{item}}}"#);
        raw.send(notification("numbers", &params)).await;
        assert_eq!(take(&mut numbers, 1).await, [item]);
        // Half of the window is one item.
        let credit = r#"{"subscription":"x","bytes":65}"#;
        assert_eq!(raw.receive().await, notification("$/credit", credit));
    }
    drop(numbers);
    assert_eq!(raw.receive().await, request("unsubscribe_numbers", r#"["x"]"#, "2"));
}

#[tokio::test]
async fn credit_is_not_sent_to_other_peers() {
    let client = Client::builder().config(Config { subscription_window: 300, ..Config::default() });
    let (mut raw, client) = Raw::server(client).await;
    let asking = client.peer();
    let asked = tokio::spawn(async move { asking.subscribe::<u64>("numbers", (1, 2)).await });
    assert_eq!(raw.receive().await, request("numbers", "[1,2]", "1"));
    raw.send(result("7", "1")).await;
    let mut numbers = asked.await.unwrap().unwrap();
    for item in 1..=20 {
        raw.send(notification("numbers", &format!(r#"{{"subscription":7,"result":{item}}}"#)))
            .await;
        assert_eq!(take(&mut numbers, 1).await, [item]);
    }
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    // The server does not wait for credit, so the subscription lags when the consumer takes no
    // items.
    for item in 1..=10 {
        raw.send(notification("numbers", &format!(r#"{{"subscription":7,"result":{item}}}"#)))
            .await;
    }
    assert_eq!(raw.receive().await, request("unsubscribe_numbers", "[7]", "2"));
    assert_eq!(take(&mut numbers, 5).await, [1, 2, 3, 4, 5]);
    assert!(matches!(numbers.next().await, Some(Err(Error::Lagged))));
    assert!(numbers.next().await.is_none());
    drop(numbers);
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
}

#[tokio::test]
async fn a_server_that_ignores_credit_is_unsubscribed() {
    let client = Client::builder().config(Config { subscription_window: 130, ..Config::default() });
    let (mut raw, client) = Raw::knowing_server(client).await;
    let asking = client.peer();
    let asked = tokio::spawn(async move { asking.subscribe::<u64>("numbers", ()).await });
    assert!(raw.receive().await.contains(r#""window":130"#));
    raw.send(result(r#""x""#, "1")).await;
    let mut numbers = asked.await.unwrap().unwrap();
    for item in 1..=3 {
        raw.send(notification("numbers", &format!(r#"{{"subscription":"x","result":{item}}}"#)))
            .await;
    }
    assert_eq!(raw.receive().await, request("unsubscribe_numbers", r#"["x"]"#, "2"));
    assert_eq!(take(&mut numbers, 2).await, [1, 2]);
    assert!(matches!(numbers.next().await, Some(Err(Error::Lagged))));
}

#[tokio::test]
async fn absurd_credit_does_no_harm() {
    let brought = Brought::default();
    let server = Server::builder().service(methods(numbers(), &brought));
    let (mut raw, peer) = Raw::knowing_client(server).await;
    let asked =
        r#"{"jsonrpc":"2.0","method":"numbers","params":[1,9],"wsjsonrpc":{"window":65},"id":1}"#;
    assert_eq!(raw.ask(asked).await, result(r#""0x1""#, "1"));
    let item = |number: u64| {
        let params = format!(r#"{{"subscription":"0x1","result":{number}}}"#);
        notification("numbers", &params)
    };
    assert_eq!(raw.receive().await, item(1));
    for params in [
        r#"{"subscription":"0x1","bytes":-1}"#,
        r#"{"subscription":"0x1","bytes":18446744073709551616}"#,
        r#"{"subscription":"0x1","bytes":1.5}"#,
        r#"{"subscription":"0x1","bytes":0}"#,
        r#"{"subscription":"0x1"}"#,
        r#"{"subscription":"0x2","bytes":1000}"#,
        r#"{"subscription":1,"bytes":1000}"#,
        r#"{"subscription":null,"bytes":1000}"#,
        r#"["0x1",-1000]"#,
        "null",
    ] {
        raw.check(&notification("$/credit", params), &[]).await;
    }
    assert_eq!(brought.load(Ordering::SeqCst), 1);
    let most = r#"{"subscription":"0x1","bytes":18446744073709551615}"#;
    for _ in 0..3 {
        raw.send(notification("$/credit", most)).await;
    }
    for number in 2..=9 {
        assert_eq!(raw.receive().await, item(number));
    }
    drop(peer);
}

#[tokio::test]
async fn a_peer_without_credit_slows_a_stream_by_not_reading() {
    let brought = Brought::default();
    let config = Config { max_send_queue: 1000, ..Config::default() };
    let server = Server::builder().service(methods(numbers(), &brought)).config(config);
    let (mut raw, peer) = Raw::client_and_peer(server).await;
    let first = 1_000_000;
    let asked = request("numbers", &format!("[{first},{}]", u64::MAX), "1");
    assert_eq!(raw.ask(asked).await, result(r#""0x1""#, "1"));
    let mut before = 0;
    loop {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        let now = brought.load(Ordering::SeqCst);
        if now == before {
            break;
        }
        before = now;
    }
    // The stream between both sides takes 64 KiB, as does the raw client, and an item has more than
    // 80 bytes.
    assert!(before < (2 * 64 * 1024 + 1000) / 80, "{before}");
    for number in first..first + 5000 {
        let params = format!(r#"{{"subscription":"0x1","result":{number}}}"#);
        assert_eq!(raw.receive().await, notification("numbers", &params));
    }
    drop(peer);
}

/// Streams of one connection that all have more items than the connection takes: each gets its
/// share.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn waiting_streams_share_the_send_queue_in_arrival_order() {
    const STREAMS: usize = 20;
    const ITEMS: usize = 100;
    let endless = |_: Context, ()| async { Ok(stream::repeat("x".repeat(2000)).map(Ok)) };
    let config = Config { max_send_queue: 5000, ..Config::default() };
    let methods = Methods::new().subscription(Topic::new("endless"), endless);
    let mut raw = Raw::client(Server::builder().config(config).service(methods)).await;
    for id in 0..STREAMS {
        raw.send(request("endless", "[]", &id.to_string())).await;
    }
    let mut items = std::collections::BTreeMap::<String, usize>::new();
    while items.values().sum::<usize>() < STREAMS * ITEMS {
        let message: serde_json::Value = serde_json::from_str(&raw.receive().await).unwrap();
        if let Some(subscription) = message["params"]["subscription"].as_str() {
            *items.entry(subscription.to_owned()).or_default() += 1;
        }
    }
    assert_eq!(items.len(), STREAMS);
    let (least, most) = (items.values().min().unwrap(), items.values().max().unwrap());
    assert!(*least * 2 > ITEMS && *most < 2 * ITEMS, "{items:?}");
}

/// The items that a consumer gets if 100 items are ready at once and the window has room for two.
/// Also how many items were dropped, and whether the subscription lagged.
async fn overflow(overflow: Overflow, buffer: usize) -> (Vec<u64>, u64, bool) {
    let read = match overflow {
        Overflow::Block => 2,
        Overflow::Close => 2 + buffer + 1,
        _ => 100,
    };
    overflow_within(overflow, buffer, usize::MAX, read).await
}

/// The same with a limit in bytes, after `read` items were produced.
async fn overflow_within(
    overflow: Overflow,
    buffer: usize,
    bytes: usize,
    read: usize,
) -> (Vec<u64>, u64, bool) {
    let brought = Brought::default();
    let topic = numbers().overflow(overflow).buffer(buffer);
    let config = Config { max_subscription_buffer: bytes, ..Config::default() };
    let server = Server::builder().config(config).service(methods(topic, &brought));
    let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer();
    let mut numbers = peer.subscribe("numbers", (1, 100)).window(2 * ITEM).await.unwrap();
    settle(&peer, &brought, read).await;
    let (mut items, mut lagged) = (Vec::new(), false);
    while items.last() != Some(&100) && !(overflow == Overflow::DropNewest && items.len() == 6) {
        match numbers.next().await.expect("more") {
            Ok(item) => items.push(item),
            Err(Error::Lagged) => {
                lagged = true;
                break;
            }
            Err(other) => panic!("{other}"),
        }
    }
    (items, numbers.dropped(), lagged)
}

#[tokio::test]
async fn each_overflow_policy_handles_a_full_buffer() {
    let all: Vec<u64> = (1..=100).collect();
    assert_eq!(overflow(Overflow::Block, 4).await, (all, 0, false));
    let oldest = vec![1, 2, 97, 98, 99, 100];
    assert_eq!(overflow(Overflow::DropOldest, 4).await, (oldest, 94, false));
    // The next item would report the 94 dropped ones.
    let newest = vec![1, 2, 3, 4, 5, 6];
    assert_eq!(overflow(Overflow::DropNewest, 4).await, (newest, 0, false));
    assert_eq!(overflow(Overflow::Latest, 4).await, (vec![1, 2, 100], 97, false));
    assert_eq!(overflow(Overflow::Close, 4).await, (vec![1, 2], 0, true));
    // A buffer of zero items keeps one.
    assert_eq!(overflow(Overflow::DropOldest, 0).await, (vec![1, 2, 100], 97, false));
}

#[tokio::test]
async fn each_overflow_policy_handles_the_limit_of_bytes() {
    // The last four items, or the first few.
    let bytes = 3 * (ITEM + 1) + (ITEM + 2);
    let within = |overflow, read| overflow_within(overflow, 1000, bytes, read);
    let oldest = vec![1, 2, 97, 98, 99, 100];
    assert_eq!(within(Overflow::DropOldest, 100).await, (oldest, 94, false));
    let newest = vec![1, 2, 3, 4, 5, 6];
    assert_eq!(within(Overflow::DropNewest, 100).await, (newest, 0, false));
    assert_eq!(within(Overflow::Latest, 100).await, (vec![1, 2, 100], 97, false));
    assert_eq!(within(Overflow::Close, 7).await, (vec![1, 2], 0, true));
    // The limit is too small even for the newest item.
    for overflow in [Overflow::DropOldest, Overflow::Latest, Overflow::Close] {
        let outcome = overflow_within(overflow, 1000, ITEM - 1, 3).await;
        assert_eq!(outcome, (vec![1, 2], 0, true), "{overflow:?}");
    }
}

/// One subscription uses up the limit of the connection until it ends.
#[tokio::test]
async fn subscriptions_of_a_connection_share_one_limit_of_bytes() {
    let brought = Brought::default();
    let topic = numbers().overflow(Overflow::DropOldest).buffer(1000);
    let config = Config { max_subscription_buffer: 10 * ITEM, ..Config::default() };
    let server = Server::builder().config(config).service(methods(topic, &brought));
    let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
    let peer = client.peer();
    let subscribe = |to: u64| peer.subscribe::<u64>("numbers", (0, to)).window(ITEM);
    let greedy = subscribe(9).await.unwrap();
    settle(&peer, &brought, 10).await;
    let mut modest = subscribe(9).await.unwrap();
    settle(&peer, &brought, 20).await;
    // One item is in the window, and one fits into the buffer.
    assert_eq!(take(&mut modest, 2).await, [0, 9]);
    assert_eq!(modest.dropped(), 8);
    drop(greedy);
    drop(modest);
    let mut third = subscribe(9).await.unwrap();
    settle(&peer, &brought, 30).await;
    assert_eq!(take(&mut third, 10).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn an_error_of_a_stream_is_never_dropped() {
    for overflow in [Overflow::DropOldest, Overflow::DropNewest, Overflow::Latest] {
        let brought = Brought::default();
        let source = Arc::clone(&brought);
        let broken = Methods::new().subscription(numbers().overflow(overflow).buffer(2), {
            move |_, ()| {
                let error = stream::iter([Err(ErrorObject::new(8, "broken")), Ok(0)]);
                let numbers = count(1, 100, &source).chain(error);
                async move { Ok(numbers) }
            }
        });
        let server = Server::builder().service(broken);
        let (client, _peer) = memory::pair(Client::builder(), server).unwrap();
        let peer = client.peer();
        let mut numbers = peer.subscribe::<u64>("numbers", ()).window(1).await.unwrap();
        settle(&peer, &brought, 100).await;
        let mut items = Vec::new();
        let error = loop {
            match numbers.next().await.expect("an error comes first") {
                Ok(item) => items.push(item),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, Error::Call(error) if error.code().0 == 8), "{overflow:?}");
        assert_eq!(items.len() as u64 + numbers.dropped(), 100, "{overflow:?}");
        assert!(numbers.next().await.is_none());
    }
}

#[tokio::test]
async fn drops_are_reported_only_to_peers_that_know_the_extension() {
    let brought = Brought::default();
    let topic = numbers().overflow(Overflow::Latest);
    let server = Server::builder().service(methods(topic, &brought));
    let (mut raw, peer) = Raw::knowing_client(server).await;
    let asked =
        r#"{"jsonrpc":"2.0","method":"numbers","params":[1,9],"wsjsonrpc":{"window":65},"id":1}"#;
    assert_eq!(raw.ask(asked).await, result(r#""0x1""#, "1"));
    assert_eq!(
        raw.receive().await,
        notification("numbers", r#"{"subscription":"0x1","result":1}"#)
    );
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    while brought.load(Ordering::SeqCst) < 9 {
        tokio::task::yield_now().await;
    }
    raw.send(notification("$/credit", r#"{"subscription":"0x1","bytes":1}"#)).await;
    assert_eq!(
        raw.receive().await,
        notification("numbers", r#"{"subscription":"0x1","dropped":7,"result":9}"#)
    );
    drop(peer);
}

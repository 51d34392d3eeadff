//! Channels: one source for many subscriptions, with replay, filters, slow subscribers and an end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;
use serde_json::Value;
use wsjsonrpc::error::Gap;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::{Overflow, Position, Positioned, PublishError, Topic};
use wsjsonrpc::{
    Channel, Client, Context, Error, ErrorObject, Methods, Result, Server, Stream, memory, rpc,
};
use wsjsonrpc_tests::{Raw, end, error, item, notification, request, result};

/// A server with the subscription `news` to this channel.
fn server<T: Serialize + Send + 'static>(channel: &Channel<T>) -> ServerBuilder {
    with_topic(channel, Topic::new("news"))
}

fn with_topic<T: Serialize + Send + 'static>(channel: &Channel<T>, topic: Topic) -> ServerBuilder {
    let channel = channel.clone();
    let subscribe = move |ctx: Context, ()| {
        let stream = channel.subscribe(&ctx);
        async move { Ok(stream) }
    };
    Server::builder().service(Methods::new().subscription(topic, subscribe))
}

/// A subscribe request with this member `wsjsonrpc`.
fn subscribe(extensions: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"news","id":1,"wsjsonrpc":{extensions}}}"#)
}

/// A message with the members of `params` after the subscription's id.
fn message(members: &str) -> String {
    notification("news", &format!(r#"{{"subscription":"0x1",{members}}}"#))
}

fn start(position: &Position) -> String {
    let position = serde_json::to_string(position).unwrap();
    message(&format!(r#""position":{position}"#))
}

fn epoch_of(channel: &Channel<u64>) -> String {
    channel.position().epoch
}

#[tokio::test]
async fn a_plain_subscriber_gets_plain_items() {
    let channel = Channel::new();
    let mut raw = Raw::client(server(&channel)).await;
    channel.publish(&1).unwrap();
    assert_eq!(raw.ask(request("news", "[]", "1")).await, result(r#""0x1""#, "1"));
    assert_eq!(channel.subscriber_count(), 1);
    channel.publish(&2).unwrap();
    channel.publish(&3).unwrap();
    assert_eq!(raw.receive().await, item("news", r#""0x1""#, "2"));
    assert_eq!(raw.receive().await, item("news", r#""0x1""#, "3"));
    raw.check(&request("unsubscribe_news", r#"["0x1"]"#, "2"), &[&result("true", "2")]).await;
    while channel.subscriber_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_subscriber_that_resumes_gets_positions() {
    let channel = Channel::builder().replay(10).build();
    let mut raw = Raw::client(server(&channel)).await;
    channel.publish(&100).unwrap();
    assert_eq!(raw.ask(subscribe(r#"{"resume":true}"#)).await, result(r#""0x1""#, "1"));
    let epoch = epoch_of(&channel);
    assert_eq!(raw.receive().await, start(&Position { epoch: epoch.clone(), offset: 1 }));
    channel.publish(&200).unwrap();
    assert_eq!(raw.receive().await, message(r#""offset":2,"result":200"#));

    let mut again = Raw::client(server(&channel)).await;
    let resume = format!(r#"{{"resume":{{"epoch":"{epoch}","offset":1}}}}"#);
    assert_eq!(again.ask(subscribe(&resume)).await, result(r#""0x1""#, "1"));
    assert_eq!(again.receive().await, start(&Position { epoch: epoch.clone(), offset: 1 }));
    assert_eq!(again.receive().await, message(r#""offset":2,"result":200"#));
}

#[tokio::test]
async fn a_position_that_is_gone_starts_with_the_oldest_item() {
    let channel = Channel::builder().replay(2).build();
    for number in 1..=5 {
        channel.publish(&number).unwrap();
    }
    let epoch = epoch_of(&channel);
    for (asked, offset) in [
        (format!(r#"{{"epoch":"{epoch}","offset":2}}"#), 3),
        (format!(r#"{{"epoch":"{epoch}","offset":3}}"#), 3),
        (format!(r#"{{"epoch":"{epoch}","offset":4}}"#), 4),
        (format!(r#"{{"epoch":"{epoch}","offset":5}}"#), 5),
        // Not a position that the channel has ever sent.
        (format!(r#"{{"epoch":"{epoch}","offset":6}}"#), 3),
        (r#"{"epoch":"another","offset":4}"#.to_owned(), 3),
    ] {
        let mut raw = Raw::client(server(&channel)).await;
        let asked = format!(r#"{{"resume":{asked}}}"#);
        assert_eq!(raw.ask(subscribe(&asked)).await, result(r#""0x1""#, "1"));
        let position = Position { epoch: epoch.clone(), offset };
        assert_eq!(raw.receive().await, start(&position), "{asked}");
        for number in offset + 1..=5 {
            let expected = message(&format!(r#""offset":{number},"result":{number}"#));
            assert_eq!(raw.receive().await, expected, "{asked}");
        }
    }
}

/// Counts how many times it is serialized.
struct Counted(Arc<AtomicUsize>);

impl Serialize for Counted {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.fetch_add(1, Ordering::Relaxed);
        serializer.serialize_str(&"x".repeat(500))
    }
}

#[tokio::test]
async fn an_item_is_encoded_once_for_all_subscribers() {
    let channel = Channel::builder().replay(1).build();
    let endpoint = server(&channel).build().unwrap();
    let mut clients = Vec::new();
    for number in 0..50 {
        let (mut raw, _) = Raw::client_of(&endpoint).await;
        let resumes = if number % 2 == 0 { r#"{"resume":true}"# } else { "{}" };
        raw.ask(subscribe(resumes)).await;
        if number % 2 == 0 {
            raw.receive().await;
        }
        clients.push(raw);
    }
    let count = Arc::new(AtomicUsize::new(0));
    channel.publish(&Counted(Arc::clone(&count))).unwrap();
    let json = format!("\"{}\"", "x".repeat(500));
    for (number, raw) in clients.iter_mut().enumerate() {
        let offset = if number % 2 == 0 { r#""offset":1,"# } else { "" };
        assert_eq!(raw.receive().await, message(&format!(r#"{offset}"result":{json}"#)));
    }
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_slow_subscriber_skips_what_the_channel_no_longer_has() {
    let channel = Channel::builder().buffer(4).build();
    let mut raw = Raw::client(server(&channel)).await;
    // Credit for one item.
    raw.ask(subscribe(r#"{"resume":true,"window":1}"#)).await;
    raw.receive().await;
    for number in 1..=10 {
        channel.publish(&number).unwrap();
        // The first item is sent, because there is credit; then the subscriber waits.
        if number == 1 {
            assert_eq!(raw.receive().await, message(r#""offset":1,"result":1"#));
        }
    }
    raw.send(notification("$/credit", r#"{"subscription":"0x1","bytes":1000}"#)).await;
    assert_eq!(raw.receive().await, message(r#""dropped":5,"offset":7,"result":7"#));
    for number in 8..=10 {
        let expected = message(&format!(r#""offset":{number},"result":{number}"#));
        assert_eq!(raw.receive().await, expected);
    }
    assert_eq!(channel.dropped(), 5);
}

#[tokio::test]
async fn a_slow_subscriber_with_a_policy_keeps_its_own_items() {
    for (overflow, expected) in [
        (Overflow::DropOldest, vec![(7, 9), (0, 10)]),
        (Overflow::DropNewest, vec![(0, 2), (0, 3), (7, 11)]),
        (Overflow::Latest, vec![(8, 10)]),
    ] {
        let channel = Channel::new();
        let mut raw =
            Raw::client(with_topic(&channel, Topic::new("news").overflow(overflow).buffer(2)))
                .await;
        raw.ask(subscribe(r#"{"resume":true,"window":1}"#)).await;
        raw.receive().await;
        for number in 1..=10 {
            channel.publish(&number).unwrap();
            if number == 1 {
                assert_eq!(raw.receive().await, message(r#""offset":1,"result":1"#));
            }
        }
        raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
        raw.send(notification("$/credit", r#"{"subscription":"0x1","bytes":1000}"#)).await;
        let mut got = Vec::new();
        while got.len() < expected.len() {
            if overflow == Overflow::DropNewest && got.len() == 2 {
                channel.publish(&11).unwrap();
            }
            let text: Value = serde_json::from_str(&raw.receive().await).unwrap();
            let params = &text["params"];
            if let Some(number) = params["result"].as_u64() {
                got.push((params["dropped"].as_u64().unwrap_or(0), number));
            }
        }
        assert_eq!(got, expected, "{overflow:?}");
    }
}

#[tokio::test]
async fn a_channel_ends_its_subscriptions() {
    for (error, expected) in
        [(None, "null"), (Some(ErrorObject::new(8, "gone")), r#"{"code":8,"message":"gone"}"#)]
    {
        let channel = Channel::new();
        let mut raw = Raw::client(server(&channel)).await;
        raw.ask(request("news", "[]", "1")).await;
        channel.publish(&1).unwrap();
        match error {
            None => channel.close(),
            Some(error) => channel.close_with(error),
        }
        assert!(matches!(channel.publish(&2), Err(PublishError::Closed)));
        assert_eq!(raw.receive().await, item("news", r#""0x1""#, "1"));
        assert_eq!(raw.receive().await, end("news", r#""0x1""#, expected));
        // A later subscriber finds the end.
        assert_eq!(raw.ask(request("news", "[]", "2")).await, result(r#""0x2""#, "2"));
        assert_eq!(raw.receive().await, end("news", r#""0x2""#, expected));
    }
}

struct Broken;

impl Serialize for Broken {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("no"))
    }
}

#[tokio::test]
async fn an_item_that_cannot_be_encoded_reaches_nobody() {
    let channel = Channel::new();
    assert!(matches!(channel.publish(&Broken), Err(PublishError::Encode(_))));
    assert_eq!(channel.position().offset, 0);
}

#[tokio::test]
async fn an_item_over_the_limit_ends_the_subscription() {
    let channel = Channel::new();
    let config = wsjsonrpc::Config { max_outgoing_message: 200, ..Default::default() };
    let mut raw = Raw::client(server(&channel).config(config)).await;
    raw.ask(request("news", "[]", "1")).await;
    channel.publish(&"x".repeat(300)).unwrap();
    let too_large = r#"{"code":-32003,"message":"Result too large"}"#;
    assert_eq!(raw.receive().await, end("news", r#""0x1""#, too_large));
}

#[rpc]
trait Feed {
    #[subscription]
    fn even(&self, ctx: &Context) -> impl Stream<Item = Positioned<u64>>;

    #[subscription]
    async fn last(
        &self,
        ctx: &Context,
        items: usize,
    ) -> Result<impl Stream<Item = Positioned<u64>> + Send>;

    #[subscription]
    fn last_even(&self, ctx: &Context, items: usize) -> impl Stream<Item = Positioned<u64>>;

    /// From the handler's own storage.
    #[subscription]
    fn stored(&self, ctx: &Context) -> impl Stream<Item = Result<Positioned<u64>>>;
}

#[derive(Clone)]
struct Source(Channel<u64>);

impl Feed for Source {
    fn even(&self, ctx: &Context) -> impl Stream<Item = Positioned<u64>> {
        self.0
            .subscribe(ctx)
            .filter_items(|number| number % 2 == 0)
            .filter_items(|number| *number > 2)
    }

    async fn last(
        &self,
        ctx: &Context,
        items: usize,
    ) -> Result<impl Stream<Item = Positioned<u64>> + Send> {
        Ok(self.0.subscribe(ctx).last(items))
    }

    fn last_even(&self, ctx: &Context, items: usize) -> impl Stream<Item = Positioned<u64>> {
        self.0.subscribe(ctx).filter_items(|number| number % 2 == 0).last(items)
    }

    fn stored(&self, ctx: &Context) -> impl Stream<Item = Result<Positioned<u64>>> {
        ctx.starts_after(Position { epoch: "e".to_owned(), offset: 5 });
        futures_util::stream::iter([Ok(Positioned::new(6, 60)), Err(ErrorObject::new(8, "broken"))])
    }
}

#[tokio::test]
async fn filters_see_every_item_once_and_last_starts_in_the_past() {
    let channel = Channel::builder().replay(3).build();
    let (client, _) = memory::pair(
        Client::builder(),
        Server::builder().service(Source(channel.clone()).into_service()),
    )
    .unwrap();
    let feed = FeedClient::new(client.peer());
    let mut even = feed.even().await.unwrap();
    for number in 1..=200 {
        channel.publish(&number).unwrap();
    }
    for number in 2..=100 {
        assert_eq!(even.next().await.unwrap().unwrap(), 2 * number);
    }
    for (items, expected) in [(0, vec![]), (2, vec![199, 200]), (9, vec![198, 199, 200])] {
        let mut last = feed.last(items).await.unwrap();
        for number in expected {
            assert_eq!(last.next().await.unwrap().unwrap(), number, "{items}");
        }
    }
    // Only items that pass the filter are counted.
    channel.publish(&201).unwrap();
    for items in [1, 9] {
        let mut last = feed.last_even(items).await.unwrap();
        assert_eq!(last.next().await.unwrap().unwrap(), 200);
    }
}

#[tokio::test]
async fn a_handler_with_its_own_storage_sends_positions() {
    let source = Source(Channel::new());
    let mut raw = Raw::client(Server::builder().service(source.into_service())).await;
    let ask = r#"{"jsonrpc":"2.0","method":"stored","id":1,"wsjsonrpc":{"resume":true}}"#;
    assert_eq!(raw.ask(ask).await, result(r#""0x1""#, "1"));
    let message =
        |members: &str| notification("stored", &format!(r#"{{"subscription":"0x1",{members}}}"#));
    assert_eq!(raw.receive().await, message(r#""position":{"epoch":"e","offset":5}"#));
    assert_eq!(raw.receive().await, message(r#""offset":6,"result":60"#));
    assert_eq!(raw.receive().await, message(r#""error":{"code":8,"message":"broken"}"#));
    // Nobody else gets positions.
    assert_eq!(raw.ask(request("stored", "[]", "2")).await, result(r#""0x2""#, "2"));
    assert_eq!(raw.receive().await, item("stored", r#""0x2""#, "60"));
}

#[tokio::test]
async fn the_closure_learns_of_the_first_and_the_last_subscriber() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&seen);
    let channel = Channel::<u64>::builder()
        .on_active(move |active| {
            record.lock().unwrap().push(active);
            assert!(active, "a panic is contained");
        })
        .build();
    let (client, _) = memory::pair(Client::builder(), server(&channel)).unwrap();
    for _ in 0..2 {
        let first = client.peer().subscribe::<u64>("news", ()).await.unwrap();
        let second = client.peer().subscribe::<u64>("news", ()).await.unwrap();
        assert_eq!(channel.subscriber_count(), 2);
        drop((first, second));
        while channel.subscriber_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(*seen.lock().unwrap(), [true, false, true, false]);
}

#[tokio::test]
async fn items_of_several_channels_have_no_positions() {
    let (a, b) = (Channel::new(), Channel::new());
    b.publish(&0).unwrap();
    let (first, second) = (a.clone(), b.clone());
    let methods = Methods::new().subscription(Topic::new("news"), move |ctx: Context, ()| {
        let both = futures_util::stream::select(first.subscribe(&ctx), second.subscribe(&ctx));
        async move { Ok(both) }
    });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    assert_eq!(raw.ask(subscribe(r#"{"resume":true}"#)).await, result(r#""0x1""#, "1"));
    a.publish(&1).unwrap();
    assert_eq!(raw.receive().await, item("news", r#""0x1""#, "1"));
    b.publish(&2).unwrap();
    assert_eq!(raw.receive().await, item("news", r#""0x1""#, "2"));
}

/// Panics once when it is dropped.
#[derive(serde::Deserialize)]
struct Fragile(u64);

impl Serialize for Fragile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        static DROPPED: AtomicUsize = AtomicUsize::new(0);
        if self.0 == 1 && DROPPED.fetch_add(1, Ordering::SeqCst) == 0 {
            panic!("on purpose");
        }
    }
}

#[tokio::test]
async fn a_panic_in_the_drop_of_an_item_silences_nobody() {
    let channel = Channel::<Fragile>::builder().replay(1).build();
    let source = channel.clone();
    let methods = Methods::new().subscription(Topic::new("news"), move |ctx: Context, ()| {
        let stream = source.subscribe(&ctx).filter_items(|_| true);
        async move { Ok(stream) }
    });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    raw.ask(request("news", "[]", "1")).await;
    for number in 1..=3 {
        let item = Fragile(number);
        channel.publish(&item).unwrap();
        std::mem::forget(item);
        let expected = wsjsonrpc_tests::item("news", r#""0x1""#, &number.to_string());
        assert_eq!(raw.receive().await, expected);
    }
}

#[tokio::test]
async fn a_subscription_of_a_refused_call_leaves_nothing() {
    let channel = Channel::<u64>::new();
    let kept = channel.clone();
    let methods = Methods::new().subscription(Topic::new("news"), move |ctx: Context, ()| {
        let stream = kept.subscribe(&ctx);
        async move {
            drop(stream);
            Err::<wsjsonrpc::subscription::ChannelStream<u64>, _>(ErrorObject::new(7, "no"))
        }
    });
    let mut raw = Raw::client(Server::builder().service(methods)).await;
    raw.check(&subscribe(r#"{"resume":true}"#), &[&error(7, "no", "1")]).await;
    assert_eq!(channel.subscriber_count(), 0);
}

#[tokio::test]
async fn a_slow_consumer_that_resumes_gets_a_gap() {
    let channel = Channel::builder().buffer(2).build();
    let endpoint = server(&channel).build().unwrap();
    let connect = move || {
        let endpoint = endpoint.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(1024);
            tokio::spawn(async move { endpoint.serve(ours, None).await });
            Ok(theirs)
        }
    };
    let client = Client::builder()
        .reconnect(wsjsonrpc::client::Reconnect::default())
        .connect_with("ws://localhost/", connect)
        .await
        .unwrap();
    let mut news = client.peer().subscribe::<u64>("news", ()).resume().window(1).await.unwrap();
    channel.publish(&1).unwrap();
    assert_eq!(news.next().await.unwrap().unwrap(), 1);
    for number in 2..=9 {
        channel.publish(&number).unwrap();
        tokio::task::yield_now().await;
    }
    let (mut got, mut missed) = (Vec::new(), 0);
    while got.last() != Some(&9) {
        match news.next().await.unwrap() {
            Ok(number) => got.push(number),
            Err(Error::Gap(Gap::Dropped { missed: some, .. })) => missed += some,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(missed > 0);
    assert_eq!(got.len() as u64 + missed, 8, "{got:?}");
    assert!(got.is_sorted());
}

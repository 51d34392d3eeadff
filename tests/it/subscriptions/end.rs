//! How subscriptions end: by their streams, by their consumers, before they have started, and with
//! their connections. Nothing is left afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{Stream, StreamExt, stream};
use serde::{Serialize, Serializer};
use wsjsonrpc::client::Reconnect;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Client, Config, Context, Error, ErrorObject, Methods, Result, Server, memory};
use wsjsonrpc_tests::{
    Gate, Raw, begin, both_ways, cancel, error, listen, notification, over_socket, request, result,
};

/// Counts streams and handlers that exist.
#[derive(Clone, Default)]
struct Living(Arc<AtomicUsize>);

struct One(Arc<AtomicUsize>);

impl Drop for One {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Living {
    fn one(&self) -> One {
        self.0.fetch_add(1, Ordering::SeqCst);
        One(Arc::clone(&self.0))
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    async fn wait_for(&self, count: usize) {
        while self.count() != count {
            tokio::task::yield_now().await;
        }
    }

    /// A stream that counts while it exists.
    fn stream<S: Stream>(&self, stream: S) -> impl Stream<Item = S::Item> + use<S> {
        let one = self.one();
        stream.map(move |item| {
            let _ = &one;
            item
        })
    }
}

/// `one`: one item, then no more. `slow`: starts when the gate opens.
fn methods(living: &Living, gate: &Gate) -> Methods {
    let (one, slow, gate) = (living.clone(), living.clone(), gate.clone());
    let silence = || stream::iter([Ok(1)]).chain(stream::pending::<Result<u8>>());
    Methods::new()
        .subscription(Topic::new("one"), move |_, ()| {
            let stream = one.stream(silence());
            async move { Ok(stream) }
        })
        .subscription(Topic::new("slow"), move |_: Context, ()| {
            let (slow, gate) = (slow.clone(), gate.clone());
            async move {
                gate.pass().await;
                Ok(slow.stream(silence()))
            }
        })
}

fn server(living: &Living, gate: &Gate) -> ServerBuilder {
    Server::builder().expose_errors(false).service(methods(living, gate))
}

/// The request that subscribes to `one`.
fn asked(id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"one","id":{id}}}"#)
}

/// The kinds of failures inside a subscription.
#[derive(Clone)]
enum Wrong {
    Panic,
    PanicInDrop,
    Unserializable,
    Large,
}

struct Item(Wrong);

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Wrong::Unserializable => Err(serde::ser::Error::custom("no such item")),
            Wrong::Large => serializer.serialize_str(&"x".repeat(1000)),
            Wrong::Panic => panic!("in the stream"),
            Wrong::PanicInDrop => serializer.serialize_u8(1),
        }
    }
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "in the drop of a stream");
    }
}

#[tokio::test]
async fn a_failure_ends_only_its_own_subscription() {
    let wrong = |wrong: Wrong| {
        move |_: Context, ()| {
            let items = [Ok::<_, ErrorObject>(Item(wrong.clone()))];
            let bomb = matches!(wrong, Wrong::PanicInDrop).then(|| Bomb);
            async move {
                Ok(stream::iter(items).map(move |item| {
                    let _ = &bomb;
                    item
                }))
            }
        }
    };
    let methods = Methods::new()
        .subscription(Topic::new("panic"), wrong(Wrong::Panic))
        .subscription(Topic::new("drop"), wrong(Wrong::PanicInDrop))
        .subscription(Topic::new("unserializable"), wrong(Wrong::Unserializable))
        .subscription(Topic::new("large"), wrong(Wrong::Large))
        .subscription(Topic::new("early"), |_, ()| async move {
            let before = std::env::args().len() > 0;
            assert!(!before, "before there is a stream");
            Ok(stream::empty::<Result<()>>())
        });
    let config = Config { max_outgoing_message: 500, ..Config::default() };
    let mut raw =
        Raw::client(Server::builder().expose_errors(false).service(methods).config(config)).await;
    let last = |name: &str, id: u8, error: &str| {
        notification(name, &format!(r#"{{"subscription":"{id:#x}","error":{error}}}"#))
    };
    let internal = r#"{"code":-32603,"message":"Internal error"}"#;
    let large = r#"{"code":-32003,"message":"Result too large"}"#;
    for (id, name, error) in
        [(1, "panic", internal), (2, "unserializable", internal), (3, "large", large)]
    {
        let accepted = result(&format!(r#""{id:#x}""#), "1");
        assert_eq!(raw.ask(request(name, "[]", "1")).await, accepted);
        assert_eq!(raw.receive().await, last(name, id, error));
    }
    assert_eq!(raw.ask(request("drop", "[]", "1")).await, result(r#""0x4""#, "1"));
    let item = r#"{"subscription":"0x4","result":1}"#;
    assert_eq!(raw.receive().await, notification("drop", item));
    assert_eq!(raw.receive().await, last("drop", 4, internal));
    assert_eq!(raw.ask(request("early", "[]", "1")).await, error(-32603, "Internal error", "1"));
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
}

#[tokio::test]
async fn dropping_a_subscription_ends_its_stream() {
    let (living, gate) = (Living::default(), Gate::default());
    let server = || server(&living, &gate);
    let client = || Client::builder().service(methods(&living, &gate));
    for (client, peer) in both_ways(client, server).await {
        for peer in [client.peer(), peer] {
            let mut ones = Vec::new();
            for _ in 0..10 {
                let mut one = peer.subscribe::<u8>("one", ()).await.unwrap();
                assert_eq!(one.next().await.unwrap().unwrap(), 1);
                ones.push(one);
            }
            assert_eq!(living.count(), 10);
            ones.truncate(3);
            living.wait_for(3).await;
            drop(ones);
            living.wait_for(0).await;
        }
    }
}

#[tokio::test]
async fn a_subscription_dropped_before_its_response_is_unsubscribed() {
    // A peer with extensions gets a cancellation, possibly too late. Otherwise the client
    // unsubscribes with the id when the response arrives.
    let (mut raw, client) = Raw::knowing_server(Client::builder()).await;
    let peer = client.peer();
    drop(begin(peer.subscribe::<u8>("one", ()).into_future()).await);
    assert!(raw.receive().await.starts_with(r#"{"jsonrpc":"2.0","method":"one","#));
    assert_eq!(raw.receive().await, cancel("1"));
    raw.send(result(r#""late""#, "1")).await;
    assert_eq!(raw.receive().await, request("unsubscribe_one", r#"["late"]"#, "2"));

    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    drop(begin(peer.subscribe::<u8>("one", ()).into_future()).await);
    assert_eq!(raw.receive().await, asked("1"));
    raw.send(result(r#""late""#, "1")).await;
    assert_eq!(raw.receive().await, request("unsubscribe_one", r#"["late"]"#, "2"));
    raw.send(result("true", "2")).await;
    // An error has no subscription id.
    drop(begin(peer.subscribe::<u8>("one", ()).into_future()).await);
    assert_eq!(raw.receive().await, asked("3"));
    raw.send(error(1, "no", "3")).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    // A call that was never sent has none either.
    let mut batch = peer.new_batch();
    let unsent = batch.add(peer.subscribe::<u8>("one", ()));
    drop(batch);
    assert!(matches!(unsent.await, Err(Error::NotSent)));
    raw.send(result(r#""x""#, "4")).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_times_out_is_unsubscribed() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let subscribed = client.peer().subscribe::<u8>("one", ()).timeout(Duration::from_secs(1));
    let subscribed = tokio::spawn(subscribed.into_future());
    assert_eq!(raw.receive().await, asked("1"));
    assert!(matches!(subscribed.await.unwrap(), Err(Error::Timeout(_))));
    raw.send(result(r#""late""#, "1")).await;
    assert_eq!(raw.receive().await, request("unsubscribe_one", r#"["late"]"#, "2"));
}

#[tokio::test]
async fn a_handler_of_a_dropped_subscription_starts_no_stream() {
    let (living, gate) = (Living::default(), Gate::default());
    let (client, _peer) = memory::pair(Client::builder(), server(&living, &gate)).unwrap();
    let asked = begin(client.peer().subscribe::<u8>("slow", ()).into_future()).await;
    gate.arrived(1).await;
    drop(asked);
    // The cancellation was sent before this call.
    let _ = client.peer().call::<()>("no.such.method", ()).await;
    gate.open(1);
    living.wait_for(0).await;
    let mut slow = begin(client.peer().subscribe::<u8>("slow", ()).into_future()).await;
    gate.arrived(1).await;
    gate.open(1);
    let slow = slow.as_mut().await.unwrap();
    assert_eq!(slow.id(), r#""0x2""#);
    assert_eq!(living.count(), 1);
    drop(slow);
    living.wait_for(0).await;
}

#[tokio::test]
async fn a_shutdown_ends_each_subscription_with_an_error() {
    let (living, gate) = (Living::default(), Gate::default());
    let endpoint = server(&living, &gate).build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    for id in 1..=5 {
        raw.ask(request("one", "[]", "1")).await;
        let item = format!(r#"{{"subscription":"{id:#x}","result":1}}"#);
        assert_eq!(raw.receive().await, notification("one", &item));
    }
    let unfinished = tokio::spawn({
        let endpoint = endpoint.clone();
        async move { endpoint.shutdown().await }
    });
    let mut last: Vec<String> = Vec::new();
    for _ in 0..5 {
        last.push(raw.receive().await);
    }
    last.sort();
    let gone = |id: u8| {
        let error = r#"{"code":-32002,"message":"Shutting down"}"#;
        notification("one", &format!(r#"{{"subscription":"{id:#x}","error":{error}}}"#))
    };
    assert_eq!(last, [1, 2, 3, 4, 5].map(gone));
    let close = raw.receive_close().await.expect("with a code");
    assert_eq!(u16::from(close.code), 1001);
    raw.wait_for_end().await;
    assert_eq!(unfinished.await.unwrap(), 0);
    assert!(matches!(serving.await.unwrap(), CloseReason::Local));
    living.wait_for(0).await;

    let (url, endpoint) = listen(server(&living, &gate)).await;
    let client = Client::connect(&url).await.unwrap();
    let mut one = client.peer().subscribe::<u8>("one", ()).await.unwrap();
    assert_eq!(endpoint.shutdown().await, 0);
    assert_eq!(one.next().await.unwrap().unwrap(), 1);
    assert!(matches!(one.next().await, Some(Err(Error::Call(error))) if error.code().0 == -32002));
    assert!(one.next().await.is_none());
    living.wait_for(0).await;
}

#[test]
fn whichever_side_ends_the_connection_no_stream_is_left() {
    for end in 0..4 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (living, gate) = (Living::default(), Gate::default());
            let both = || methods(&living, &gate);
            let server = Server::builder().service(both()).bind("127.0.0.1:0").await.unwrap();
            let (url, endpoint) = (server.url(), server.endpoint().clone());
            let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
            let serving = tokio::spawn(server.run_until(async {
                let _ = stopped.await;
            }));
            let client = Client::builder().service(both()).connect(&url).await.unwrap();
            let theirs = loop {
                match endpoint.connections().pop() {
                    Some(connection) => break connection.peer(),
                    None => tokio::task::yield_now().await,
                }
            };
            let mut here = client.peer().subscribe::<u8>("one", ()).await.unwrap();
            let mut there = theirs.subscribe::<u8>("one", ()).await.unwrap();
            let waits = begin(client.peer().subscribe::<u8>("slow", ()).into_future()).await;
            gate.arrived(1).await;
            assert_eq!(living.count(), 2);
            match end {
                0 => drop(client.close().await),
                1 => theirs.close(1000, "enough"),
                2 => {
                    let _ = stop.send(());
                }
                _ => drop(waits),
            }
            if end == 3 {
                // The subscriptions of this side hold the last handles.
                let reason = here.next().await;
                assert_eq!(reason.unwrap().unwrap(), 1);
                drop((here, client));
            } else {
                gate.open(1);
                assert_eq!(here.next().await.unwrap().unwrap(), 1);
                assert!(matches!(here.next().await, Some(Err(Error::Closed(_) | Error::Call(_)))));
                assert!(here.next().await.is_none());
            }
            assert_eq!(there.next().await.unwrap().unwrap(), 1);
            assert!(matches!(there.next().await, Some(Err(Error::Closed(_)))));
            assert!(there.next().await.is_none());
            living.wait_for(0).await;
            if end != 2 {
                serving.abort();
            }
            let _ = serving.await;
            drop((theirs, there));
            while runtime_tasks() > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}

fn runtime_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

#[tokio::test]
async fn a_reconnecting_client_resubscribes_in_its_hook() {
    let (living, gate) = (Living::default(), Gate::default());
    let (url, endpoint) = listen(server(&living, &gate)).await;
    let (found, mut subscriptions) = tokio::sync::mpsc::unbounded_channel();
    let client = Client::builder()
        .reconnect(Reconnect::default())
        .on_connect(move |peer| {
            let found = found.clone();
            async move {
                let one = peer.subscribe::<u8>("one", ()).await?;
                let _ = found.send(one);
                Ok(())
            }
        })
        .connect(&url)
        .await
        .unwrap();
    let mut through_the_session = client.peer().subscribe::<u8>("one", ()).await.unwrap();
    for _ in 0..3 {
        let mut one = subscriptions.recv().await.unwrap();
        assert_eq!(one.next().await.unwrap().unwrap(), 1);
        endpoint.connections().iter().for_each(|it| it.close(1012, "restart"));
        assert!(matches!(one.next().await, Some(Err(Error::Closed(_)))));
        assert!(one.next().await.is_none());
    }
    assert_eq!(through_the_session.next().await.unwrap().unwrap(), 1);
    assert!(matches!(through_the_session.next().await, Some(Err(Error::Closed(_)))));
    let mut again = client.peer().subscribe::<u8>("one", ()).await.unwrap();
    assert_eq!(again.next().await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn a_subscription_keeps_its_connection_open() {
    let (living, gate) = (Living::default(), Gate::default());
    let (client, peer) = over_socket(Client::builder(), server(&living, &gate)).await;
    let mut one = client.peer().subscribe::<u8>("one", ()).await.unwrap();
    drop(client);
    assert_eq!(one.next().await.unwrap().unwrap(), 1);
    let _ = one.peer().call::<()>("no.such.method", ()).await;
    drop(one);
    assert!(matches!(peer.closed().await, CloseReason::Remote { code: 1000, .. }));
    living.wait_for(0).await;
}

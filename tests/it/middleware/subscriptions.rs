//! Middleware around the calls of subscriptions: it sees the call, and the stream runs outside of
//! it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use wsjsonrpc::middleware::{Middleware, Next};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::service::{Request, Response};
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Client, Context, ErrorObject, Methods, Result, async_trait, memory};
use wsjsonrpc_tests::record::Record;
use wsjsonrpc_tests::{Gate, Raw, cancel, cancelled, error, item, request, result};

/// A stream that reports when it is dropped.
struct Held(mpsc::UnboundedSender<&'static str>);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.send("the stream is gone");
    }
}

fn endless(held: Held) -> impl Stream<Item = Result<u32>> + Send + 'static {
    stream::iter(1..).take(1).chain(stream::pending()).map(move |item| {
        let _held = &held;
        Ok(item)
    })
}

fn server(gate: &Gate) -> (ServerBuilder, Record, mpsc::UnboundedReceiver<&'static str>) {
    let (send, gone) = mpsc::unbounded_channel();
    let (late, gate) = (send.clone(), gate.clone());
    let methods = Methods::new()
        .subscription(Topic::new("endless"), move |_, ()| {
            let held = Held(send.clone());
            async move { Ok(endless(held)) }
        })
        .subscription(Topic::new("late"), move |_, ()| {
            let (gate, held) = (gate.clone(), Held(late.clone()));
            async move {
                gate.pass().await;
                Ok(endless(held))
            }
        });
    let record = Record::default();
    (wsjsonrpc_tests::server().service(methods).middleware(record.clone()), record, gone)
}

#[tokio::test]
async fn middleware_sees_the_call_and_items_follow_the_response() {
    let (server, record, _gone) = server(&Gate::default());
    let (mut raw, _) = Raw::knowing_client(server).await;
    record.take();
    assert_eq!(raw.ask(request("count", "[2]", "1")).await, result(r#""0x1""#, "1"));
    for number in ["1", "2"] {
        assert_eq!(raw.receive().await, item("count", r#""0x1""#, number));
    }
    let end = raw.receive().await;
    assert!(end.contains("0x1") && !end.contains("result"), "{end}");
    assert_eq!(record.take(), ["request count count [2]", "nothing"]);
    assert_eq!(raw.ask(request("refused", "[]", "2")).await, error(7, "no", "2"));
    assert_eq!(record.take()[1], "7 no");
}

#[tokio::test]
async fn middleware_sees_subscriptions_in_a_batch() {
    let (server, _, _gone) = server(&Gate::default());
    let mut raw = Raw::client(server).await;
    let batch = format!("[{},{}]", request("count", "[1]", "1"), request("endless", "[]", "2"));
    let answers = format!("[{},{}]", result(r#""0x1""#, "1"), result(r#""0x2""#, "2"));
    assert_eq!(raw.ask(batch).await, answers);
    let mut items = [raw.receive().await, raw.receive().await];
    items.sort();
    assert_eq!(items, [item("count", r#""0x1""#, "1"), item("endless", r#""0x2""#, "1")]);
}

#[tokio::test]
async fn unsubscribing_does_not_pass_through_middleware() {
    let (server, record, mut gone) = server(&Gate::default());
    let mut raw = Raw::client(server).await;
    raw.ask(request("endless", "[]", "1")).await;
    assert_eq!(raw.receive().await, item("endless", r#""0x1""#, "1"));
    record.take();
    let answer = raw.ask(request("unsubscribe_endless", r#"["0x1"]"#, "2")).await;
    assert_eq!(answer, result("true", "2"));
    assert_eq!(gone.recv().await, Some("the stream is gone"));
    assert!(record.take().is_empty());
}

#[tokio::test]
async fn a_late_subscription_ends_with_its_connection() {
    for method in ["endless", "late"] {
        let gate = Gate::default();
        let (server, _, mut gone) = server(&gate);
        let mut raw = Raw::client(server).await;
        raw.send(request(method, "[]", "1")).await;
        if method == "late" {
            gate.arrived(1).await;
            gate.open(1);
        }
        assert_eq!(raw.receive().await, result(r#""0x1""#, "1"));
        assert_eq!(raw.receive().await, item(method, r#""0x1""#, "1"));
        raw.hang_up();
        assert_eq!(gone.recv().await, Some("the stream is gone"));
    }
}

#[tokio::test]
async fn a_subscription_cancelled_before_it_starts_is_dropped() {
    let gate = Gate::default();
    let (server, _, mut gone) = server(&gate);
    let mut raw = Raw::client(server).await;
    raw.send(request("late", "[]", "1")).await;
    gate.arrived(1).await;
    let answer = raw.ask(cancel("1")).await;
    assert_eq!(answer, cancelled("1"));
    gate.open(1);
    assert_eq!(gone.recv().await, Some("the stream is gone"));
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
}

/// Replaces the response after its handler has a stream.
struct Otherwise(Arc<AtomicBool>);

#[async_trait]
impl Middleware for Otherwise {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        let response = next.run(request).await;
        if self.0.load(Ordering::SeqCst) {
            return ErrorObject::new(9, "otherwise").into();
        }
        // Yields between the handler's response and sending it.
        tokio::task::yield_now().await;
        response
    }
}

#[tokio::test]
async fn the_stream_is_dropped_if_middleware_answers_itself() {
    let (server, _, mut gone) = server(&Gate::default());
    let otherwise = Arc::new(AtomicBool::new(true));
    let config = wsjsonrpc::Config { max_subscriptions: 1, ..Default::default() };
    let server = server.config(config).middleware(Otherwise(Arc::clone(&otherwise)));
    let mut raw = Raw::client(server).await;
    for _ in 0..3 {
        let answer = raw.ask(request("endless", "[]", "1")).await;
        assert_eq!(answer, error(9, "otherwise", "1"));
        assert_eq!(gone.recv().await, Some("the stream is gone"));
    }
    otherwise.store(false, Ordering::SeqCst);
    assert_eq!(raw.ask(request("endless", "[]", "2")).await, result(r#""0x4""#, "2"));
    assert_eq!(raw.receive().await, item("endless", r#""0x4""#, "1"));
}

#[tokio::test]
async fn a_consumer_gets_all_items_within_its_window() {
    let (server, record, _gone) = server(&Gate::default());
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let numbers = client.peer().subscribe::<u32>("count", (5_000,)).window(1000).await.unwrap();
    let numbers: Vec<u32> = numbers.map(|number| number.unwrap()).collect().await;
    assert_eq!(numbers, (1..=5_000).collect::<Vec<_>>());
    assert_eq!(record.take().len(), 2);
}

#[tokio::test]
async fn an_unaccepted_subscription_ends_with_its_connection() {
    let gate = Gate::default();
    let (server, record, mut gone) = server(&gate);
    let mut raw = Raw::client(server).await;
    raw.send(request("late", "[]", "1")).await;
    gate.arrived(1).await;
    raw.hang_up();
    assert_eq!(gone.recv().await, Some("the stream is gone"));
    tokio::task::yield_now().await;
    assert_eq!(record.take()[1], "-32800 Request cancelled");
}

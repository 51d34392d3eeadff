//! Calls through a generated client: requests, notifications, timeouts, params by name, many at
//! once, and dropped calls. In memory and over a real socket.

use std::future::IntoFuture;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Call, Client, Context, Error, Result, Server, memory, rpc};
use wsjsonrpc_tests::{Raw, assert_same_json, both_ways, over_socket, poll_once};

#[rpc]
trait Math {
    #[method(name = "math.sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn greet(&self, ctx: &Context, name: &str, greeting: Option<&str>) -> Result<String>;
    async fn total(&self, ctx: &Context, numbers: &[i64]) -> Result<i64>;
    /// Takes that many seconds, by the paused clock.
    async fn wait(&self, ctx: &Context, seconds: u64) -> Result<u64>;
    async fn never(&self, ctx: &Context) -> Result<()>;
    /// Responds later than calls that arrived after it.
    async fn later(&self, ctx: &Context, number: u64) -> Result<u64>;
    fn log(&self, ctx: &Context, line: &str);
}

/// Passes on what is logged.
struct Calculator(mpsc::UnboundedSender<String>);

impl Math for Calculator {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
    async fn greet(&self, _: &Context, name: &str, greeting: Option<&str>) -> Result<String> {
        Ok(format!("{}, {name}!", greeting.unwrap_or("Hello")))
    }
    async fn total(&self, _: &Context, numbers: &[i64]) -> Result<i64> {
        Ok(numbers.iter().sum())
    }
    async fn wait(&self, _: &Context, seconds: u64) -> Result<u64> {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(seconds)
    }
    async fn never(&self, _: &Context) -> Result<()> {
        std::future::pending().await
    }
    async fn later(&self, _: &Context, number: u64) -> Result<u64> {
        for _ in 0..number % 7 {
            tokio::task::yield_now().await;
        }
        Ok(number)
    }
    fn log(&self, _: &Context, line: &str) {
        self.0.send(line.to_owned()).expect("the test listens");
    }
}

fn server() -> (ServerBuilder, mpsc::UnboundedReceiver<String>) {
    let (log, lines) = mpsc::unbounded_channel();
    (Server::builder().service(Calculator(log).into_service()), lines)
}

fn in_memory() -> (Client, MathClient) {
    let (client, _) = memory::pair(Client::builder(), server().0).unwrap();
    let math = MathClient::new(&client);
    (client, math)
}

#[tokio::test]
async fn a_request_returns_its_result() {
    for (client, _) in both_ways(Client::builder, || server().0).await {
        let math = MathClient::new(&client);
        assert_eq!(math.sum(1, 2).await.unwrap(), 3);
        assert_eq!(math.sum(i64::MAX, i64::MIN).await.unwrap(), -1);
        assert_eq!(math.greet("Ada", None).await.unwrap(), "Hello, Ada!");
        assert_eq!(math.greet("Ada", Some("Ahoy")).await.unwrap(), "Ahoy, Ada!");
        assert_eq!(math.total(&[1, 2, 3]).await.unwrap(), 6);
        assert_eq!(math.total(&[]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn a_notification_is_handled_and_not_answered() {
    for over_tcp in [false, true] {
        let (server, mut lines) = server();
        let (client, _) = match over_tcp {
            false => memory::pair(Client::builder(), server).unwrap(),
            true => over_socket(Client::builder(), server).await,
        };
        let math = MathClient::new(&client);
        math.log("ready").notify().await.unwrap();
        assert_eq!(lines.recv().await.unwrap(), "ready");
        assert_eq!(client.peer().pending_calls(), 0);
        // The next call gets its response first, so there was no response to the notification.
        assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn a_notification_has_no_id_on_the_wire() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let math = MathClient::new(&client);
    math.sum(1, 2).notify().await.unwrap();
    math.never().notify().await.unwrap();
    let expected = r#"{"jsonrpc":"2.0","method":"math.sum","params":[1,2]}"#;
    assert_same_json(&raw.receive().await, expected, "params in a list");
    let expected = r#"{"jsonrpc":"2.0","method":"never"}"#;
    assert_same_json(&raw.receive().await, expected, "no params");
}

#[tokio::test]
async fn by_name_sends_an_object() {
    let (_client, math) = in_memory();
    assert_eq!(math.sum(3, 4).by_name().await.unwrap(), 7);
    assert_eq!(math.greet("Ada", None).by_name().await.unwrap(), "Hello, Ada!");

    let (mut raw, client) = Raw::server(Client::builder()).await;
    let math = MathClient::new(&client);
    math.greet("{\"x\":[", None).by_name().notify().await.unwrap();
    let expected =
        r#"{"jsonrpc":"2.0","method":"greet","params":{"name":"{\"x\":[","greeting":null}}"#;
    assert_same_json(&raw.receive().await, expected, "by name");
}

#[tokio::test]
async fn borrowed_params_arrive_with_and_without_escapes() {
    let texts = ["", "\"", "\\", "line\nbreak\t\u{0}\u{1f}", "äöü € 𝄞", "\u{2028}\u{feff}", "/"];
    for (client, _) in both_ways(Client::builder, || server().0).await {
        let math = MathClient::new(&client);
        for text in texts {
            let greeting = math.greet(text, Some(text)).await.unwrap();
            assert_eq!(greeting, format!("{text}, {text}!"));
        }
        let long = "ß".repeat(100_000);
        assert_eq!(math.greet(&long, Some("")).await.unwrap(), format!(", {long}!"));
    }
}

#[tokio::test]
async fn nothing_is_sent_before_a_call_is_awaited() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let math = MathClient::new(&client);
    let first = math.sum(1, 1);
    let mut unpolled = math.sum(2, 2).into_future();
    assert_eq!(client.peer().pending_calls(), 0);
    math.log("first").notify().await.unwrap();
    assert!(raw.receive().await.contains("first"));
    assert!(poll_once(&mut unpolled).await.is_pending());
    assert!(raw.receive().await.contains("[2,2]"));
    assert_eq!(client.peer().pending_calls(), 1);
    drop(first);
}

/// The message of a timed-out call, which names the method and the time.
async fn late<T: DeserializeOwned>(call: Call<T>) -> (String, Duration) {
    match call.await {
        Err(Error::Timeout(timeout)) => (timeout.method().to_owned(), timeout.after()),
        other => panic!("{:?}", other.map(drop)),
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_times_out_after_its_own_time_or_30_seconds() {
    let (_client, math) = in_memory();
    assert_eq!(math.wait(29).await.unwrap(), 29);
    assert_eq!(late(math.wait(31)).await, ("wait".to_owned(), Duration::from_secs(30)));
    let (short, long) = (Duration::from_secs(5), Duration::from_secs(3600));
    assert_eq!(math.wait(4).timeout(short).await.unwrap(), 4);
    assert_eq!(late(math.wait(6).timeout(short)).await, ("wait".to_owned(), short));
    assert_eq!(late(math.wait(6).timeout(Duration::ZERO)).await.1, Duration::ZERO);
    let untyped = math.peer().call::<()>("wait", (6,)).timeout(short);
    assert_eq!(late(untyped).await, ("wait".to_owned(), short));
    assert_eq!(math.wait(3599).timeout(long).await.unwrap(), 3599);
    assert_eq!(math.wait(86_400).without_timeout().await.unwrap(), 86_400);
    assert_eq!(math.wait(31).timeout(Duration::MAX).await.unwrap(), 31);
}

#[tokio::test(start_paused = true)]
async fn the_builder_sets_the_default_timeout() {
    let short = Client::builder().call_timeout(Duration::from_secs(2));
    let (client, _) = memory::pair(short, server().0).unwrap();
    let math = MathClient::new(&client);
    assert_eq!(math.wait(1).await.unwrap(), 1);
    assert!(matches!(math.wait(3).await, Err(Error::Timeout(_))));

    let (client, _) = memory::pair(Client::builder().call_timeout(None), server().0).unwrap();
    let math = MathClient::new(&client);
    assert_eq!(math.wait(86_400).await.unwrap(), 86_400);
    let limited = math.wait(3).timeout(Duration::from_secs(2)).await;
    assert!(matches!(limited, Err(Error::Timeout(_))));
}

#[tokio::test(start_paused = true)]
async fn a_late_response_is_dropped_and_the_connection_stays_open() {
    let (client, math) = in_memory();
    let late = math.wait(10).timeout(Duration::from_secs(1)).await;
    assert!(matches!(late, Err(Error::Timeout(_))));
    assert_eq!(client.peer().pending_calls(), 0);
    // The late response arrives while this call waits.
    assert_eq!(math.wait(20).await.unwrap(), 20);
    assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    assert!(!client.peer().is_closed());
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_pending() {
    for (client, _) in both_ways(Client::builder, || server().0).await {
        let (peer, math) = (client.peer(), MathClient::new(&client));
        let mut calls: Vec<_> = (0..10).map(|_| math.never().into_future()).collect();
        for call in &mut calls {
            assert!(poll_once(call).await.is_pending());
        }
        assert_eq!(peer.pending_calls(), 10);
        calls.truncate(3);
        assert_eq!(peer.pending_calls(), 3);
        drop(calls);
        assert_eq!(peer.pending_calls(), 0);
        assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    }
}

#[tokio::test]
async fn an_aborted_task_leaves_nothing_pending() {
    let (client, math) = in_memory();
    let waiting = tokio::spawn({
        let math = math.clone();
        async move { math.never().await }
    });
    assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    assert_eq!(client.peer().pending_calls(), 1);
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert_eq!(client.peer().pending_calls(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_calls_at_once_get_their_own_answers() {
    for (client, _) in both_ways(Client::builder, || server().0).await {
        let math = MathClient::new(&client);
        let mut calls = JoinSet::new();
        for number in 0..1000 {
            let math = math.clone();
            calls.spawn(async move { (number, math.later(number).await) });
        }
        let mut answered = 0;
        while let Some(joined) = calls.join_next().await {
            let (number, answer) = joined.unwrap();
            assert_eq!(answer.unwrap(), number);
            answered += 1;
        }
        assert_eq!((answered, client.peer().pending_calls()), (1000, 0));
    }
}

#[tokio::test]
async fn clients_of_one_server_get_their_own_answers() {
    let (url, _) = wsjsonrpc_tests::listen(server().0).await;
    let mut clients = JoinSet::new();
    for number in 0..20 {
        let url = url.clone();
        clients.spawn(async move {
            let math = MathClient::connect(&url).await.unwrap();
            for y in 0..20 {
                assert_eq!(math.sum(number * 1000, y).await.unwrap(), number * 1000 + y);
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

#[tokio::test]
async fn a_connection_made_by_a_stub_lives_as_long_as_the_stub() {
    let (url, endpoint) = wsjsonrpc_tests::listen(server().0).await;
    let math = MathClient::connect(&url).await.unwrap();
    let clone = math.clone();
    assert_eq!(math.sum(1, 2).await.unwrap(), 3);
    let seen_by_server = endpoint.connections().pop().unwrap().peer();
    drop(math);
    assert_eq!(clone.sum(3, 4).await.unwrap(), 7);
    drop(clone);
    let reason = seen_by_server.closed().await.to_string();
    assert_eq!(reason, "connection closed by the peer with code 1000");
}

#[tokio::test]
async fn a_result_of_another_type_fails_its_own_call_only() {
    #[rpc]
    trait Mistaken {
        async fn greet(&self, ctx: &Context, name: &str, greeting: Option<&str>) -> Result<u8>;
    }
    let (client, math) = in_memory();
    let mistaken = MistakenClient::new(&client).greet("Ada", None).await.unwrap_err();
    assert!(matches!(mistaken, Error::Decode(_)), "{mistaken:?}");
    assert!(mistaken.to_string().starts_with("cannot deserialize the result: "));
    assert_eq!(math.sum(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn calls_on_a_closed_connection_fail_at_once() {
    for (client, _) in both_ways(Client::builder, || server().0).await {
        let math = MathClient::new(&client);
        client.close().await;
        assert!(matches!(math.sum(1, 2).await, Err(Error::Closed(_))));
        assert!(matches!(math.log("late").notify().await, Err(Error::Closed(_))));
        assert_eq!(client.peer().pending_calls(), 0);
    }
}

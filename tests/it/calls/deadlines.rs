//! Deadlines of calls as their handler sees them: on the wire, in the context, and in the calls
//! that the handler makes. The clock is paused, so times are exact.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::error::Timeout;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, Peer, Result, SendTo, Server, memory, rpc};
use wsjsonrpc_tests::reconnect::{client as reconnecting, connected};
use wsjsonrpc_tests::{
    MILLISECOND, Raw, SECOND, begin, listen, notification, over_socket, request, result,
};

fn config(send_timeout: SendTo) -> Config {
    Config { send_timeout, ping_interval: None, ..Config::default() }
}

fn client(send_timeout: SendTo) -> ClientBuilder {
    Client::builder().config(config(send_timeout))
}

fn sent(told: &str, id: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"m","params":[1]{told},"id":{id}}}"#)
}

#[tokio::test(start_paused = true)]
async fn a_call_sends_its_timeout_in_milliseconds() {
    let (mut raw, client) = Raw::knowing_server(client(SendTo::Known)).await;
    let peer = client.peer();
    let call = || peer.call::<()>("m", [1]);
    for (call, told, id) in [
        (call(), r#","wsjsonrpc":{"timeout":30000}"#, "1"),
        (call().timeout(1500 * MILLISECOND), r#","wsjsonrpc":{"timeout":1500}"#, "2"),
        (call().timeout(Duration::from_micros(1999)), r#","wsjsonrpc":{"timeout":1}"#, "3"),
        (call().without_timeout(), "", "4"),
    ] {
        let call = begin(call.into_future()).await;
        assert_eq!(raw.receive().await, sent(told, id));
        raw.send(result("null", id)).await;
        call.await.unwrap();
    }
    // In a batch. Nobody waits for a notification, so it carries no timeout.
    let batch = peer.batch((call().timeout(SECOND), call().notify(), call().without_timeout()));
    let batch = begin(batch.into_future()).await;
    let entry = sent(r#","wsjsonrpc":{"timeout":1000}"#, "5");
    let expected = format!("[{entry},{},{}]", notification("m", "[1]"), sent("", "6"));
    assert_eq!(raw.receive().await, expected);
    // The timeout passes: the call that has one is cancelled.
    let started = Instant::now();
    let cancel = |id: &str| notification("$/cancelRequest", &format!(r#"{{"id":{id}}}"#));
    let other = tokio::spawn(batch);
    assert_eq!(raw.receive().await, cancel("5"));
    assert_eq!(started.elapsed(), SECOND);
    raw.send(result("null", "6")).await;
    let (late, _, answered) = other.await.unwrap().unwrap();
    assert!(matches!(late, Err(Error::Timeout(_))));
    answered.unwrap();
    // The same for a single call.
    assert!(matches!(call().timeout(SECOND).await, Err(Error::Timeout(_))));
    assert_eq!(raw.receive().await, sent(r#","wsjsonrpc":{"timeout":1000}"#, "7"));
    assert_eq!(raw.receive().await, cancel("7"));
    // A call whose timeout is zero is not sent.
    assert!(matches!(call().timeout(Duration::ZERO).await, Err(Error::Timeout(_))));
    let batch = peer.batch((call().timeout(Duration::ZERO), call().notify()));
    let batch = tokio::spawn(batch.into_future());
    assert_eq!(raw.receive().await, format!("[{}]", notification("m", "[1]")));
    assert!(matches!(batch.await.unwrap().unwrap().0, Err(Error::Timeout(_))));
    assert_eq!(peer.pending_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn timeouts_are_sent_only_to_the_chosen_peers() {
    use SendTo::{Everyone, Known, Nobody};
    let member = r#","wsjsonrpc":{"timeout":30000}"#;
    for (to, knows, told) in [
        (Known, false, ""),
        (Everyone, false, member),
        (Everyone, true, member),
        (Nobody, true, ""),
    ] {
        let (mut raw, client) = match knows {
            true => Raw::knowing_server(client(to)).await,
            false => Raw::server(client(to)).await,
        };
        let _call = begin(client.peer().call::<()>("m", [1]).into_future()).await;
        assert_eq!(raw.receive().await, sent(told, "1"), "{to:?}");
    }
}

/// A server whose handler sends its remaining time to the test.
fn watched() -> (ServerBuilder, mpsc::UnboundedReceiver<Option<Duration>>) {
    let (tell, told) = mpsc::unbounded_channel();
    let left = move |ctx: Context, ()| {
        let now = Instant::now();
        tell.send(ctx.deadline().map(|deadline| deadline - now)).unwrap();
        async { Ok(()) }
    };
    (Server::builder().config(config(SendTo::Known)).method("left", left), told)
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_deadline_of_a_valid_timeout() {
    let (server, mut told) = watched();
    let mut raw = Raw::client(server).await;
    for (extra, expected) in [
        (r#"{"timeout":1500}"#, Some(1500 * MILLISECOND)),
        (r#"{ "timeout" : 0, "more": {} }"#, Some(Duration::ZERO)),
        (r#"{"timeout":-1}"#, None),
        (r#"{"timeout":1.5}"#, None),
        (r#"{"timeout":99999999999999999999}"#, None),
        ("null", None),
        ("[7]", None),
    ] {
        let request = format!(r#"{{"jsonrpc":"2.0","wsjsonrpc":{extra},"method":"left","id":1}}"#);
        raw.check(&request, &[&result("null", "1")]).await;
        assert_eq!(told.recv().await.unwrap(), expected, "{extra}");
        raw.check(&format!("[{request}]"), &[&format!("[{}]", result("null", "1"))]).await;
        assert_eq!(told.recv().await.unwrap(), expected, "{extra}");
        sleep(SECOND).await;
    }
    // The largest timeout in milliseconds.
    let ages = format!(
        r#"{{"jsonrpc":"2.0","wsjsonrpc":{{"timeout":{}}},"method":"left","id":1}}"#,
        u64::MAX
    );
    raw.check(&ages, &[&result("null", "1")]).await;
    assert!(told.recv().await.unwrap() > Some(SECOND * 1_000_000));
    raw.check(&request("left", "[]", "1"), &[&result("null", "1")]).await;
    assert_eq!(told.recv().await.unwrap(), None);
}

#[tokio::test]
async fn a_deadline_travels_over_a_socket() {
    let (server, mut told) = watched();
    let (client, _) = over_socket(Client::builder(), server).await;
    client.peer().call::<()>("left", ()).timeout(60 * SECOND).await.unwrap();
    let left = told.recv().await.unwrap().unwrap();
    assert!(left <= 60 * SECOND && left > SECOND, "{left:?}");
}

#[rpc]
trait Relay {
    /// Takes a second, then asks the next side; returns how much time each of them had.
    async fn ask(&self, ctx: &Context, hops: u32) -> Result<Vec<Option<Duration>>>;
    /// The outcome of a call whose timeout is longer than the handler's deadline.
    async fn call(&self, ctx: &Context, way: &str) -> Result<String>;
}

struct Link {
    next: Option<Peer>,
}

impl Relay for Link {
    async fn ask(&self, ctx: &Context, hops: u32) -> Result<Vec<Option<Duration>>> {
        let mut times = vec![ctx.deadline().map(|deadline| deadline - Instant::now())];
        sleep(SECOND).await;
        let next = match &self.next {
            Some(next) => RelayClient::new(ctx.with_deadline(next)),
            None => ctx.client::<RelayClient>(),
        };
        if hops > 0 {
            times.extend(next.ask(hops - 1).without_timeout().await?);
        }
        Ok(times)
    }

    async fn call(&self, ctx: &Context, way: &str) -> Result<String> {
        let call = ctx.peer().call::<()>("never", ()).timeout(3600 * SECOND);
        let outcome = match way {
            "call" => call.await,
            "batch" => ctx.peer().batch([call]).await?.remove(0),
            _ => {
                sleep(20 * SECOND).await;
                call.await
            }
        };
        Ok(outcome.unwrap_err().to_string())
    }
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_handler_inherit_its_deadline() {
    let relay = || Link { next: None }.into_service();
    let client = client(SendTo::Known).service(relay());
    let server = Server::builder().config(config(SendTo::Known)).service(relay());
    let (client, caller) = memory::pair(client, server).unwrap();
    for peer in [client.peer(), caller] {
        // Back and forth on one connection.
        let relay = RelayClient::new(peer);
        let times = relay.ask(3).timeout(10 * SECOND).await.unwrap();
        assert_eq!(times, [10, 9, 8, 7].map(|left| Some(left * SECOND)));
        assert_eq!(relay.ask(1).without_timeout().await.unwrap(), [None, None]);
        // A timeout that the handler sets does not extend the deadline.
        let begun = Instant::now();
        let times = relay.ask(30).timeout(4500 * MILLISECOND).await;
        assert!(matches!(times, Err(Error::Timeout(_))), "{times:?}");
        assert_eq!(begun.elapsed(), 4500 * MILLISECOND);
        // The calls that the handlers have made end too.
        sleep(60 * SECOND).await;
        assert_eq!(relay.peer().pending_calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_three_peers_inherits_the_deadline() {
    let last = Link { next: None }.into_service();
    let (url, _) = listen(Server::builder().service(last)).await;
    let next = Client::connect(&url).await.unwrap();
    let middle = Link { next: Some(next.peer()) }.into_service();
    let (client, _) = memory::pair(Client::builder(), Server::builder().service(middle)).unwrap();
    let times = RelayClient::new(&client).ask(1).timeout(10 * SECOND).await.unwrap();
    assert_eq!(times[0], Some(10 * SECOND));
    let left = times[1].unwrap();
    assert!(left <= 9 * SECOND && left > SECOND, "{left:?}");
}

/// The handler's own calls end at its caller's deadline, however they are sent.
#[tokio::test(start_paused = true)]
async fn no_call_of_a_handler_outlives_its_deadline() {
    let (out, mut outcomes) = mpsc::unbounded_channel();
    let (mut raw, peer) =
        Raw::knowing_client(Server::builder().config(config(SendTo::Known)).method(
            "call",
            move |ctx: Context, (way,): (String,)| {
                let out = out.clone();
                async move {
                    let begun = Instant::now();
                    let outcome = Link { next: None }.call(&ctx, &way).await?;
                    out.send((outcome, begun.elapsed())).unwrap();
                    Ok(())
                }
            },
        ))
        .await;
    let late = Error::Timeout(Timeout::new("never", 10 * SECOND));
    let passed = <Error>::DeadlinePassed;
    for (way, elapsed, expected) in
        [("call", 10, &late), ("batch", 10, &late), ("late", 20, &passed)]
    {
        let call = request("call", &format!("[{way:?}]"), "1");
        raw.send(call.replacen('{', r#"{"wsjsonrpc":{"timeout":10000},"#, 1)).await;
        let (outcome, took) = outcomes.recv().await.unwrap();
        assert_eq!((outcome, took), (expected.to_string(), elapsed * SECOND), "{way}");
        assert_eq!(peer.pending_calls(), 0);
    }
    // The call that was made after the deadline was not sent.
    let mut calls = 0;
    while let Ok(text) = tokio::time::timeout(SECOND, raw.receive()).await {
        calls += usize::from(text.contains("\"never\""));
    }
    assert_eq!(calls, 2);
}

/// The time that a call waits for a connection counts.
#[tokio::test(start_paused = true)]
async fn a_reconnecting_client_sends_the_remaining_time() {
    let (client, raw, mut attempts) =
        connected(reconnecting().config(config(SendTo::Everyone))).await;
    let peer = client.peer();
    raw.hang_up();
    let attempt = attempts.next().await;
    let call = || peer.call::<()>("m", [1]).timeout(100 * SECOND);
    let single = begin(call().into_future()).await;
    let batch = begin(peer.batch([call()]).into_future()).await;
    let begun = Instant::now();
    sleep(5 * SECOND).await;
    let mut raw = attempt.accept().await;
    let _under_way = tokio::spawn(async move { tokio::join!(single, batch) });
    for _ in 0..2 {
        let text = raw.receive().await;
        let left = (100 * SECOND - begun.elapsed()).as_millis();
        assert!(text.contains(&format!(r#""wsjsonrpc":{{"timeout":{left}}}"#)), "{left}: {text}");
    }
}

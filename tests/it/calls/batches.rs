//! Outgoing batches from both sides: what goes into one message, the outcome of each element, and
//! what happens when a part of the batch or all of it fails.

use std::time::Duration;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, ErrorCode, Peer, Result, Server, memory, rpc};
use wsjsonrpc_tests::{Raw, SECOND, both_ways, poll_once};

#[rpc]
trait Desk {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, text: &str) -> Result<String>;
    async fn parse(&self, ctx: &Context, text: &str) -> Result<i64>;
    /// Takes that many seconds, by the paused clock.
    async fn wait(&self, ctx: &Context, seconds: u64) -> Result<u64>;
    fn log(&self, ctx: &Context, line: &str);
}

struct Clerk(mpsc::UnboundedSender<String>);

impl Desk for Clerk {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
    async fn echo(&self, _: &Context, text: &str) -> Result<String> {
        tokio::task::yield_now().await;
        Ok(text.to_owned())
    }
    async fn parse(&self, _: &Context, text: &str) -> Result<i64> {
        Ok(text.parse()?)
    }
    async fn wait(&self, _: &Context, seconds: u64) -> Result<u64> {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok(seconds)
    }
    fn log(&self, _: &Context, line: &str) {
        // Most tests have dropped the receiver.
        let _ = self.0.send(line.to_owned());
    }
}

fn clerk() -> DeskService<Clerk> {
    Clerk(mpsc::unbounded_channel().0).into_service()
}

fn client() -> ClientBuilder {
    Client::builder().service(clerk())
}

fn server() -> ServerBuilder {
    Server::builder().service(clerk())
}

/// Clients that have to stay alive, and handles to a [`Desk`] on the other side: the server's and
/// the client's, in memory and over a socket.
async fn desks() -> (Vec<Client>, Vec<DeskClient>) {
    let (clients, servers_peers): (Vec<_>, Vec<_>) =
        both_ways(client, server).await.into_iter().unzip();
    let desks = clients.iter().map(DeskClient::new);
    let desks = desks.chain(servers_peers.into_iter().map(DeskClient::new)).collect();
    (clients, desks)
}

fn in_memory() -> (Client, DeskClient) {
    let (client, _) = memory::pair(client(), server()).unwrap();
    let desk = DeskClient::new(&client);
    (client, desk)
}

/// Answers of a raw server, by id.
fn answer(id: &Value, result: impl Serialize) -> Value {
    json!({"jsonrpc": "2.0", "result": result, "id": id})
}

/// The ids of the next batch that a raw server receives; null for a notification.
async fn ids(raw: &mut Raw) -> Vec<Value> {
    let batch: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
    batch.into_iter().map(|entry| entry["id"].clone()).collect()
}

#[tokio::test]
async fn each_element_of_a_tuple_has_its_own_type_and_result() {
    let (_clients, desks) = desks().await;
    for desk in desks {
        let calls = (desk.sum(1, 2), desk.echo("a"), desk.parse("x"), desk.log("l").notify());
        let (sum, echo, parsed, logged) = desk.batch(calls).await.unwrap();
        assert_eq!((sum.unwrap(), echo.unwrap()), (3, "a".to_owned()));
        let Err(Error::Call(error)) = parsed else { panic!("{parsed:?}") };
        assert_eq!(error.code(), ErrorCode::INTERNAL_ERROR);
        logged.unwrap();
        assert_eq!(desk.peer().pending_calls(), 0);
    }
}

#[tokio::test]
async fn lists_arrays_and_nested_batches_keep_their_shape() {
    let (_clients, desks) = desks().await;
    for desk in desks {
        let list: Vec<_> = (0..50).map(|x| desk.sum(x, x)).collect();
        let sums = desk.batch(list).await.unwrap();
        let sums: Vec<i64> = sums.into_iter().map(Result::unwrap).collect();
        assert_eq!(sums, (0..50).map(|x| 2 * x).collect::<Vec<_>>());

        let [a, b] = ["a", "b"].map(|text| desk.echo(text));
        let echoes = desk.batch([a, b]).await.unwrap();
        assert_eq!(echoes.into_iter().map(Result::unwrap).collect::<Vec<_>>(), ["a", "b"]);

        let list = vec![(desk.sum(1, 2), desk.echo("c")), (desk.sum(3, 4), desk.echo("d"))];
        let nested = (desk.sum(0, 0), list, (desk.echo("e"),), Vec::<wsjsonrpc::Call<u8>>::new());
        let (zero, list, (echo,), nothing) = desk.batch(nested).await.unwrap();
        assert_eq!((zero.unwrap(), echo.unwrap(), nothing.len()), (0, "e".to_owned(), 0));
        let list: Vec<_> = list.into_iter().map(|(x, y)| (x.unwrap(), y.unwrap())).collect();
        assert_eq!(list, [(3, "c".to_owned()), (7, "d".to_owned())]);
    }
}

#[tokio::test]
async fn a_thousand_calls_fit_into_one_batch() {
    let (_clients, desks) = desks().await;
    for desk in desks {
        let texts: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
        let calls: Vec<_> = texts.iter().map(|text| desk.echo(text)).collect();
        let echoes = desk.batch(calls).await.unwrap();
        assert_eq!(echoes.into_iter().map(Result::unwrap).collect::<Vec<_>>(), texts);
    }
}

#[tokio::test]
async fn a_batch_is_one_message_in_the_order_of_its_elements() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let desk = DeskClient::new(&client);
    let calls = (desk.log("a").notify(), desk.sum(1, 2).by_name(), vec![desk.echo("b")]);
    let mut sending = Box::pin(async { desk.batch(calls).await });
    assert!(poll_once(&mut sending).await.is_pending());
    let sent: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
    assert_eq!(sent[0], json!({"jsonrpc": "2.0", "method": "log", "params": ["a"]}));
    assert_eq!((&sent[1]["method"], &sent[1]["params"]), (&json!("sum"), &json!({"x": 1, "y": 2})));
    assert_eq!((&sent[2]["method"], &sent[2]["params"]), (&json!("echo"), &json!(["b"])));
    assert_ne!(sent[1]["id"], sent[2]["id"]);
    assert_eq!(sent.len(), 3);
}

#[tokio::test]
async fn a_batch_of_notifications_waits_for_nothing() {
    let (log, mut lines) = mpsc::unbounded_channel();
    let server = Server::builder().service(Clerk(log).into_service());
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let desk = DeskClient::new(&client);
    let sent = desk.batch(vec![desk.log("a").notify(), desk.log("b").notify()]).await.unwrap();
    assert!(sent.len() == 2 && sent.iter().all(Result::is_ok));
    assert_eq!(
        (lines.recv().await.unwrap(), lines.recv().await.unwrap()),
        ("a".into(), "b".into())
    );
    assert_eq!(desk.sum(1, 2).await.unwrap(), 3);
}

#[tokio::test]
async fn a_batch_filled_step_by_step_may_be_awaited_in_any_order() {
    let (_clients, desks) = desks().await;
    for desk in desks {
        let mut batch = desk.peer().new_batch();
        assert!(batch.is_empty());
        let sum = batch.add(desk.sum(1, 2));
        let logged = batch.add(desk.log("l").notify());
        let (one, two) = (batch.add((desk.echo("one"),)), batch.add(vec![desk.echo("two")]));
        assert_eq!((batch.len(), batch.is_empty()), (4, false));
        batch.send().await.unwrap();
        assert_eq!(two.await.remove(0).unwrap(), "two");
        assert_eq!(one.await.0.unwrap(), "one");
        logged.await.unwrap();
        assert_eq!(sum.await.unwrap(), 3);
    }
}

#[tokio::test]
async fn replies_may_come_in_any_order_and_in_any_number_of_messages() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let desk = DeskClient::new(&client);
    let mut batch = desk.peer().new_batch();
    let mut replies: Vec<_> = (0..5).map(|x| batch.add(desk.sum(x, 0))).collect();
    batch.send().await.unwrap();
    let ids = ids(&mut raw).await;
    let unknown = answer(&json!(12345), "nobody asked");
    raw.send(json!([answer(&ids[3], 3), unknown, answer(&ids[1], 1)]).to_string()).await;
    raw.send(answer(&ids[4], 4).to_string()).await;
    assert_eq!(replies.remove(4).await.unwrap(), 4);
    assert_eq!(replies.remove(3).await.unwrap(), 3);
    assert_eq!(replies.remove(1).await.unwrap(), 1);
    assert!(poll_once(&mut replies[0]).await.is_pending());
    raw.send(json!([answer(&ids[2], 2), answer(&ids[0], "no number")]).to_string()).await;
    assert_eq!(replies.remove(1).await.unwrap(), 2);
    assert!(matches!(replies.remove(0).await, Err(Error::Decode(_))));
    assert_eq!(client.peer().pending_calls(), 0);
}

#[tokio::test]
async fn dropping_one_reply_does_not_affect_the_others() {
    let (client, desk) = in_memory();
    let mut batch = client.peer().new_batch();
    let early = batch.add(desk.sum(1, 1));
    let kept = batch.add(desk.sum(2, 2));
    let late = batch.add(desk.sum(3, 3));
    drop(early);
    batch.send().await.unwrap();
    drop(late);
    assert_eq!(kept.await.unwrap(), 4);
    assert_eq!(client.peer().pending_calls(), 0);
    assert_eq!(desk.sum(4, 4).await.unwrap(), 8);

    let mut whole = Box::pin(async { desk.batch((desk.wait(1), desk.wait(1))).await });
    assert!(poll_once(&mut whole).await.is_pending());
    assert_eq!(client.peer().pending_calls(), 2);
    drop(whole);
    assert_eq!(client.peer().pending_calls(), 0);
}

/// Checks that nothing was sent: the next message is a call made by this function.
async fn nothing_was_sent(raw: &mut Raw, peer: &Peer) {
    peer.notify("next", ()).await.unwrap();
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"next"}"#);
    assert_eq!(peer.pending_calls(), 0);
}

#[tokio::test]
async fn calls_of_a_batch_that_is_dropped_unsent_are_not_sent() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let (peer, desk) = (client.peer(), DeskClient::new(&client));
    let mut batch = peer.new_batch();
    let before = tokio::spawn(batch.add(desk.sum(1, 2)));
    let after = batch.add((desk.echo("a"), desk.log("b").notify()));
    tokio::task::yield_now().await; // `before` is pending by now
    drop(batch);
    assert!(matches!(before.await.unwrap(), Err(Error::NotSent)));
    let (echo, _) = after.await;
    assert!(matches!(echo, Err(Error::NotSent)));
    nothing_was_sent(&mut raw, &peer).await;
}

#[tokio::test]
async fn an_empty_batch_is_refused_and_not_sent() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    type Calls = Vec<wsjsonrpc::Call<()>>;
    assert!(matches!(peer.batch(Calls::new()).await, Err(Error::EmptyBatch)));
    assert!(matches!(peer.batch((Calls::new(), Calls::new())).await, Err(Error::EmptyBatch)));
    assert!(matches!(peer.new_batch().send().await, Err(Error::EmptyBatch)));
    nothing_was_sent(&mut raw, &peer).await;
}

struct Unserializable;

impl Serialize for Unserializable {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

#[tokio::test]
async fn an_element_that_does_not_serialize_fails_alone() {
    let (client, desk) = in_memory();
    let peer = client.peer();
    let bad = (peer.call::<()>("echo", (Unserializable,)), peer.notify("log", 1));
    let (sum, (call, notified), echo) =
        peer.batch((desk.sum(1, 2), bad, desk.echo("a"))).await.unwrap();
    assert!(matches!((call, notified), (Err(Error::Encode(_)), Err(Error::Encode(_)))));
    assert_eq!((sum.unwrap(), echo.unwrap()), (3, "a".to_owned()));
}

#[tokio::test]
async fn a_batch_in_which_nothing_serializes_is_not_sent() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let calls = (peer.call::<()>("a", 1), peer.notify("b", 2));
    let (call, notified) = peer.batch(calls).await.unwrap();
    assert!(matches!((call, notified), (Err(Error::Encode(_)), Err(Error::Encode(_)))));
    nothing_was_sent(&mut raw, &peer).await;
}

#[tokio::test]
async fn a_batch_over_the_limit_is_not_sent() {
    let small = Config { max_outgoing_message: 300, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(small)).await;
    let (peer, desk) = (client.peer(), DeskClient::new(&client));
    let calls: Vec<_> = (0..10).map(|x| desk.sum(x, x)).collect();
    assert!(matches!(peer.batch(calls).await, Err(Error::TooLarge { limit: 300, .. })));
    let mut batch = peer.new_batch();
    let replies = batch.add((0..10).map(|x| desk.sum(x, x)).collect::<Vec<_>>());
    assert!(matches!(batch.send().await, Err(Error::TooLarge { .. })));
    assert!(replies.await.iter().all(|reply| matches!(reply, Err(Error::NotSent))));
    nothing_was_sent(&mut raw, &peer).await;
}

#[tokio::test]
async fn a_batch_on_a_closed_connection_fails_as_a_whole() {
    let (client, desk) = in_memory();
    client.close().await;
    let notified = desk.batch((desk.sum(1, 2), desk.log("a").notify())).await;
    assert!(matches!(notified, Err(Error::Closed(_))), "{notified:?}");
    let called = desk.batch((desk.sum(1, 2), desk.sum(3, 4))).await;
    assert!(matches!(called, Err(Error::Closed(_))), "{called:?}");
    let empty = desk.peer().new_batch().send().await;
    assert!(matches!(empty, Err(Error::EmptyBatch)), "{empty:?}");
}

#[tokio::test]
async fn calls_of_a_batch_end_with_their_connection() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let desk = DeskClient::new(&client);
    let mut batch = client.peer().new_batch();
    let (answered, lost) = (batch.add(desk.sum(1, 2)), batch.add(desk.sum(3, 4)));
    batch.send().await.unwrap();
    let ids = ids(&mut raw).await;
    raw.send(answer(&ids[0], 3).to_string()).await;
    drop(raw);
    assert!(matches!(lost.await, Err(Error::Closed(_))));
    assert_eq!(answered.await.unwrap(), 3);
}

#[tokio::test]
async fn a_batch_keeps_its_connection_open_until_it_is_answered() {
    for (client, _) in both_ways(client, server).await {
        let desk = DeskClient::new(client);
        let calls = (desk.echo("a"), desk.sum(1, 2));
        let batch = desk.batch(calls);
        drop(desk);
        let (echo, sum) = batch.await.unwrap();
        assert_eq!((echo.unwrap(), sum.unwrap()), ("a".to_owned(), 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_reply_times_out_only_its_own_element() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let desk = DeskClient::new(&client);
    let answering = tokio::spawn(async move {
        let ids = ids(&mut raw).await;
        raw.send(json!([answer(&ids[2], 6), answer(&ids[1], 4)]).to_string()).await;
        raw
    });
    let calls = (desk.sum(1, 1), desk.sum(2, 2).timeout(SECOND), desk.sum(3, 3).without_timeout());
    let (missing, four, six) = desk.batch(calls).await.unwrap();
    assert!(matches!(missing, Err(Error::Timeout(_))));
    assert_eq!((four.unwrap(), six.unwrap()), (4, 6));
    assert_eq!(client.peer().pending_calls(), 0);
    drop(answering);
}

/// The server answers after 10 s, when the slowest handler is ready.
#[tokio::test(start_paused = true)]
async fn a_timeout_counts_wherever_its_call_stands_in_the_batch() {
    let (_client, desk) = in_memory();
    let short = || desk.wait(10).timeout(5 * SECOND);
    let long = || desk.wait(10).timeout(15 * SECOND);
    let (first, second) = desk.batch((short(), long())).await.unwrap();
    assert!(matches!((first, second), (Err(Error::Timeout(_)), Ok(10))));
    let (first, second) = desk.batch((long(), short())).await.unwrap();
    assert!(matches!((first, second), (Ok(10), Err(Error::Timeout(_)))));
    let list = desk.batch(vec![long(), short()]).await.unwrap();
    assert!(matches!(&list[..], [Ok(10), Err(Error::Timeout(_))]));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_counts_from_when_the_batch_is_sent() {
    let (client, desk) = in_memory();
    let mut batch = client.peer().new_batch();
    let polled = tokio::spawn(batch.add(desk.wait(3).timeout(5 * SECOND)));
    let unpolled = batch.add(desk.wait(3).timeout(5 * SECOND));
    tokio::time::sleep(60 * SECOND).await;
    batch.send().await.unwrap();
    assert_eq!(unpolled.await.unwrap(), 3);
    assert_eq!(polled.await.unwrap().unwrap(), 3);
}

#[tokio::test]
async fn a_timeout_may_be_duration_max() {
    let (_client, desk) = in_memory();
    let (echo,) = desk.batch((desk.echo("a").timeout(Duration::MAX),)).await.unwrap();
    assert_eq!(echo.unwrap(), "a");
}

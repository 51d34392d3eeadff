//! Progress of calls: what is sent and to whom. Closures see all values, in order, before the
//! result, and within bounds.

use std::future::IntoFuture;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, ErrorObject, Result, SendTo, Server, memory, rpc};
use wsjsonrpc_tests::reconnect::{client as reconnecting, connect};
use wsjsonrpc_tests::{
    Gate, Raw, begin, both_ways, cancel, cancelled, notification, poll_once, request, result,
};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Step {
    done: u32,
    of: u32,
}

#[rpc]
trait Copy {
    /// Reports progress for each file.
    async fn copy(&self, ctx: &Context, files: u32) -> Result<u32>;
    #[method(name = "fail")]
    async fn fails(&self, ctx: &Context) -> Result<(), ErrorObject>;
}

struct Files;

impl Copy for Files {
    async fn copy(&self, ctx: &Context, files: u32) -> Result<u32> {
        for done in 1..=files {
            ctx.progress(Step { done, of: files }).await?;
            if done % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(files)
    }

    async fn fails(&self, ctx: &Context) -> Result<(), ErrorObject> {
        // The value is serialized at once, so a reference to it need not be `Send`.
        let cell = std::cell::Cell::new(1);
        ctx.progress(&cell).await?;
        Err(ErrorObject::new(7, "no"))
    }
}

fn client() -> ClientBuilder {
    Client::builder().service(Files.into_service())
}

fn server() -> ServerBuilder {
    Server::builder().service(Files.into_service())
}

/// A client whose requests carry no timeout.
pub(crate) fn untimed() -> ClientBuilder {
    Client::builder().config(Config { call_timeout: None, ..Config::default() })
}

/// A list, and a closure that adds to it.
pub(crate) fn list<T: Send + 'static>() -> (Arc<Mutex<Vec<T>>>, impl FnMut(T) + Send + 'static) {
    let list = Arc::new(Mutex::new(Vec::new()));
    let adds = Arc::clone(&list);
    (list, move |value| adds.lock().unwrap().push(value))
}

pub(crate) fn taken<T>(list: &Mutex<Vec<T>>) -> Vec<T> {
    std::mem::take(&mut *list.lock().unwrap())
}

pub(crate) fn told(token: &str, value: &str) -> String {
    notification("$/progress", &format!(r#"{{"token":{token},"value":{value}}}"#))
}

/// Sends a request whose member `wsjsonrpc` has this value.
async fn ask(raw: &mut Raw, extra: &str, id: &str) {
    let request = request("copy", "[2]", id);
    raw.send(request.replacen(r#","id""#, &format!(r#","wsjsonrpc":{extra},"id""#), 1)).await;
}

#[tokio::test]
async fn closures_see_progress_in_order_and_before_the_result() {
    steps_of_all_kinds().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_stays_in_order_on_several_threads() {
    for _ in 0..5 {
        steps_of_all_kinds().await;
    }
}

async fn steps_of_all_kinds() {
    for (client, caller) in both_ways(client, server).await {
        for peer in [client.peer(), caller] {
            let copy = CopyClient::new(peer);
            let (steps, add) = list::<Step>();
            assert_eq!(copy.copy(60).on_progress(add).await.unwrap(), 60);
            let expected: Vec<Step> = (1..=60).map(|done| Step { done, of: 60 }).collect();
            assert_eq!(taken(&steps), expected);
            // Also before an error, and with params by name.
            let (numbers, add) = list::<u32>();
            let outcome = copy.fails().by_name().on_progress(add).await;
            assert!(matches!(outcome, Err(Error::Call(error)) if error.message() == "no"));
            assert_eq!(taken(&numbers), [1]);
            // In batches, each call has its own progress.
            let ((few, add_few), (many, add_many)) = (list::<Step>(), list::<Step>());
            let batch = copy.batch((
                copy.copy(2).on_progress(add_few),
                copy.copy(1),
                copy.copy(40).on_progress(add_many),
                copy.copy(3).on_progress(|_: Step| unreachable!()).notify(),
            ));
            let (a, b, c, _) = batch.await.unwrap();
            assert_eq!((a.unwrap(), b.unwrap(), c.unwrap()), (2, 1, 40));
            assert_eq!((taken(&few).len(), taken(&many)[39].done), (2, 40));
            // The last closure is used, and a closure need not be `Sync`.
            let (late, mut add) = list::<u32>();
            let cell = std::cell::Cell::new(0);
            let call = copy.copy(3).on_progress(|_: Step| unreachable!());
            let call = call.on_progress(move |step: Step| {
                cell.set(cell.get() + step.done);
                add(cell.get());
            });
            tokio::spawn(call.into_future()).await.unwrap().unwrap();
            assert_eq!(taken(&late), [1, 3, 6]);
        }
    }
}

#[tokio::test]
async fn a_caller_sends_a_token_and_accepts_only_its_own_progress() {
    let (mut raw, client) = Raw::knowing_server(untimed()).await;
    let peer = client.peer();
    let (steps, add) = list::<u32>();
    let mut call = begin(peer.call::<u8>("m", [1]).on_progress(add).into_future()).await;
    let sent = |extra: &str, id: &str| {
        format!(r#"{{"jsonrpc":"2.0","method":"m","params":[1]{extra},"id":{id}}}"#)
    };
    assert_eq!(raw.receive().await, sent(r#","wsjsonrpc":{"progress":1}"#, "1"));
    // All of these are ignored: progress of other calls, of another type, malformed, or as a
    // request.
    for (token, value) in [("2", "1"), ("\"01\"", "1"), ("null", "1"), ("1", "\"x\""), ("1", "{}")]
    {
        raw.check(&told(token, value), &[]).await;
    }
    for params in ["[]", r#"{"token":1}"#, r#"{"value":1}"#, r#"{"token":[],"value":1}"#] {
        raw.check(&notification("$/progress", params), &[]).await;
    }
    raw.check(&told("1", "10"), &[]).await;
    assert!(poll_once(&mut call).await.is_pending());
    assert_eq!(taken(&steps), [10]);
    // Some peers write numbers like this. Several values in one array keep their order.
    raw.check(&format!("[{},{}]", told("1.0", "11"), told("1", " 12 ")), &[]).await;
    raw.check(&told("1", "13"), &[]).await;
    raw.send(result("9", "1")).await;
    raw.check(&told("1", "14"), &[]).await;
    assert_eq!(call.await.unwrap(), 9);
    assert_eq!(taken(&steps), [11, 12, 13]);
    // The same in one array with the response.
    let (steps, add) = list::<u32>();
    let call = begin(
        peer.call::<u8>("m", [1]).on_progress(add).timeout(Duration::from_secs(9)).into_future(),
    )
    .await;
    assert_eq!(raw.receive().await, sent(r#","wsjsonrpc":{"timeout":9000,"progress":2}"#, "2"));
    raw.send(format!("[{},{},{}]", told("2", "1"), result("9", "2"), told("2", "3"))).await;
    assert_eq!(call.await.unwrap(), 9);
    assert_eq!(taken(&steps), [1]);
    // In a batch. A server's tokens are its ids too.
    let batch =
        peer.batch((peer.call::<u8>("m", [1]).on_progress(|_: u8| {}), peer.call::<u8>("m", [1])));
    let _batch = begin(batch.into_future()).await;
    let expected = format!("[{},{}]", sent(r#","wsjsonrpc":{"progress":3}"#, "3"), sent("", "4"));
    assert_eq!(raw.receive().await, expected);
    let (mut raw, peer) = Raw::knowing_client(Server::builder()).await;
    let call = peer.call::<u8>("m", [1]).without_timeout().on_progress(|_: u8| {});
    let _call = begin(call.into_future()).await;
    assert_eq!(raw.receive().await, sent(r#","wsjsonrpc":{"progress":"s1"}"#, "\"s1\""));
}

#[tokio::test]
async fn peers_without_extensions_get_no_progress_token() {
    let config = Config { send_cancel: SendTo::Everyone, call_timeout: None, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(config)).await;
    let (steps, add) = list::<u8>();
    let call = client.peer().call::<u8>("m", ()).on_progress(add);
    let call = begin(call.into_future()).await;
    assert_eq!(raw.receive().await, r#"{"jsonrpc":"2.0","method":"m","id":1}"#);
    // The call has no token, so its progress is ignored.
    raw.check(&told("1", "1"), &[]).await;
    raw.send(result("3", "1")).await;
    assert_eq!(call.await.unwrap(), 3);
    assert!(taken(&steps).is_empty());
}

#[tokio::test]
async fn progress_is_sent_with_the_token_of_the_request() {
    let mut raw = Raw::client(server()).await;
    for (token, id) in [("\"abc\"", "1"), ("7", "\"x\""), ("-1.5", "null")] {
        ask(&mut raw, &format!(r#"{{"progress":{token}}}"#), id).await;
        assert_eq!(raw.receive().await, told(token, r#"{"done":1,"of":2}"#));
        assert_eq!(raw.receive().await, told(token, r#"{"done":2,"of":2}"#));
        assert_eq!(raw.receive().await, result("2", id));
    }
    // No token, or a token that cannot be echoed.
    let long = format!(r#"{{"progress":"{}"}}"#, "x".repeat(2000));
    for extra in ["{}", "null", r#"{"progress":null}"#, r#"{"progress":{}}"#, &long] {
        ask(&mut raw, extra, "2").await;
        assert_eq!(raw.receive().await, result("2", "2"), "{extra:.99}");
    }
    // In a batch, progress is sent outside of the array.
    let entry = request("copy", "[1]", "3").replacen('{', r#"{"wsjsonrpc":{"progress":0},"#, 1);
    raw.send(format!("[{entry}]")).await;
    assert_eq!(raw.receive().await, told("0", r#"{"done":1,"of":1}"#));
    assert_eq!(raw.receive().await, format!("[{}]", result("1", "3")));
}

#[tokio::test]
async fn progress_that_can_not_be_sent_is_an_error() {
    let config = Config { max_outgoing_message: 1000, ..Config::default() };
    let (out, mut outcomes) = mpsc::unbounded_channel();
    let server = Server::builder().config(config).method("m", move |ctx: Context, ()| {
        let out = out.clone();
        async move {
            let keys = std::collections::BTreeMap::from([(vec![1], 1)]);
            let _ = out.send(ctx.progress(keys).await);
            let _ = out.send(ctx.progress("x".repeat(1000)).await);
            ctx.cancelled().await;
            // The call is over, so none of this is sent.
            let _ = out.send(ctx.progress(1).await);
            ctx.closed().await;
            let _ = out.send(ctx.clone().progress(1).await);
            Ok(())
        }
    });
    let mut raw = Raw::client(server).await;
    raw.send(r#"{"jsonrpc":"2.0","method":"m","wsjsonrpc":{"progress":1},"id":1}"#).await;
    assert!(matches!(outcomes.recv().await.unwrap(), Err(Error::Encode(_))));
    assert!(matches!(outcomes.recv().await.unwrap(), Err(Error::TooLarge { .. })));
    let cancelled = cancelled("1");
    raw.check(&cancel("1"), &[&cancelled]).await;
    assert!(outcomes.recv().await.unwrap().is_ok());
    raw.hang_up();
    assert!(outcomes.recv().await.unwrap().is_ok());
}

/// Progress after the end of a call is ignored; a later call has another token.
#[tokio::test]
async fn progress_after_the_call_reaches_nobody() {
    let gate = Gate::default();
    let held = gate.clone();
    let server = Server::builder().method("m", move |ctx: Context, (value,): (u32,)| {
        let gate = held.clone();
        async move {
            tokio::spawn(async move {
                gate.pass().await;
                let _ = ctx.progress(value).await;
                gate.pass().await;
            });
            Ok(value)
        }
    });
    let (client, _) = memory::pair(
        Client::builder(),
        server.method("wait", |ctx: Context, ()| async move {
            ctx.progress(0).await?;
            tokio::task::yield_now().await;
            Ok(())
        }),
    )
    .unwrap();
    let peer = client.peer();
    let (steps, add) = list::<u32>();
    assert_eq!(peer.call::<u32>("m", [5]).on_progress(add).await.unwrap(), 5);
    gate.arrived(1).await;
    let (others, add) = list::<u32>();
    let other = begin(peer.call::<()>("wait", ()).on_progress(add).into_future()).await;
    gate.open(1);
    gate.arrived(1).await;
    other.await.unwrap();
    assert_eq!((taken(&steps), taken(&others)), (vec![], vec![0]));
}

#[tokio::test]
async fn an_applications_own_progress_method_wins() {
    let (out, mut seen) = mpsc::unbounded_channel();
    #[derive(Deserialize)]
    struct Params {
        value: u32,
    }
    let take = move |_: Context, Params { value }| {
        out.send(value).unwrap();
        async { Ok(()) }
    };
    let (mut raw, client) = Raw::knowing_server(untimed().method("$/progress", take)).await;
    let (steps, add) = list::<u32>();
    let call = begin(client.peer().call::<u8>("m", ()).on_progress(add).into_future()).await;
    raw.receive().await;
    raw.check(&told("1", "5"), &[]).await;
    assert_eq!(seen.recv().await.unwrap(), 5);
    raw.send(result("1", "1")).await;
    call.await.unwrap();
    assert!(taken(&steps).is_empty());
}

/// A call that is sent again keeps its closure.
#[tokio::test(start_paused = true)]
async fn a_resent_call_gets_progress_from_both_connections() {
    let (connecting, mut attempts) = connect(reconnecting());
    let serve = async |attempt: wsjsonrpc_tests::reconnect::Attempt, first: bool| {
        let gate = Gate::default();
        let held = gate.clone();
        let server = Server::builder().method("m", move |ctx: Context, ()| {
            let gate = held.clone();
            async move {
                ctx.progress(if first { 1 } else { 2 }).await?;
                gate.pass().await;
                Ok(7)
            }
        });
        let stream = attempt.open();
        let endpoint = server.build().unwrap();
        (tokio::spawn(async move { endpoint.serve(stream, None).await }), gate)
    };
    let first = async { serve(attempts.next().await, true).await };
    let ((serving, gate), client) = tokio::join!(first, connecting);
    let client = client.unwrap();
    let (steps, add) = list::<u32>();
    let call = client.peer().call::<u8>("m", ()).idempotent().on_progress(add);
    let call = tokio::spawn(call.into_future());
    gate.arrived(1).await;
    while steps.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    serving.abort();
    let (_serving, gate) = serve(attempts.next().await, false).await;
    gate.open(1);
    assert_eq!(call.await.unwrap().unwrap(), 7);
    assert_eq!(taken(&steps), [1, 2]);
}

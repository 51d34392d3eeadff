//! A connection with much work yields to others: in the middle of a batch, and between large
//! results.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::SinkExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, Endpoint, Server};
use wsjsonrpc_tests::{Gate, Raw, cancel, notification, post, request, result};

/// Counts the turns of another task, as observed by handlers.
#[derive(Clone, Default)]
struct Turns {
    now: Arc<AtomicUsize>,
    seen: Arc<Mutex<BTreeSet<usize>>>,
    handled: Arc<AtomicUsize>,
}

impl Turns {
    /// Spawns another task that is always ready.
    fn go_round(&self) {
        let now = Arc::clone(&self.now);
        tokio::spawn(async move {
            loop {
                now.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
    }

    fn look(&self) {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.seen.lock().unwrap().insert(self.now.load(Ordering::Relaxed));
    }

    /// In how many turns of the other task handlers ran since the last call. It can be as low as
    /// half of the turns of their task, because tokio alternates the order of two tasks that yield.
    fn take(&self) -> usize {
        std::mem::take(&mut *self.seen.lock().unwrap()).len()
    }

    fn restart(&self) {
        self.now.store(0, Ordering::Relaxed);
    }

    /// How many turns the other task had since `restart`.
    fn passed(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    fn server(&self) -> ServerBuilder {
        let (small, large, later) = (self.clone(), self.clone(), self.clone());
        Server::builder()
            .method("small", move |_, x: u64| {
                small.look();
                async move { Ok(x) }
            })
            .method("large", move |_, size: usize| {
                large.look();
                async move { Ok("x".repeat(size)) }
            })
            .method("later", move |_, x: u64| {
                later.look();
                async move {
                    tokio::task::yield_now().await;
                    Ok(x)
                }
            })
    }
}

fn batch(entries: impl Iterator<Item = String>) -> String {
    format!("[{}]", entries.collect::<Vec<_>>().join(","))
}

fn calls(method: &str, count: usize) -> String {
    let call = |id: usize| request(method, &format!("[{id}]"), &id.to_string());
    batch((0..count).map(call))
}

fn results(answer: &str) -> Vec<(u64, Value)> {
    let answers: Vec<Value> = serde_json::from_str(answer).unwrap();
    answers.into_iter().map(|one| (one["id"].as_u64().unwrap(), one["result"].clone())).collect()
}

#[tokio::test]
async fn a_large_batch_yields_to_other_connections() {
    let turns = Turns::default();
    turns.go_round();
    let expected: Vec<(u64, Value)> = (0..1000).map(|id| (id, Value::from(id))).collect();
    let mut raw = Raw::client(turns.server()).await;
    let address = post::address(turns.server()).await;
    for method in ["small", "later"] {
        assert_eq!(results(&raw.ask(calls(method, 1000)).await), expected);
        assert!(turns.take() >= 4, "a batch of a thousand ran in one turn");
        assert_eq!(results(&post::ask(address, &calls(method, 1000)).await), expected);
        assert!(turns.take() >= 4, "a posted batch of a thousand ran in one turn");
    }
}

#[tokio::test]
async fn large_results_yield_to_other_connections() {
    const SIZE: &str = "[200000]";
    let turns = Turns::default();
    turns.go_round();
    let mut raw = Raw::client(turns.server()).await;
    let large = |id: usize| request("large", SIZE, &id.to_string());
    let answers = results(&raw.ask(batch((0..20).map(large))).await);
    assert!(answers.iter().all(|(_, text)| text.as_str().unwrap().len() == 200_000));
    assert!(turns.take() >= 10, "several large results of a batch were made in one turn");
    for id in 0..20 {
        raw.socket.feed(Message::text(large(id))).await.unwrap();
    }
    raw.socket.flush().await.unwrap();
    for id in 0..20 {
        let answer: Value = serde_json::from_str(&raw.receive().await).unwrap();
        assert_eq!(answer["id"], id);
    }
    assert!(turns.take() >= 10, "several large results were made in one turn");
}

/// A large message is decoded over many turns, whatever it contains, and before the next one.
#[tokio::test]
async fn a_large_message_is_decoded_over_many_turns() {
    const SIZE: usize = 4 << 20;
    let turns = Turns::default();
    turns.go_round();
    let repeated = |part: &str| part.repeat(SIZE / part.len());
    let large = |params: String, id: &str| request("no.such.method", &params, id);
    let server = Server::builder;
    let mut raw = Raw::client(server()).await;
    let address = post::address(server()).await;
    for (text, code) in [
        (repeated("["), -32700),
        (repeated(r#"{"a":"#), -32700),
        (repeated(" "), -32700),
        (format!("[{}]", repeated("1 ")), -32700),
        (format!("[[{}1]]", repeated("1,")), -32600),
        (format!("\"{}\"", repeated("é")), -32600),
        (large(format!("[{}1]", repeated("1,")), "1"), -32601),
        (large(format!("[\"{}\"]", repeated("\\n")), "1"), -32601),
        (format!("[{}]", large(format!("[{}1]", repeated("[],")), "1")), -32601),
        (format!("[{},{}]", request("first", "[]", "0"), large(repeated("1"), "1")), -32600),
    ] {
        for binary in [false, true] {
            turns.restart();
            if binary {
                raw.send_binary(text.clone()).await;
            } else {
                raw.send(&text).await;
            }
            // Is handled after the large one.
            raw.send(request("next", "[]", "2")).await;
            let answer = raw.receive().await;
            assert!(answer.contains(&format!("\"code\":{code}")), "{text:.40} {answer:.200}");
            assert!(turns.passed() > SIZE / (1 << 20), "{} turns: {text:.40}", turns.passed());
            assert!(raw.receive().await.contains("\"id\":2"), "{text:.40}");
        }
        turns.restart();
        let answer = post::ask(address, &text).await;
        assert!(answer.contains(&format!("\"code\":{code}")), "{text:.40} {answer:.200}");
        assert!(turns.passed() > SIZE / (1 << 20), "{} turns: {text:.40}", turns.passed());
    }
    // Bytes that are not UTF-8, at the end.
    let mut bytes = repeated("é").into_bytes();
    bytes.push(0xFF);
    raw.send_binary(bytes).await;
    assert!(raw.receive().await.contains("\"code\":-32700"));
}

/// A batch with entries of all kinds that needs several turns is answered in order.
#[tokio::test]
async fn a_batch_that_yields_is_answered_in_its_order() {
    let turns = Turns::default();
    turns.go_round();
    let mut raw = Raw::client(turns.server()).await;
    const KINDS: usize = 8;
    let entries = (0..120 * KINDS).map(|id: usize| match id % KINDS {
        0 => request("small", &format!("[{id}]"), &id.to_string()),
        1 => request("later", &format!("[{id}]"), &id.to_string()),
        2 => notification("small", "[0]"),
        3 => request("no.such.method", "[]", &id.to_string()),
        4 => "7".to_owned(),
        // Could be a malformed response, or a request without a method.
        5 => format!("{{\"jsonrpc\":\"2.0\",\"id\":{id}}}"),
        6 => result("1", &id.to_string()),
        _ => notification("$/progress", &format!("{{\"token\":{id},\"value\":1}}")),
    });
    raw.send(batch(entries)).await;
    // This message is read after the batch.
    raw.send(request("small", "[7]", "\"next\"")).await;
    let answers: Vec<Value> = serde_json::from_str(&first_array(&mut raw).await).unwrap();
    assert_eq!(answers.len(), 5 * 120);
    for (place, answer) in answers.iter().enumerate() {
        let kind = [0, 1, 3, 4, 5][place % 5];
        let id = place / 5 * KINDS + kind;
        let failed = |code: i64| (id.into(), Value::Null, code.into());
        let expected = match kind {
            0 | 1 => (id.into(), id.into(), Value::Null),
            3 => failed(-32601),
            4 => (Value::Null, Value::Null, (-32600).into()),
            _ => failed(-32600),
        };
        let (result, code) = (&answer["result"], &answer["error"]["code"]);
        assert_eq!((&answer["id"], result, code), (&expected.0, &expected.1, &expected.2));
    }
    assert_eq!(turns.handled.load(Ordering::Relaxed), 361);
}

/// A call's timeout counts from the arrival of its message, however late the call starts.
#[tokio::test(start_paused = true)]
async fn deadlines_of_a_batch_over_several_turns_count_from_when_it_came() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::builder().method("left", move |ctx: Context, ()| {
        tell.send((Instant::now(), ctx.deadline().unwrap())).unwrap();
        async { Ok(()) }
    });
    let mut raw = Raw::client(server).await;
    tokio::spawn(async {
        loop {
            tokio::time::advance(Duration::from_millis(1)).await;
            tokio::task::yield_now().await;
        }
    });
    let call = |id: usize| {
        let call = request("left", "[]", &id.to_string());
        call.replace("\"id\"", "\"wsjsonrpc\":{\"timeout\":1000000},\"id\"")
    };
    assert_eq!(results(&raw.ask(batch((0..600).map(call))).await).len(), 600);
    let (started, deadline) = told.recv().await.unwrap();
    let mut last = started;
    for _ in 1..600 {
        let (started, same) = told.recv().await.unwrap();
        assert_eq!(same, deadline);
        last = started;
    }
    assert!(last > started, "all calls ran in one turn");
}

/// The response to the message after the batch may arrive first, because handlers of the batch are
/// pending.
async fn first_array(raw: &mut Raw) -> String {
    loop {
        let text = raw.receive().await;
        if text.starts_with('[') {
            return text;
        }
        assert_eq!(text, result("7", "\"next\""));
    }
}

/// A cancellation in a batch finds calls of the same batch, whatever turn they started in.
#[tokio::test]
async fn a_cancellation_in_a_batch_that_yields_finds_its_call() {
    let gate = Gate::default();
    let waiting = gate.clone();
    let server = Server::builder().method("gated", move |_, _: u64| {
        let gate = waiting.clone();
        async move {
            gate.pass().await;
            Ok(())
        }
    });
    let mut raw = Raw::client(server).await;
    let cancel = cancel("399");
    let call = |id: usize| request("gated", &format!("[{id}]"), &id.to_string());
    raw.send(batch(std::iter::once(cancel).chain((0..400).map(call)))).await;
    gate.arrived(400).await;
    gate.open(400);
    let answers: Vec<Value> = serde_json::from_str(&raw.receive().await).unwrap();
    let failed: Vec<&Value> = answers.iter().filter(|answer| answer["error"].is_object()).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((&failed[0]["id"], &failed[0]["error"]["code"]), (&399.into(), &(-32800).into()));
}

/// What was accepted before a shutdown is answered, and a batch is accepted as a whole.
#[tokio::test]
async fn a_shutdown_waits_for_the_whole_batch_in_progress() {
    let (begin, mut begun) = mpsc::unbounded_channel();
    let endpoint = Server::builder()
        .method("small", move |_, x: u64| {
            if x == 10 {
                begin.send(()).unwrap();
            }
            async move { Ok(x) }
        })
        .build()
        .unwrap();
    let shutting: Endpoint = endpoint.clone();
    let shutdown = tokio::spawn(async move {
        begun.recv().await;
        shutting.shutdown().await
    });
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    assert_eq!(results(&raw.ask(calls("small", 1000)).await).len(), 1000);
    assert_eq!(u16::from(raw.receive_close().await.unwrap().code), 1001);
    raw.wait_for_end().await;
    serving.await.unwrap();
    assert_eq!(shutdown.await.unwrap(), 0);
}

/// Nobody waits for notifications, so they are handled although their sender has disconnected.
#[tokio::test]
async fn all_notifications_of_a_batch_run_after_its_sender_left() {
    let turns = Turns::default();
    turns.go_round();
    let endpoint = turns.server().build().unwrap();
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.send(batch((0..1000).map(|_| notification("small", "[1]")))).await;
    raw.hang_up();
    serving.await.unwrap();
    assert_eq!(turns.handled.load(Ordering::Relaxed), 1000);

    // They are also handled if the task that serves the connection is aborted.
    let (mut raw, serving) = Raw::client_of(&endpoint).await;
    raw.send(batch((0..1000).map(|_| notification("small", "[1]")))).await;
    while turns.handled.load(Ordering::Relaxed) == 1000 {
        tokio::task::yield_now().await;
    }
    let handled = turns.handled.load(Ordering::Relaxed);
    assert!(handled < 2000, "the whole batch ran in one turn");
    serving.abort();
    assert!(serving.await.is_err());
    assert_eq!(turns.handled.load(Ordering::Relaxed), 2000);
}

/// The rest of the batch needs no response.
#[tokio::test]
async fn a_batch_is_answered_before_its_trailing_notifications_run() {
    let turns = Turns::default();
    let calls = ["1", "2"].map(|id| request("small", &format!("[{id}]"), id));
    let notifications = (0..500).map(|_| notification("small", "[0]"));
    let text = batch(calls.into_iter().chain(notifications));
    let answer = format!("[{},{}]", result("1", "1"), result("2", "2"));
    let mut raw = Raw::client(turns.server()).await;
    raw.check(&text, &[&answer]).await;
    assert_eq!(turns.handled.load(Ordering::Relaxed), 502);
    let turns = Turns::default();
    let body = post::ask(post::address(turns.server()).await, &text).await;
    assert_eq!(results(&body).len(), 2, "{body}");
}

/// The array is written in pieces. The peer gets the same message, whatever order the calls end in.
#[tokio::test]
async fn a_large_array_arrives_as_one_message_in_order() {
    const SIZES: [usize; 7] = [0, 1, 100, 4_090, 5_001, 40_002, 200_003];
    const CALLS: usize = 63;
    let text = |id: usize| {
        let letter = char::from(b'a' + (id % 26) as u8);
        letter.to_string().repeat(SIZES[id % SIZES.len()])
    };
    let now = move |_: Context, id: usize| async move { Ok(text(id)) };
    // Later calls end earlier.
    let backwards = move |_: Context, id: usize| async move {
        for _ in id..CALLS {
            tokio::task::yield_now().await;
        }
        Ok(text(id))
    };
    let server = || Server::builder().method("now", now).method("backwards", backwards);
    let client = Client::builder().method("now", now).method("backwards", backwards);
    let (mut asks_server, address) = (Raw::client(server()).await, post::address(server()).await);
    let (mut asks_client, _client) = Raw::server(client).await;
    let results: Vec<String> =
        (0..CALLS).map(|id| result(&format!("\"{}\"", text(id)), &id.to_string())).collect();
    let expected = format!("[{}]", results.join(","));
    for method in ["now", "backwards"] {
        let batch = calls(method, CALLS);
        assert!(asks_server.ask(&batch).await == expected, "{method}: from a server");
        assert!(asks_client.ask(&batch).await == expected, "{method}: from a client");
        assert!(post::ask(address, &batch).await == expected, "{method}: by HTTP");
    }
}

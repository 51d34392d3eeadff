//! Timeouts of calls: when a call times out, whatever its state. A call that is dropped in any
//! state leaves nothing behind. The clock is paused, so times are exact.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use wsjsonrpc::call::CallFuture;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::{Client, Config, Context, Error, ErrorCode, Peer, Result, Server, memory};
use wsjsonrpc_tests::{Gate, MILLISECOND, Raw, SECOND, begin, poll_once, result};

/// A client that does not disconnect from a silent server.
fn patient() -> ClientBuilder {
    Client::builder().config(Config { ping_interval: None, ..Config::default() })
}

fn call(peer: &Peer, timeout: Duration) -> CallFuture<i64> {
    peer.call("m", ()).timeout(timeout).into_future()
}

fn timed_out(outcome: std::result::Result<i64, Error>) -> bool {
    matches!(outcome, Err(Error::Timeout(_)))
}

#[tokio::test(start_paused = true)]
async fn every_call_times_out_at_its_own_time() {
    let (_raw, client) = Raw::server(Client::builder()).await;
    let mut last = Instant::now();
    let mut calls = JoinSet::new();
    for number in 0..2000_u32 {
        // Unsorted, with duplicates, and started at different times.
        let timeout = MILLISECOND * (1 + number * 7919 % 1500);
        if number % 100 == 99 {
            tokio::time::sleep(MILLISECOND).await;
        }
        let (call, due) = (call(&client.peer(), timeout), Instant::now() + timeout);
        last = last.max(due);
        calls.spawn(async move {
            assert!(timed_out(call.await));
            assert_eq!(Instant::now(), due);
        });
    }
    calls.join_all().await;
    assert_eq!(Instant::now(), last);
    assert_eq!(client.peer().pending_calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_times_out_beside_others_that_are_answered() {
    let wait = |_: Context, (millis,): (u64,)| async move {
        tokio::time::sleep(Duration::from_millis(millis)).await;
        Ok(millis)
    };
    let server = Server::builder().method("wait", wait);
    let (client, caller) = memory::pair(Client::builder().method("wait", wait), server).unwrap();
    let mut calls = JoinSet::new();
    for (number, peer) in (0..500).zip([client.peer(), caller.clone()].iter().cycle()) {
        let (takes, limit) = (1 + number * 31 % 400, 2 + number * 17 % 399);
        let wait = peer.call::<u64>("wait", [takes]).timeout(Duration::from_millis(limit));
        let begun = Instant::now();
        calls.spawn(async move {
            match wait.await {
                Ok(answer) => assert!(answer == takes && takes <= limit, "{takes} <= {limit}"),
                Err(Error::Timeout(_)) => assert!(takes >= limit, "{takes} >= {limit}"),
                Err(other) => panic!("{other}"),
            }
            assert_eq!(begun.elapsed().as_millis(), u128::from(takes.min(limit)));
        });
    }
    calls.join_all().await;
    assert_eq!((client.peer().pending_calls(), caller.pending_calls()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_timeout_counts_from_the_first_poll() {
    let (_raw, client) = Raw::server(Client::builder()).await;
    let later = call(&client.peer(), SECOND);
    tokio::time::sleep(10 * SECOND).await;
    let begun = Instant::now();
    assert!(timed_out(later.await));
    assert_eq!(begun.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_short_timeout_fires_before_earlier_long_ones() {
    let (_raw, client) = Raw::server(patient()).await;
    let peer = client.peer();
    let begun = Instant::now();
    let slow = begin(call(&peer, 60 * SECOND)).await;
    let never = begin(peer.call::<()>("m", ()).without_timeout().into_future()).await;
    let usual = begin(peer.call::<i64>("m", ()).into_future()).await;
    for seconds in [5, 3, 4] {
        let start = Instant::now();
        assert!(timed_out(call(&peer, seconds * SECOND).await));
        assert_eq!(start.elapsed(), seconds * SECOND);
    }
    assert!(timed_out(usual.await));
    assert_eq!(begun.elapsed(), 30 * SECOND);
    assert!(timed_out(slow.await));
    assert_eq!((begun.elapsed(), peer.pending_calls()), (60 * SECOND, 1));
    drop(never);
    assert_eq!(peer.pending_calls(), 0);
}

/// A raw server that does not read, a client whose send queue is full, and the number of
/// notifications in that queue.
async fn clogged() -> (Raw, Client, usize) {
    let config = Config { max_send_queue: 1000, write_timeout: 3600 * SECOND, ..Config::default() };
    let (raw, client) = Raw::server(Client::builder().config(config)).await;
    let text = "x".repeat(10_000);
    let mut sent = 0;
    let fill = || client.peer().notify("fill", [&text]).into_future();
    while tokio::time::timeout(SECOND, fill()).await.is_ok() {
        sent += 1;
        assert!(sent < 1000, "sending never blocks");
    }
    (raw, client, sent)
}

async fn take(raw: &mut Raw, fill: usize) {
    for _ in 0..fill {
        assert!(raw.receive().await.contains("fill"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_times_out_in_the_send_queue_is_not_sent() {
    let (mut raw, client, fill) = clogged().await;
    let peer = client.peer();
    let begun = Instant::now();
    assert!(timed_out(call(&peer, 7 * SECOND).await));
    assert_eq!((begun.elapsed(), peer.pending_calls()), (7 * SECOND, 0));

    // After five seconds there is room again, one second before the timeout.
    let call = tokio::spawn(call(&peer, 6 * SECOND));
    tokio::time::sleep(5 * SECOND).await;
    take(&mut raw, fill).await;
    assert!(raw.receive().await.contains("\"id\":2"), "the first was never sent");
    assert!(timed_out(call.await.unwrap()));
    assert_eq!((begun.elapsed(), peer.pending_calls()), (13 * SECOND, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_for_the_send_queue_is_answered() {
    let (mut raw, client, fill) = clogged().await;
    let mut calls = JoinSet::new();
    for _ in 0..3 {
        calls.spawn(call(&client.peer(), SECOND));
    }
    tokio::task::yield_now().await;
    assert_eq!(client.peer().pending_calls(), 3);
    take(&mut raw, fill).await;
    for _ in 0..3 {
        let request = raw.receive().await;
        let id = ["1", "2", "3"].into_iter().find(|id| request.contains(&format!(":{id}}}")));
        raw.send(result("7", id.expect("a request of ours"))).await;
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.unwrap(), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waiting_for_the_send_queue_ends_with_its_connection() {
    let (_raw, client, _) = clogged().await;
    let [waiting, other] = [call(&client.peer(), SECOND), call(&client.peer(), SECOND)];
    let (waiting, other) = (begin(waiting).await, begin(other).await);
    client.peer().close(1000, "");
    assert!(matches!(waiting.await, Err(Error::Closed(_))), "the stream still takes bytes");
    drop(client);
    assert!(matches!(other.await, Err(Error::Closed(_))));
}

#[tokio::test(start_paused = true)]
async fn calls_time_out_while_nothing_can_be_written() {
    let config = Config { write_timeout: 3600 * SECOND, ..Config::default() };
    let (_raw, client) = Raw::server(Client::builder().config(config)).await;
    let peer = client.peer();
    let begun = Instant::now();
    // More than the stream takes; the others stay in the send queue behind it.
    let text = "x".repeat(500_000);
    let large = begin(peer.call::<i64>("m", [&text]).timeout(3 * SECOND).into_future()).await;
    tokio::time::sleep(MILLISECOND).await;
    assert!(timed_out(call(&peer, SECOND).await));
    assert_eq!(begun.elapsed(), SECOND + MILLISECOND);
    assert!(timed_out(call(&peer, SECOND).await));
    assert_eq!(begun.elapsed(), 2 * SECOND + MILLISECOND);
    assert!(timed_out(large.await));
    assert_eq!((begun.elapsed(), peer.pending_calls()), (3 * SECOND, 0));
}

#[tokio::test(start_paused = true)]
async fn calls_time_out_while_their_connection_closes() {
    // The close frame was sent; the peer does not answer it.
    let config = Config { close_timeout: 10 * SECOND, ..Config::default() };
    let (mut raw, client) = Raw::server(Client::builder().config(config)).await;
    let (begun, peer) = (Instant::now(), client.peer());
    let short = begin(call(&peer, 4 * SECOND)).await;
    let long = begin(call(&peer, 40 * SECOND)).await;
    peer.close(1000, "");
    assert!(timed_out(short.await));
    assert_eq!(begun.elapsed(), 4 * SECOND);
    assert!(matches!(long.await, Err(Error::Closed(_))));
    assert_eq!((begun.elapsed(), peer.pending_calls()), (10 * SECOND, 0));
    assert!(raw.receive().await.contains("\"id\":1"));
}

/// Over a socket, so the clock runs.
#[tokio::test]
async fn calls_time_out_while_their_server_shuts_down() {
    let never = |_: Context, ()| std::future::pending::<Result<()>>();
    let gate = Gate::default();
    let hold = gate.handler(());
    let server = Server::builder().method("hold", hold).bind("127.0.0.1:0").await.unwrap();
    let (url, endpoint) = (server.url(), server.endpoint().clone());
    let (shut_down, told) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server.run_until(async move { drop(told.await) }));
    let client = Client::builder().method("never", never).connect(&url).await.unwrap();
    let holding = begin(client.peer().call::<()>("hold", ()).into_future()).await;
    gate.arrived(1).await;
    let caller = endpoint.connections().pop().unwrap().peer();
    shut_down.send(()).unwrap();
    // The server drains as soon as it refuses new requests.
    while !matches!(
        client.peer().call::<()>("no.such.method", ()).await,
        Err(Error::Call(error)) if error.code() == ErrorCode::SHUTTING_DOWN
    ) {
        tokio::task::yield_now().await;
    }
    let never = caller.call::<i64>("never", ()).timeout(20 * MILLISECOND).await;
    assert!(timed_out(never));
    gate.open(1);
    holding.await.unwrap();
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn calls_of_a_batch_time_out_one_by_one() {
    let (mut raw, client) = Raw::server(patient()).await;
    let peer = client.peer();
    let mut batch = peer.new_batch();
    let calls = [3, 1, 40, 2].map(|seconds| {
        let due = seconds * SECOND;
        (due, batch.add(peer.call::<i64>("m", ()).timeout(due)))
    });
    let usual = batch.add(peer.call::<i64>("m", ()));
    let never = batch.add(peer.call::<i64>("m", ()).without_timeout());
    // Other calls start and end meanwhile, so these calls are old when they are sent.
    for _ in 0..100 {
        let mut other = call(&peer, SECOND);
        assert!(poll_once(&mut other).await.is_pending());
    }
    tokio::time::sleep(100 * SECOND).await;
    assert_eq!(peer.pending_calls(), 6);
    batch.send().await.unwrap();
    let sent = Instant::now();
    let mut waiting = JoinSet::new();
    for (due, reply) in calls.into_iter().chain([(30 * SECOND, usual)]) {
        waiting.spawn(async move {
            assert!(timed_out(reply.await));
            assert_eq!(sent.elapsed(), due);
        });
    }
    waiting.join_all().await;
    assert_eq!(peer.pending_calls(), 1);
    raw.send(result("7", "6")).await;
    assert_eq!(never.await.unwrap(), 7);
}

/// With a paused clock, a task that woke itself repeatedly would keep time from passing. If no
/// timer wakes a task, a day passes at once.
#[tokio::test(start_paused = true)]
async fn an_unneeded_timer_wakes_no_task() {
    let (_raw, client) = Raw::server(patient()).await;
    let peer = client.peer();
    for timeout in [SECOND, 10 * SECOND, Duration::MAX] {
        drop(begin(call(&peer, timeout)).await);
    }
    tokio::time::sleep(3600 * SECOND).await;
    assert!(timed_out(call(&peer, SECOND).await));
    tokio::time::sleep(24 * 3600 * SECOND).await;
    assert!(!peer.is_closed());
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_in_any_state_leaves_nothing() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    drop(call(&peer, SECOND));
    assert_eq!(peer.pending_calls(), 0, "before its first poll");
    drop(begin(call(&peer, SECOND)).await);
    assert_eq!(peer.pending_calls(), 0, "while pending");
    let answered = begin(call(&peer, SECOND)).await;
    raw.receive().await;
    raw.receive().await;
    raw.check(&result("7", "2"), &[]).await;
    assert_eq!(peer.pending_calls(), 1, "it was not polled yet");
    drop(answered);
    assert_eq!(peer.pending_calls(), 0, "after its response arrived");
    let late = begin(call(&peer, SECOND)).await;
    tokio::time::sleep(2 * SECOND).await;
    drop(late);
    assert_eq!(peer.pending_calls(), 0, "after its timeout");
    let over = begin(call(&peer, SECOND)).await;
    raw.hang_up();
    client.closed().await;
    drop(over);
    assert_eq!(peer.pending_calls(), 0, "after its connection ended");

    let (_raw, client, _) = clogged().await;
    let waiting = begin(call(&client.peer(), SECOND)).await;
    assert_eq!(client.peer().pending_calls(), 1);
    drop(waiting);
    assert_eq!(client.peer().pending_calls(), 0, "while it waits for room in the send queue");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_races_the_timeout_ends_the_call_once() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let peer = client.peer();
    let in_time = begin(call(&peer, SECOND)).await;
    raw.receive().await;
    raw.check(&result("7", "1"), &[]).await;
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(
        in_time.await.unwrap(),
        7,
        "the response was first, although the call was not polled"
    );

    let too_late = begin(call(&peer, SECOND)).await;
    raw.receive().await;
    tokio::time::sleep(10 * SECOND).await;
    raw.check(&result("7", "2"), &[]).await;
    assert!(timed_out(too_late.await), "the timeout was first, although the call was not polled");
}

/// When a call moves between tasks, its response wakes the last of them.
#[tokio::test(start_paused = true)]
async fn the_task_that_polled_last_is_woken() {
    let (mut raw, client) = Raw::server(Client::builder()).await;
    let mut calls = [call(&client.peer(), SECOND), call(&client.peer(), SECOND)];
    for call in &mut calls {
        assert!(poll_once(call).await.is_pending());
        assert!(poll_once(call).await.is_pending());
    }
    let [answered, late] = calls;
    let tasks = [tokio::spawn(answered), tokio::spawn(late)];
    for _ in 0..2 {
        raw.receive().await;
    }
    raw.send(result("7", "1")).await;
    let [answered, late] = tasks;
    assert_eq!(answered.await.unwrap().unwrap(), 7);
    assert!(timed_out(late.await.unwrap()));
}

/// Any number of other calls succeed while thousands of calls never end.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn stuck_calls_do_not_delay_others() {
    let never = |_: Context, ()| std::future::pending::<Result<()>>();
    let server = Server::builder()
        .config(Config { max_in_flight: 5000, ..Config::default() })
        .method("never", never)
        .method("double", |_, (x,): (u64,)| async move { Ok(2 * x) });
    let (client, _) = memory::pair(Client::builder(), server).unwrap();
    let peer = Arc::new(client.peer());
    let mut stuck = Vec::new();
    for _ in 0..3000 {
        stuck.push(begin(peer.call::<()>("never", ()).without_timeout().into_future()).await);
    }
    let mut quick = JoinSet::new();
    for task in 0..20_u64 {
        let peer = Arc::clone(&peer);
        quick.spawn(async move {
            for x in task * 1000..task * 1000 + 500 {
                assert_eq!(peer.call::<u64>("double", [x]).await.unwrap(), 2 * x);
            }
        });
    }
    quick.join_all().await;
    assert_eq!(peer.pending_calls(), 3000);
    drop(stuck);
    assert_eq!(peer.pending_calls(), 0);
}

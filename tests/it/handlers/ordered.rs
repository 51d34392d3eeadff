//! `#[method(ordered)]`: the ordered calls of a connection run one after another, in the order in
//! which they arrived. Other calls do not wait for them.

use std::future::{IntoFuture, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use wsjsonrpc::client::ClientBuilder;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Config, Context, Error, ErrorCode, Peer, Result, Server, memory, rpc};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{
    Gate, Raw, begin, both_ways, cancel, cancelled, error, in_flight, notification, poll_once,
    request, result,
};

#[rpc]
trait Journal {
    /// Waits at the gate.
    #[method(ordered)]
    async fn append(&self, ctx: &Context, line: u32) -> Result<u32>;
    /// Yields this many times.
    #[method(ordered)]
    async fn spin(&self, ctx: &Context, line: u32, turns: u32) -> Result<u32>;
    #[method(ordered)]
    fn plain(&self, ctx: &Context, line: u32) -> Result<u32>;
    #[method(ordered, blocking)]
    fn blocking(&self, ctx: &Context, line: u32) -> Result<u32>;
    #[method(ordered, cancel = "drop")]
    async fn forever(&self, ctx: &Context, line: u32) -> Result<()>;
    #[method(ordered)]
    async fn panics(&self, ctx: &Context, line: u32) -> Result<()>;
    /// Calls a method of its caller. `relay` there calls an ordered method on this side.
    #[method(ordered)]
    async fn back(&self, ctx: &Context, line: u32, to: &str) -> Result<u32>;
    async fn relay(&self, ctx: &Context, line: u32) -> Result<u32>;
    async fn free(&self, ctx: &Context, line: u32) -> Result<u32>;
}

#[derive(Clone)]
struct Book {
    lines: mpsc::UnboundedSender<u32>,
    gate: Gate,
    at_work: Arc<AtomicUsize>,
}

/// Checks that no other ordered handler runs while it exists.
struct Alone<'a>(&'a AtomicUsize);

impl Book {
    fn begin(&self, line: u32) -> Alone<'_> {
        assert_eq!(self.at_work.fetch_add(1, Ordering::SeqCst), 0, "two overlap");
        self.lines.send(line).unwrap();
        Alone(&self.at_work)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Journal for Book {
    async fn append(&self, _: &Context, line: u32) -> Result<u32> {
        let _alone = self.begin(line);
        self.gate.pass().await;
        Ok(line)
    }

    async fn spin(&self, _: &Context, line: u32, turns: u32) -> Result<u32> {
        let _alone = self.begin(line);
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        Ok(line)
    }

    fn plain(&self, _: &Context, line: u32) -> Result<u32> {
        let _alone = self.begin(line);
        Ok(line)
    }

    fn blocking(&self, _: &Context, line: u32) -> Result<u32> {
        let _alone = self.begin(line);
        Ok(line)
    }

    async fn forever(&self, _: &Context, line: u32) -> Result<()> {
        let _alone = self.begin(line);
        pending().await
    }

    async fn panics(&self, _: &Context, line: u32) -> Result<()> {
        let _alone = self.begin(line);
        self.gate.pass().await;
        // `resume_unwind` skips the panic hook, whose output would fill the log of the test.
        std::panic::resume_unwind(Box::new("as it should"))
    }

    async fn back(&self, ctx: &Context, line: u32, to: &str) -> Result<u32> {
        Ok(ctx.peer().call(to, [line]).await?)
    }

    async fn relay(&self, ctx: &Context, line: u32) -> Result<u32> {
        Ok(ctx.client::<JournalClient>().plain(line).await?)
    }

    async fn free(&self, _: &Context, line: u32) -> Result<u32> {
        self.lines.send(line).unwrap();
        Ok(line)
    }
}

fn book() -> (Book, mpsc::UnboundedReceiver<u32>) {
    let (lines, seen) = mpsc::unbounded_channel();
    (Book { lines, gate: Gate::default(), at_work: Arc::default() }, seen)
}

fn client(book: &Book) -> ClientBuilder {
    Client::builder().expose_errors(false).service(book.clone().into_service())
}

fn server(book: &Book) -> ServerBuilder {
    Server::builder().expose_errors(false).service(book.clone().into_service())
}

/// Calls of all kinds and lengths, alone and in batches.
async fn calls_in_order(peer: Peer, seen: &mut mpsc::UnboundedReceiver<u32>) {
    let journal = JournalClient::new(peer);
    let mut calls = Vec::new();
    for line in (0..120).step_by(6) {
        calls.push(begin(journal.spin(line, (line * 7) % 11).into_future()).await);
        calls.push(begin(journal.plain(line + 1).into_future()).await);
        calls.push(begin(journal.blocking(line + 2).into_future()).await);
        journal.spin(line + 3, 3).notify().await.unwrap();
        let batch = journal.batch((journal.spin(line + 4, 2), journal.plain(line + 5)));
        let batch = begin(batch.into_future()).await;
        tokio::spawn(async move {
            let (a, b) = batch.await.unwrap();
            assert_eq!((a.unwrap(), b.unwrap()), (line + 4, line + 5));
        });
    }
    for call in calls {
        call.await.unwrap();
    }
    for line in 0..120 {
        assert_eq!(seen.recv().await, Some(line));
    }
}

#[tokio::test]
async fn ordered_calls_run_one_at_a_time_in_arrival_order() {
    let (book, mut seen) = book();
    // The other side has a separate book, because each side runs one ordered handler at a time.
    let (other, mut other_seen) = self::book();
    for (client, caller) in both_ways(|| client(&other), || server(&book)).await {
        calls_in_order(client.peer(), &mut seen).await;
        calls_in_order(caller, &mut other_seen).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordered_calls_stay_in_order_on_several_threads() {
    let (book, mut seen) = book();
    let (other, mut other_seen) = self::book();
    for (client, caller) in both_ways(|| client(&other), || server(&book)).await {
        calls_in_order(client.peer(), &mut seen).await;
        calls_in_order(caller, &mut other_seen).await;
    }
}

#[tokio::test]
async fn other_calls_do_not_wait_for_ordered_ones() {
    let (book, mut seen) = book();
    let mut raw = Raw::client(server(&book)).await;
    raw.send(request("append", "[1]", "1")).await;
    raw.send(request("plain", "[2]", "2")).await;
    raw.check(&request("free", "[3]", "3"), &[&result("3", "3")]).await;
    assert_eq!((seen.recv().await, seen.recv().await), (Some(1), Some(3)));
    assert!(seen.try_recv().is_err());
    book.gate.open(1);
    assert_eq!((raw.receive().await, raw.receive().await), (result("1", "1"), result("2", "2")));
    assert_eq!(seen.recv().await, Some(2));
}

#[tokio::test]
async fn each_connection_has_its_own_order() {
    let (book, mut seen) = book();
    let (mut one, mut two) = Raw::two_clients(server(&book)).await;
    one.send(request("back", r#"[1, "x"]"#, "1")).await;
    let call = one.receive().await;
    assert_eq!(call, r#"{"jsonrpc":"2.0","method":"x","params":[1],"id":"s1"}"#);
    two.check(&request("plain", "[2]", "2"), &[&result("2", "2")]).await;
    assert_eq!(seen.recv().await, Some(2));
    one.send(request("plain", "[3]", "3")).await;
    one.send(result("7", "\"s1\"")).await;
    assert_eq!((one.receive().await, one.receive().await), (result("7", "1"), result("3", "3")));
}

#[tokio::test]
async fn a_call_cancelled_before_its_turn_never_starts() {
    let (book, mut seen) = book();
    let (mut raw, peer) = Raw::client_and_peer(server(&book)).await;
    raw.send(request("append", "[1]", "1")).await;
    book.gate.arrived(1).await;
    for (line, method) in [(2, "spin"), (3, "plain"), (4, "blocking"), (5, "forever"), (6, "plain")]
    {
        let turns = if method == "spin" { ",1" } else { "" };
        raw.send(request(method, &format!("[{line}{turns}]"), &line.to_string())).await;
    }
    // They count as in flight while they wait.
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    assert_eq!(in_flight(&peer), 6);
    for id in ["2", "3", "4", "5"] {
        raw.check(&cancel(id), &[&cancelled(id)]).await;
    }
    // The first call has started, so it runs to completion, and the next one waits for it.
    raw.check(&cancel("1"), &[&cancelled("1")]).await;
    book.gate.open(1);
    assert_eq!(raw.receive().await, result("6", "6"));
    assert_eq!((seen.recv().await, seen.recv().await), (Some(1), Some(6)));
    assert!(seen.try_recv().is_err());
}

/// The first call ends in the same message that cancels the next one. The next one does not start.
#[tokio::test]
async fn a_call_cancelled_while_its_turn_comes_never_starts() {
    let (book, mut seen) = book();
    let mut raw = Raw::client(server(&book)).await;
    raw.send(request("forever", "[1]", "1")).await;
    raw.send(request("plain", "[2]", "2")).await;
    raw.check("[]", &[&wsjsonrpc_tests::empty_batch()]).await;
    let both = format!("[{},{}]", cancel("1"), cancel("2"));
    raw.check(&both, &[&cancelled("1"), &cancelled("2")]).await;
    raw.check(&request("plain", "[3]", "3"), &[&result("3", "3")]).await;
    assert_eq!((seen.recv().await, seen.recv().await), (Some(1), Some(3)));
}

#[tokio::test]
async fn the_next_call_starts_however_the_last_one_ended() {
    let (book, mut seen) = book();
    let mut raw = Raw::client(server(&book)).await;
    raw.send(request("panics", "[1]", "1")).await;
    raw.send(request("forever", "[2]", "2")).await;
    raw.send(request("plain", "[3]", "3")).await;
    book.gate.arrived(1).await;
    book.gate.open(1);
    assert_eq!(raw.receive().await, error(-32603, "Internal error", "1"));
    assert_eq!((seen.recv().await, seen.recv().await), (Some(1), Some(2)));
    raw.send(cancel("2")).await;
    assert_eq!(raw.receive().await, cancelled("2"));
    assert_eq!(raw.receive().await, result("3", "3"));
    // A call with wrong params waits for its turn like all others.
    let outcome = raw.ask(request("plain", "[]", "4")).await;
    assert!(outcome.contains("-32602"), "{outcome}");
}

/// Ordered calls that were received run even if the connection is lost, except those with `cancel =
/// "drop"`.
#[tokio::test]
async fn queued_ordered_calls_outlive_the_connection() {
    let (book, mut seen) = book();
    let (mut raw, peer) = Raw::client_and_peer(server(&book)).await;
    raw.send(request("append", "[1]", "1")).await;
    raw.send(request("forever", "[2]", "2")).await;
    raw.send(request("plain", "[3]", "3")).await;
    raw.send(notification("spin", "[4,1]")).await;
    book.gate.arrived(1).await;
    raw.hang_up();
    peer.closed().await;
    book.gate.open(1);
    for line in [1, 3, 4] {
        assert_eq!(seen.recv().await, Some(line));
    }
}

/// The log names both methods, once, while they wait.
#[tokio::test(start_paused = true)]
async fn a_deadlocked_ordered_handler_is_logged() {
    let (log, _guard) = Log::of_this_thread();
    let (book, mut seen) = book();
    let config = Config { call_timeout: Some(Duration::from_secs(30)), ..Config::default() };
    let (client, _) =
        memory::pair(client(&book).config(config.clone()), server(&book).config(config)).unwrap();
    let journal = JournalClient::new(&client);
    let warning = "possible deadlock: an ordered method";
    // The server's `back` calls the client's `relay`, which calls the server's `plain`.
    let call = tokio::spawn(journal.back(1, "relay").into_future());
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(!log.text().contains(warning), "not yet");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains(warning)).expect(&text);
    assert!(line.contains("WARN") && line.contains("plain") && line.contains("back"), "{line}");
    call.await.unwrap().unwrap_err();
    while seen.try_recv().is_ok() {}
    // A second deadlock on this connection is not logged.
    journal.back(9, "relay").await.unwrap_err();
    assert_eq!(log.text().matches(warning).count(), 1);
}

/// A handler that runs for a long time without calling the peer is not logged, and neither is a
/// call that gets its response in time.
#[tokio::test(start_paused = true)]
async fn a_slow_ordered_handler_is_not_logged() {
    let (log, _guard) = Log::of_this_thread();
    let (book, mut seen) = book();
    let (mut raw, _peer) = Raw::client_and_peer(server(&book)).await;
    raw.send(request("append", "[1]", "1")).await;
    raw.send(request("plain", "[2]", "2")).await;
    book.gate.arrived(1).await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    book.gate.open(1);
    assert_eq!(raw.receive().await, result("1", "1"));
    assert_eq!(raw.receive().await, result("2", "2"));
    // The handler calls back and gets its response after a while. Then the next call has its turn.
    raw.send(request("back", r#"[3,"slow"]"#, "3")).await;
    raw.send(request("plain", "[4]", "4")).await;
    assert_eq!(raw.receive().await, request("slow", "[3]", r#""s1""#));
    tokio::time::sleep(Duration::from_secs(4)).await;
    raw.send(result("3", r#""s1""#)).await;
    assert_eq!(raw.receive().await, result("3", "3"));
    assert_eq!(raw.receive().await, result("4", "4"));
    tokio::time::sleep(Duration::from_secs(20)).await;
    for line in [1, 2, 4] {
        assert_eq!(seen.recv().await, Some(line));
    }
    assert!(!log.text().contains("ordered method waits"), "{}", log.text());
}

/// As documented: the handler waits for itself until its own call times out.
#[tokio::test(start_paused = true)]
async fn an_ordered_handler_that_awaits_an_ordered_call_deadlocks() {
    let (book, mut seen) = book();
    for (client, _) in both_ways(|| client(&book), || server(&book)).await {
        let journal = JournalClient::new(&client);
        // The order of the other side is independent.
        assert_eq!(journal.back(1, "plain").await.unwrap(), 1);
        assert_eq!(seen.recv().await, Some(1));
        let call = journal.back(2, "relay").timeout(Duration::from_secs(10));
        let mut call = begin(call.into_future()).await;
        assert!(poll_once(&mut call).await.is_pending());
        let outcome = call.await;
        assert!(
            matches!(&outcome, Err(Error::Timeout(_)))
                || matches!(&outcome, Err(Error::Call(error)) if error.code() == ErrorCode::INTERNAL_ERROR),
            "{outcome:?}"
        );
        // All of them timed out at the same time, so the call that was waited for may or may not
        // have run.
        assert_eq!(journal.plain(3).await.unwrap(), 3);
        let first = seen.recv().await;
        assert!(first == Some(3) || (first, seen.recv().await) == (Some(2), Some(3)));
    }
}

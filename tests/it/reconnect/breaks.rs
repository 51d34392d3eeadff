//! Real sockets break a hundred times at random moments while calls are in flight: no call is lost,
//! answered twice, or answered with the result of another call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use wsjsonrpc::client::Reconnect;
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Context, Error, Peer, Result, Server, rpc};
use wsjsonrpc_tests::breaker::Breaker;
use wsjsonrpc_tests::listen;

const BREAKS: usize = 100;

#[rpc]
trait Ledger {
    /// Returns the key, and how many times it was called with this key.
    #[method(idempotent)]
    async fn look(&self, ctx: &Context, key: u64) -> Result<(u64, u32)>;

    async fn book(&self, ctx: &Context, key: u64) -> Result<(u64, u32)>;
}

#[derive(Clone, Default)]
struct Book(Arc<Mutex<HashMap<u64, u32>>>);

impl Book {
    async fn count(&self, key: u64) -> (u64, u32) {
        let count = {
            let mut entries = self.0.lock().unwrap();
            let count = entries.entry(key).or_default();
            *count += 1;
            *count
        };
        // Some respond at once, some later and out of order.
        for _ in 0..key % 7 {
            tokio::task::yield_now().await;
        }
        (key, count)
    }
}

impl Ledger for Book {
    async fn look(&self, _: &Context, key: u64) -> Result<(u64, u32)> {
        Ok(self.count(key).await)
    }

    async fn book(&self, _: &Context, key: u64) -> Result<(u64, u32)> {
        Ok(self.count(key).await)
    }
}

/// The outcomes of the calls of one kind, by key.
type Outcomes = Vec<(u64, Result<(u64, u32), Error>)>;

/// With `one_thread`, the server has handled everything from an old connection before a new one
/// opens.
async fn run(seed: u64, one_thread: bool) {
    let book = Book::default();
    let (server, _) = listen(Server::builder().service(book.clone().into_service())).await;
    let breaker = Arc::new(Breaker::default());
    let url = breaker.before(&server, seed).await;
    let hooked = Arc::new(AtomicUsize::new(0));
    let hook = Arc::clone(&hooked);
    let client = Client::builder()
        .reconnect(Reconnect {
            initial: Duration::from_millis(1),
            max: Duration::from_millis(5),
            retry_first: true,
            ..Reconnect::default()
        })
        .call_timeout(None)
        .on_connect(move |_: Peer| {
            hook.fetch_add(1, Ordering::Relaxed);
            async { Ok(()) }
        })
        .connect(&url)
        .await
        .unwrap();
    let ledger = LedgerClient::new(client.peer());
    let keys = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for kind in 0..8 {
        let (ledger, keys, breaker) = (ledger.clone(), keys.clone(), breaker.clone());
        tasks.spawn(async move {
            let mut outcomes: Outcomes = Vec::new();
            while breaker.breaks.load(Ordering::Relaxed) < BREAKS {
                let key = keys.fetch_add(2, Ordering::Relaxed);
                match kind {
                    0..3 => outcomes.push((key, ledger.look(key).await)),
                    3..6 => outcomes.push((key + 1, ledger.book(key + 1).await)),
                    _ => {
                        let both = (ledger.look(key), ledger.book(key + 1));
                        // Each call of the batch has its own outcome, even if the batch fails.
                        let (looked, booked) = ledger.batch(both).await.unwrap();
                        outcomes.extend([(key, looked), (key + 1, booked)]);
                    }
                }
            }
            breaker.enough.store(true, Ordering::Relaxed);
            outcomes
        });
    }
    let outcomes: Outcomes = tasks.join_all().await.into_iter().flatten().collect();
    let seen = book.0.lock().unwrap().clone();
    let (mut repeated, mut failed) = (0, 0);
    for (key, outcome) in &outcomes {
        let handled = seen.get(key).copied().unwrap_or_default();
        let idempotent = key % 2 == 0;
        match outcome {
            Ok((own, count)) => {
                assert_eq!(own, key, "the result of another call");
                // With several threads, the server may handle the first sending after the second.
                assert!((1..=handled).contains(count), "{key}: answer {count} of {handled}");
                if one_thread {
                    assert_eq!(*count, handled, "the response must be the one to the last sending");
                }
                assert!(idempotent || handled == 1, "{key} was executed {handled} times");
                repeated += usize::from(handled > 1);
            }
            Err(Error::Closed(reason)) => {
                assert!(!idempotent, "{key} was lost: {reason}");
                assert!(!matches!(reason, CloseReason::Local | CloseReason::Reconnect(_)));
                assert!(handled <= 1, "{key} was executed {handled} times");
                failed += 1;
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
    assert!(breaker.breaks.load(Ordering::Relaxed) >= BREAKS);
    assert!(
        hooked.load(Ordering::Relaxed) > BREAKS / 2,
        "most connections must survive their handshake"
    );
    assert!(repeated > 0 && failed > 0, "{repeated} repeated, {failed} failed: no real breaks");
    assert_eq!(client.peer().pending_calls(), 0);
    assert!(matches!(client.close().await, CloseReason::Local));
}

#[tokio::test]
async fn no_call_is_lost_over_a_hundred_breaks() {
    run(0x5eed, true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_is_lost_on_several_threads() {
    run(0xc0ffee, false).await;
}

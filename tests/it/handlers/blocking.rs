//! Handlers that block their thread are logged, once for each method.

use std::time::{Duration, Instant};

use wsjsonrpc::{Client, Config, Context, Methods, Result, Server, rpc};
use wsjsonrpc_tests::log::Log;
use wsjsonrpc_tests::{Gate, Raw, request, result};

/// Computes for longer than `LIMIT`.
fn block() {
    let begin = Instant::now();
    while begin.elapsed() <= LIMIT {
        std::hint::spin_loop();
    }
}

const LIMIT: Duration = Duration::from_millis(20);

#[rpc]
trait Work {
    async fn at_once(&self, ctx: &Context) -> Result<()>;
    fn plain(&self, ctx: &Context) -> Result<()>;
    async fn later(&self, ctx: &Context) -> Result<()>;
}

struct Worker(Gate);

impl Work for Worker {
    async fn at_once(&self, _: &Context) -> Result<()> {
        block();
        Ok(())
    }

    fn plain(&self, _: &Context) -> Result<()> {
        block();
        Ok(())
    }

    async fn later(&self, _: &Context) -> Result<()> {
        self.0.pass().await;
        block();
        Ok(())
    }
}

fn config(limit: Option<Duration>) -> Config {
    Config { blocking_threshold: limit, ..Config::default() }
}

/// The warnings in the log about blocking handlers.
fn warnings(log: &Log) -> Vec<String> {
    let about =
        |line: &&str| line.contains("blocked its thread") || line.contains("blocked a connection");
    log.text().lines().filter(about).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_blocking_handler_is_logged_once_with_a_remedy() {
    let (log, _guard) = Log::of_this_thread();
    let gate = Gate::default();
    let endpoint = Server::builder()
        .config(config(Some(LIMIT)))
        .service(Worker(gate.clone()).into_service())
        .build()
        .unwrap();
    for round in 0..2 {
        let (mut raw, _) = Raw::client_of(&endpoint).await;
        for (number, method) in ["at_once", "plain", "later"].into_iter().enumerate() {
            gate.open(usize::from(method == "later"));
            assert_eq!(raw.ask(request(method, "[]", "1")).await, result("null", "1"));
            // A handler that ran in its own task is logged after its response.
            tokio::task::yield_now().await;
            let warnings = warnings(&log);
            assert_eq!(warnings.len(), if round == 0 { number + 1 } else { 3 }, "{warnings:?}");
            let line = &warnings[number];
            assert!(line.contains("WARN") && line.contains(method), "{line}");
            assert!(
                line.contains("#[method(blocking)]") && line.contains("spawn_blocking"),
                "{line}"
            );
        }
    }
}

/// The same for a client's handlers.
#[tokio::test]
async fn a_clients_blocking_handler_is_logged_too() {
    let (log, _guard) = Log::of_this_thread();
    let client = Client::builder().config(config(Some(LIMIT))).method("slow", |_, ()| async {
        block();
        Ok(())
    });
    let (mut raw, _client) = Raw::server(client).await;
    assert_eq!(raw.ask(request("slow", "[]", "1")).await, result("null", "1"));
    let warnings = warnings(&log);
    assert!(matches!(warnings.as_slice(), [line] if line.contains("slow")), "{warnings:?}");
}

fn methods() -> Methods {
    Methods::new()
        .method("first", |_, ()| async { Ok(()) })
        .method("second", |_, ()| async { Ok(()) })
}

/// If several handlers ran between two measurements, the log names all of them. From then on each
/// is measured separately.
#[tokio::test]
async fn the_blocking_one_of_several_handlers_is_found_next_time() {
    let (log, _guard) = Log::of_this_thread();
    // With a threshold of zero, every handler is too slow.
    let server = Server::builder().config(config(Some(Duration::ZERO))).service(methods());
    let mut raw = Raw::client(server).await;
    let batch = format!("[{},{}]", request("first", "[]", "1"), request("second", "[]", "2"));
    raw.ask(&batch).await;
    let first = warnings(&log);
    let [line] = first.as_slice() else { panic!("{first:?}") };
    assert!(line.contains("2 handlers") && line.contains("first, second"), "{line}");
    raw.ask(&batch).await;
    raw.ask(&batch).await;
    let then = warnings(&log);
    let [_, one, two] = then.as_slice() else { panic!("{then:?}") };
    assert!(one.contains("blocked") && one.contains("first") && !one.contains("second"), "{one}");
    assert!(two.contains("blocked") && two.contains("second"), "{two}");
}

#[tokio::test]
async fn quick_handlers_and_a_disabled_threshold_log_nothing() {
    let (log, _guard) = Log::of_this_thread();
    for limit in [None, Some(Duration::MAX)] {
        let server = Server::builder().config(config(limit)).method("slow", |_, ()| async {
            block();
            Ok(())
        });
        let mut raw = Raw::client(server).await;
        assert_eq!(raw.ask(request("slow", "[]", "1")).await, result("null", "1"));
    }
    assert_eq!(warnings(&log), [""; 0]);
}

//! A soak test: calls in both directions over real sockets that break at random, for any duration.
//! It fails if anything is left or lost, or if memory has grown.
//!
//! `tests/soak` runs it; tests/README.md has the results. This file starts the run and decides the
//! outcome. It does not depend on how connections break and which methods are called.

mod breaker;
mod callers;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use wsjsonrpc::{Config, Endpoint, Server};

use crate::breaker::{Breaker, Dice};
use crate::callers::{PLAIN, RECONNECTING, World};
use crate::tally::{Memory, Tally, add};

const SECOND: Duration = Duration::from_secs(1);
/// After the stop, everything must end within this time, which is longer than any timeout of a
/// connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// Timeouts so short that each of them ends some connections.
fn config() -> Config {
    Config {
        call_timeout: Some(2 * SECOND),
        ping_interval: Some(SECOND),
        write_timeout: SECOND,
        handshake_timeout: SECOND,
        close_timeout: SECOND / 2,
        ..Config::default()
    }
}

fn number(name: &str, default: u64) -> u64 {
    let Ok(value) = std::env::var(name) else { return default };
    value.parse().unwrap_or_else(|error| panic!("{name} is not a number: {error}"))
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("the runtime builds")
}

/// Waits until `what` is true, within [`PATIENCE`].
async fn soon(what: impl Fn() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(SECOND / 20).await;
    }
    true
}

fn main() -> ExitCode {
    let duration = Duration::from_secs(number("WSJSONRPC_SOAK_SECONDS", 30));
    let seed = number("WSJSONRPC_SOAK_SEED", 1);
    // Leaks this many bytes with each break, to show that the check of memory finds a leak.
    let leak = number("WSJSONRPC_SOAK_LEAK", 0);
    println!("{} s, seed {seed}", duration.as_secs());

    // One runtime for each side, so that the tasks that are left can be attributed.
    let (serving, calling) = (runtime(), runtime());
    let tally = Arc::new(Tally::default());
    let world = World::new(Arc::clone(&tally));
    let server = Server::builder().config(config()).service(world.methods());
    let server = serving.block_on(server.bind("127.0.0.1:0")).expect("a port is free");
    let (address, endpoint) = (server.local_addr(), server.endpoint().clone());
    let (stop, stopped) = oneshot::channel::<()>();
    let (alive, handle) = (serving.metrics(), serving.handle().clone());
    let thread = std::thread::spawn(move || {
        handle.block_on(server.run_until(async { drop(stopped.await) }));
        serving
    });

    let failures = calling.block_on(async {
        let breaker = Breaker::before(address, seed, leak, Arc::clone(&tally)).await;
        let enough = Arc::new(AtomicBool::new(false));
        let mut callers = JoinSet::new();
        for index in 0..PLAIN + RECONNECTING {
            let (world, url, enough) = (world.clone(), breaker.url(), Arc::clone(&enough));
            callers.spawn(world.caller(index, seed, url, enough));
        }
        let pausing = tokio::spawn(pause(Dice::new(seed), duration, Arc::clone(&tally)));
        let mut memory = Memory::default();
        let begin = Instant::now();
        let mut shown = 0;
        while begin.elapsed() < duration {
            tokio::time::sleep((duration / 600).max(SECOND / 20)).await;
            memory.sample(tally.breaks());
            if 20 * begin.elapsed().as_secs() / duration.as_secs().max(1) > shown {
                shown += 1;
                println!("{:5} s: {}, {memory}", begin.elapsed().as_secs(), tally.line());
            }
        }
        pausing.abort();
        drop(pausing.await);
        enough.store(true, Ordering::Relaxed);
        let mut failures = Vec::new();
        if tokio::time::timeout(PATIENCE, callers.join_all()).await.is_err() {
            failures.push("a call or a client did not end".to_owned());
        }
        breaker.end().await;
        failures.extend(verdict(&world, &endpoint).await);
        let left = || alive.num_alive_tasks();
        if !soon(|| left() == 0).await {
            failures.push(format!("{} tasks of the server are still alive", left()));
        }
        failures.extend(memory.verdict());
        failures
    });
    drop(stop);
    let serving = thread.join().expect("the server does not panic");
    // Slow connections need a moment longer for their tasks.
    let alive = calling.metrics();
    calling.block_on(soon(|| alive.num_alive_tasks() == 0));
    let left = alive.num_alive_tasks();
    println!("{}", tally.report());
    println!(
        "tasks still alive: {left} of the clients, {} of the server",
        serving.metrics().num_alive_tasks()
    );
    for failure in &failures {
        println!("FAILED: {failure}");
    }
    if failures.is_empty() && left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Stops the whole process from time to time, like a virtual machine that is paused: all timers are
/// overdue afterwards, while responses are in the sockets.
async fn pause(mut dice: Dice, duration: Duration, tally: Arc<Tally>) {
    let process = std::process::id();
    loop {
        tokio::time::sleep(duration / 20 + Duration::from_millis(dice.below(1000))).await;
        let milliseconds = 200 + dice.below(3000);
        let seconds = milliseconds as f64 / 1000.0;
        let script = format!("kill -STOP {process}; sleep {seconds}; kill -CONT {process}");
        let shell = || std::process::Command::new("sh").args(["-c", &script]).status();
        if tokio::task::block_in_place(shell).is_ok_and(|status| status.success()) {
            add(&tally.pauses);
        }
    }
}

/// Checks what is left when all callers have ended.
async fn verdict(world: &World, endpoint: &Endpoint) -> Vec<String> {
    let mut failures = Vec::new();
    if !soon(|| endpoint.connections().is_empty()).await {
        failures
            .push(format!("the server still lists {} connections", endpoint.connection_count()));
    }
    // Calls of handlers end with their connection, and handlers end with their calls.
    if !soon(|| world.pending() == 0).await {
        failures.push(format!("{} calls are still pending on closed connections", world.pending()));
    }
    soon(|| world.tally().is_settled()).await;
    failures.extend(world.tally().verdict());
    failures
}

//! A client and a server on a bad network, with random events. A seed gives the same run each time.
//! A run takes no time, because the clock is paused.
//!
//! `WSJSONRPC_SIMULATION_SEEDS=100000` runs more seeds, `WSJSONRPC_SIMULATION_SEED=17` runs only
//! this one.

mod dice;
mod load;
mod resume;
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use wsjsonrpc::error::CloseReason;
use wsjsonrpc::{Client, Config, Endpoint, Peer, Server};

use dice::{Dice, network};
use load::{Load, Plan};
use world::{Answer, CLIENT, SERVER, World, methods};

/// Longer than all timeouts of a run together.
const BOUND: Duration = Duration::from_secs(3600);

/// Which side ends the connection, unless the network does.
#[derive(Clone, Copy, Debug)]
enum Closer {
    Client,
    Server,
    Shutdown,
    /// The task that serves the connection is aborted.
    Abort,
    Nobody,
}

#[test]
fn every_call_ends_as_it_should_whatever_happens() {
    let seeds =
        match (variable("WSJSONRPC_SIMULATION_SEED"), variable("WSJSONRPC_SIMULATION_SEEDS")) {
            (Some(seed), _) => seed..seed + 1,
            (None, seeds) => 0..seeds.unwrap_or(1000),
        };
    let many = seeds.end - seeds.start >= 1000;
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for seed in seeds {
        for outcome in run(seed).0 {
            let word = outcome.rsplit(": ").next().unwrap_or_default();
            *seen.entry(word.to_owned()).or_default() += 1;
        }
    }
    println!("{seen:?}");
    // All of these outcomes must occur, because a simulation without events finds no bugs.
    let expected = [
        "answered",
        "busy",
        "cancelled",
        "closed",
        "dropped",
        "failed",
        "failed back",
        "panicked",
        "refused",
        "timeout",
    ];
    assert!(!many || seen.keys().eq(expected), "outcomes of calls: {seen:?}");
}

#[test]
fn a_seed_gives_the_same_run_each_time() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

fn variable(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|error| panic!("{name} is not a number: {error}")))
}

/// Prints the seed if the run panics.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("failed: run it alone with WSJSONRPC_SIMULATION_SEED={}", self.0);
        }
    }
}

/// One run. Returns what happened, and how long it took on the paused clock.
fn run(seed: u64) -> (Vec<String>, Duration) {
    let _named_if_it_fails = Seed(seed);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let begin = Instant::now();
        let world = timeout(BOUND, connection(Dice::new(seed))).await;
        let world = world.expect("the run ends");
        // Handlers outlive their connection, and the network has delays.
        while runtime.metrics().num_alive_tasks() > 0 {
            assert!(begin.elapsed() < 2 * BOUND, "a task is still alive");
            sleep(Duration::from_secs(60)).await;
        }
        assert!(world.most_begun() <= 1, "a call was executed twice");
        let outcomes = std::mem::take(&mut *world.outcomes.lock().unwrap());
        assert_eq!(Arc::strong_count(&world), 1, "a service was not dropped");
        (outcomes, begin.elapsed())
    })
}

fn config(dice: &mut Dice, plan: Plan) -> Config {
    // On the slowest network, a call with nested calls back takes more than 20 s.
    let patience = Duration::from_secs(if plan.is_calm() { 300 } else { 20 });
    let roomy = Config {
        call_timeout: plan.timeout.then_some(patience),
        shutdown_timeout: Duration::from_secs(300),
        // If nothing breaks, only messages may wake a connection.
        ping_interval: if plan.is_calm() { None } else { Config::default().ping_interval },
        ..Config::default()
    };
    if !plan.tight {
        return roomy;
    }
    Config {
        max_in_flight: dice.pick(&[1, 3, 1000]),
        max_send_queue: if plan.stalls { 1 } else { dice.pick(&[10_000, 1 << 20]) },
        cancel_on_close: dice.one_in(2),
        ..roomy
    }
}

async fn connection(mut dice: Dice) -> Arc<World> {
    let closers = [Closer::Client, Closer::Server, Closer::Shutdown, Closer::Abort];
    let closer = if dice.one_in(2) { dice.pick(&closers) } else { Closer::Nobody };
    let cut = dice.one_in(3);
    let tight = dice.one_in(3);
    let stalls = tight && dice.one_in(3);
    let plan = Plan {
        breaks: cut || stalls || matches!(closer, Closer::Abort),
        closes: !matches!(closer, Closer::Nobody),
        tight,
        stalls,
        timeout: dice.one_in(2),
    };
    let world = Arc::new(World::default());
    let server = Server::builder()
        .config(config(&mut dice, plan))
        .service(methods(&world, SERVER))
        .build()
        .unwrap();
    let client = Client::builder().config(config(&mut dice, plan)).service(methods(&world, CLIENT));

    let (ours, theirs) = network(&mut dice, cut);
    let endpoint = server.clone();
    let serving = tokio::spawn(async move { endpoint.serve(theirs, None).await });
    let client = match client.connect_over("ws://simulated/", ours).await {
        Ok(client) => client,
        Err(error) => {
            assert!(cut, "{error:?}");
            let _ = serving.await.unwrap();
            return world;
        }
    };
    let caller = server.connections().pop().map(|it| it.peer());
    let Some(caller) = caller else {
        assert!(cut, "the server does not list its client");
        client.closed().await;
        let _ = serving.await.unwrap();
        return world;
    };

    let mut load = JoinSet::new();
    for (side, peer) in [(CLIENT, client.peer()), (SERVER, caller.clone())] {
        let mut new = || Load { world: Arc::clone(&world), plan, side, dice: dice.fork() };
        load.spawn(new().notes(peer.clone()));
        for _ in 0..3 {
            load.spawn(new().calls(peer.clone()));
        }
    }
    sleep(Duration::from_millis(dice.below(1000))).await;
    let accepted = |side: usize| world.accepted[side].load(Ordering::Relaxed);
    // Everything that the closing side has had accepted by now must arrive.
    let mut owed = [0, 0];
    match closer {
        Closer::Client => {
            owed[CLIENT] = accepted(CLIENT);
            client.close().await;
        }
        Closer::Server => {
            owed[SERVER] = accepted(SERVER);
            caller.close(4000, "enough");
        }
        Closer::Shutdown => {
            owed[SERVER] = accepted(SERVER);
            assert_eq!(server.shutdown().await, 0, "handlers were cut off");
        }
        Closer::Abort => serving.abort(),
        Closer::Nobody => {}
    }
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    if plan.is_calm() {
        owed = [accepted(CLIENT), accepted(SERVER)];
        for peer in [client.peer(), caller.clone()] {
            // The response arrives after everything that was sent before.
            let id = world.new_id();
            peer.call::<Answer>("echo", (id, "")).await.unwrap();
        }
    }
    check_notes(&world, plan, closer, owed);
    end(&mut dice, plan, client, &caller).await;
    let served = match serving.await {
        Ok(served) => served.unwrap(),
        Err(error) => {
            assert!(error.is_cancelled(), "{error}");
            CloseReason::Aborted
        }
    };
    assert!(plan.breaks || is_orderly(&served), "{served:?}");
    check_end(&caller, &server);
    world
}

/// The client is closed or dropped, and the server must see the end of the connection.
async fn end(dice: &mut Dice, plan: Plan, client: Client, caller: &Peer) {
    let peer = client.peer();
    if dice.one_in(2) {
        let reason = client.close().await;
        assert!(plan.breaks || is_orderly(&reason), "{reason:?}");
        assert_eq!(peer.pending_calls(), 0);
    }
    drop((client, peer));
    caller.closed().await;
}

fn is_orderly(reason: &CloseReason) -> bool {
    match reason {
        CloseReason::Local => true,
        CloseReason::Remote { code, .. } => matches!(code, 1000 | 1001 | 4000),
        _ => false,
    }
}

fn check_end(caller: &Peer, server: &Endpoint) {
    assert!(caller.is_closed());
    assert_eq!(caller.pending_calls(), 0);
    assert!(server.connections().is_empty());
}

/// Checks that notifications are handled in order, without gaps up to the last one, and at least as
/// many as `owed`.
fn check_notes(world: &World, plan: Plan, closer: Closer, owed: [u64; 2]) {
    for (side, handled_by) in [(CLIENT, SERVER), (SERVER, CLIENT)] {
        let notes = world.notes[handled_by].lock().unwrap();
        assert!(notes.is_sorted_by(|one, next| one < next), "out of order: {notes:?}");
        // A side that closes refuses further notifications, and a side with low limits drops some.
        let refuses = match closer {
            Closer::Client => handled_by == CLIENT,
            Closer::Server | Closer::Shutdown | Closer::Abort => handled_by == SERVER,
            Closer::Nobody => false,
        };
        if plan.tight || refuses {
            continue;
        }
        let whole = notes.iter().copied().eq(0..notes.len() as u64);
        assert!(whole, "notifications are missing: {notes:?}");
        let all = plan.breaks || notes.len() as u64 >= owed[side];
        assert!(all, "{} of {} notifications were handled", notes.len(), owed[side]);
    }
}

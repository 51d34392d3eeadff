//! The callers of the soak test, the methods that they call, and the check that each result belongs
//! to its call. Does not depend on how connections break.

use std::collections::VecDeque;
use std::fmt;
use std::future::IntoFuture;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::stream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wsjsonrpc::client::{ClientBuilder, Reconnect};
use wsjsonrpc::subscription::Topic;
use wsjsonrpc::{Call, Client, Context, Error, ErrorCode, Methods, Peer, Result};

use crate::breaker::Dice;
use crate::config;
use crate::tally::{Tally, add};

/// Clients that are replaced when their connection has ended, and clients that reconnect.
pub(crate) const PLAIN: u64 = 10;
pub(crate) const RECONNECTING: u64 = 4;
/// How many tasks call on each client.
const TASKS: u64 = 4;
/// How many calls and how many connections are remembered.
const REMEMBERED: usize = 1 << 20;
const KEPT: usize = 200;

type Answer = (u64, String);

/// State that both sides share, because they are one process.
#[derive(Clone)]
pub(crate) struct World(Arc<Shared>);

struct Shared {
    tally: Arc<Tally>,
    ids: AtomicU64,
    /// How many times each of the latest calls was executed.
    carried_out: Vec<AtomicU8>,
    /// Handles to connections that have ended or will end.
    kept: Mutex<VecDeque<Peer>>,
}

/// A call that is about to be made.
struct Op {
    id: u64,
    method: &'static str,
    text: String,
    extra: u64,
    idempotent: bool,
}

impl Op {
    fn call(&self, peer: &Peer) -> Call<Answer> {
        let call = peer.call(self.method, (self.id, &self.text, self.extra));
        if self.idempotent { call.idempotent() } else { call }
    }
}

impl World {
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        let carried_out = (0..REMEMBERED).map(|_| AtomicU8::new(0)).collect();
        let (ids, kept) = (AtomicU64::new(0), Mutex::default());
        World(Arc::new(Shared { tally, ids, carried_out, kept }))
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    fn carried_out(&self, id: u64) -> &AtomicU8 {
        &self.0.carried_out[id as usize % REMEMBERED]
    }

    fn keep(&self, peer: Peer) {
        let mut kept = self.0.kept.lock().expect("nobody panics");
        kept.push_back(peer);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }

    /// How many calls are pending on the remembered connections.
    pub(crate) fn pending(&self) -> usize {
        self.0.kept.lock().expect("nobody panics").iter().map(Peer::pending_calls).sum()
    }

    /// The methods that both sides serve.
    pub(crate) fn methods(&self) -> Methods {
        let (echo, wait, back, heard) = (self.clone(), self.clone(), self.clone(), self.clone());
        Methods::new()
            .method("echo", move |_, (id, text, _): (u64, String, u64)| {
                echo.carried_out(id).fetch_add(1, Ordering::Relaxed);
                async move { Ok((id, text)) }
            })
            .method("wait", move |_, (id, text, time): (u64, String, u64)| {
                wait.carried_out(id).fetch_add(1, Ordering::Relaxed);
                async move {
                    sleep(Duration::from_millis(time)).await;
                    Ok((id, text))
                }
            })
            .method("back", move |ctx, params| back.clone().call_back(ctx, params))
            .method("note", move |_, (_,): (u64,)| {
                add(&heard.tally().heard);
                async { Ok(()) }
            })
            .subscription(Topic::new("count"), |_, (to, size): (u64, u64)| async move {
                let text = "x".repeat(size as usize);
                Ok(stream::iter((0..to).map(move |number| Ok((number, text.clone())))))
            })
            .method("leave", |ctx: Context, (id, text, _): (u64, String, u64)| async move {
                ctx.peer().close(4000, "requested by the test");
                Ok((id, text))
            })
    }

    /// Calls the caller, which may call back too.
    async fn call_back(
        self,
        ctx: Context,
        (id, text, depth): (u64, String, u64),
    ) -> Result<Answer> {
        self.carried_out(id).fetch_add(1, Ordering::Relaxed);
        let peer = ctx.peer();
        if id % 16 == 0 {
            self.keep(peer.clone());
        }
        let method = if depth == 0 { "wait" } else { "back" };
        let op = self.op(method, String::new(), depth.saturating_sub(1), false);
        self.carry_out(&op, &peer, None).await;
        Ok((id, text))
    }

    fn op(&self, method: &'static str, text: String, extra: u64, idempotent: bool) -> Op {
        let id = self.0.ids.fetch_add(1, Ordering::Relaxed);
        self.carried_out(id).store(0, Ordering::Relaxed);
        Op { id, method, text, extra, idempotent }
    }

    fn any_op(&self, dice: &mut Dice) -> Op {
        let size = match dice.below(64) {
            0 => dice.below(200_000),
            1..8 => dice.below(10_000),
            _ => dice.below(100),
        };
        let method = match dice.below(400) {
            0 => "leave",
            1..200 => "echo",
            200..320 => "wait",
            _ => "back",
        };
        let extra = if method == "back" { dice.below(3) } else { dice.below(30) };
        self.op(method, "x".repeat(size as usize), extra, dice.below(4) == 0)
    }

    /// Makes one call and checks its outcome. Drops the call after `patience`.
    async fn carry_out(&self, op: &Op, peer: &Peer, patience: Option<Duration>) {
        add(&self.tally().begun);
        // Boxed, because handlers call handlers.
        let call = Box::pin(op.call(peer).into_future());
        match patience {
            None => self.check(op, call.await),
            Some(patience) => match timeout(patience, call).await {
                Ok(outcome) => self.check(op, outcome),
                Err(_) => add(&self.tally().dropped),
            },
        }
    }

    fn check(&self, op: &Op, outcome: Result<Answer, Error>) {
        let tally = self.tally();
        match outcome {
            Ok((id, text)) => {
                let times = self.carried_out(op.id).load(Ordering::Relaxed);
                let once = times == 1 || (times > 1 && op.idempotent) || op.method == "leave";
                let right = id == op.id && text == op.text && once;
                if !right {
                    let same = text == op.text;
                    println!(
                        "wrong: {} {} {}: {id}, {same}, {times} times",
                        op.method, op.id, op.extra
                    );
                }
                add(if right { &tally.answered } else { &tally.wrong });
            }
            Err(error) => self.end(error, &format_args!("{} {}", op.method, op.id)),
        }
    }

    async fn batch(&self, dice: &mut Dice, peer: &Peer) {
        let mut batch = peer.new_batch();
        let mut replies = Vec::new();
        for _ in 0..1 + dice.below(6) {
            let op = self.any_op(dice);
            add(&self.tally().begun);
            replies.push((batch.add(op.call(peer)), op));
        }
        add(&self.tally().batches);
        let sent = batch.send().await;
        for (reply, op) in replies {
            let outcome = match (&sent, reply.await) {
                // The reason why the batch was not sent: no connection, or none in time.
                (Err(Error::Closed(reason)), Err(Error::NotSent)) => {
                    Err(Error::Closed(reason.clone()))
                }
                (Err(Error::Timeout(late)), Err(Error::NotSent)) => {
                    Err(Error::Timeout(late.clone()))
                }
                (_, outcome) => outcome,
            };
            self.check(&op, outcome);
        }
    }

    /// Takes all items of a subscription, or some of them. Each item must arrive, in order,
    /// followed by the end.
    async fn subscribe(&self, dice: &mut Dice, peer: &Peer) {
        let tally = self.tally();
        let (items, size) = (dice.below(200), dice.below(2_000));
        let wanted = if dice.below(4) == 0 { dice.below(items + 1) } else { u64::MAX };
        add(&tally.begun);
        let mut subscription = match peer.subscribe::<Answer>("count", (items, size)).await {
            Ok(subscription) => subscription,
            Err(error) => return self.end(error, &"count"),
        };
        add(&tally.subscribed);
        for number in 0..wanted {
            match subscription.next().await {
                Some(Ok((got, text))) if got == number && text.len() as u64 == size => {
                    add(&tally.items);
                }
                None if number == items => break,
                Some(Err(error)) => return self.end(error, &"count"),
                other => {
                    println!(
                        "wrong: item {number} of {items}, of {size} bytes: {:?}; {} dropped",
                        other.map(|item| item.map(|(got, text)| (got, text.len()))),
                        subscription.dropped()
                    );
                    return add(&tally.wrong);
                }
            }
            if dice.below(64) == 0 {
                sleep(Duration::from_millis(dice.below(20))).await;
            }
        }
        add(&tally.answered);
    }

    /// Counts the reason that ended a call without a result.
    fn end(&self, error: Error, what: &dyn fmt::Display) {
        let tally = self.tally();
        add(match error {
            Error::Closed(_) => &tally.closed,
            Error::Timeout(_) | Error::DeadlinePassed => &tally.timed_out,
            Error::Call(error) | Error::Other(error)
                if [ErrorCode::SERVER_BUSY, ErrorCode::SHUTTING_DOWN].contains(&error.code()) =>
            {
                &tally.refused
            }
            error => {
                println!("{what}: {error}");
                &tally.odd
            }
        });
    }

    /// Makes calls in all possible ways until the peer is closed.
    async fn calls(self, peer: Peer, mut dice: Dice, enough: Arc<AtomicBool>) {
        while !enough.load(Ordering::Relaxed) && !peer.is_closed() {
            match dice.below(16) {
                0..6 => self.carry_out(&self.any_op(&mut dice), &peer, None).await,
                6..8 => {
                    let patience = Duration::from_millis(dice.below(40));
                    self.carry_out(&self.any_op(&mut dice), &peer, Some(patience)).await;
                }
                8 => {
                    let op = self.op("wait", String::new(), 20 + dice.below(40), false);
                    add(&self.tally().begun);
                    let time = Duration::from_millis(dice.below(50));
                    self.check(&op, op.call(&peer).timeout(time).await);
                }
                9..11 => self.batch(&mut dice, &peer).await,
                11 => self.subscribe(&mut dice, &peer).await,
                12..14 => {
                    for number in 0..dice.below(20) {
                        if peer.notify("note", [number]).await.is_ok() {
                            add(&self.tally().notified);
                        }
                    }
                }
                _ => sleep(Duration::from_millis(dice.below(20))).await,
            }
        }
    }

    fn client(&self) -> ClientBuilder {
        let world = self.clone();
        Client::builder().config(config()).service(self.methods()).on_connect(move |_: Peer| {
            add(&world.tally().opened);
            async { Ok(()) }
        })
    }

    /// Runs one client after another, or one that reconnects.
    pub(crate) async fn caller(self, index: u64, seed: u64, url: String, enough: Arc<AtomicBool>) {
        let mut dice = Dice::new(seed ^ (index << 40));
        while !enough.load(Ordering::Relaxed) {
            let (client, time) = if index < PLAIN {
                (self.client(), dice.below(3000))
            } else {
                let (initial, max) = (Duration::from_millis(5), Duration::from_millis(50));
                let again = Reconnect { initial, max, retry_first: true, ..Reconnect::default() };
                (self.client().reconnect(again), dice.below(60_000))
            };
            match client.connect(&url).await {
                Ok(client) => {
                    self.use_up(client, &mut dice, Duration::from_millis(time), &enough).await;
                }
                Err(_) => {
                    add(&self.tally().not_opened);
                    sleep(Duration::from_millis(5)).await;
                }
            }
        }
    }

    /// Makes calls on a client until it ends or its time is over. Then it disconnects.
    async fn use_up(
        &self,
        client: Client,
        dice: &mut Dice,
        time: Duration,
        enough: &Arc<AtomicBool>,
    ) {
        let over = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for _ in 0..TASKS {
            let dice = Dice::new(dice.below(u64::MAX));
            tasks.spawn(self.clone().calls(client.peer(), dice, Arc::clone(&over)));
        }
        let peer = client.peer();
        let stop = async {
            let mut rest = time;
            while !rest.is_zero() && !enough.load(Ordering::Relaxed) {
                let step = rest.min(Duration::from_millis(50));
                sleep(step).await;
                rest -= step;
            }
        };
        let leaves = tokio::select! {
            _ = peer.closed() => false,
            () = stop => true,
        };
        if leaves {
            add(&self.tally().left);
            match dice.below(3) {
                // Calls are in flight.
                0 => drop(client.close().await),
                1 => peer.close(4001, "enough"),
                // Dropping the last handle ends the connection.
                _ => {
                    over.store(true, Ordering::Relaxed);
                    drop((client, peer));
                    tasks.join_all().await;
                    return;
                }
            }
        }
        over.store(true, Ordering::Relaxed);
        tasks.join_all().await;
        peer.closed().await;
        self.keep(peer);
    }
}

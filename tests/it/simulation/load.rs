//! The load of a simulation: callers that check the outcome of each call, and senders of numbered
//! notifications. Does not depend on the network; a `Plan` says what may go wrong in a run.

use std::future::IntoFuture;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wsjsonrpc::{Call, Error, ErrorCode, Peer};

use super::dice::Dice;
use super::world::{Answer, FAILED, FAILED_BACK, STEPS, World};

/// What may go wrong in a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    /// The connection may be lost: the network breaks, its task is dropped, or it stalls.
    pub(super) breaks: bool,
    /// One side closes the connection while it is used.
    pub(super) closes: bool,
    /// The limits are low.
    pub(super) tight: bool,
    /// The limits are so low that the connection may stall: neither side has room for the other's
    /// messages or for refusing them, and both wait for responses. Then none reads until the write
    /// timeout ends it.
    pub(super) stalls: bool,
    /// Calls without an own timeout have a default one.
    pub(super) timeout: bool,
}

impl Plan {
    /// Whether every call must get its own response.
    pub(super) fn is_calm(self) -> bool {
        !self.breaks && !self.closes && !self.tight
    }
}

pub(super) struct Load {
    pub(super) world: Arc<World>,
    pub(super) plan: Plan,
    pub(super) side: usize,
    pub(super) dice: Dice,
}

/// A call that is about to be made.
struct Op {
    id: u64,
    method: &'static str,
    text: String,
    extra: u64,
    /// The progress that the call has received, if it asked for it.
    steps: Option<Steps>,
}

type Steps = Arc<Mutex<Vec<(u64, u32)>>>;

impl Op {
    fn params(&self) -> Value {
        match self.method {
            "wait" | "back" => json!([self.id, self.text, self.extra]),
            _ => json!([self.id, self.text]),
        }
    }

    fn call(&self, peer: &Peer) -> Call<Answer> {
        let call = peer.call(self.method, self.params());
        let Some(steps) = self.steps.clone() else { return call };
        call.on_progress(move |step| steps.lock().unwrap().push(step))
    }

    /// Checks that progress is in order and without gaps, and complete if it is `owed`.
    fn check_steps(&self, owed: bool) {
        let Some(steps) = &self.steps else { return };
        let steps = steps.lock().unwrap();
        let expected = STEPS.map(|step| (self.id, step));
        assert!(expected.starts_with(&steps), "{} got progress {steps:?}", self.id);
        assert!(!owed || steps.len() == expected.len(), "{} got progress {steps:?}", self.id);
    }
}

impl Load {
    fn text(&mut self, id: u64) -> String {
        let size = match self.dice.below(32) {
            0 => 1 << 17,
            1..4 => 20_000,
            4..8 => 5000,
            _ => 100,
        };
        let word = format!("{id} é\n");
        word.repeat(self.dice.below(size) as usize / word.len())
    }

    fn op(&mut self) -> Op {
        let id = self.world.new_id();
        let method = self.dice.pick(&["echo", "echo", "wait", "wait", "back", "fail", "panic"]);
        let extra = if method == "back" { self.dice.below(4) } else { self.dice.below(300) };
        let steps = (method == "wait" && self.dice.one_in(2)).then(Arc::default);
        Op { id, method, text: self.text(id), extra, steps }
    }

    /// Makes calls in all possible ways.
    pub(super) async fn calls(mut self, peer: Peer) {
        for _ in 0..1 + self.dice.below(6) {
            match self.dice.below(8) {
                0..3 => {
                    let op = self.op();
                    let outcome = op.call(&peer).await;
                    self.check(&op, false, outcome);
                }
                3 => {
                    let op = self.op();
                    let time = Duration::from_millis(self.dice.below(300));
                    let outcome = op.call(&peer).timeout(time).await;
                    self.check(&op, true, outcome);
                }
                4 => {
                    let op = self.op();
                    let patience = Duration::from_millis(self.dice.below(300));
                    let call = op.call(&peer).into_future();
                    match timeout(patience, call).await {
                        Ok(outcome) => self.check(&op, false, outcome),
                        Err(_) => self.note(&op, "dropped"),
                    }
                }
                5 => {
                    let ops: Vec<Op> = (0..2 + self.dice.below(6)).map(|_| self.op()).collect();
                    let calls = ops.iter().map(|op| op.call(&peer).into_future());
                    for (op, outcome) in ops.iter().zip(futures_util::future::join_all(calls).await)
                    {
                        self.check(op, false, outcome);
                    }
                }
                6 => self.batch(&peer).await,
                _ => sleep(Duration::from_millis(self.dice.below(500))).await,
            }
        }
    }

    async fn batch(&mut self, peer: &Peer) {
        let mut batch = peer.new_batch();
        let mut replies = Vec::new();
        for _ in 0..1 + self.dice.below(5) {
            let op = self.op();
            let reply = batch.add(op.call(peer));
            replies.push((op, reply));
        }
        if self.dice.one_in(8) {
            drop(batch);
            for (op, reply) in replies {
                let outcome = reply.await;
                let unsent = matches!(outcome, Err(Error::NotSent | Error::Closed(_)));
                assert!(unsent, "{} of a dropped batch: {outcome:?}", op.id);
                assert_eq!(self.world.begun(op.id), 0);
            }
            return;
        }
        let sent = batch.send().await;
        if let Err(error) = &sent {
            assert!(self.fits_closing(error), "a batch: {error:?}");
        }
        for (op, reply) in replies {
            let outcome = reply.await;
            if sent.is_err() {
                let unsent = matches!(outcome, Err(Error::NotSent | Error::Closed(_)));
                assert!(unsent, "{} of a batch that was not sent: {outcome:?}", op.id);
                assert_eq!(self.world.begun(op.id), 0);
            } else {
                self.check(&op, false, outcome);
            }
        }
    }

    /// Numbered notifications, one after another; each one is counted when it is accepted.
    pub(super) async fn notes(mut self, peer: Peer) {
        let mut number = 0;
        for _ in 0..self.dice.below(20) {
            let together = if self.dice.one_in(4) { 1 + self.dice.below(4) } else { 1 };
            let sent = if together > 1 {
                let mut batch = peer.new_batch();
                for number in number..number + together {
                    batch.add(peer.notify("note", (number, self.text(number)))).await.unwrap();
                }
                batch.send().await
            } else {
                peer.notify("note", (number, self.text(number))).await
            };
            if let Err(error) = sent {
                assert!(self.fits_closing(&error), "a notification: {error:?}");
                return;
            }
            number += together;
            self.world.accepted[self.side].store(number, Ordering::Relaxed);
            if self.dice.one_in(3) {
                sleep(Duration::from_millis(self.dice.below(100))).await;
            }
        }
    }

    fn fits_closing(&self, error: &Error) -> bool {
        matches!(error, Error::Closed(_)) && (self.plan.breaks || self.plan.closes)
    }

    fn note(&self, op: &Op, outcome: &str) {
        self.world.note(self.side, op.id, op.method, outcome);
    }

    /// Checks that a result belongs to this call, and that an error is possible for this call in
    /// this run.
    fn check(&self, op: &Op, timed: bool, outcome: Result<Answer, Error>) {
        let Plan { breaks, closes, tight, timeout, .. } = self.plan;
        let (fits, words) = match &outcome {
            Ok((id, text)) => {
                let answers = matches!(op.method, "echo" | "wait" | "back");
                let own = *id == op.id && *text == op.text && self.world.begun(op.id) == 1;
                (answers && own, "answered")
            }
            Err(Error::Timeout(_)) => (timed || timeout && !self.plan.is_calm(), "timeout"),
            Err(error @ Error::Closed(_)) => (self.fits_closing(error), "closed"),
            Err(Error::Call(error)) => match error.code() {
                ErrorCode(FAILED) => {
                    (op.method == "fail" && error.message() == op.id.to_string(), "failed")
                }
                ErrorCode(FAILED_BACK) => {
                    (op.method == "back" && (breaks || closes || tight || timeout), "failed back")
                }
                ErrorCode::INTERNAL_ERROR => (op.method == "panic", "panicked"),
                ErrorCode::SERVER_BUSY => (tight && self.world.begun(op.id) == 0, "busy"),
                ErrorCode::SHUTTING_DOWN => (closes && self.world.begun(op.id) == 0, "refused"),
                _ => (false, "unknown"),
            },
            Err(_) => (false, "unknown"),
        };
        self.note(op, words);
        // While the connection closes, responses still arrive, but progress may not.
        op.check_steps(outcome.is_ok() && !closes);
        assert!(fits, "call {} of {}: {outcome:.400?}", op.id, op.method);
    }
}

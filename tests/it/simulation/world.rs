//! The methods of both sides of a simulated connection, and the record of what happened. Does not
//! depend on the callers and the network.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wsjsonrpc::{Context, ErrorCode, ErrorObject, Methods};

pub(super) const CLIENT: usize = 0;
pub(super) const SERVER: usize = 1;

/// What has happened in a run. In pairs, the first value is about the client.
#[derive(Default)]
pub(super) struct World {
    last_id: AtomicU64,
    /// How many handlers have started for each call.
    begun: Mutex<BTreeMap<u64, u32>>,
    /// The numbers of the notifications that this side has handled.
    pub(super) notes: [Mutex<Vec<u64>>; 2],
    /// How many notifications of this side were accepted.
    pub(super) accepted: [AtomicU64; 2],
    /// The outcome of each call, in the order in which they ended.
    pub(super) outcomes: Mutex<Vec<String>>,
}

impl World {
    /// A unique number for a call.
    pub(super) fn new_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    fn begin(&self, id: u64) {
        *self.begun.lock().unwrap().entry(id).or_default() += 1;
    }

    pub(super) fn begun(&self, id: u64) -> u32 {
        self.begun.lock().unwrap().get(&id).copied().unwrap_or(0)
    }

    pub(super) fn note(&self, side: usize, id: u64, method: &str, outcome: &str) {
        self.outcomes.lock().unwrap().push(format!("{side} {id} {method}: {outcome}"));
    }

    pub(super) fn most_begun(&self) -> u32 {
        self.begun.lock().unwrap().values().copied().max().unwrap_or(0)
    }
}

pub(super) type Answer = (u64, String);

/// The progress that `wait` reports.
pub(super) const STEPS: [u32; 2] = [0, 1];

pub(super) const FAILED: i64 = 7;
pub(super) const FAILED_BACK: i64 = 8;

/// The methods of one side.
pub(super) fn methods(world: &Arc<World>, side: usize) -> Methods {
    let with = || Arc::clone(world);
    let (echoes, waits, calls_back, fails, panics, notes) =
        (with(), with(), with(), with(), with(), with());
    Methods::new()
        .method("echo", move |_, (id, text): Answer| {
            echoes.begin(id);
            async move { Ok((id, text)) }
        })
        .method("wait", move |ctx: Context, (id, text, time): (u64, String, u64)| {
            waits.begin(id);
            let world = Arc::clone(&waits);
            async move {
                for step in STEPS {
                    // The call may be over.
                    let _ = ctx.progress((id, step)).await;
                    tokio::select! {
                        () = tokio::time::sleep(Duration::from_millis(time / 2)) => {}
                        () = ctx.cancelled() => {
                            if !ctx.peer().is_closed() {
                                world.note(side, id, "wait", "cancelled");
                            }
                            break;
                        }
                    }
                }
                Ok((id, text))
            }
        })
        .method("back", move |ctx: Context, (id, text, depth): (u64, String, u64)| {
            calls_back.begin(id);
            let own = calls_back.new_id();
            async move {
                let back = match depth {
                    0 => ctx.peer().call::<Answer>("echo", (own, &text)),
                    _ => ctx.peer().call("back", (own, &text, depth - 1)),
                };
                match back.await {
                    Ok(answer) if answer == (own, text) => Ok((id, answer.1)),
                    // No check allows this code.
                    Ok(_) => Err(ErrorObject::new(ErrorCode(9), "the answer of another call")),
                    Err(error) => Err(ErrorObject::new(ErrorCode(FAILED_BACK), error.to_string())),
                }
            }
        })
        .method("fail", move |_, (id, _): Answer| {
            fails.begin(id);
            async move { Err::<Answer, _>(ErrorObject::new(ErrorCode(FAILED), id.to_string())) }
        })
        .method("panic", move |_, (id, _): Answer| {
            panics.begin(id);
            // `resume_unwind` skips the panic hook, whose output would fill the log of the test.
            async move {
                std::panic::resume_unwind(Box::new("as it should")) as wsjsonrpc::Result<Answer>
            }
        })
        .method("note", move |_, (number, _): (u64, String)| {
            notes.notes[side].lock().unwrap().push(number);
            async move {
                if number % 3 == 0 {
                    tokio::time::sleep(Duration::from_millis(number)).await;
                }
                Ok(())
            }
        })
}

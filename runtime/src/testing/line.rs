//! One direction of a connection in memory. Carries bytes in pieces, delays them, and breaks. Like
//! TCP, it never reorders or changes bytes.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

use super::faults::{Cut, Dice};
use crate::util::runtime::deadline;

/// What the test has requested since the connection opened.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Orders {
    pub(super) cut: Option<Cut>,
    /// No bytes are taken until then.
    pub(super) stalled_until: Option<Instant>,
}

/// The state of one direction.
pub(super) struct Line {
    pub(super) dice: Dice,
    pub(super) orders: watch::Receiver<Orders>,
    /// How many bytes have arrived.
    pub(super) carried: Arc<AtomicU64>,
    /// How many bytes may be in transit.
    pub(super) room: usize,
}

/// The other end was dropped in both directions.
pub(super) struct HungUp;

/// Bytes in transit.
struct Piece {
    due: Instant,
    bytes: Vec<u8>,
    /// How many of them have arrived.
    arrived: usize,
}

impl Line {
    /// Carries bytes until the sender or the receiver is dropped, or until the direction breaks.
    pub(super) async fn run(
        mut self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
    ) -> Result<(), HungUp> {
        match self.carry(&mut from, &mut to).await {
            None | Some(Cut::End) => {
                let _ = to.shutdown().await;
                self.unless_killed(swallow(from)).await
            }
            // `to` is dropped only together with the other direction, so the receiver sees no end.
            Some(Cut::HalfOpen) => self.unless_killed(swallow(from)).await,
            // Until both ends are dropped.
            Some(Cut::Stuck) => self.unless_killed(pending()).await,
            Some(Cut::Abrupt) => Err(HungUp),
        }
    }

    /// A stopped connection may still be cut abruptly.
    async fn unless_killed(&mut self, rest: impl Future<Output = ()>) -> Result<(), HungUp> {
        tokio::select! {
            biased;
            _ = self.orders.wait_for(|orders| orders.cut == Some(Cut::Abrupt)) => Err(HungUp),
            () = rest => Ok(()),
        }
    }

    async fn carry(
        &mut self,
        from: &mut ReadHalf<DuplexStream>,
        to: &mut WriteHalf<DuplexStream>,
    ) -> Option<Cut> {
        let mut under_way = VecDeque::<Piece>::new();
        let mut buffer = Vec::new();
        let (mut waiting, mut last_due, mut ended) = (0, Instant::now(), false);
        let mut size = self.dice.piece();
        loop {
            let orders = *self.orders.borrow_and_update();
            if orders.cut.is_some() {
                return orders.cut;
            }
            if let Some(until) = orders.stalled_until.filter(|until| *until > Instant::now()) {
                tokio::select! {
                    biased;
                    _ = self.orders.changed() => {}
                    () = sleep_until(until) => {}
                }
                continue;
            }
            match self.dice.cut {
                Some((0, cut)) if under_way.is_empty() => return Some(cut),
                _ if ended && under_way.is_empty() => return None,
                _ => {}
            }
            let left = self.dice.cut.map_or(u64::MAX, |(left, _)| left);
            let most = size.min(self.room - waiting).min(usize::try_from(left).unwrap_or(size));
            buffer.resize(most, 0);
            let due = under_way.front().map_or(last_due, |piece| piece.due);
            let is_due = !under_way.is_empty() && due <= Instant::now();
            let first = under_way.front().map(|piece| piece.bytes.get(piece.arrived..));
            tokio::select! {
                biased;
                _ = self.orders.changed() => {}
                wrote = to.write(first.flatten().unwrap_or_default()), if is_due => {
                    let Ok(wrote @ 1..) = wrote else { return None };
                    self.carried.fetch_add(wrote as u64, Ordering::Relaxed);
                    waiting -= wrote;
                    let whole = under_way.front_mut().is_some_and(|piece| {
                        piece.arrived += wrote;
                        piece.arrived == piece.bytes.len()
                    });
                    if whole {
                        under_way.pop_front();
                        // Otherwise the receiver would read several pieces as one.
                        if self.dice.splits() {
                            yield_now().await;
                        }
                    }
                }
                () = sleep_until(due), if !under_way.is_empty() && !is_due => {}
                taken = from.read(&mut buffer), if most > 0 && !ended => {
                    let taken = taken.unwrap_or(0);
                    ended = taken == 0;
                    if ended {
                        continue;
                    }
                    if let Some((left, _)) = &mut self.dice.cut {
                        *left -= taken as u64;
                    }
                    last_due = last_due.max(deadline(Instant::now(), self.dice.delay()));
                    let bytes = buffer.get(..taken).unwrap_or_default().to_vec();
                    under_way.push_back(Piece { due: last_due, bytes, arrived: 0 });
                    waiting += taken;
                    size = self.dice.piece();
                }
            }
        }
    }
}

/// Reads and drops everything, so that the sender is never blocked.
async fn swallow(mut from: ReadHalf<DuplexStream>) {
    let mut buffer = [0; 4096];
    while matches!(from.read(&mut buffer).await, Ok(1..)) {}
}

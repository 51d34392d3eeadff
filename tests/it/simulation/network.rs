//! A bad network in memory, and the dice that everything in a simulation is thrown with. It cuts
//! the bytes anywhere, holds them up, and may break; it reorders nothing, as TCP does not.
//!
//! Must not know what the bytes say.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Numbers at random, the same ones for the same seed (SplitMix64).
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Dice(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but not including, `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Other dice, so that what one task throws does not depend on when others do.
    pub(super) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}

/// How a direction breaks.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    /// The reader sees the end of the stream; what is written goes nowhere.
    Ends,
    /// What is written goes nowhere, and nobody is told.
    Silent,
    /// Nothing is taken any more.
    Stuck,
    /// Both directions are gone at once.
    HangsUp,
}

/// One direction.
struct Line {
    dice: Dice,
    /// The longest time for which a piece is held up, in milliseconds.
    delay: u64,
    /// It breaks after so many bytes.
    fault: Option<(usize, Fault)>,
}

/// Longer than any timeout of a connection.
const FOR_EVER: Duration = Duration::from_secs(600);

impl Line {
    async fn carry(
        mut self,
        mut from: ReadHalf<DuplexStream>,
        mut to: WriteHalf<DuplexStream>,
        hung_up: &Notify,
    ) {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let piece = 1 << self.dice.below(17);
            let piece = self.fault.map_or(piece, |(left, _)| piece.min(left));
            let taken = match self.fault {
                Some((0, _)) => 0,
                _ => from.read(&mut buffer[..piece]).await.unwrap_or(0),
            };
            match &mut self.fault {
                Some((0, Fault::Ends)) => break,
                Some((0, Fault::Silent)) => {
                    swallow(from).await;
                    return sleep(FOR_EVER).await;
                }
                Some((0, Fault::Stuck)) => return sleep(FOR_EVER).await,
                Some((0, Fault::HangsUp)) => return hung_up.notify_one(),
                Some((left, _)) => *left -= taken,
                None => {}
            }
            if taken == 0 {
                break;
            }
            if self.dice.one_in(4) {
                sleep(Duration::from_millis(self.dice.below(self.delay + 1))).await;
            }
            if to.write_all(&buffer[..taken]).await.is_err() {
                break;
            }
        }
        let _ = to.shutdown().await;
        swallow(from).await;
    }
}

/// Whoever writes to somebody who is gone is not held up by it.
async fn swallow(mut from: ReadHalf<DuplexStream>) {
    let mut buffer = [0; 4096];
    while matches!(from.read(&mut buffer).await, Ok(taken) if taken > 0) {}
}

/// Two ends of a network; it breaks if it is told to.
pub(super) fn network(dice: &mut Dice, breaks: bool) -> (DuplexStream, DuplexStream) {
    let capacity = dice.pick(&[256, 4096, 1 << 16]);
    let (ours, near) = tokio::io::duplex(capacity);
    let (theirs, far) = tokio::io::duplex(capacity);
    let delay = if capacity < 4096 { dice.pick(&[0, 20]) } else { dice.pick(&[0, 20, 200]) };
    let mut line = |breaks: bool| {
        let mut dice = dice.fork();
        let after = 1 << dice.below(19);
        let fault = dice.pick(&[Fault::Ends, Fault::Silent, Fault::Stuck, Fault::HangsUp]);
        let fault = breaks.then_some((dice.below(after) as usize, fault));
        Line { dice, delay, fault }
    };
    let (there, back) = (line(breaks), line(false));
    tokio::spawn(async move {
        let hung_up = Notify::new();
        let (from_near, to_near) = tokio::io::split(near);
        let (from_far, to_far) = tokio::io::split(far);
        let carrying = async {
            tokio::join!(
                there.carry(from_near, to_far, &hung_up),
                back.carry(from_far, to_near, &hung_up)
            )
        };
        tokio::select! {
            biased;
            () = hung_up.notified() => {}
            _ = carrying => {}
        }
    });
    // The direction that breaks is the client's or the server's.
    if dice.one_in(2) { (ours, theirs) } else { (theirs, ours) }
}

//! Random numbers for a simulation, and the network that they determine. Does not depend on what
//! the network carries.

use std::time::Duration;

use wsjsonrpc::testing::{Cut, Direction, End, Faults, Network};

/// Random numbers, the same ones for the same seed (SplitMix64).
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

    /// A separate generator for a task, so that its numbers do not depend on when other tasks use
    /// theirs.
    pub(super) fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}

/// The client's and the server's end of a bad network. With `breaks`, one direction of it breaks.
pub(super) fn network(dice: &mut Dice, breaks: bool) -> (End, End) {
    let buffer = dice.pick(&[256, 4096, 1 << 16]);
    let delay = if buffer < 4096 { dice.pick(&[0, 20]) } else { dice.pick(&[0, 20, 200]) };
    let mut faults = Faults::seeded(dice.next())
        .buffer(buffer)
        .split(1 << 16)
        .delay(Duration::ZERO..=Duration::from_millis(delay));
    if breaks {
        let direction = dice.pick(&[Direction::ToServer, Direction::ToClient]);
        let most = 1 << dice.below(19);
        let cut = dice.pick(&[Cut::End, Cut::HalfOpen, Cut::Stuck, Cut::Abrupt]);
        faults = faults.cut_within(direction, 0..=most, cut);
    }
    Network::new(faults).open()
}

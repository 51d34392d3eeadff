//! The settings of a faulty network in memory ([`Faults`], [`Cut`]), and the random decisions
//! derived from them ([`Dice`]).

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cut {
    /// Both ends see the end of the connection at once, whichever direction was cut: a process that
    /// was killed.
    Abrupt,
    /// What is sent is swallowed, and nobody is told: a half-open connection, behind a cable that was
    /// pulled or a machine that is gone. Only a keep-alive notices it
    /// ([`Config::ping_interval`](crate::Config::ping_interval)).
    HalfOpen,
    /// Nothing is taken any more, so the sender's buffers fill up: a program that has stopped.
    Stuck,
    /// The receiver sees the end of the stream, the sender is told nothing.
    End,
}

/// What goes wrong on the connections of a [`Network`](crate::testing::Network), and when. A seed gives
/// the same run each time, as long as the rest of the test does the same each time: on a
/// runtime with one thread and a paused clock, that is.
///
/// ```
/// use std::time::Duration;
/// use wsjsonrpc::testing::{Cut, Direction, Faults};
///
/// let faults = Faults::seeded(7)
///     .delay(Duration::ZERO..=Duration::from_millis(80))
///     .split(100)
///     .cut_after(Direction::ToServer, 10_000, Cut::HalfOpen);
/// # drop(faults);
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a network has them"]
pub struct Faults {
    pub(super) seed: u64,
    pub(super) buffer: usize,
    delay: RangeInclusive<Duration>,
    split: Option<usize>,
    cuts: [Option<(RangeInclusive<u64>, Cut)>; 2],
}

/// How many bytes are carried at once by default.
const PIECE: usize = 64 * 1024;

impl Faults {
    /// A network with this seed on which nothing goes wrong until something is asked for.
    pub fn seeded(seed: u64) -> Self {
        Faults {
            seed,
            buffer: PIECE,
            delay: Duration::ZERO..=Duration::ZERO,
            split: None,
            cuts: [None, None],
        }
    }

    /// Each piece is under way for a time of this range. Pieces keep their order, and are under way at
    /// the same time, as on a long cable. By tokio's clock: where that is paused, it takes no time.
    pub fn delay(mut self, range: RangeInclusive<Duration>) -> Self {
        self.delay = range;
        self
    }

    /// Bytes arrive in pieces of 1 to `most` bytes, short ones as often as long ones; the receiver gets
    /// to run after each. At least 1, at most 64 KiB. Default: all that was sent arrives at once.
    pub fn split(mut self, most: usize) -> Self {
        self.split = Some(most.clamp(1, PIECE));
        self
    }

    /// How many bytes each direction takes before the receiver has taken them, in each of the three
    /// places where they wait: with the sender, under way, and with the receiver. At least 1, default
    /// 64 KiB.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes.max(1);
        self
    }

    /// Each connection breaks when so many bytes have arrived in this direction, the opening handshake
    /// included, if it has one. One cut for each direction; the last one counts.
    pub fn cut_after(self, direction: Direction, bytes: u64, cut: Cut) -> Self {
        self.cut_within(direction, bytes..=bytes, cut)
    }

    /// As [`cut_after`](Self::cut_after), after a number of bytes out of this range, another one for
    /// each connection.
    pub fn cut_within(
        mut self,
        direction: Direction,
        bytes: RangeInclusive<u64>,
        cut: Cut,
    ) -> Self {
        self.cuts[direction as usize] = Some((bytes, cut));
        self
    }

    /// The faults in one direction of the `number`th connection: the same in each run, whatever
    /// happens on other connections.
    pub(super) fn dice(&self, number: u64, direction: Direction) -> Dice {
        let stream = number.wrapping_mul(2).wrapping_add(direction as u64);
        // Far apart, or the third connection of one seed would be the first one of another.
        let seed = self.seed ^ stream.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let cut = self.cuts[direction as usize].as_ref();
        let cut = cut.map(|(bytes, cut)| (draw(&mut random, bytes), *cut));
        Dice { random, delay: self.delay.clone(), split: self.split, cut }
    }
}

/// The random decisions for one direction.
pub(super) struct Dice {
    random: Xoshiro256PlusPlus,
    delay: RangeInclusive<Duration>,
    split: Option<usize>,
    /// How many bytes are left until it breaks, and how it breaks.
    pub(super) cut: Option<(u64, Cut)>,
}

impl Dice {
    /// The maximum size of the next piece.
    pub(super) fn piece(&mut self) -> usize {
        let Some(most) = self.split else { return PIECE };
        let magnitude = self.random.random_range(0..=most.ilog2());
        self.random.random_range(1 << magnitude..=most.min((2 << magnitude) - 1))
    }

    pub(super) fn splits(&self) -> bool {
        self.split.is_some()
    }

    /// The delay of the next piece.
    pub(super) fn delay(&mut self) -> Duration {
        let nanos = |time: &Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let range = nanos(self.delay.start())..=nanos(self.delay.end());
        Duration::from_nanos(draw(&mut self.random, &range))
    }
}

/// Draws from a range; an empty range yields its start.
fn draw(random: &mut Xoshiro256PlusPlus, range: &RangeInclusive<u64>) -> u64 {
    if range.is_empty() { *range.start() } else { random.random_range(range.clone()) }
}

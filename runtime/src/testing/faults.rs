//! The settings of a faulty network in memory ([`Faults`], [`Cut`]), and the random decisions
//! derived from them ([`Dice`]).

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

/// The direction in which bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a connection breaks.
///
/// ```
/// use wsjsonrpc::testing::{Cut, Direction, Faults};
///
/// // A client that disappears without closing its connection, after sending 10,000 bytes.
/// let faults = Faults::seeded(7).cut_after(Direction::ToServer, 10_000, Cut::HalfOpen);
/// # drop(faults);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cut {
    /// Both ends see the end of the connection at once, whichever direction is cut. Like a process
    /// that was killed.
    Abrupt,
    /// Sent data disappears, and neither side notices: a half-open connection. Like an unplugged
    /// cable, or a machine that lost power. Only keep-alive detects it
    /// ([`Config::ping_interval`](crate::Config::ping_interval)).
    HalfOpen,
    /// Nothing is read any more, so the sender's buffers fill up. Like a program that hangs.
    Stuck,
    /// The receiver sees the end of the stream; the sender notices nothing.
    End,
}

/// The faults of a [`Network`](crate::testing::Network). The same seed gives the same run, as long
/// as the rest of the test is deterministic: on a single-threaded runtime with a paused clock.
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
#[must_use = "faults do nothing until they are passed to a network"]
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
    /// A network with this seed and without faults. Add them with the other methods.
    pub fn seeded(seed: u64) -> Self {
        Faults {
            seed,
            buffer: PIECE,
            delay: Duration::ZERO..=Duration::ZERO,
            split: None,
            cuts: [None, None],
        }
    }

    /// Delays each piece by a random time in this range. Pieces keep their order; several may be in
    /// transit at the same time. Uses tokio's clock: if it is paused, delays take no time.
    pub fn delay(mut self, range: RangeInclusive<Duration>) -> Self {
        self.delay = range;
        self
    }

    /// Delivers bytes in pieces of 1 to `most` bytes, uniformly distributed. The receiver runs
    /// after each piece. At least 1, at most 64 KiB. Default: everything that was sent arrives at
    /// once.
    pub fn split(mut self, most: usize) -> Self {
        self.split = Some(most.clamp(1, PIECE));
        self
    }

    /// How many bytes each direction buffers in each of three places: at the sender, in transit,
    /// and at the receiver. At least 1, default 64 KiB.
    pub fn buffer(mut self, bytes: usize) -> Self {
        self.buffer = bytes.max(1);
        self
    }

    /// Breaks each connection after this many bytes have arrived in this direction, including the
    /// opening handshake if there is one. Each direction has at most one cut; the last call wins.
    pub fn cut_after(self, direction: Direction, bytes: u64, cut: Cut) -> Self {
        self.cut_within(direction, bytes..=bytes, cut)
    }

    /// Like [`cut_after`](Self::cut_after), after a random number of bytes in this range, chosen
    /// for each connection.
    pub fn cut_within(
        mut self,
        direction: Direction,
        bytes: RangeInclusive<u64>,
        cut: Cut,
    ) -> Self {
        self.cuts[direction as usize] = Some((bytes, cut));
        self
    }

    /// The faults in one direction of the `number`th connection. They are the same in each run,
    /// whatever happens on other connections.
    pub(super) fn dice(&self, number: u64, direction: Direction) -> Dice {
        let stream = number.wrapping_mul(2).wrapping_add(direction as u64);
        // Far apart: otherwise the third connection of one seed would equal the first one of
        // another.
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
    /// How many bytes are left until the direction breaks, and how it breaks.
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

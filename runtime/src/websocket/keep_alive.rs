//! When a silent peer is asked whether it is there, and when it is given up.
//!
//! Must not know timers, sockets or frames: it is told what time it is, and what has been noticed of
//! the peer.

use std::time::Duration;

use tokio::time::Instant;

use crate::util::runtime::deadline;

/// A peer that says something all the time is looked at so often in an interval. In between, it
/// only leaves a mark that it was there: nobody looks at the clock for each message.
const LOOKS: u32 = 8;
/// A shorter interval would keep the connection busy with nothing else.
const SHORTEST: Duration = Duration::from_millis(10);
/// How often a peer that was asked gets another half of an interval because the network takes what is
/// sent to it. A slow reader has to get to the ping first. But a proxy takes bytes as well, and may have
/// nobody to give them to, so there is an end to it: three intervals after the last sign.
const EXTENSIONS: u32 = 3;

/// The keep-alive of one connection.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    interval: Duration,
    state: Silence,
    /// When to look; never if there is no keep-alive.
    next: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// It has said something lately. Its next signs are counted at the next look.
    Lively,
    /// It says nothing. Its next sign is to be told at once; else it is asked at the next look.
    Quiet,
    /// It was asked. Its next sign is to be told at once; else it is given up at the next look, or at
    /// one of the next, if the network takes what is sent to it. So often it has got more time.
    Pinged { extended: u32 },
}

/// What has been noticed of the peer since it was last looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Bytes of it that were not told or counted yet.
    pub(crate) signs: bool,
    /// The network has taken bytes for it, after it had no room.
    pub(crate) room: bool,
    /// This process has paused meanwhile, so the peer's silence may be its own.
    pub(crate) overslept: bool,
}

/// What follows from a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    /// The signs up to now were counted.
    Counted,
    Ask,
    /// The peer gets more time, as the network takes what is sent to it.
    Extended,
    GiveUp,
}

impl KeepAlive {
    pub(crate) fn new(interval: Option<Duration>, now: Instant) -> Self {
        let interval = interval.map(|interval| interval.max(SHORTEST));
        KeepAlive {
            next: interval.map(|interval| deadline(now, interval)),
            interval: interval.unwrap_or_default(),
            state: Silence::Quiet,
        }
    }

    /// When to look.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Nobody is asked any more.
    pub(crate) fn stop(&mut self) {
        self.next = None;
    }

    /// Whether a sign of life is to be told at once.
    pub(crate) fn listens(&self) -> bool {
        self.state != Silence::Lively && self.next.is_some()
    }

    /// A sign of life, where it is to be told at once.
    pub(crate) fn sign(&mut self, now: Instant) {
        // After an answer there is mostly nothing more to come. If there is, it is told, too.
        let (state, wait) = match self.state {
            Silence::Pinged { .. } => (Silence::Quiet, self.interval),
            Silence::Quiet | Silence::Lively => (Silence::Lively, self.interval / LOOKS),
        };
        self.state = state;
        self.next = self.next.map(|_| deadline(now, wait));
    }

    /// It is time to look.
    pub(crate) fn look(&mut self, now: Instant, seen: Seen) -> Verdict {
        let Some(at) = self.next else { return Verdict::Wait };
        let look = self.interval / LOOKS;
        let (state, next, verdict) = match self.state {
            Silence::Lively if seen.signs => {
                (Silence::Lively, deadline(now, look), Verdict::Counted)
            }
            // Its last sign was counted a look ago, and came between then and the look before that.
            // It is asked as if it had come first thing.
            Silence::Lively => {
                (Silence::Quiet, deadline(at, self.interval - 2 * look), Verdict::Wait)
            }
            Silence::Pinged { extended } if !seen.overslept => {
                if !seen.room || extended >= EXTENSIONS {
                    return Verdict::GiveUp;
                }
                let state = Silence::Pinged { extended: extended + 1 };
                (state, deadline(now, self.interval / 2), Verdict::Extended)
            }
            Silence::Quiet | Silence::Pinged { .. } => {
                let state = Silence::Pinged { extended: 0 };
                (state, deadline(now, self.interval / 2), Verdict::Ask)
            }
        };
        self.state = state;
        self.next = Some(next);
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_secs(80);
    const SILENCE: Seen = Seen { signs: false, room: false, overslept: false };

    /// Signs come at these seconds; gives when it was asked, and when it was given up.
    fn run(signs: &[u64]) -> (Vec<u64>, u64) {
        let begin = Instant::now();
        let mut pulse = KeepAlive::new(Some(INTERVAL), begin);
        let (mut asked, mut marked) = (Vec::new(), false);
        for second in 0.. {
            let now = begin + second as u32 * SECOND;
            if signs.contains(&second) {
                marked = true;
            }
            if marked && pulse.listens() {
                pulse.sign(now);
                marked = false;
            }
            if pulse.next().is_some_and(|next| next <= now) {
                match pulse.look(now, Seen { signs: marked, ..SILENCE }) {
                    Verdict::Wait | Verdict::Extended => {}
                    Verdict::Counted => marked = false,
                    Verdict::Ask => asked.push(second),
                    Verdict::GiveUp => return (asked, second),
                }
            }
        }
        unreachable!()
    }

    #[test]
    fn who_says_nothing_is_asked_after_an_interval_and_given_up_after_another_half() {
        assert_eq!(run(&[]), (vec![80], 120));
    }

    /// Whenever the last sign comes, and however many there were.
    #[test]
    fn a_silent_peer_is_noticed_within_one_and_a_half_intervals() {
        for every in 1..=40 {
            for last in 1..=200 {
                let signs: Vec<u64> = (1..=last).filter(|at| (last - at) % every == 0).collect();
                let (asked, over) = run(&signs);
                let asked = asked.last().copied().unwrap_or_default();
                assert!((last + 70..=last + 80).contains(&asked), "{every} {last}: {asked}");
                assert_eq!(over, asked + 40, "{every} {last}");
            }
        }
    }

    #[test]
    fn an_answer_is_as_good_as_anything() {
        // Asked at 80; the answers come at 81, 162 and 243.
        assert_eq!(run(&[81, 162, 243]), (vec![80, 161, 242, 323], 363));
        assert_eq!(run(&[119]).1, 119 + 120);
    }

    /// It may have to read what is before the ping; but somebody else may be taking it.
    #[test]
    fn a_peer_for_whom_the_network_takes_bytes_gets_more_time_and_not_for_ever() {
        let begin = Instant::now();
        let room = Seen { room: true, ..SILENCE };
        let mut pulse = KeepAlive::new(Some(INTERVAL), begin);
        let mut verdicts = Vec::new();
        while verdicts.last() != Some(&Verdict::GiveUp) {
            verdicts.push(pulse.look(pulse.next().unwrap(), room));
        }
        let extended = Verdict::Extended;
        assert_eq!(verdicts, [Verdict::Ask, extended, extended, extended, Verdict::GiveUp]);
        assert_eq!(pulse.next(), Some(begin + 3 * INTERVAL));
        // An answer begins it anew.
        let mut pulse = KeepAlive::new(Some(INTERVAL), begin);
        assert_eq!(pulse.look(begin, room), Verdict::Ask);
        assert_eq!(pulse.look(begin, room), Verdict::Extended);
        pulse.sign(begin);
        assert_eq!(pulse.look(begin, room), Verdict::Ask);
        assert_eq!(pulse.look(begin, SILENCE), Verdict::GiveUp);
    }

    /// Its answer may have been lost with the pause.
    #[test]
    fn a_peer_is_asked_again_after_a_pause_of_this_process() {
        let now = Instant::now();
        let mut pulse = KeepAlive::new(Some(INTERVAL), now);
        assert_eq!(pulse.look(now, SILENCE), Verdict::Ask);
        assert_eq!(pulse.look(now, Seen { overslept: true, ..SILENCE }), Verdict::Ask);
        assert_eq!(pulse.next(), Some(now + INTERVAL / 2));
        assert_eq!(pulse.look(now, SILENCE), Verdict::GiveUp);
    }

    #[test]
    fn without_an_interval_nobody_is_asked() {
        let mut pulse = KeepAlive::new(None, Instant::now());
        assert!(!pulse.listens());
        assert_eq!((pulse.next(), pulse.look(Instant::now(), SILENCE)), (None, Verdict::Wait));
    }

    #[test]
    fn no_interval_is_too_short_or_too_long() {
        for interval in [Duration::ZERO, Duration::MAX] {
            let now = Instant::now();
            let mut pulse = KeepAlive::new(Some(interval), now);
            pulse.sign(now);
            assert!(pulse.next().is_some_and(|next| next > now));
            assert_eq!(pulse.look(now, Seen { signs: true, ..SILENCE }), Verdict::Counted);
            assert_eq!(pulse.look(now, SILENCE), Verdict::Wait);
            assert_eq!(pulse.look(now, SILENCE), Verdict::Ask);
        }
    }
}

//! Decides when to ping a silent peer, and when to close its connection: [`KeepAlive`]. It has no
//! timer and no socket. Its caller passes in the time and what was observed of the peer.

use std::time::Duration;

use tokio::time::Instant;

use crate::util::runtime::deadline;

/// The number of times per interval that an active peer is checked. Between checks, its messages
/// only set a flag, so that not every message reads the clock.
const LOOKS: u32 = 8;
/// The minimum interval. A shorter one would keep the connection busy with pings.
const SHORTEST: Duration = Duration::from_millis(10);
/// The number of times that a pinged peer gets half an interval more because the network accepts
/// bytes. A slow reader must first read up to the ping. But a proxy also accepts bytes and may be
/// unable to forward them, so the number is bounded: the connection is closed at most three
/// intervals after the peer's last activity.
const EXTENSIONS: u32 = 3;

/// The keep-alive of one connection.
#[derive(Debug)]
pub(crate) struct KeepAlive {
    interval: Duration,
    state: Silence,
    /// The time of the next check; `None` without keep-alive.
    next: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Silence {
    /// The peer was active recently. New activity is counted at the next check.
    Lively,
    /// The peer is silent. Its next activity must be reported at once. Without any, the peer is
    /// sent a ping at the next check.
    Quiet,
    /// The peer was sent a ping. Its next activity must be reported at once. Without any, the
    /// connection is closed at the next check, or at a later one if the network accepts bytes.
    /// `extended` counts these extensions.
    Pinged { extended: u32 },
}

/// What was observed of the peer since the last check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Whether bytes have arrived that were not reported or counted yet.
    pub(crate) signs: bool,
    /// Whether the network has accepted bytes again after it was blocked.
    pub(crate) room: bool,
    /// Whether this process was paused in between, which may be why the peer seemed silent.
    pub(crate) overslept: bool,
}

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Wait,
    /// The activity up to now was counted.
    Counted,
    Ask,
    /// The peer gets more time, because the network accepts bytes.
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

    /// The time of the next check.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }

    /// Stops keep-alive.
    pub(crate) fn stop(&mut self) {
        self.next = None;
    }

    /// Whether activity must be reported at once.
    pub(crate) fn listens(&self) -> bool {
        self.state != Silence::Lively && self.next.is_some()
    }

    /// Reports activity, if it must be reported at once.
    pub(crate) fn sign(&mut self, now: Instant) {
        // After a pong, usually nothing more arrives. Anything that does arrive is also reported at
        // once.
        let (state, wait) = match self.state {
            Silence::Pinged { .. } => (Silence::Quiet, self.interval),
            Silence::Quiet | Silence::Lively => (Silence::Lively, self.interval / LOOKS),
        };
        self.state = state;
        self.next = self.next.map(|_| deadline(now, wait));
    }

    /// Runs a check that is due.
    pub(crate) fn look(&mut self, now: Instant, seen: Seen) -> Verdict {
        let Some(at) = self.next else { return Verdict::Wait };
        let look = self.interval / LOOKS;
        let (state, next, verdict) = match self.state {
            Silence::Lively if seen.signs => {
                (Silence::Lively, deadline(now, look), Verdict::Counted)
            }
            // The last activity was counted one check ago, and happened between that check and the
            // one before. The ping is timed as if it had happened at the start of that time.
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

    /// The peer is active at these seconds. Returns when pings were sent, and when the connection
    /// was closed.
    fn run(signs: &[u64]) -> (Vec<u64>, u64) {
        let begin = Instant::now();
        let mut keep_alive = KeepAlive::new(Some(INTERVAL), begin);
        let (mut asked, mut marked) = (Vec::new(), false);
        for second in 0.. {
            let now = begin + second as u32 * SECOND;
            if signs.contains(&second) {
                marked = true;
            }
            if marked && keep_alive.listens() {
                keep_alive.sign(now);
                marked = false;
            }
            if keep_alive.next().is_some_and(|next| next <= now) {
                match keep_alive.look(now, Seen { signs: marked, ..SILENCE }) {
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

    /// The time of the last activity and the number of activities make no difference.
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
        // Pings start at 80, and the pongs arrive at 81, 162 and 243.
        assert_eq!(run(&[81, 162, 243]), (vec![80, 161, 242, 323], 363));
        assert_eq!(run(&[119]).1, 119 + 120);
    }

    /// The peer may still have to read what was sent before the ping, or a proxy may accept the
    /// bytes.
    #[test]
    fn a_peer_for_whom_the_network_takes_bytes_gets_more_time_and_not_for_ever() {
        let begin = Instant::now();
        let room = Seen { room: true, ..SILENCE };
        let mut keep_alive = KeepAlive::new(Some(INTERVAL), begin);
        let mut verdicts = Vec::new();
        while verdicts.last() != Some(&Verdict::GiveUp) {
            verdicts.push(keep_alive.look(keep_alive.next().unwrap(), room));
        }
        let extended = Verdict::Extended;
        assert_eq!(verdicts, [Verdict::Ask, extended, extended, extended, Verdict::GiveUp]);
        assert_eq!(keep_alive.next(), Some(begin + 3 * INTERVAL));
        // A pong resets the extensions.
        let mut keep_alive = KeepAlive::new(Some(INTERVAL), begin);
        assert_eq!(keep_alive.look(begin, room), Verdict::Ask);
        assert_eq!(keep_alive.look(begin, room), Verdict::Extended);
        keep_alive.sign(begin);
        assert_eq!(keep_alive.look(begin, room), Verdict::Ask);
        assert_eq!(keep_alive.look(begin, SILENCE), Verdict::GiveUp);
    }

    /// The pong may have been lost during the pause.
    #[test]
    fn a_peer_is_asked_again_after_a_pause_of_this_process() {
        let now = Instant::now();
        let mut keep_alive = KeepAlive::new(Some(INTERVAL), now);
        assert_eq!(keep_alive.look(now, SILENCE), Verdict::Ask);
        assert_eq!(keep_alive.look(now, Seen { overslept: true, ..SILENCE }), Verdict::Ask);
        assert_eq!(keep_alive.next(), Some(now + INTERVAL / 2));
        assert_eq!(keep_alive.look(now, SILENCE), Verdict::GiveUp);
    }

    #[test]
    fn without_an_interval_nobody_is_asked() {
        let mut keep_alive = KeepAlive::new(None, Instant::now());
        assert!(!keep_alive.listens());
        assert_eq!(
            (keep_alive.next(), keep_alive.look(Instant::now(), SILENCE)),
            (None, Verdict::Wait)
        );
    }

    #[test]
    fn no_interval_is_too_short_or_too_long() {
        for interval in [Duration::ZERO, Duration::MAX] {
            let now = Instant::now();
            let mut keep_alive = KeepAlive::new(Some(interval), now);
            keep_alive.sign(now);
            assert!(keep_alive.next().is_some_and(|next| next > now));
            assert_eq!(keep_alive.look(now, Seen { signs: true, ..SILENCE }), Verdict::Counted);
            assert_eq!(keep_alive.look(now, SILENCE), Verdict::Wait);
            assert_eq!(keep_alive.look(now, SILENCE), Verdict::Ask);
        }
    }
}

//! How a client reconnects: the settings ([`Reconnect`], [`WhileDown`]), and the delays computed
//! from them ([`Backoff`]). Random numbers are passed in.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::error::CloseReason;

/// How a client reconnects when its connection is lost. Passed to
/// [`ClientBuilder::reconnect`](crate::client::ClientBuilder::reconnect).
///
/// ```
/// use std::time::Duration;
/// use wsjsonrpc::Client;
/// use wsjsonrpc::client::{Reconnect, WhileDown};
///
/// let client = Client::builder().reconnect(Reconnect {
///     max: Duration::from_secs(5),
///     while_down: WhileDown::Fail,
///     ..Reconnect::default()
/// });
/// # drop(client);
/// ```
///
/// End the literal with `..Reconnect::default()`, as above: later versions may add fields.
#[derive(Clone, Debug)]
pub struct Reconnect {
    /// The longest delay before the first attempt.
    ///
    /// Default 100 ms. Too low: when a server restarts, all its clients reconnect in the same
    /// moment. Too high: users notice short interruptions.
    pub initial: Duration,

    /// The upper limit of all delays.
    ///
    /// A server that refuses a client may send `Retry-After` in seconds. The client adds that time
    /// to its delay; this limit applies to that time as well.
    ///
    /// Default 30 s. Too low: an overloaded server is kept busy with handshakes. Too high: clients
    /// reconnect late.
    pub max: Duration,

    /// The factor by which the delay grows after each failed attempt. The delay starts again from
    /// `initial` after a connection that lasted longer than the next delay would have been. So the
    /// delays also grow for a server that accepts connections and drops them at once.
    ///
    /// Default 2. With 1 or less, the delays do not grow.
    pub factor: f64,

    /// The random part of each delay, from 0 (none) to 1 (all of it). With 0.25, a delay of one
    /// second becomes 0.75 s to 1 s.
    ///
    /// Default 1: clients that lost their server at the same time reconnect evenly spread.
    pub jitter: f64,

    /// How many attempts in a row may fail before the client gives up. `None` is no limit; with 0
    /// the client never reconnects.
    ///
    /// Default `None`: the application decides when to stop, with
    /// [`Client::close`](crate::Client::close).
    pub max_attempts: Option<u32>,

    /// Whether the first connection is retried as well, so that
    /// [`connect`](crate::client::ClientBuilder::connect) waits for a server that has not started
    /// yet. [`on_state`](crate::client::ClientBuilder::on_state) reports each failed attempt, and
    /// so does a log line at level WARN.
    ///
    /// `connect` returns permanent failures at once: an invalid URL, a host that does not exist, a
    /// certificate that is not trusted, `ws://` to a port that speaks TLS or the reverse, a server
    /// that does not speak WebSocket, and an HTTP status other than 408, 425, 429 and 500 to 599
    /// (except 501 and 505). With [`headers_with`](crate::client::ClientBuilder::headers_with), 401
    /// and 403 are retried. If the host name exists only while the server runs, call `connect`
    /// again yourself.
    ///
    /// After the first connection, the client retries most of these failures, because the same
    /// settings have worked before, and proxies answer with 404 or an old certificate while a
    /// server restarts. Then only 401 and 403 (without `headers_with`) and
    /// [`final_codes`](Self::final_codes) end the client.
    ///
    /// Default `false`: every failure of the first attempt is returned.
    pub retry_first: bool,

    /// Close codes by which the server asks the client to stay away. After a connection that the
    /// server closed with one of them, the client does not reconnect. Calls fail with
    /// [`Error::Closed`](crate::Error::Closed) and
    /// [`CloseReason::Remote`](crate::error::CloseReason::Remote), which contains the code and the
    /// server's reason. The client's last state is
    /// [`Closed`](crate::client::ConnectionState::Closed).
    ///
    /// Default 1008 (policy violation) and 4000 to 4999 (defined by applications), so that a client
    /// that a server has disconnected on purpose stays away. Too few codes: such a client
    /// reconnects at once. Too many: a server that restarts with one of these codes loses its
    /// clients. With an empty list the client always reconnects.
    ///
    /// ```
    /// # use wsjsonrpc::client::Reconnect;
    /// // The server asks for a new connection with 4100; its other codes are final.
    /// let final_codes = vec![1008..=1008, 4000..=4099, 4101..=4999];
    /// let settings = Reconnect { final_codes, ..Reconnect::default() };
    /// # drop(settings);
    /// ```
    pub final_codes: Vec<RangeInclusive<u16>>,

    /// How many times an [idempotent](crate::Call::idempotent) call is sent at most, the first time
    /// included. If the connection breaks after the last time, the call fails with
    /// [`Error::Closed`](crate::Error::Closed). 0 counts as 1.
    ///
    /// Default `None`: the call is sent again after each lost connection, until it is answered or
    /// times out. Too low: calls fail that the next connection would have answered. Too high: a
    /// call that crashes the server is sent again and again.
    pub max_sends: Option<u32>,

    /// What happens to calls made while the client is not connected.
    ///
    /// Default [`WhileDown::Wait`].
    pub while_down: WhileDown,
}

/// What happens to calls, batches and notifications that are made while a reconnecting client is
/// not connected.
///
/// ```
/// use wsjsonrpc::client::{Reconnect, WhileDown};
///
/// let settings = Reconnect { while_down: WhileDown::Fail, ..Reconnect::default() };
/// # drop(settings);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhileDown {
    /// Wait for the next connection: a call until its timeout, a notification without a limit. The
    /// order in which waiting calls are sent is not defined.
    #[default]
    Wait,
    /// Fail at once with [`Error::Closed`](crate::Error::Closed). Nothing was sent.
    Fail,
}

impl Default for Reconnect {
    fn default() -> Self {
        Reconnect {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(30),
            factor: 2.0,
            jitter: 1.0,
            max_attempts: None,
            retry_first: false,
            final_codes: vec![1008..=1008, 4000..=4999],
            max_sends: None,
            while_down: WhileDown::default(),
        }
    }
}

impl Reconnect {
    /// Whether the server's close code tells the client not to reconnect.
    pub(crate) fn is_final(&self, reason: &CloseReason) -> bool {
        let CloseReason::Remote { code, .. } = reason else { return false };
        self.final_codes.iter().any(|codes| codes.contains(code))
    }
}

/// The delays of one client.
#[derive(Debug)]
pub(crate) struct Backoff {
    settings: Reconnect,
    /// How many times the first delay was multiplied.
    steps: i32,
    /// Attempts since the last connection.
    attempts: u32,
}

impl Backoff {
    pub(crate) fn new(settings: Reconnect) -> Self {
        Backoff { settings, steps: 0, attempts: 0 }
    }

    /// The delay before the next attempt and the number of that attempt, counted from 1; `None` if
    /// no attempt is left. `random` is between 0 and 1. `retry_after` is the server's
    /// `Retry-After`. It is added to the delay: otherwise all clients that were refused together
    /// would reconnect together.
    pub(crate) fn next(&mut self, random: f64, retry_after: Duration) -> Option<(u32, Duration)> {
        if self.settings.max_attempts.is_some_and(|max| self.attempts >= max) {
            return None;
        }
        let jitter = self.settings.jitter.clamp(0.0, 1.0);
        let whole = self.whole();
        let delay = whole.as_secs_f64() * (1.0 - jitter * random);
        self.steps = self.steps.saturating_add(1);
        self.attempts = self.attempts.saturating_add(1);
        let own = Duration::try_from_secs_f64(delay).unwrap_or(whole);
        Some((self.attempts, retry_after.saturating_add(own).min(self.settings.max)))
    }

    pub(crate) fn settings(&self) -> &Reconnect {
        &self.settings
    }

    /// Called when a connection is made.
    pub(crate) fn connected(&mut self) {
        self.attempts = 0;
    }

    /// Called when a connection has ended after this time.
    pub(crate) fn held(&mut self, lived: Duration) {
        if lived > self.whole() {
            self.steps = 0;
        }
    }

    /// The next delay before jitter.
    fn whole(&self) -> Duration {
        let Reconnect { initial, max, factor, .. } = self.settings;
        let grown = initial.as_secs_f64() * factor.max(1.0).powi(self.steps);
        // A value that no `Duration` can hold exceeds the maximum.
        Duration::try_from_secs_f64(grown).map_or(max, |delay| delay.min(max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn delays(backoff: &mut Backoff, random: f64, count: usize) -> Vec<Duration> {
        (0..count)
            .filter_map(|_| backoff.next(random, Duration::ZERO))
            .map(|(_, delay)| delay)
            .collect()
    }

    #[test]
    fn delays_grow_up_to_the_cap() {
        let mut backoff =
            Backoff::new(Reconnect { max: MILLISECOND * 500, ..Reconnect::default() });
        let expected = [100, 200, 400, 500, 500].map(|delay| MILLISECOND * delay);
        assert_eq!(delays(&mut backoff, 0.0, 5), expected);
        assert_eq!(delays(&mut backoff, 0.5, 1), [MILLISECOND * 250]);
        let _ = delays(&mut backoff, 0.0, 5000);
        assert_eq!(delays(&mut backoff, 0.0, 1), [MILLISECOND * 500]);
        assert_eq!(delays(&mut backoff, 1.0, 1), [Duration::ZERO]);
    }

    #[test]
    fn jitter_is_the_random_part_of_a_delay() {
        for (jitter, random, expected) in
            [(0.0, 0.9, 100), (0.25, 1.0, 75), (0.25, 0.0, 100), (7.0, 0.5, 50), (-1.0, 0.5, 100)]
        {
            let mut backoff = Backoff::new(Reconnect { jitter, ..Reconnect::default() });
            assert_eq!(delays(&mut backoff, random, 1), [MILLISECOND * expected], "{jitter}");
        }
    }

    #[test]
    fn retry_after_is_added_and_capped() {
        let settings = Reconnect { max: MILLISECOND * 500, ..Reconnect::default() };
        for (retry_after, random, expected) in
            [(0, 0.0, 100), (300, 0.0, 400), (300, 1.0, 300), (450, 0.0, 500), (u64::MAX, 1.0, 500)]
        {
            let retry_after = Duration::from_millis(retry_after);
            let next = Backoff::new(settings.clone()).next(random, retry_after);
            assert_eq!(next, Some((1, MILLISECOND * expected)), "{retry_after:?}");
        }
        let next = Backoff::new(settings).next(0.0, Duration::MAX);
        assert_eq!(next, Some((1, MILLISECOND * 500)));
    }

    #[test]
    fn delays_restart_after_a_long_connection() {
        let mut backoff = Backoff::new(Reconnect::default());
        assert_eq!(backoff.next(0.0, Duration::ZERO), Some((1, MILLISECOND * 100)));
        assert_eq!(backoff.next(0.0, Duration::ZERO), Some((2, MILLISECOND * 200)));
        backoff.connected();
        backoff.held(MILLISECOND * 400);
        assert_eq!(backoff.next(0.0, Duration::ZERO), Some((1, MILLISECOND * 400)));
        backoff.connected();
        backoff.held(MILLISECOND * 801);
        assert_eq!(backoff.next(0.0, Duration::ZERO), Some((1, MILLISECOND * 100)));
    }

    #[test]
    fn attempts_are_counted_from_the_last_connection() {
        let mut backoff = Backoff::new(Reconnect { max_attempts: Some(2), ..Reconnect::default() });
        assert_eq!(delays(&mut backoff, 0.0, 9).len(), 2);
        backoff.connected();
        assert_eq!(delays(&mut backoff, 0.0, 9).len(), 2);
        let mut never = Backoff::new(Reconnect { max_attempts: Some(0), ..Reconnect::default() });
        assert_eq!(never.next(0.0, Duration::ZERO), None);
    }

    #[test]
    fn meaningless_settings_are_harmless() {
        for factor in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -2.0, 0.0] {
            for jitter in [f64::NAN, f64::INFINITY, -1.0] {
                for initial in [Duration::ZERO, Duration::MAX] {
                    let settings = Reconnect { factor, jitter, initial, ..Reconnect::default() };
                    let max = settings.max;
                    let mut backoff = Backoff::new(settings);
                    for delay in delays(&mut backoff, 0.5, 50) {
                        assert!(delay <= max, "{factor} {jitter} {initial:?}: {delay:?}");
                    }
                }
            }
        }
    }
}

//! The limit on a server's connections. [`ConnectionLimit`] gives each connection a
//! [`ConnectionPermit`], from before its handshake to its end.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::config::Config;
use crate::handshake::refusal::Refusal;

/// How many clients may be receiving a refusal at the same time. Further clients are disconnected
/// without a response: refusing must not cost as much as serving.
const MAX_REFUSED: usize = 128;

/// The permits of a server.
#[derive(Debug)]
pub(crate) struct ConnectionLimit {
    limit: usize,
    limit_per_address: Option<usize>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    granted: usize,
    refused: usize,
    /// Whether the warning that the limit is reached was logged. It is logged again only after a
    /// tenth of the permits was free, so that clients cannot fill the log by reconnecting.
    warned: bool,
    /// Counted only if there is a limit. An address without connections has no entry.
    by_address: HashMap<IpAddr, usize>,
}

/// A permit. It is released when it is dropped, so every way to end a connection releases it.
#[derive(Debug)]
pub(crate) struct ConnectionPermit {
    connection_limit: Arc<ConnectionLimit>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Granted(Option<IpAddr>),
    Refused,
}

/// The result for a client that has just connected.
#[derive(Debug)]
pub(crate) enum Acquired {
    Granted(ConnectionPermit),
    /// The client gets a refusal. The permit is one for refused clients.
    Refused(ConnectionPermit, Refusal),
    /// There is no permit even for a refusal.
    Dropped,
}

impl ConnectionLimit {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(ConnectionLimit {
            limit: config.max_connections,
            limit_per_address: config.max_connections_per_address,
            counts: Mutex::default(),
        })
    }

    pub(crate) fn acquire(self: &Arc<Self>, address: Option<IpAddr>) -> Acquired {
        // The address is needed only for the limit per address.
        let address = address.filter(|_| self.limit_per_address.is_some()).map(network);
        let mut counts = self.counts();
        let mut warn = false;
        let refusal = if counts.granted >= self.limit {
            warn = !std::mem::replace(&mut counts.warned, true);
            let words = "the server has reached its connection limit; try again later";
            Some((StatusCode::SERVICE_UNAVAILABLE, words))
        } else if self.is_too_many(&counts, address) {
            let words = "too many connections from this address; close some first";
            Some((StatusCode::TOO_MANY_REQUESTS, words))
        } else {
            None
        };
        let admission = match refusal {
            None => {
                counts.granted += 1;
                if let Some(address) = address {
                    *counts.by_address.entry(address).or_default() += 1;
                }
                Acquired::Granted(self.permit(Kind::Granted(address)))
            }
            Some((status, words)) if counts.refused < MAX_REFUSED => {
                counts.refused += 1;
                Acquired::Refused(self.permit(Kind::Refused), Refusal::full(status, words))
            }
            Some(_) => Acquired::Dropped,
        };
        drop(counts);
        if warn {
            let limit = self.limit;
            tracing::warn!(
                limit,
                "connection limit reached; refusing clients (raise `Config::max_connections`)"
            );
        }
        admission
    }

    fn is_too_many(&self, counts: &Counts, address: Option<IpAddr>) -> bool {
        let count = address.and_then(|address| counts.by_address.get(&address)).copied();
        self.limit_per_address.is_some_and(|limit| address.is_some() && count.unwrap_or(0) >= limit)
    }

    fn permit(self: &Arc<Self>, kind: Kind) -> ConnectionPermit {
        ConnectionPermit { connection_limit: Arc::clone(self), kind }
    }

    /// Only counting happens under the lock, so a poisoned lock is safe to use.
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.connection_limit.counts();
        match self.kind {
            Kind::Refused => counts.refused = counts.refused.saturating_sub(1),
            Kind::Granted(address) => {
                counts.granted = counts.granted.saturating_sub(1);
                counts.warned &=
                    counts.granted > self.connection_limit.limit - self.connection_limit.limit / 10;
                let Some(address) = address else { return };
                let Some(count) = counts.by_address.get_mut(&address) else { return };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    counts.by_address.remove(&address);
                }
            }
        }
    }
}

/// One key for all addresses of a client: a provider assigns 2^64 IPv6 addresses at a time.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection_limit(limit: usize, limit_per_address: Option<usize>) -> Arc<ConnectionLimit> {
        let config = Config {
            max_connections: limit,
            max_connections_per_address: limit_per_address,
            ..Config::default()
        };
        ConnectionLimit::new(&config)
    }

    fn granted(
        connection_limit: &Arc<ConnectionLimit>,
        address: &str,
    ) -> Result<ConnectionPermit, StatusCode> {
        match connection_limit.acquire(Some(address.parse().unwrap())) {
            Acquired::Granted(permit) => Ok(permit),
            Acquired::Refused(_, refusal) => Err(refusal.status()),
            Acquired::Dropped => panic!("no permit for a refusal"),
        }
    }

    #[test]
    fn addresses_of_one_network_share_a_limit() {
        let connection_limit = connection_limit(100, Some(1));
        let one = granted(&connection_limit, "192.0.2.1").unwrap();
        let two = granted(&connection_limit, "2001:db8::1").unwrap();
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::2", "2001:db8::ffff:0:0:1"] {
            assert_eq!(
                granted(&connection_limit, same).unwrap_err(),
                StatusCode::TOO_MANY_REQUESTS,
                "{same}"
            );
        }
        let others = ["192.0.2.2", "2001:db8:0:1::1"]
            .map(|other| granted(&connection_limit, other).unwrap());
        drop((one, two, others));
        assert!(connection_limit.counts().by_address.is_empty());
        assert_eq!(connection_limit.counts().granted, 0);
        granted(&connection_limit, "192.0.2.1").unwrap();
    }

    #[test]
    fn the_limit_is_logged_again_after_a_tenth_was_free() {
        let connection_limit = connection_limit(20, None);
        let mut counts: Vec<Acquired> = (0..20).map(|_| connection_limit.acquire(None)).collect();
        assert!(!connection_limit.counts().warned);
        for (free, again) in [(0, true), (1, false), (2, true), (1, false)] {
            counts.truncate(20 - free);
            counts.extend((0..free).map(|_| connection_limit.acquire(None)));
            assert_eq!(connection_limit.counts().warned, !again, "{free} were free");
            drop(connection_limit.acquire(None));
            assert!(connection_limit.counts().warned);
        }
    }

    #[test]
    fn concurrent_refusals_are_limited() {
        let connection_limit = connection_limit(0, None);
        let refused: Vec<Acquired> =
            (0..MAX_REFUSED).map(|_| connection_limit.acquire(None)).collect();
        assert!(refused.iter().all(|admission| matches!(admission, Acquired::Refused(..))));
        assert!(matches!(connection_limit.acquire(None), Acquired::Dropped));
        drop(refused);
        assert!(matches!(connection_limit.acquire(None), Acquired::Refused(..)));
    }
}

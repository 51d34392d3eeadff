//! How many connections a server holds: each has a place, from before its handshake to its end.
//!
//! Must not know what a connection is.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use crate::config::Config;
use crate::handshake::refusal::Refusal;

/// How many clients may be on their way out at the same time, being told that there is no room.
/// Those beyond it are hung up on: refusing must not cost what serving would.
const MAX_REFUSED: usize = 128;

/// All places of a server.
#[derive(Debug)]
pub(crate) struct Places {
    limit: usize,
    limit_per_address: Option<usize>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    served: usize,
    refused: usize,
    /// Whether the log has been told that there is no room. It is told again only after a tenth of
    /// the places was free: clients must not fill it by coming and going.
    warned: bool,
    /// Only counted if there is a limit. An address without connections has no entry.
    by_address: HashMap<IpAddr, usize>,
}

/// A place that is taken. Given back when it is dropped, so that no way to end can forget it.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Served(Option<IpAddr>),
    Refused,
}

/// What becomes of a client that has just come.
#[derive(Debug)]
pub(crate) enum Admission {
    Served(Place),
    /// It is to be told so; the place is that of one who is told.
    Refused(Place, Refusal),
    /// There is no room even for telling it.
    Dropped,
}

impl Places {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Places {
            limit: config.max_connections,
            limit_per_address: config.max_connections_per_address,
            taken: Mutex::default(),
        })
    }

    pub(crate) fn admit(self: &Arc<Self>, address: Option<IpAddr>) -> Admission {
        // Only as long as it is needed.
        let address = address.filter(|_| self.limit_per_address.is_some()).map(network);
        let mut taken = self.taken();
        let mut warn = false;
        let refusal = if taken.served >= self.limit {
            warn = !std::mem::replace(&mut taken.warned, true);
            let words = "the server has as many connections as it takes; try again later";
            Some((StatusCode::SERVICE_UNAVAILABLE, words))
        } else if self.is_too_many(&taken, address) {
            let words = "there are too many connections from this address; close some first";
            Some((StatusCode::TOO_MANY_REQUESTS, words))
        } else {
            None
        };
        let admission = match refusal {
            None => {
                taken.served += 1;
                if let Some(address) = address {
                    *taken.by_address.entry(address).or_default() += 1;
                }
                Admission::Served(self.place(Kind::Served(address)))
            }
            Some((status, words)) if taken.refused < MAX_REFUSED => {
                taken.refused += 1;
                Admission::Refused(self.place(Kind::Refused), Refusal::full(status, words))
            }
            Some(_) => Admission::Dropped,
        };
        drop(taken);
        if warn {
            let limit = self.limit;
            tracing::warn!(limit, "all connections are taken (`Config::max_connections`)");
        }
        admission
    }

    fn is_too_many(&self, taken: &Taken, address: Option<IpAddr>) -> bool {
        let count = address.and_then(|address| taken.by_address.get(&address)).copied();
        self.limit_per_address.is_some_and(|limit| address.is_some() && count.unwrap_or(0) >= limit)
    }

    fn place(self: &Arc<Self>, kind: Kind) -> Place {
        Place { places: Arc::clone(self), kind }
    }

    /// Only counting happens under the lock, so a poisoned one is as good as any.
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match self.kind {
            Kind::Refused => taken.refused = taken.refused.saturating_sub(1),
            Kind::Served(address) => {
                taken.served = taken.served.saturating_sub(1);
                taken.warned &= taken.served > self.places.limit - self.places.limit / 10;
                let Some(address) = address else { return };
                let Some(count) = taken.by_address.get_mut(&address) else { return };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    taken.by_address.remove(&address);
                }
            }
        }
    }
}

/// One name for all addresses of a client: a provider hands out IPv6 addresses by the 2^64.
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

    fn places(limit: usize, limit_per_address: Option<usize>) -> Arc<Places> {
        let config = Config {
            max_connections: limit,
            max_connections_per_address: limit_per_address,
            ..Config::default()
        };
        Places::new(&config)
    }

    fn served(places: &Arc<Places>, address: &str) -> Result<Place, StatusCode> {
        match places.admit(Some(address.parse().unwrap())) {
            Admission::Served(place) => Ok(place),
            Admission::Refused(_, refusal) => Err(refusal.status()),
            Admission::Dropped => panic!("nobody is being refused"),
        }
    }

    #[test]
    fn addresses_of_one_client_are_one() {
        let places = places(100, Some(1));
        let one = served(&places, "192.0.2.1").unwrap();
        let two = served(&places, "2001:db8::1").unwrap();
        for same in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::2", "2001:db8::ffff:0:0:1"] {
            assert_eq!(served(&places, same).unwrap_err(), StatusCode::TOO_MANY_REQUESTS, "{same}");
        }
        let others = ["192.0.2.2", "2001:db8:0:1::1"].map(|other| served(&places, other).unwrap());
        drop((one, two, others));
        assert!(places.taken().by_address.is_empty());
        assert_eq!(places.taken().served, 0);
        served(&places, "192.0.2.1").unwrap();
    }

    #[test]
    fn the_log_is_told_once_and_again_after_a_tenth_was_free() {
        let places = places(20, None);
        let mut taken: Vec<Admission> = (0..20).map(|_| places.admit(None)).collect();
        assert!(!places.taken().warned);
        for (free, again) in [(0, true), (1, false), (2, true), (1, false)] {
            taken.truncate(20 - free);
            taken.extend((0..free).map(|_| places.admit(None)));
            assert_eq!(places.taken().warned, !again, "{free} were free");
            drop(places.admit(None));
            assert!(places.taken().warned);
        }
    }

    #[test]
    fn those_who_are_refused_are_bounded_too() {
        let places = places(0, None);
        let refused: Vec<Admission> = (0..MAX_REFUSED).map(|_| places.admit(None)).collect();
        assert!(refused.iter().all(|admission| matches!(admission, Admission::Refused(..))));
        assert!(matches!(places.admit(None), Admission::Dropped));
        drop(refused);
        assert!(matches!(places.admit(None), Admission::Refused(..)));
    }
}

//! `RateLimit`: middleware that bounds how many calls a connection may make in a time.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::incoming::context::Context;
use crate::incoming::service::{Request, Response};
use crate::middleware::incoming::{Middleware, Next};
use crate::middleware::scope::{Scope, count_dropped, scope_methods};
use crate::protocol::error::{ErrorCode, ErrorObject};

/// Middleware that lets each connection make only so many calls in a time; a batch counts as its calls.
/// Others are refused with -32005: the text says when to try again, and the error's `data` has the seconds
/// in its member `retry_after`. Notifications over the limit are dropped, with a line in the log when it
/// begins and one with their number when the connection ends. Only with the feature `rate-limit`.
///
/// A clone is the same limit, whose calls count together, until it is given a [`burst`](Self::burst).
///
/// What several connections may do together it does not know, nor calls by HTTP POST, which have none of
/// their own: limits for these belong in front of the server.
///
/// ```
/// use wsjsonrpc::middleware::RateLimit;
/// use wsjsonrpc::Server;
///
/// let server = Server::builder()
///     .middleware(RateLimit::per_second(100).burst(500))
///     .middleware(RateLimit::per_minute(5).methods(["account.login"]));
/// # drop(server);
/// ```
#[derive(Clone, Debug)]
pub struct RateLimit {
    quota: Quota,
    scope: Scope,
    /// Identifies one of several limits on a connection, by its address.
    identity: Arc<()>,
}

/// The limiters of a connection, stored on the connection.
#[derive(Default)]
struct Limiters(Mutex<Vec<(Arc<()>, Arc<Limiter>)>>);

struct Limiter {
    limiter: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl RateLimit {
    /// So many calls a second, and as many at once; at least one.
    pub fn per_second(calls: u32) -> Self {
        Self::of(Quota::per_second(at_least_one(calls)))
    }

    /// So many calls a minute, and as many at once; at least one.
    pub fn per_minute(calls: u32) -> Self {
        Self::of(Quota::per_minute(at_least_one(calls)))
    }

    /// So many calls an hour, and as many at once; at least one.
    pub fn per_hour(calls: u32) -> Self {
        Self::of(Quota::per_hour(at_least_one(calls)))
    }

    fn of(quota: Quota) -> Self {
        RateLimit { quota, scope: Scope::default(), identity: Arc::default() }
    }

    /// So many may come at once, after a time without any; at least one. Default: as many as the rate says.
    #[must_use]
    pub fn burst(mut self, calls: u32) -> Self {
        self.quota = self.quota.allow_burst(at_least_one(calls));
        // Clones made before keep another limit.
        self.identity = Arc::default();
        self
    }

    scope_methods!();

    /// The connection's own limiter, made with its first call.
    fn limiter(&self, ctx: &Context) -> Arc<Limiter> {
        let all = ctx.get::<Limiters>().unwrap_or_else(|| ctx.get_or_set(Limiters::default()));
        let mut all = all.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.iter().find(|(identity, _)| Arc::ptr_eq(identity, &self.identity));
        if let Some((_, limiter)) = own {
            return Arc::clone(limiter);
        }
        let (limiter, clock) = (RateLimiter::direct(self.quota), DefaultClock::default());
        let limiter = Arc::new(Limiter { limiter, clock });
        all.push((Arc::clone(&self.identity), Arc::clone(&limiter)));
        limiter
    }
}

fn at_least_one(calls: u32) -> NonZeroU32 {
    NonZeroU32::new(calls).unwrap_or(NonZeroU32::MIN)
}

impl Limiter {
    /// The time to wait, if the call is too early.
    fn check(&self) -> Result<(), Duration> {
        self.limiter.check().map_err(|early| early.wait_time_from(self.clock.now()))
    }
}

fn refused(wait: Duration) -> ErrorObject {
    // Rounded up, so that waiting this long is enough.
    let milliseconds = u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    let seconds = milliseconds as f64 / 1000.0;
    let words = format!("Limit exceeded: too many calls; try again in {seconds} s");
    let data = serde_json::json!({ "retry_after": seconds });
    ErrorObject::new(ErrorCode::LIMIT_EXCEEDED, words).with_data(data)
}

#[async_trait]
impl Middleware for RateLimit {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        if next.is_in(&self.scope, &request) {
            if let Err(wait) = self.limiter(ctx).check() {
                if request.is_notification() {
                    count_dropped(ctx, next.method(), "rate");
                }
                return request.fail(refused(wait));
            }
        }
        next.run(request).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_refused_learns_when_to_come_again() {
        for (wait, words, data) in [
            (Duration::from_millis(250), "try again in 0.25 s", r#"{"retry_after":0.25}"#),
            (Duration::from_nanos(1), "try again in 0.001 s", r#"{"retry_after":0.001}"#),
            (Duration::from_secs(60), "try again in 60 s", r#"{"retry_after":60.0}"#),
        ] {
            let error = refused(wait);
            assert_eq!(error.code(), ErrorCode::LIMIT_EXCEEDED);
            assert!(error.message().ends_with(words), "{}", error.message());
            assert_eq!(error.data().map(|data| data.get()), Some(data));
        }
    }
}

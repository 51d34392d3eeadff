//! `RateLimit`: middleware that limits how many calls a connection may make per unit of time.

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

/// Middleware that limits how many calls each connection may make per second, minute or hour. Needs
/// the feature `rate-limit`.
///
/// Each call of a batch counts. Calls over the limit are refused with -32005. The error says when to
/// try again: in its message, and in seconds in the member `retry_after` of its `data`.
/// Notifications over the limit are dropped; the first one of a connection is logged, and their
/// number when the connection ends.
///
/// Clones share one limit, and their calls count together, until [`burst`](Self::burst) is called on
/// one of them.
///
/// The limit applies to each connection separately. It cannot limit several connections together,
/// nor calls over HTTP POST, which have no connection. For these, use a limit in front of the server.
///
/// ```
/// # use wsjsonrpc::{Client, memory};
/// use wsjsonrpc::middleware::RateLimit;
/// use wsjsonrpc::{Error, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(RateLimit::per_second(100).burst(500))
///     .middleware(RateLimit::per_hour(1).methods(["login"]))
///     .method("login", |_, ()| async { Ok(()) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # let peer = client.peer();
/// peer.call::<()>("login", ()).await?;
/// let Err(Error::Call(error)) = peer.call::<()>("login", ()).await else { panic!() };
/// assert_eq!(error.code().0, -32005);
/// # Ok(())
/// # }
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
    /// Allows `calls` calls per second, with bursts of up to `calls`. 0 is treated as 1.
    pub fn per_second(calls: u32) -> Self {
        Self::of(Quota::per_second(at_least_one(calls)))
    }

    /// Allows `calls` calls per minute, with bursts of up to `calls`. 0 is treated as 1.
    pub fn per_minute(calls: u32) -> Self {
        Self::of(Quota::per_minute(at_least_one(calls)))
    }

    /// Allows `calls` calls per hour, with bursts of up to `calls`. 0 is treated as 1.
    pub fn per_hour(calls: u32) -> Self {
        Self::of(Quota::per_hour(at_least_one(calls)))
    }

    fn of(quota: Quota) -> Self {
        RateLimit { quota, scope: Scope::default(), identity: Arc::default() }
    }

    /// Sets how many calls may arrive at once after a time without calls. 0 counts as 1. Default: the
    /// number of calls per unit of time.
    #[must_use]
    pub fn burst(mut self, calls: u32) -> Self {
        self.quota = self.quota.allow_burst(at_least_one(calls));
        // Earlier clones keep the old limit.
        self.identity = Arc::default();
        self
    }

    scope_methods!();

    /// The limiter of the connection, which is created by its first call.
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
    /// Counts a call, or returns the time to wait if it is over the limit.
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

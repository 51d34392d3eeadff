//! [`ConcurrencyLimit`]: middleware that bounds how many calls of some methods are in flight at a
//! time.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::incoming::context::Context;
use crate::incoming::service::{Request, Response};
use crate::middleware::incoming::{Middleware, Next};
use crate::middleware::scope::{Scope, count_dropped, scope_methods};
use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::util::race::{Either, race};

/// Middleware that lets only so many calls of some methods be at work at a time, over all connections
/// together: for reports, exports and whatever else takes much of something. Others are refused with
/// -32005 "Limit exceeded", at once or after a [`wait`](Self::wait). Notifications over the limit are
/// dropped, with a line in the log when it begins and one with their number when the connection ends.
///
/// A call counts until its handler is done; a subscription until it is agreed to. What a connection may
/// have at work is [`Config::max_in_flight`](crate::Config::max_in_flight).
///
/// ```
/// # use std::time::Duration;
/// use wsjsonrpc::middleware::ConcurrencyLimit;
/// use wsjsonrpc::Server;
///
/// let server = Server::builder()
///     .middleware(ConcurrencyLimit::new(2).methods(["report.*"]))
///     .middleware(ConcurrencyLimit::new(1).methods(["export"]).wait(Duration::from_secs(5)));
/// # drop(server);
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    scope: Scope,
    permits: Arc<Semaphore>,
    wait: Option<Duration>,
}

impl ConcurrencyLimit {
    /// For all methods together, until [`methods`](Self::methods) names some. A clone shares the limit.
    pub fn new(limit: usize) -> Self {
        let permits = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        ConcurrencyLimit { scope: Scope::default(), permits, wait: None }
    }

    scope_methods!();

    /// Lets a call wait so long for its turn, in the order of their arrival, before it is refused. Calls
    /// that wait count as in flight. One that is taken back meanwhile, or whose connection ends, never
    /// begins; a notification, which nobody waits for, does. Default: none waits.
    ///
    /// A handler that makes a call which comes back to this side under the same limit waits for itself; so
    /// choose a time that is short.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    async fn permit(&self, request: &Request) -> Result<SemaphorePermit<'_>, ErrorObject> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let words = "Limit exceeded: too many calls of this kind are at work";
        let refused = ErrorObject::new(ErrorCode::LIMIT_EXCEEDED, words);
        let Some(wait) = self.wait else { return Err(refused) };
        let waiting = pin!(tokio::time::timeout(wait, self.permits.acquire()));
        let waited = if request.is_notification() {
            waiting.await
        } else {
            // A cancelled call must not take the next free permit.
            match race(pin!(request.context().cancelled()), waiting).await {
                Either::Left(()) => return Err(ErrorObject::of(ErrorCode::REQUEST_CANCELLED)),
                Either::Right(waited) => waited,
            }
        };
        match waited {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(refused),
        }
    }
}

#[async_trait]
impl Middleware for ConcurrencyLimit {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        if !next.is_in(&self.scope, &request) {
            return next.run(request).await;
        }
        match self.permit(&request).await {
            Ok(_place) => next.run(request).await,
            Err(refused) => {
                if request.is_notification() {
                    count_dropped(ctx, next.method(), "concurrency");
                }
                request.fail(refused)
            }
        }
    }
}

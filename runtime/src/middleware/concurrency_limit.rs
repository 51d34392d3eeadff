//! [`ConcurrencyLimit`]: middleware that limits how many calls of some methods are in flight at a
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

/// Middleware that limits how many calls of some methods are in flight at a time, over all
/// connections together.
///
/// Use it for reports, exports and other expensive methods. Calls over the limit are refused with
/// -32005 "Limit exceeded", at once or after a [`wait`](Self::wait). Notifications over the limit are
/// dropped; the first one of a connection is logged, and their number when the connection ends.
///
/// A call counts until its handler has finished, and a subscription until it is accepted. The limit
/// for each connection is [`Config::max_in_flight`](crate::Config::max_in_flight).
///
/// ```
/// # use std::time::Duration;
/// # use wsjsonrpc::{Client, memory};
/// use wsjsonrpc::Server;
/// use wsjsonrpc::middleware::ConcurrencyLimit;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(ConcurrencyLimit::new(1).methods(["report.*"]))
///     .middleware(ConcurrencyLimit::new(1).methods(["export"]).wait(Duration::from_secs(5)))
///     .method("report.year", |_, ()| async { Ok(tokio::time::sleep(Duration::from_secs(1)).await) })
///     .method("export", |_, ()| async { Ok(tokio::time::sleep(Duration::from_secs(1)).await) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # let peer = client.peer();
/// let [first, second] = ["report.year"; 2].map(|method| peer.call::<()>(method, ()));
/// let (first, second) = peer.batch((first, second)).await?;
/// assert!(first.is_ok() && second.is_err());
///
/// let [first, second] = ["export"; 2].map(|method| peer.call::<()>(method, ()));
/// let (first, second) = peer.batch((first, second)).await?;
/// assert!(first.is_ok() && second.is_ok());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    scope: Scope,
    permits: Arc<Semaphore>,
    wait: Option<Duration>,
}

impl ConcurrencyLimit {
    /// Creates a limit for all methods together; [`methods`](Self::methods) restricts it to some.
    /// Clones share the limit.
    pub fn new(limit: usize) -> Self {
        let permits = Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS)));
        ConcurrencyLimit { scope: Scope::default(), permits, wait: None }
    }

    scope_methods!();

    /// Lets calls over the limit wait for at most this time before they are refused. Default: calls
    /// do not wait.
    ///
    /// Calls wait in the order of arrival, and count as in flight while they wait. A call that is
    /// cancelled meanwhile, or whose connection ends, never starts; a notification does.
    ///
    /// A handler can deadlock if it makes a call that leads to a call back to this side under the
    /// same limit. A short time bounds the deadlock.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    async fn permit(&self, request: &Request) -> Result<SemaphorePermit<'_>, ErrorObject> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        let words = "Limit exceeded: too many calls of this kind are in flight";
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

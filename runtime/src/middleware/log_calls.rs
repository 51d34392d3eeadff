//! [`LogCalls`]: middleware that logs one event for each call. It never logs params, results or the
//! messages of errors.

use async_trait::async_trait;
use tokio::time::Instant;
use tracing::Level;

use crate::error::{Error, Remote};
use crate::incoming::context::Context;
use crate::incoming::service::{Request, Response};
use crate::link::outgoing_middleware::{
    BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};
use crate::middleware::incoming::{Middleware, Next};
use crate::protocol::escape::Shown;

/// Middleware that logs each call with `tracing`, for calls in both directions.
///
/// Each call is one event with the target `wsjsonrpc::calls` and these fields: `method`, `duration`
/// in seconds, the `code` of an error, and for incoming calls the `remote` address. Params, results
/// and the messages of errors are never logged.
///
/// For an unknown method, the name is logged as `unknown`, because it is chosen by the peer. For
/// outgoing calls, the first 128 characters of the name are logged.
///
/// ```
/// # use wsjsonrpc::{Client, memory};
/// use tracing::Level;
/// use wsjsonrpc::Server;
/// use wsjsonrpc::middleware::LogCalls;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(LogCalls::new().success(Level::INFO).failure(Level::ERROR))
///     .method("ping", |_, ()| async { Ok(()) });
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// // INFO wsjsonrpc::calls: incoming call succeeded method="ping" duration=0.00002 remote=…
/// client.peer().call::<()>("ping", ()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct LogCalls {
    success: Level,
    failure: Level,
}

impl LogCalls {
    /// Creates the middleware with level debug for calls that succeed, and warn for calls that fail.
    pub fn new() -> Self {
        LogCalls { success: Level::DEBUG, failure: Level::WARN }
    }

    /// Sets the level for calls that succeed. Default: debug.
    #[must_use]
    pub fn success(mut self, level: Level) -> Self {
        self.success = level;
        self
    }

    /// Sets the level for calls that fail, or that are dropped before they finish. Default: warn.
    #[must_use]
    pub fn failure(mut self, level: Level) -> Self {
        self.failure = level;
        self
    }
}

impl Default for LogCalls {
    fn default() -> Self {
        Self::new()
    }
}

/// The number of characters that are logged of an outgoing call's method name.
const MAX_NAME: usize = 128;

/// Logs an event with a level that is known only at run time.
macro_rules! event {
    ($level:expr, $($rest:tt)*) => {
        match $level {
            Level::ERROR => tracing::error!(target: "wsjsonrpc::calls", $($rest)*),
            Level::WARN => tracing::warn!(target: "wsjsonrpc::calls", $($rest)*),
            Level::INFO => tracing::info!(target: "wsjsonrpc::calls", $($rest)*),
            Level::DEBUG => tracing::debug!(target: "wsjsonrpc::calls", $($rest)*),
            _ => tracing::trace!(target: "wsjsonrpc::calls", $($rest)*),
        }
    };
}

/// A call in flight. It is logged when this is dropped, whether it has finished or not.
struct Line<'a> {
    log: &'a LogCalls,
    what: &'static str,
    method: String,
    remote: Option<Remote>,
    begun: Instant,
    outcome: Outcome,
}

enum Outcome {
    Dropped,
    Success,
    /// With the peer's or the handler's code, if there is one.
    Failure(Option<i64>),
}

impl<'a> Line<'a> {
    fn begin(log: &'a LogCalls, what: &'static str, method: String) -> Self {
        Line { log, what, method, remote: None, begun: Instant::now(), outcome: Outcome::Dropped }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let Line { log, what, method, remote, begun, outcome } = self;
        let duration = begun.elapsed().as_secs_f64();
        let remote = remote.as_ref().map(tracing::field::display);
        match outcome {
            Outcome::Success => event!(log.success, method, duration, remote, "{what} succeeded"),
            Outcome::Failure(code) => {
                event!(log.failure, method, duration, code, remote, "{what} failed");
            }
            Outcome::Dropped => {
                event!(log.failure, method, duration, remote, "{what} dropped")
            }
        }
    }
}

#[async_trait]
impl Middleware for LogCalls {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        let method = next.method().unwrap_or("unknown").to_owned();
        let what =
            if request.is_notification() { "incoming notification" } else { "incoming call" };
        let mut line = Line::begin(self, what, method);
        line.remote = Some(Remote(ctx.handshake().remote_addr));
        let response = next.run(request).await;
        line.outcome = match response.error() {
            Some(error) => Outcome::Failure(Some(error.code().0)),
            None => Outcome::Success,
        };
        response
    }
}

/// The name, cut to the maximum length.
fn short(name: &str) -> &str {
    let end = name.char_indices().nth(MAX_NAME).map_or(name.len(), |(at, _)| at);
    name.get(..end).unwrap_or(name)
}

fn outcome<T>(outcome: &Result<T, Error>) -> Outcome {
    match outcome {
        Ok(_) => Outcome::Success,
        Err(Error::Call(error) | Error::Other(error)) => Outcome::Failure(Some(error.code().0)),
        Err(_) => Outcome::Failure(None),
    }
}

#[async_trait]
impl OutgoingMiddleware for LogCalls {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        // A proxy forwards names that its callers choose, so they are cut and escaped.
        let method = Shown(short(request.method())).to_string();
        let what =
            if request.is_notification() { "outgoing notification" } else { "outgoing call" };
        let mut line = Line::begin(self, what, method);
        let reply = next.run(request).await;
        line.outcome = outcome(&reply);
        reply
    }

    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let method = format!("a batch of {}", batch.requests().len());
        let mut line = Line::begin(self, "outgoing batch", method);
        let sent = next.run().await;
        line.outcome = outcome(&sent);
        sent
    }
}

//! [`LogCalls`]: middleware that logs one line for each call. It never logs params, results or the
//! texts of errors.

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

/// Middleware that logs each call by `tracing`, under the target `wsjsonrpc::calls`: its method, how long it
/// took in seconds, the error's code and, of calls that come in, the remote address. Never params, results
/// or an error's words. For calls in either direction.
///
/// A method that is not known is called `unknown`: the peer's own words are not for the log. Of the name of
/// a method that this side calls, the first 128 characters are.
///
/// ```
/// use tracing::Level;
/// use wsjsonrpc::middleware::LogCalls;
/// use wsjsonrpc::Server;
///
/// let server = Server::builder().middleware(LogCalls::new().success(Level::INFO));
/// # drop(server);
/// ```
#[derive(Clone, Debug)]
pub struct LogCalls {
    success: Level,
    failure: Level,
}

impl LogCalls {
    /// With the level debug for calls that succeed, and warn for those that don't.
    pub fn new() -> Self {
        LogCalls { success: Level::DEBUG, failure: Level::WARN }
    }

    /// The level for calls that succeed. Default debug.
    #[must_use]
    pub fn success(mut self, level: Level) -> Self {
        self.success = level;
        self
    }

    /// The level for calls that come to an error, or are dropped before they come to anything. Default
    /// warn.
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

/// How many characters of an outgoing call's name are logged.
const MAX_NAME: usize = 128;

/// An event with a level that is known only at run time.
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

/// A call in flight. A call that is dropped is logged, too.
struct Line<'a> {
    log: &'a LogCalls,
    words: &'static str,
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
    fn begin(log: &'a LogCalls, words: &'static str, method: String) -> Self {
        Line { log, words, method, remote: None, begun: Instant::now(), outcome: Outcome::Dropped }
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let Line { log, words, method, remote, begun, outcome } = self;
        let duration = begun.elapsed().as_secs_f64();
        let remote = remote.as_ref().map(tracing::field::display);
        match outcome {
            Outcome::Success => event!(log.success, method, duration, remote, "{words}"),
            Outcome::Failure(code) => {
                event!(log.failure, method, duration, code, remote, "{words}, with an error");
            }
            Outcome::Dropped => {
                event!(log.failure, method, duration, remote, "{words}, not to its end")
            }
        }
    }
}

#[async_trait]
impl Middleware for LogCalls {
    async fn call(&self, ctx: &Context, request: Request, next: Next<'_>) -> Response {
        let method = next.method().unwrap_or("unknown").to_owned();
        let words = if request.is_notification() { "notification handled" } else { "call handled" };
        let mut line = Line::begin(self, words, method);
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
        // A proxy forwards whatever names it gets, so they are cut and escaped.
        let method = Shown(short(request.method())).to_string();
        let words = if request.is_notification() { "notification made" } else { "call made" };
        let mut line = Line::begin(self, words, method);
        let reply = next.run(request).await;
        line.outcome = outcome(&reply);
        reply
    }

    async fn batch(&self, batch: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let method = format!("a batch of {}", batch.requests().len());
        let mut line = Line::begin(self, "batch sent", method);
        let sent = next.run().await;
        line.outcome = outcome(&sent);
        sent
    }
}

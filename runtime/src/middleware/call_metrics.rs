//! `Metrics`: middleware that counts and measures calls, connections and bytes for the `metrics`
//! facade. OBSERVABILITY.md lists all names.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use metrics::{
    Label, SharedString, Unit, counter, describe_counter, describe_gauge, describe_histogram,
    gauge, histogram,
};
use tokio::time::Instant;

use crate::error::{CloseReason, Error};
use crate::incoming::context::Context;
use crate::incoming::service::{Request, Response};
use crate::link::outgoing_middleware::{
    BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};
use crate::middleware::incoming::{Middleware, Next};
use crate::protocol::error::ErrorCode;

/// The number of error codes that have their own value in the label `outcome`.
const MAX_CODES: usize = 64;
/// The number of methods of outgoing calls that have their own value in the label `method`.
const MAX_METHODS: usize = 256;
/// The maximum length of such a name in bytes. Names stay in memory until the program ends.
const MAX_NAME: usize = 256;
/// The value for all others.
const OTHER: &str = "other";

/// Middleware that counts and measures calls, connections and bytes with the macros of the `metrics`
/// crate. Needs the feature `metrics`.
///
/// Install it with `middleware` for incoming calls, and with `outgoing_middleware` for outgoing
/// calls. The metrics go to the recorder that the program has installed. OBSERVABILITY.md lists
/// their names.
///
/// Peers cannot create new values of labels. An unknown method is `unknown`. Only the first 64 error
/// codes, and the first 256 methods of outgoing calls, have their own values; all others are `other`,
/// and so are methods with names of more than 256 bytes.
///
/// ```
/// # use wsjsonrpc::memory;
/// use wsjsonrpc::middleware::Metrics;
/// use wsjsonrpc::{Client, Server};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::builder()
///     .middleware(Metrics::new())
///     .method("ping", |_, ()| async { Ok(()) });
/// let client = Client::builder().outgoing_middleware(Metrics::new().label("backend", "stock"));
/// # let (client, _) = memory::pair(client, server)?;
/// # client.peer().call::<()>("ping", ()).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Metrics {
    labels: Vec<Label>,
    codes: Arc<Known<i64>>,
    methods: Arc<Known<String>>,
}

/// The names of the metrics for calls in one direction.
struct Names {
    calls: &'static str,
    duration: &'static str,
    in_flight: &'static str,
}

const SERVER: Names = Names {
    calls: "rpc_server_calls_total",
    duration: "rpc_server_call_duration_seconds",
    in_flight: "rpc_server_calls_in_flight",
};

const CLIENT: Names = Names {
    calls: "rpc_client_calls_total",
    duration: "rpc_client_call_duration_seconds",
    in_flight: "rpc_client_calls_in_flight",
};

const BATCHES: &str = "rpc_client_batches_total";
const CONNECTIONS: &str = "rpc_connections";
const OPENED: &str = "rpc_connections_opened_total";
const CLOSED: &str = "rpc_connections_closed_total";
const RECEIVED: &str = "rpc_received_bytes_total";
const SENT: &str = "rpc_sent_bytes_total";

impl Metrics {
    /// Creates the middleware, and describes its metrics to the recorder that is installed at this
    /// time.
    pub fn new() -> Self {
        for (names, calls) in [(SERVER, "incoming calls"), (CLIENT, "outgoing calls")] {
            describe_counter!(names.calls, Unit::Count, format!("{calls}, by outcome"));
            describe_histogram!(names.duration, Unit::Seconds, format!("duration of {calls}"));
            describe_gauge!(names.in_flight, Unit::Count, format!("{calls} in flight"));
        }
        describe_counter!(BATCHES, Unit::Count, "outgoing batches, by outcome");
        describe_gauge!(CONNECTIONS, Unit::Count, "open connections");
        describe_counter!(OPENED, Unit::Count, "connections opened");
        describe_counter!(CLOSED, Unit::Count, "connections ended, by reason");
        describe_counter!(RECEIVED, Unit::Bytes, "bytes received");
        describe_counter!(SENT, Unit::Bytes, "bytes sent");
        Metrics { labels: Vec::new(), codes: Arc::default(), methods: Arc::default() }
    }

    /// Adds a label to all metrics, for example to distinguish several servers or backends of a
    /// program.
    #[must_use]
    pub fn label(mut self, name: impl Into<SharedString>, value: impl Into<SharedString>) -> Self {
        self.labels.push(Label::new(name.into(), value.into()));
        self
    }

    fn labels<const N: usize>(&self, more: [(&'static str, SharedString); N]) -> Vec<Label> {
        let more = more.into_iter().map(|(name, value)| Label::new(name, value));
        self.labels.iter().cloned().chain(more).collect()
    }

    fn code(&self, code: ErrorCode) -> SharedString {
        if self.codes.has(code.0, MAX_CODES) { code.0.to_string().into() } else { OTHER.into() }
    }

    fn begin(&self, names: &'static Names, method: SharedString) -> InFlight<'_> {
        gauge!(names.in_flight, self.labels([])).increment(1);
        let (begun, outcome) = (Instant::now(), "dropped".into());
        InFlight { metrics: self, names, method, begun, outcome }
    }

    fn outcome<T>(&self, outcome: &Result<T, Error>) -> SharedString {
        match outcome {
            Ok(_) => "ok".into(),
            Err(Error::Call(error) | Error::Other(error)) => self.code(error.code()),
            Err(Error::Timeout(_)) => "timeout".into(),
            Err(Error::Closed(_)) => "closed".into(),
            Err(_) => "failed".into(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The values that a label may have: those that were used first.
#[derive(Debug)]
struct Known<T>(Mutex<BTreeSet<T>>);

impl<T: Ord> Known<T> {
    /// Whether this is one of the values, or becomes one.
    fn has(&self, value: T, limit: usize) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(&value) || (known.len() < limit && known.insert(value))
    }
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Known(Mutex::new(BTreeSet::new()))
    }
}

/// A call in flight. It is counted when this is dropped, whether it has an outcome or not.
struct InFlight<'a> {
    metrics: &'a Metrics,
    names: &'static Names,
    method: SharedString,
    begun: Instant,
    outcome: SharedString,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let InFlight { metrics, names, method, begun, outcome } = self;
        gauge!(names.in_flight, metrics.labels([])).decrement(1);
        let labels = metrics.labels([("method", method.clone())]);
        histogram!(names.duration, labels).record(begun.elapsed());
        let labels = metrics.labels([("method", method.clone()), ("outcome", outcome.clone())]);
        counter!(names.calls, labels).increment(1);
    }
}

fn kind(reason: &CloseReason) -> &'static str {
    match reason {
        CloseReason::Local => "local",
        CloseReason::Remote { .. } => "remote",
        CloseReason::Lost(_) | CloseReason::Reconnect(_) => "lost",
        CloseReason::Protocol(_) => "protocol",
        CloseReason::Stalled => "stalled",
        CloseReason::Unresponsive => "unresponsive",
        CloseReason::Aborted => "aborted",
        // Does not occur, because such a caller has no connection.
        CloseReason::NoSocket => "no_socket",
    }
}

#[async_trait]
impl Middleware for Metrics {
    async fn call(&self, _: &Context, request: Request, next: Next<'_>) -> Response {
        let method = next.method().unwrap_or("unknown").to_owned();
        let mut call = self.begin(&SERVER, method.into());
        let response = next.run(request).await;
        call.outcome = match response.error() {
            Some(error) => self.code(error.code()),
            None => "ok".into(),
        };
        response
    }

    fn connected(&self, _: &Context) {
        counter!(OPENED, self.labels([])).increment(1);
        gauge!(CONNECTIONS, self.labels([])).increment(1);
    }

    fn disconnected(&self, _: &Context, reason: &CloseReason) {
        gauge!(CONNECTIONS, self.labels([])).decrement(1);
        counter!(CLOSED, self.labels([("reason", kind(reason).into())])).increment(1);
    }

    fn transferred(&self, _: &Context, received: u64, sent: u64) {
        counter!(RECEIVED, self.labels([])).increment(received);
        counter!(SENT, self.labels([])).increment(sent);
    }
}

#[async_trait]
impl OutgoingMiddleware for Metrics {
    async fn call(&self, request: OutgoingRequest, next: OutgoingNext<'_>) -> Result<Reply, Error> {
        // A proxy forwards names that its callers choose, so their number and length are bounded.
        let method = request.method().to_owned();
        let known = method.len() <= MAX_NAME && self.methods.has(method.clone(), MAX_METHODS);
        let mut call = self.begin(&CLIENT, if known { method.into() } else { OTHER.into() });
        let reply = next.run(request).await;
        call.outcome = self.outcome(&reply);
        reply
    }

    async fn batch(&self, _: &OutgoingBatch, next: BatchNext<'_>) -> Result<(), Error> {
        let sent = next.run().await;
        let labels = self.labels([("outcome", self.outcome(&sent))]);
        counter!(BATCHES, labels).increment(1);
        sent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_values_are_known() {
        let known = Known::default();
        assert!(["a", "b", "a"].map(|value| known.has(value, 2)).iter().all(|known| *known));
        assert_eq!(["c", "b", "a"].map(|value| known.has(value, 2)), [false, true, true]);
    }
}

//! Middleware around calls of any method: the application's own code, and ready-made limits, guards,
//! logs and metrics. Install it with `middleware` and `outgoing_middleware` on either builder.
//!
//! - Incoming calls: [`Middleware`], with [`Next`] for the rest of the chain. Ready-made: [`LogCalls`],
//!   [`ConcurrencyLimit`], [`RequireIdentity`]; `Metrics` with the feature `metrics`, and `RateLimit` with
//!   the feature `rate-limit`.
//! - Outgoing calls: [`OutgoingMiddleware`], with [`OutgoingRequest`] and [`Reply`], and for batches
//!   [`OutgoingBatch`].
//!
//! For HTTP (sessions, CORS, compression), use tower layers around an endpoint that is mounted in a web
//! application.

#[cfg(feature = "metrics")]
mod call_metrics;
mod concurrency_limit;
pub(crate) mod incoming;
mod log_calls;
#[cfg(feature = "rate-limit")]
mod rate_limit;
mod require_identity;
mod scope;

#[cfg(feature = "metrics")]
pub use self::call_metrics::Metrics;
pub use self::concurrency_limit::ConcurrencyLimit;
pub use self::incoming::{Middleware, Next};
pub use self::log_calls::LogCalls;
#[cfg(feature = "rate-limit")]
pub use self::rate_limit::RateLimit;
pub use self::require_identity::RequireIdentity;
pub use crate::link::outgoing_middleware::{
    BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};

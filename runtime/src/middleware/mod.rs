//! What stands around calls, whatever their methods: an application's own code, and ready-made limits,
//! guards, logs and figures. Installed by `middleware` and `outgoing_middleware` on either builder.
//!
//! - Calls that come in: [`Middleware`], with [`Next`] for what is behind it. Ready-made: [`LogCalls`],
//!   [`ConcurrencyLimit`], [`RequireIdentity`]; `Metrics` with the feature `metrics`, and `RateLimit` with
//!   the feature `rate-limit`.
//! - Calls that go out: [`OutgoingMiddleware`], with [`OutgoingRequest`] and [`Reply`], and for batches
//!   [`OutgoingBatch`].
//!
//! What is about HTTP rather than calls (sessions, CORS, compression) is a tower layer's business, around
//! an endpoint that is mounted in a web application.

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

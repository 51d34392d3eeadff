//! Middleware around calls of any method: traits for your own middleware, and ready-made middleware
//! for limits, authorization, logs and metrics.
//!
//! Install it with `middleware` or `outgoing_middleware` on the builder of a server or a client.
//!
//! - Incoming calls: implement [`Middleware`]; [`Next`] is the rest of the chain. Ready-made:
//!   [`LogCalls`], [`ConcurrencyLimit`], [`RequireIdentity`], `Metrics` with the feature `metrics`,
//!   and `RateLimit` with the feature `rate-limit`.
//! - Outgoing calls: implement [`OutgoingMiddleware`], which gets an [`OutgoingRequest`] and
//!   returns a [`Reply`], or gets an [`OutgoingBatch`]. Ready-made: [`LogCalls`] and `Metrics`.
//!
//! For concerns of HTTP (sessions, CORS, compression), mount the endpoint in a web application and
//! use tower layers around it.

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

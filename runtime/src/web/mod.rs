//! HTTP beside WebSockets: an endpoint as a route of somebody's HTTP server, calls by HTTP POST, and the
//! client's side of them.
//!
//! Knows nothing of a listener of its own.

#[cfg(feature = "axum")]
pub(crate) mod axum_request;
pub(crate) mod http_error;
#[cfg(feature = "http-client")]
pub(crate) mod http_peer;
#[cfg(feature = "tower")]
pub(crate) mod http_request;
#[cfg(feature = "tower")]
pub(crate) mod http_response;
#[cfg(feature = "tower")]
pub(crate) mod mount;
#[cfg(feature = "http-client")]
pub(crate) mod post;
#[cfg(feature = "http-client")]
pub(crate) mod post_batch;
#[cfg(feature = "http-client")]
pub(crate) mod posted;
#[cfg(feature = "tower")]
pub(crate) mod unconnected;
#[cfg(feature = "tower")]
pub(crate) mod upgraded;

//! JSON-RPC over HTTP: an endpoint as a tower service (`service`), and calls over HTTP POST (`peer`).

#[cfg(feature = "axum")]
mod axum;
#[cfg(feature = "http-client")]
pub(crate) mod peer;
#[cfg(feature = "http-client")]
mod post;
#[cfg(feature = "http-client")]
mod post_batch;
#[cfg(feature = "http-client")]
mod post_calls;
#[cfg(feature = "tower")]
mod request;
#[cfg(feature = "tower")]
pub(crate) mod response;
#[cfg(feature = "tower")]
pub(crate) mod service;
#[cfg(feature = "tower")]
mod upgraded;

#[cfg(feature = "http-client")]
pub use self::peer::HttpPeer;
#[cfg(feature = "tower")]
pub use self::response::HttpBody;
#[cfg(feature = "tower")]
pub use self::service::HttpService;

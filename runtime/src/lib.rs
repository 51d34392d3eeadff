//! JSON-RPC 2.0 over WebSocket, in both directions, from one annotated trait.
//!
//! An [`#[rpc]`](macro@rpc) trait is the contract. The attribute generates a typed client stub, and
//! the code that decodes incoming calls for your implementation. A [`Server`] accepts connections,
//! a [`Client`] opens them. Both sides of a connection can serve and call.
//!
//! ```
//! use wsjsonrpc::{Client, Context, Result, Server, rpc};
//!
//! #[rpc]
//! trait Ticker {
//!     async fn tick(&self, ctx: &Context, price: f64) -> Result<()>;
//! }
//!
//! #[rpc]
//! trait Exchange {
//!     async fn watch(&self, ctx: &Context, symbol: String) -> Result<u32>;
//! }
//!
//! struct Prices;
//!
//! impl Exchange for Prices {
//!     async fn watch(&self, ctx: &Context, _symbol: String) -> Result<u32> {
//!         // The server calls its client inside a handler.
//!         ctx.client::<TickerClient>().tick(101.5).await?;
//!         Ok(1)
//!     }
//! }
//!
//! struct Screen;
//!
//! impl Ticker for Screen {
//!     async fn tick(&self, _ctx: &Context, price: f64) -> Result<()> {
//!         println!("{price}");
//!         Ok(())
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().service(Prices.into_service()).bind("127.0.0.1:0").await?;
//! let url = server.url();
//! tokio::spawn(server.run());
//!
//! let client = Client::builder().service(Screen.into_service()).connect(&url).await?;
//! let exchange = ExchangeClient::new(client.peer());
//! assert_eq!(exchange.watch("XYZ".to_owned()).await?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Items by task
//!
//! | task | items | guide |
//! |---|---|---|
//! | describe an API | [`#[rpc]`](macro@rpc), [`Context`], [`Result`] | [Getting started], [Methods and parameters] |
//! | serve | [`Server`], [`ServerBuilder`](server::ServerBuilder), [`Services`], [`Methods`] | [Getting started], [Deploying] |
//! | connect and call | [`Client`], [`ClientBuilder`](client::ClientBuilder), [`Call`], [`Peer`] | [Two-way calls] |
//! | report errors | [`Error`], [`ErrorObject`], [`RpcError`](trait@RpcError) and [its derive](derive@RpcError) | [Errors] |
//! | send several calls at once | [`Peer::batch`], [`Batch`] | [Batches] |
//! | authenticate clients | [`Authorize`](server::Authorize), [`Grant`](server::Grant), [`Refusal`](server::Refusal), [`Context::require`] | [Authentication], [TLS] |
//! | stream items | `#[subscription]` in [`#[rpc]`](macro@rpc), [`Subscription`], the module [`subscription`] | [Subscriptions], [Broadcasting] |
//! | send to many peers | [`Group`], [`Groups`](group::Groups), [`Presence`](group::Presence), [`Call::broadcast`], [`Channel`] | [Broadcasting] |
//! | reconnect | [`ClientBuilder::reconnect`](client::ClientBuilder::reconnect), [`Reconnect`](client::Reconnect), [`Subscribe::resume`](subscription::Subscribe::resume) | [Reconnecting] |
//! | cancel, limit time, report progress | [`Context::cancelled`], [`Context::deadline`], [`Context::progress`], [`Call::timeout`] | [Cancellation] |
//! | log, measure, limit | the module [`middleware`] | [Middleware], [Observability] |
//! | mount in axum or hyper, use HTTP POST | [`Endpoint`], the module [`http`] | [axum and HTTP] |
//! | set limits and timeouts | [`Config`] | [Deploying] |
//! | describe an API for other programs | `#[rpc(schema)]`, the module `openrpc` | [Describing an API] |
//! | test | [`memory::pair`], the module `testing` | [Testing] |
//!
//! Coming from elsewhere: [Migrating from jsonrpsee], [Migrating from Python]. For clients in other
//! languages: [the wire format].
//!
//! [Getting started]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/getting-started.md
//! [Two-way calls]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/two-way-calls.md
//! [Methods and parameters]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/methods-and-parameters.md
//! [Errors]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/errors.md
//! [Batches]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/batches.md
//! [Authentication]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/authentication.md
//! [TLS]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/tls.md
//! [Subscriptions]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/subscriptions.md
//! [Broadcasting]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/broadcasting.md
//! [Reconnecting]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/reconnecting.md
//! [Cancellation]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/cancellation.md
//! [Middleware]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/middleware.md
//! [Observability]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/observability.md
//! [axum and HTTP]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/axum-and-http.md
//! [Testing]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/testing.md
//! [Describing an API]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/describing-an-api.md
//! [Deploying]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/deploying.md
//! [Migrating from jsonrpsee]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/migrating-from-jsonrpsee.md
//! [Migrating from Python]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/migrating-from-python.md
//! [the wire format]: https://github.com/wsjsonrpc/wsjsonrpc/blob/main/docs/guide/wire.md
//!
//! # Runtime
//!
//! Everything runs on tokio. Connecting and serving need a tokio runtime with its I/O and time
//! drivers enabled; without one they return an error. Calls, batches and subscriptions on a
//! connection can be awaited on any executor, those of an `HttpPeer` only on tokio.
//!
//! # Features
//!
//! No feature is enabled by default.
//!
//! - `tls`: `wss://` for clients and certificates for servers, with rustls (re-exported as
//!   `rustls`).
//! - `webpki-roots`: lets a client trust the certificate authorities that Mozilla trusts.
//! - `axum`: an [`Endpoint`] as a route of an axum application (`Endpoint::http_service`), for
//!   WebSockets and HTTP POST. `tower`: the same for other users of tower services, and for a plain
//!   hyper server.
//! - `http-client`: `HttpPeer`, which calls servers over HTTP POST with the same stubs, with reqwest
//!   (re-exported as `reqwest`).
//! - `metrics`: `middleware::Metrics`, which counts and measures calls, connections and bytes for the
//!   `metrics` facade.
//! - `rate-limit`: `middleware::RateLimit`, which limits the calls of a connection per time, with
//!   governor.
//! - `opentelemetry`: a `tracing` span for each call on both sides, with the fields of
//!   OpenTelemetry's conventions for RPC. If a subscriber of `tracing-opentelemetry` exports the
//!   spans, the caller's span is the parent of the handler's span, also across machines
//!   ([`Config::send_trace`]).
//! - `schema`: the module `openrpc`: descriptions of APIs as OpenRPC documents, with
//!   schemars (re-exported as `schemars`).
//! - `testing`: the module `testing`, and the mocks that `#[rpc(mock)]` generates. Enable it in
//!   `[dev-dependencies]`.
#![forbid(unsafe_code)]
// Feature badges. Only docs.rs sets `docsrs`, with a nightly compiler.
#![cfg_attr(docsrs, feature(doc_cfg))]

// The source, in reading order. A module imports only from those below it in this list;
// ARCHITECTURE.md has the details.
//
// - `memory`, `testing`: connections in memory, and helpers for tests of applications.
// - `http`: an endpoint as a tower service, and HTTP POST in both directions.
// - `server` and `client`: listening and connecting, shutdown and reconnecting. Neither uses the
//   other.
// - `services`: what both builders have in common.
// - `connection`: the task that drives one socket.
// - `middleware`: what wraps calls.
// - `group`: sets of peers, for broadcasts, for calls to many, and for presence.
// - `incoming`: from a request to its response.
// - `outgoing`: from a call to its reply.
// - `openrpc`: descriptions of methods, and the documents that contain them.
// - `link`: what both directions of a connection share.
// - `handshake`: the opening handshake, origin, authorization, TLS.
// - `websocket`: frames, messages, the send queue, keep-alive.
// - `span`, `error`, `config`, `util`.
// - `protocol`: the JSON-RPC text format; no tokio, no WebSocket.

pub mod client;
mod config;
mod connection;
pub mod error;
pub mod group;
mod handshake;
pub mod http;
mod incoming;
mod link;
pub mod memory;
pub mod middleware;
mod missing_features;
#[cfg(feature = "schema")]
pub mod openrpc;
mod outgoing;
mod protocol;
pub mod server;
mod services;
mod span;
#[cfg(feature = "testing")]
pub mod testing;
mod util;
mod websocket;

pub use async_trait::async_trait;
pub use futures_core::Stream;
#[cfg(feature = "http-client")]
pub use reqwest;
#[cfg(feature = "schema")]
pub use schemars;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
pub use wsjsonrpc_macros::{RpcError, rpc};

#[doc(inline)]
pub use crate::client::Client;
pub use crate::config::{Config, SendTo};
#[doc(inline)]
pub use crate::error::Error;
#[doc(inline)]
pub use crate::group::Group;
pub use crate::incoming::channel::Channel;
pub use crate::incoming::context::Context;
pub use crate::incoming::methods::Methods;
pub use crate::outgoing::batch::Batch;
pub use crate::outgoing::call::Call;
pub use crate::outgoing::peer::Peer;
pub use crate::outgoing::subscription::Subscription;
pub use crate::protocol::error::{ErrorCode, ErrorObject, Result};
pub use crate::protocol::typed::RpcError;
#[doc(inline)]
pub use crate::server::{Endpoint, Server};
pub use crate::services::Services;

/// Unsent and sent calls: what [`Call`] and [`Batch`] become.
pub mod call {
    pub use crate::outgoing::batch::{BatchCall, BatchReply, IntoBatch};
    pub use crate::outgoing::call::{CallFuture, Notification};
}

/// Services written by hand: [`Service`](service::Service), and its requests and responses. Most
/// programs do not need this module, because [`#[rpc]`](macro@rpc) and [`Methods`] create services.
pub mod service {
    #[cfg(feature = "schema")]
    pub use crate::incoming::discover::Discover;
    pub use crate::incoming::extension::Extension;
    pub use crate::incoming::service::{Outcome, Params, Request, Response, Service};
}

/// Subscriptions: streams of items from one side to the other.
pub mod subscription {
    pub use crate::incoming::channel::{ChannelBuilder, ChannelStream, PublishError};
    pub use crate::incoming::producer::Producer;
    pub use crate::incoming::topic::{IntoItem, Overflow, Positioned, Topic};
    pub use crate::outgoing::subscription::{Subscribe, SubscribeFuture};
    pub use crate::protocol::item::Position;
}

/// For the targets in `fuzz/`, and only where they are built.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzzing {
    pub use crate::protocol::reference::{check_arguments, check_message};
}

/// For code that `#[rpc]` and `#[derive(RpcError)]` generate. Not a public API: it changes without
/// notice.
#[doc(hidden)]
pub mod __private {
    pub use std::borrow::Cow;
    pub use std::boxed::Box;
    pub use std::string::String;
    pub use std::sync::Arc;
    pub use std::vec::Vec;

    pub use serde;

    pub use crate::error::Error as CallError;
    pub use crate::incoming::signature::{Arg, Returns};
    #[cfg(not(feature = "schema"))]
    pub use crate::missing_features::NeedsSchema;
    #[cfg(not(feature = "testing"))]
    pub use crate::missing_features::NeedsTesting;
    #[cfg(not(feature = "tls"))]
    pub use crate::missing_features::NeedsTls;
    #[cfg(not(feature = "tower"))]
    pub use crate::missing_features::NeedsTower;
    #[cfg(not(feature = "webpki-roots"))]
    pub use crate::missing_features::NeedsWebpkiRoots;
    #[cfg(feature = "schema")]
    pub use crate::openrpc::{
        Describe, DescribeError, Errors, Example, Method, default_value, example_value, is_optional,
    };
    pub use crate::outgoing::call::Encoder;
    pub use crate::protocol::encode::Form;
    #[cfg(feature = "schema")]
    pub use crate::protocol::params::Args;
    pub use crate::protocol::typed::{
        Fields, Received, check_code, message, source_field, source_value, value, value_or_default,
    };
    #[cfg(feature = "testing")]
    pub use crate::testing::mock::{BoxStream, Slot, client_of, no_such_method};
    /// The call of a method that returns `R`.
    pub type CallOf<R> = crate::Call<<R as Returns>::Ok, <R as Returns>::Err>;

    pub use crate::call::{BatchCall, IntoBatch};
    #[doc(inline)]
    pub use crate::client::Client;
    pub use crate::error::ConnectError;
    pub use crate::service::{Outcome, Request, Response, Service};
    pub use crate::subscription::{IntoItem, Overflow, Subscribe, Topic};
    pub use crate::{Call, Context, ErrorObject, Peer, RpcError};
}

//! JSON-RPC 2.0 over WebSocket in both directions, from one annotated trait.
//!
//! A trait with [`#[rpc]`](macro@rpc) is the contract. It generates a client stub whose methods make
//! typed [`Call`]s, and a [`Service`] that unpacks incoming params into the methods' arguments.
//! [`Server`] accepts connections, [`Client`] opens them, and from then on both ends are equal: each
//! may serve, and each has a [`Peer`] to call the other.
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
//!     async fn watch(&self, ctx: &Context, symbol: String) -> Result<()>;
//! }
//!
//! struct Prices;
//!
//! impl Exchange for Prices {
//!     async fn watch(&self, ctx: &Context, _symbol: String) -> Result<()> {
//!         // Calls whoever is calling; answered before `watch` returns.
//!         ctx.client::<TickerClient>().tick(101.5).await?;
//!         Ok(())
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
//! # async fn main() -> Result<()> {
//! let server = Server::builder().service(Prices.into_service()).bind("127.0.0.1:0").await?;
//! let url = server.url();
//! tokio::spawn(server.run());
//!
//! let client = Client::builder().service(Screen.into_service()).connect(&url).await?;
//! ExchangeClient::new(client.peer()).watch("XYZ".to_owned()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Everything runs on tokio: connecting and serving need a runtime with its network and time
//! drivers enabled.
//!
//! # Where to look
//!
//! - Contracts: [`rpc`](macro@rpc), [`Context`], [`Result`], [`ErrorObject`],
//!   [`RpcError`](trait@RpcError) and [its derive](derive@RpcError).
//! - Serving: [`Server`], [`Endpoint`], [`Methods`], [`Fallback`].
//! - Letting in: [`Authorize`], [`Grant`], [`Refusal`]; what belongs to a connection: [`Attached`].
//! - Around all calls: [`Middleware`] and [`OutgoingMiddleware`]; [`LogCalls`], `Metrics`, `RateLimit`,
//!   [`ConcurrencyLimit`], [`RequireIdentity`].
//! - Calling: [`Client`], [`Peer`], [`Call`], [`Batch`], [`Error`].
//! - Calls that take long: [`Context::cancelled`], [`Context::deadline`], [`Context::progress`] and
//!   [`Call::on_progress`].
//! - Streams of items: `#[subscription]` in a [contract](macro@rpc), [`Subscription`], [`Overflow`];
//!   without the macro [`Peer::subscribe`] and [`Methods::subscription`].
//! - On one machine: [`ServerBuilder::bind_unix`] and URLs as `ws+unix:///run/app.sock:/path`.
//! - Connecting again: [`ClientBuilder::reconnect`], [`Reconnect`], [`ConnectionState`].
//! - Limits and timeouts: [`Config`].
//! - Tests: [`memory::pair`]; with the feature `testing` networks with faults, a counterpart that
//!   records calls, and mocks of contracts.
//!
//! # Features
//!
//! - `tls`: `wss://` for clients, certificates for servers, by rustls; re-exported as `rustls`.
//! - `webpki-roots`: with it, a client can trust the authorities that Mozilla trusts.
//! - `axum`: an [`Endpoint`] as one route of an axum application, for WebSockets and for HTTP POST
//!   (`Endpoint::http_service`). `tower`: the same for whatever else takes a tower service, and for a
//!   bare hyper server.
//! - `http-client`: `HttpPeer`, which calls servers by HTTP POST with the same stubs; by reqwest,
//!   re-exported as `reqwest`.
//! - `metrics`: `Metrics`, which counts and measures calls, connections and bytes for the `metrics`
//!   facade.
//! - `rate-limit`: `RateLimit`, how many calls a connection may make in a time, by governor.
//! - `opentelemetry`: a span of `tracing` for each call on both sides, with the fields of
//!   OpenTelemetry's conventions for RPC; where a subscriber of `tracing-opentelemetry` exports them,
//!   the caller's span is the parent of the handler's, on another machine too
//!   ([`Config::send_trace`]).
//! - `testing`: the module `testing`, and what `#[rpc(mock)]` makes; for the `[dev-dependencies]`.
//!
//! None is on by default.
//!
//! # The files, in reading order
//!
//! From the ground up, for those who read the source: `protocol` is the text format; `pending`,
//! `outbox` and `transport` are the parts of a connection; `link`, `peer`, `call`, `batch` and
//! `subscription` are for calling out, `context`, `service` and `methods` for being called, `middleware`
//! and `outgoing` stand around both; `router`, `dispatch` and `answer` lead from a message to its answer; `connection` is the task that owns a socket; `client`, `endpoint`
//! and `server` make connections, `open` and `accept` their opening handshakes; `mount` makes an endpoint
//! a route of somebody else's server. ARCHITECTURE.md has
//! the map and the rules.
#![forbid(unsafe_code)]

mod accept;
mod admission;
mod alarm;
mod answer;
mod asked;
mod attached;
mod authorize;
#[cfg(feature = "axum")]
mod axum_request;
mod backoff;
mod batch;
mod batch_shapes;
mod builder;
mod call;
#[cfg(feature = "metrics")]
mod call_metrics;
mod client;
mod client_builder;
mod concurrency_limit;
mod config;
mod connection;
mod context;
mod deadlines;
mod deferred;
mod dial;
mod dispatch;
mod dropped;
mod endpoint;
mod error;
mod exchange;
mod feed;
mod feeds;
mod flows;
mod frame;
mod gather;
mod guard;
mod handler;
mod handshake;
mod hasher;
mod head;
mod held;
mod http_error;
#[cfg(feature = "http-client")]
mod http_peer;
#[cfg(feature = "tower")]
mod http_request;
#[cfg(feature = "tower")]
mod http_response;
mod inbox;
mod items;
mod link;
mod listener;
mod living;
mod log_calls;
pub mod memory;
mod methods;
mod middleware;
#[cfg(feature = "tower")]
mod mount;
mod notices;
mod open;
mod origin;
mod outbox;
mod outgoing;
mod outlet;
mod over_limit;
mod peer;
mod pending;
mod phase;
#[cfg(feature = "http-client")]
mod post;
#[cfg(feature = "http-client")]
mod post_batch;
#[cfg(feature = "http-client")]
mod posted;
mod producer;
mod progress;
mod protocol;
mod pulse;
mod queue;
mod race;
#[cfg(feature = "rate-limit")]
mod rate_limit;
mod reader;
mod received;
mod recognize;
mod reconnect;
mod refusal;
mod reply;
mod require_identity;
mod router;
mod scope;
mod server;
#[cfg(unix)]
mod server_unix;
mod service;
mod session;
mod signals;
mod signature;
mod slots;
#[cfg(unix)]
mod socket_file;
mod span;
mod started;
mod state;
mod stream;
mod subscription;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
mod topic;
mod transport;
mod turns;
#[cfg(feature = "tower")]
mod unconnected;
mod unopened;
#[cfg(feature = "tower")]
mod upgraded;
mod url;
mod watch;
mod writer;

pub use async_trait::async_trait;
pub use futures_core::Stream;
#[cfg(feature = "http-client")]
pub use reqwest;
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
pub use wsjsonrpc_macros::{RpcError, rpc};

pub use crate::attached::Attached;
pub use crate::authorize::{Authorize, Grant};
pub use crate::backoff::{Reconnect, WhileDown};
pub use crate::batch::{Batch, BatchCall, BatchReply, IntoBatch};
pub use crate::call::{Call, CallFuture, Notification};
#[cfg(feature = "metrics")]
pub use crate::call_metrics::Metrics;
pub use crate::client::Client;
pub use crate::client_builder::ClientBuilder;
pub use crate::concurrency_limit::ConcurrencyLimit;
pub use crate::config::{Config, SendTo};
pub use crate::context::Context;
pub use crate::endpoint::Endpoint;
pub use crate::error::{CloseReason, Error};
pub use crate::handshake::Handshake;
pub use crate::http_error::HttpError;
#[cfg(feature = "http-client")]
pub use crate::http_peer::HttpPeer;
#[cfg(feature = "tower")]
pub use crate::http_response::HttpBody;
pub use crate::log_calls::LogCalls;
pub use crate::methods::{Fallback, Methods};
pub use crate::middleware::{Middleware, Next};
#[cfg(feature = "tower")]
pub use crate::mount::HttpService;
pub use crate::outgoing::{
    BatchNext, OutgoingBatch, OutgoingMiddleware, OutgoingNext, OutgoingRequest, Reply,
};
pub use crate::peer::Peer;
pub use crate::producer::Producer;
pub use crate::protocol::error::{ErrorCode, ErrorObject, Result};
pub use crate::protocol::typed::RpcError;
#[cfg(feature = "rate-limit")]
pub use crate::rate_limit::RateLimit;
pub use crate::refusal::Refusal;
pub use crate::require_identity::RequireIdentity;
pub use crate::server::{Server, ServerBuilder};
pub use crate::service::{Outcome, Params, Request, Response, Service};
pub use crate::session::{ConnectionState, ConnectionStates};
pub use crate::subscription::{Subscribe, SubscribeFuture, Subscription};
pub use crate::topic::{Overflow, Topic, Yields};
pub use crate::unopened::{BindError, ConnectError, DuplicateMethod};

/// The README's examples are tests, too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// For the targets in `fuzz/`, and only where they are built.
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod __fuzzing {
    pub use crate::protocol::reference::{check_arguments, check_message};
}

/// For code that `#[rpc]` and `#[derive(RpcError)]` generate. Not for people: it changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use std::borrow::Cow;
    pub use std::boxed::Box;
    pub use std::string::String;
    pub use std::sync::Arc;
    pub use std::vec::Vec;

    pub use serde;

    pub use crate::call::Encoder;
    pub use crate::protocol::encode::Form;
    pub use crate::protocol::typed::{
        Fields, Received, check_code, message, value, value_or_default,
    };
    pub use crate::signature::{Arg, Returns};
    #[cfg(feature = "testing")]
    pub use crate::testing::mock::{BoxStream, Slot, client_of, no_such_method};
    /// The call of a method that returns `R`.
    pub type CallOf<R> = crate::Call<<R as Returns>::Ok, <R as Returns>::Err>;

    pub use crate::{
        BatchCall, Call, Client, ConnectError, Context, ErrorObject, IntoBatch, Outcome, Overflow,
        Peer, Request, Response, RpcError, Service, Subscribe, Topic, Yields,
    };
}

//! JSON-RPC 2.0 over WebSocket in both directions, from one annotated trait.
//!
//! A trait with [`#[rpc]`](macro@rpc) is the contract. The attribute generates a client stub whose methods
//! make typed [`Call`]s, and a [`Service`](service::Service) that unpacks incoming params into the methods'
//! arguments. A [`Server`] accepts connections and a [`Client`] opens them. Once connected, both ends can
//! serve, and both have a [`Peer`] to call the other.
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
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
//! drivers enabled, and fail with an error where there is none. Calls, batches and subscriptions on a
//! connection can be awaited anywhere, on other executors too; those of an `HttpPeer` need the runtime.
//!
//! # Where to look
//!
//! - Contracts: [`rpc`](macro@rpc), [`Context`], [`Result`], [`ErrorObject`],
//!   [`RpcError`](trait@RpcError) and [its derive](derive@RpcError).
//! - Servers: [`Server`], [`Endpoint`], [`Methods`], [`Services`], and the module [`server`].
//! - Authentication: [`Authorize`](server::Authorize), [`Grant`](server::Grant),
//!   [`Refusal`](server::Refusal), and [`Context::get`] for what belongs to a connection.
//! - Calls: [`Client`], [`Peer`], [`Call`], [`Batch`], [`Error`].
//! - Cancellation, deadlines and progress: [`Context::cancelled`], [`Context::deadline`],
//!   [`Context::progress`] and [`Call::on_progress`].
//! - Subscriptions: `#[subscription]` in a [contract](macro@rpc), [`Subscription`], and the module
//!   [`subscription`]; without the macro [`Peer::subscribe`] and [`Methods::subscription`].
//! - Reconnecting: [`ClientBuilder::reconnect`](client::ClientBuilder::reconnect),
//!   [`Reconnect`](client::Reconnect), [`ConnectionState`](client::ConnectionState).
//! - Middleware: [`middleware`], with logs, metrics, limits and guards ready-made.
//! - Unix sockets: [`ServerBuilder::bind_unix`](server::ServerBuilder::bind_unix), and URLs such as
//!   `ws+unix:///run/app.sock:/path`.
//! - HTTP: the module [`http`], for axum, hyper and calls by HTTP POST.
//! - Limits and timeouts: [`Config`].
//! - Tests: [`memory::pair`]; with the feature `testing` the module `testing`.
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
//! - `metrics`: `middleware::Metrics`, which counts and measures calls, connections and bytes for the
//!   `metrics` facade.
//! - `rate-limit`: `middleware::RateLimit`, how many calls a connection may make in a time, by governor.
//! - `opentelemetry`: a span of `tracing` for each call on both sides, with the fields of
//!   OpenTelemetry's conventions for RPC; where a subscriber of `tracing-opentelemetry` exports them,
//!   the caller's span is the parent of the handler's, on another machine too
//!   ([`Config::send_trace`]).
//! - `testing`: the module `testing`, and what `#[rpc(mock)]` makes; for the `[dev-dependencies]`.
//!
//! None is on by default.
//!
//! # The source, in reading order
//!
//! A module imports only from those below it in this list; ARCHITECTURE.md says more.
//!
//! - `memory`, `testing`: connections in memory, and what tests of applications need.
//! - `http`: an endpoint as a tower service, and HTTP POST in both directions.
//! - `server` and `client`: listening and connecting, shutting down and reconnecting. Neither knows the other.
//! - `services`: what both builders have in common.
//! - `connection`: the task that drives one socket.
//! - `middleware`: what wraps calls.
//! - `incoming`: from a request to its response.
//! - `outgoing`: from a call to its reply.
//! - `link`: what both directions of a connection share.
//! - `handshake`: the opening handshake, origin, authorization, TLS.
//! - `websocket`: frames, messages, the send queue, keep-alive.
//! - `span`, `error`, `config`, `util`.
//! - `protocol`: the JSON-RPC text format; no tokio, no WebSocket.
#![forbid(unsafe_code)]

pub mod client;
mod config;
mod connection;
pub mod error;
mod handshake;
pub mod http;
mod incoming;
mod link;
pub mod memory;
pub mod middleware;
mod missing_features;
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
#[cfg(feature = "tls")]
pub use tokio_rustls::rustls;
pub use wsjsonrpc_macros::{RpcError, rpc};

pub use crate::client::Client;
pub use crate::config::{Config, SendTo};
pub use crate::error::Error;
pub use crate::incoming::context::Context;
pub use crate::incoming::methods::Methods;
pub use crate::outgoing::batch::Batch;
pub use crate::outgoing::call::Call;
pub use crate::outgoing::peer::Peer;
pub use crate::outgoing::subscription::Subscription;
pub use crate::protocol::error::{ErrorCode, ErrorObject, Result};
pub use crate::protocol::typed::RpcError;
pub use crate::server::{Endpoint, Server};
pub use crate::services::Services;

/// Calls and batches on their way: what [`Call`] and [`Batch`] become.
pub mod call {
    pub use crate::outgoing::batch::{BatchCall, BatchReply, IntoBatch};
    pub use crate::outgoing::call::{CallFuture, Notification};
}

/// Services written by hand, and what every service gets and gives. Most programs need none of it: the
/// attribute [`rpc`](macro@rpc) and [`Methods`] make services.
pub mod service {
    pub use crate::incoming::extension::Extension;
    pub use crate::incoming::service::{Outcome, Params, Request, Response, Service};
}

/// Subscriptions: streams of items from one side to the other.
pub mod subscription {
    pub use crate::incoming::producer::Producer;
    pub use crate::incoming::topic::{IntoItem, Overflow, Topic};
    pub use crate::outgoing::subscription::{Subscribe, SubscribeFuture};
}

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

    pub use crate::error::Error as CallError;
    pub use crate::incoming::signature::{Arg, Returns};
    #[cfg(not(feature = "testing"))]
    pub use crate::missing_features::NeedsTesting;
    #[cfg(not(feature = "tls"))]
    pub use crate::missing_features::NeedsTls;
    #[cfg(not(feature = "tower"))]
    pub use crate::missing_features::NeedsTower;
    #[cfg(not(feature = "webpki-roots"))]
    pub use crate::missing_features::NeedsWebpkiRoots;
    pub use crate::outgoing::call::Encoder;
    pub use crate::protocol::encode::Form;
    pub use crate::protocol::typed::{
        Fields, Received, check_code, message, source_field, source_value, value, value_or_default,
    };
    #[cfg(feature = "testing")]
    pub use crate::testing::mock::{BoxStream, Slot, client_of, no_such_method};
    /// The call of a method that returns `R`.
    pub type CallOf<R> = crate::Call<<R as Returns>::Ok, <R as Returns>::Err>;

    pub use crate::call::{BatchCall, IntoBatch};
    pub use crate::client::Client;
    pub use crate::error::ConnectError;
    pub use crate::service::{Outcome, Request, Response, Service};
    pub use crate::subscription::{IntoItem, Overflow, Subscribe, Topic};
    pub use crate::{Call, Context, ErrorObject, Peer, RpcError};
}

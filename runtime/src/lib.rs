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
//! - Serving: [`Server`], [`Endpoint`], [`Methods`], [`Services`], [`Fallback`].
//! - Letting in: [`Authorize`], [`Grant`], [`Refusal`]; what belongs to a connection: [`Attached`].
//! - Around all calls: [`middleware`], with logs, figures, limits and guards ready-made.
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
//! A folder is a room, whose `mod.rs` says what it is about: `protocol` is the text format; `opening` the
//! opening handshake; `socket` one WebSocket; `calling` calls to the other side, `serving` those that come
//! in, with `middleware` around both; `subscriptions` streams of items; `task` the task that owns a
//! connection; `connecting` clients, `listening` servers, and `web` all that is HTTP beside them.
//! ARCHITECTURE.md has the map and the rules.
#![forbid(unsafe_code)]

mod client;
mod config;
mod connection;
mod error;
mod handshake;
mod http;
mod incoming;
mod link;
pub mod memory;
pub mod middleware;
mod missing_features;
mod outgoing;
mod protocol;
mod server;
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
pub use crate::client::backoff::{Reconnect, WhileDown};
pub use crate::client::builder::ClientBuilder;
pub use crate::client::session::{ConnectionState, ConnectionStates};
pub use crate::config::{Config, SendTo};
pub use crate::error::connect_error::{BindError, ConnectError, DuplicateMethod};
pub use crate::error::http_error::HttpError;
pub use crate::error::{CloseReason, Error, Timeout};
pub use crate::handshake::Handshake;
pub use crate::handshake::authorize::{Authorize, Grant};
pub use crate::handshake::refusal::Refusal;
#[cfg(feature = "http-client")]
pub use crate::http::peer::HttpPeer;
#[cfg(feature = "tower")]
pub use crate::http::response::HttpBody;
#[cfg(feature = "tower")]
pub use crate::http::service::HttpService;
pub use crate::incoming::context::Context;
pub use crate::incoming::extension::Attached;
pub use crate::incoming::methods::{Fallback, Methods};
pub use crate::incoming::producer::Producer;
pub use crate::incoming::service::{Outcome, Params, Request, Response, Service};
pub use crate::incoming::topic::{Overflow, Topic, Yields};
pub use crate::outgoing::batch::{Batch, BatchCall, BatchReply, IntoBatch};
pub use crate::outgoing::call::{Call, CallFuture, Notification};
pub use crate::outgoing::peer::Peer;
pub use crate::outgoing::subscription::{Subscribe, SubscribeFuture, Subscription};
pub use crate::protocol::error::{ErrorCode, ErrorObject, Result};
pub use crate::protocol::typed::RpcError;
pub use crate::server::endpoint::Endpoint;
pub use crate::server::{Server, ServerBuilder};
pub use crate::services::Services;

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

    pub use crate::{
        BatchCall, Call, Client, ConnectError, Context, ErrorObject, IntoBatch, Outcome, Overflow,
        Peer, Request, Response, RpcError, Service, Subscribe, Topic, Yields,
    };
}

//! The API of an endpoint as an [OpenRPC](https://spec.open-rpc.org) document, which tools read:
//! generators of clients, explorers, documentation. Needs the feature `schema`.
//!
//! `#[rpc(schema)]` makes a trait describe its methods. [`Endpoint::openrpc`] returns the document
//! of everything that an endpoint serves, [`discover`](crate::server::ServerBuilder::discover)
//! serves it as `rpc.discover`, and [`compare`] finds the differences between two documents.
//!
//! ```
//! use wsjsonrpc::openrpc::Info;
//! use wsjsonrpc::{Context, Result, Server, rpc};
//!
//! #[rpc(schema, namespace = "math")]
//! trait Math {
//!     /// Adds two numbers.
//!     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
//! }
//!
//! struct Calculator;
//!
//! impl Math for Calculator {
//!     async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
//!         Ok(x + y)
//!     }
//! }
//!
//! let endpoint = Server::builder().service(Calculator.into_service()).build().unwrap();
//! let document = endpoint.openrpc(&Info::new("Calculator", "1.0.0"));
//! assert!(document.to_string().contains(r#""name": "math.sum""#));
//! ```
//!
//! [`Endpoint::openrpc`]: crate::Endpoint::openrpc

mod build;
mod compare;
mod document;
mod extensions;
mod info;
mod method;
mod refs;

pub(crate) use build::{Api, name_of};
pub use compare::{Change, ChangeKind, compare};
pub use document::{Document, InvalidDocument};
pub use info::{Contact, Info, License, ServerUrl, Version};
pub use method::{Describe, DescribeError, ErrorDescription, Errors, Example, HasSchema, Method};
#[doc(hidden)]
pub use method::{default_value, example_value, is_optional};

//! JSON-RPC 2.0 over WebSocket in both directions, from one annotated trait.
#![forbid(unsafe_code)]

mod accept;
mod answer;
mod batch;
mod builder;
mod call;
mod client;
mod config;
mod connection;
mod context;
mod dispatch;
mod endpoint;
mod error;
mod handshake;
pub mod memory;
mod methods;
mod outbox;
mod peer;
mod pending;
mod protocol;
mod router;
mod server;
mod service;
mod state;
mod transport;

pub use async_trait::async_trait;
pub use wsjsonrpc_macros::rpc;

pub use crate::batch::{Batch, BatchCall, BatchReply, IntoBatch};
pub use crate::call::{Call, CallFuture, Notification};
pub use crate::client::{Client, ClientBuilder};
pub use crate::config::Config;
pub use crate::context::Context;
pub use crate::endpoint::Endpoint;
pub use crate::error::{BindError, CloseReason, ConnectError, DuplicateMethod, Error};
pub use crate::handshake::Handshake;
pub use crate::methods::{Fallback, Methods};
pub use crate::peer::Peer;
pub use crate::protocol::error::{ErrorCode, ErrorObject, Result, RpcError};
pub use crate::protocol::id::Id;
pub use crate::server::{Server, ServerBuilder};
pub use crate::service::{Outcome, Params, Request, Response, Service};

/// For code that `#[rpc]` generates. Not for people: it changes without notice.
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
    pub use crate::service::{Arg, Returns};
    /// The call of a method that returns `R`.
    pub type CallOf<R> = crate::Call<<R as Returns>::Ok, <R as Returns>::Err>;

    pub use crate::{
        BatchCall, Call, Client, ConnectError, Context, IntoBatch, Outcome, Peer, Request,
        Response, Service,
    };
}

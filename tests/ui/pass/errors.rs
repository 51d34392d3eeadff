//! Derived errors give no warnings, whichever lints are denied and whichever items are deprecated.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused, clippy::all, clippy::pedantic)]
#![deny(private_bounds, nonstandard_style, future_incompatible, rust_2018_idioms, deprecated)]
#![deny(unused_qualifications, unused_results, let_underscore_drop, unused_lifetimes)]

use serde::{Serialize, de::DeserializeOwned};
use wsjsonrpc::{ErrorObject, RpcError};

const GONE: i64 = 1007;

/// Seen from everywhere.
#[derive(Debug, RpcError)]
#[non_exhaustive]
pub enum Public {
    /// A unit.
    #[rpc_error(code = 1001)]
    Unit,
    /// A value.
    #[rpc_error(code = 1002, message = "{0}")]
    One(String),
    /// A list.
    #[rpc_error(code = 1003)]
    Several(String, #[rpc_error(default)] u8),
    /// An object.
    #[rpc_error(code = 1004)]
    #[deprecated]
    Named {
        /// A field.
        name: String,
        /// Goes away, too.
        #[deprecated]
        old: Option<u8>,
    },
    /// Whatever comes.
    #[rpc_error(transparent)]
    Other(ErrorObject),
}

/// Only in here.
#[derive(Debug, RpcError)]
enum Private<T: Serialize + DeserializeOwned + Send + 'static> {
    #[rpc_error(code = GONE)]
    Gone(T),
}

/// Nothing else.
#[derive(Debug, RpcError)]
#[rpc_error(transparent)]
pub struct Only(ErrorObject);

/// Cannot happen.
#[derive(Debug, RpcError)]
pub enum Never {}

fn main() {
    drop(Private::Gone(1).to_object());
    drop(Public::Unit.to_object());
}

//! thiserror's attributes on fields that cannot have them, and `from` in the wrong place.

use wsjsonrpc::{ErrorObject, RpcError};

#[derive(Debug, thiserror::Error, RpcError)]
pub enum Shop {
    #[error("io")]
    #[rpc_error(code = 1)]
    Io(#[from] std::io::Error),
    #[error("io")]
    #[rpc_error(code = 2)]
    Named { #[source] source: std::io::Error },
}

#[derive(Debug, thiserror::Error, RpcError)]
pub enum OfAnObject {
    #[error("{0}")]
    #[rpc_error(transparent)]
    Other(#[from] ErrorObject),
}

#[derive(Debug, RpcError)]
pub enum Misplaced {
    #[rpc_error(code = 1, from)]
    Text(String),
    #[rpc_error(transparent, from)]
    Inner(OfAnObject),
    #[rpc_error(transparent, from)]
    First(ErrorObject),
    #[rpc_error(transparent, from)]
    Second(ErrorObject),
}

fn main() {}

//! A transparent variant has one field and nothing else.

use wsjsonrpc::{ErrorObject, RpcError};

#[derive(RpcError)]
pub enum AnyError {
    #[rpc_error(transparent)]
    Empty,
    #[rpc_error(transparent)]
    Two(ErrorObject, String),
    #[rpc_error(transparent, code = 1, message = "m", display)]
    WithMore(ErrorObject),
    #[rpc_error(transparent)]
    WithName { #[rpc_error(rename = "n")] object: ErrorObject },
}

/// What is in it must be such an error itself.
#[derive(RpcError)]
pub enum Foreign {
    #[rpc_error(transparent)]
    Io(std::io::Error),
}

fn main() {}

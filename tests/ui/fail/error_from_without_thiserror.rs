//! thiserror's `#[from]`, without thiserror.

use wsjsonrpc::RpcError;

#[derive(Debug, RpcError)]
pub enum Shop {
    #[rpc_error(code = 1)]
    Closed,
    #[rpc_error(code = 2)]
    Number(#[from] std::num::ParseIntError),
}

#[derive(Debug, RpcError)]
#[rpc_error(code = 3)]
pub struct Wrong {
    #[from]
    cause: std::fmt::Error,
}

fn main() {}

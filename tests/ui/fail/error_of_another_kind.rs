//! A union cannot be an error type.

use wsjsonrpc::RpcError;

#[derive(RpcError)]
#[rpc_error(code = 1)]
pub union Bits {
    one: u8,
    other: i8,
}

fn main() {}

//! Type parameters need bounds, and lifetimes have no meaning for what was received.

use wsjsonrpc::RpcError;

#[derive(RpcError)]
pub enum Refused<'a, T, const N: usize> {
    #[rpc_error(code = 1)]
    Value(T),
    #[rpc_error(code = 2)]
    Name(std::borrow::Cow<'a, str>),
}

fn main() {}

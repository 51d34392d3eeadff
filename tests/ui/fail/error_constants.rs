//! Codes that are constants have the same rules.

use wsjsonrpc::RpcError;

const PARSE: i64 = -32700;
const FIRST: i64 = 1001;
const SMALL: u16 = 1002;

#[derive(RpcError)]
pub enum Reserved {
    #[rpc_error(code = PARSE)]
    Parse,
}

#[derive(RpcError)]
pub enum Twice {
    #[rpc_error(code = FIRST)]
    First,
    #[rpc_error(code = 1001)]
    Second,
}

#[derive(RpcError)]
pub enum OfAnotherType {
    #[rpc_error(code = SMALL)]
    Small,
    #[rpc_error(code = ABSENT)]
    Absent,
}

fn main() {}

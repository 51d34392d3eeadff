//! Fields that cannot travel as they are written.

use wsjsonrpc::RpcError;

#[derive(RpcError)]
#[rpc_error(rename_all = "camelCase")]
pub enum BankError {
    #[rpc_error(code = 1)]
    Renamed(#[rpc_error(rename = "account")] String),
    #[rpc_error(code = 2)]
    Twice { account: String, #[rpc_error(rename = "account")] name: String },
    #[rpc_error(code = 3)]
    TwiceByCase { how_many: u8, #[allow(non_snake_case)] howMany: u8 },
    #[rpc_error(code = 4)]
    Borrowed(&'static str),
}

fn main() {}

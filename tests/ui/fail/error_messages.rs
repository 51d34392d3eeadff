//! Messages with fields that are not there, and broken ones.

use wsjsonrpc::RpcError;

#[derive(RpcError)]
pub enum BankError {
    #[rpc_error(code = 1, message = "{mising} of {amount} are missing")]
    Misspelled { missing: u64, amount: u64 },
    #[rpc_error(code = 2, message = "no account {name}")]
    Unnamed(String, u8),
    #[rpc_error(code = 3, message = "{0}")]
    NoFields,
    #[rpc_error(code = 4, message = "no account {}")]
    Empty(String),
    #[rpc_error(code = 5, message = "{")]
    Open,
    #[rpc_error(code = 6, message = "a } alone")]
    Close,
    #[rpc_error(code = 7, message = "{0:>1$}")]
    Width(String, usize),
    #[rpc_error(code = 8, message = "both", display)]
    Both,
}

fn main() {}

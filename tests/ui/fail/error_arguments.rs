//! Arguments that do not exist, or not in this place, or not in this form.

use wsjsonrpc::RpcError;

#[derive(RpcError)]
#[rpc_error(code = 1001, rename_all = "Camel")]
pub enum BankError {
    #[rpc_error(cod = 1001)]
    Unknown,
    #[rpc_error(code = 1002, code = 1003, message = insufficient)]
    Twice,
    #[rpc_error(code = 1004)]
    #[rpc_error(message = "two attributes")]
    TwoAttributes,
    #[rpc_error = "1005"]
    Assigned,
    #[rpc_error(1006)]
    Bare,
    #[rpc_error(code = 1007, display = true)]
    Flag { #[rpc_error(code = 1)] field: u8, #[rpc_error(rename)] other: u8 },
}

fn main() {}

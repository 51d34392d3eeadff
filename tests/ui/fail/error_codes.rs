//! Codes that are missing, duplicate, reserved or not numbers. Uses of the type give no further
//! errors.

use wsjsonrpc::{Context, Result, RpcError, rpc};

#[derive(Debug, RpcError)]
pub enum BankError {
    Missing { amount: u64 },
    #[rpc_error(message = "no code either")]
    Wordy,
    #[rpc_error(code = 1001)]
    First,
    #[rpc_error(code = 1_001)]
    Second(String),
    #[rpc_error(code = -32000)]
    Reserved,
    #[rpc_error(code = -0x7FF8)]
    ReservedInHex,
    #[rpc_error(code = "1002")]
    Text,
    #[rpc_error(code = 10.5)]
    Fraction,
    #[rpc_error(code = 9223372036854775808)]
    Large,
    #[rpc_error(code = 1000 + 3)]
    Sum,
    #[rpc_error(code)]
    Nothing,
}

#[derive(Debug, RpcError)]
#[rpc_error(message = "a struct needs a code, too")]
pub struct Alone;

#[rpc]
pub trait Bank {
    async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
    async fn close(&self, ctx: &Context) -> Result<u64, Alone>;
}

fn main() {
    let _ = BankError::Missing { amount: 1 }.to_object();
}

//! A field without serde's traits, and one that can be sent but not received.

use wsjsonrpc::RpcError;

pub struct Opaque;

#[derive(serde::Serialize)]
pub struct OneWay;

#[derive(RpcError)]
pub enum BankError {
    #[rpc_error(code = 1)]
    Only(Opaque),
    #[rpc_error(code = 2)]
    Named { fine: u8, opaque: Opaque },
    #[rpc_error(code = 3)]
    OneWay(OneWay, u8),
    #[rpc_error(code = 4)]
    NoDefault { #[rpc_error(default)] order: std::cmp::Ordering },
}

fn main() {}

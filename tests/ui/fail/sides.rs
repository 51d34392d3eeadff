//! One side of a contract, and what contradicts it.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(server, client)]
pub trait Both {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}

#[rpc(server, mock)]
pub trait Mocked {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}

fn main() {}

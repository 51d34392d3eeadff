//! Two contexts.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, again: &Context) -> Result<i64>;
}

fn main() {}

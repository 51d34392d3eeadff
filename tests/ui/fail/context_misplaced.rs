//! The context behind other arguments.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, x: i64, ctx: &Context, y: i64) -> Result<i64>;
    async fn product(&self, x: i64, y: i64, ctx: &mut wsjsonrpc::Context) -> Result<i64>;
}

fn main() {}

//! The context by value, or to be changed.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: Context, x: i64, y: i64) -> Result<i64>;
    async fn product(&self, ctx: &mut Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

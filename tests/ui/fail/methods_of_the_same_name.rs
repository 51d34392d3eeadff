//! Two methods of the same name in Rust.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

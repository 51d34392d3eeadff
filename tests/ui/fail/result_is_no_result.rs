//! Return types that are neither a `Result` nor omitted.

use wsjsonrpc::{Context, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> i64;
    fn product(&self, ctx: &Context, x: i64, y: i64) -> Option<i64>;
}

fn main() {}

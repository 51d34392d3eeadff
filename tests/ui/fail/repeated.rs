//! Arguments and attributes that are repeated.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(namespace = "a", namespace = "b")]
pub trait Math {
    #[method(name = "sum", aliases = ["add"], name = "plus")]
    async fn sum(&self, ctx: &Context, x: i64, #[param(default, default)] y: i64) -> Result<i64>;

    #[method(name = "product")]
    #[method(aliases = ["times"])]
    async fn product(&self, ctx: &Context, x: i64, #[param(default)] #[param(rename = "z")] y: i64) -> Result<i64>;

    #[method(idempotent, name = "quotient", idempotent)]
    async fn quotient(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

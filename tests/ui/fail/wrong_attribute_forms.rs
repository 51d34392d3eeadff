//! Attributes that are not a list of `name = value`.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    #[method("sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    #[method = "product"]
    async fn product(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    #[method(name("difference"))]
    async fn difference(&self, ctx: &Context, #[param = "x"] x: i64, y: i64) -> Result<i64>;
}

fn main() {}

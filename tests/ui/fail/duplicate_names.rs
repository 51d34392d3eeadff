//! Names on the wire that are taken, as names and as aliases.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(namespace = "math")]
pub trait Math {
    async fn sum(&self, ctx: &Context) -> Result<i64>;

    #[method(name = "math.sum")]
    async fn plus(&self, ctx: &Context) -> Result<i64>;

    #[method(aliases = ["add", "math.plus", "math.sum"])]
    async fn add(&self, ctx: &Context) -> Result<i64>;

    #[method(aliases = ["math.product"])]
    async fn product(&self, ctx: &Context) -> Result<i64>;

    #[cfg(not(unix))]
    #[method(name = "add")]
    async fn another(&self, ctx: &Context) -> Result<i64>;
}

fn main() {}

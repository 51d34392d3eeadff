//! Values of the wrong kind.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(namespace = math, separator, crate = 5)]
pub trait Math {
    #[method(name = 5, aliases = "add", params = named)]
    async fn sum(&self, ctx: &Context, #[param(rename = 'x', default = 1)] x: i64) -> Result<i64>;

    #[method(aliases = ["times", 5, concat!("a", "b")], blocking = true, idempotent = false)]
    fn product(&self, ctx: &Context, x: i64) -> Result<i64>;

    #[method(cancel, ordered = "yes")]
    async fn power(&self, ctx: &Context, x: i64) -> Result<i64>;

    #[method(cancel = drop)]
    async fn root(&self, ctx: &Context, x: i64) -> Result<i64>;
}

fn main() {}

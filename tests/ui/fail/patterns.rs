//! Arguments without a plain name.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn pair(&self, ctx: &Context, (a, b): (i64, i64)) -> Result<i64>;
    async fn nameless(&self, ctx: &Context, _: i64) -> Result<i64>;
    async fn count(&self, _ctx: &Context, mut x: i64) -> Result<i64> {
        x += 1;
        Ok(x)
    }
}

fn main() {}

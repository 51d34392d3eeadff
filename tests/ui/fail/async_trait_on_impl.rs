//! `#[async_trait]` on an implementation. The message is rustc's, which points at the attribute.

use wsjsonrpc::{Context, Result, async_trait, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Calculator;

#[async_trait]
impl Math for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

fn main() {}

//! A lifetime parameter on the trait.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math<'a, T: Send + Sync + 'static> {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Calculator;

impl Math<'_, u8> for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

fn main() {}

//! An unsafe trait.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub unsafe trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Calculator;

unsafe impl Math for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

fn main() {}

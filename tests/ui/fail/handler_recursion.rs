//! A handler that calls itself. The message is rustc's; the docs of `#[rpc]` have the right form.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn factorial(&self, ctx: &Context, n: u64) -> Result<u64>;
}

struct Calculator;

impl Math for Calculator {
    async fn factorial(&self, ctx: &Context, n: u64) -> Result<u64> {
        match n {
            0 => Ok(1),
            n => Ok(n * self.factorial(ctx, n - 1).await?),
        }
    }
}

fn main() {}

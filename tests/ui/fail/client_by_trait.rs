//! The trait instead of its client. Rustc suggests `dyn`; `dyn_contract` tests that.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

async fn call_back(ctx: &Context) {
    let _ = ctx.client::<Math>().sum(1, 2).await;
    let _ = Math::new(ctx.peer()).sum(1, 2).await;
}

fn main() {
    let _ = call_back;
}

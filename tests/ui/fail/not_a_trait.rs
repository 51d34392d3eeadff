//! `#[rpc]` on other items.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub struct Math {
    x: i64,
}

#[rpc]
async fn sum(_ctx: &Context, x: i64, y: i64) -> Result<i64> {
    Ok(x + y)
}

#[rpc]
impl Math {}

fn main() {}

//! Items other than methods.

use wsjsonrpc::{Context, Result, rpc};

macro_rules! methods {
    () => {};
}

#[rpc]
pub trait Math {
    const ZERO: i64;
    type Number;
    methods!();
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

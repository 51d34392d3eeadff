//! A type called `Context` that is not ours.

use wsjsonrpc::{Result, rpc};

pub struct Context;

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

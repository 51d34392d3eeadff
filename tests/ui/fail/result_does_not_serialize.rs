//! A result which the server cannot send.

use wsjsonrpc::{Context, Result, rpc};

pub struct Number(i64);

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<Number>;
}

fn main() {}

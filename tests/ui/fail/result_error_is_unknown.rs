//! An error type which cannot be sent.

use wsjsonrpc::{Context, Result, rpc};

pub struct Broken;

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64, Broken>;
}

fn main() {}

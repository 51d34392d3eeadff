//! Bounds that have another meaning in the client.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math<T = Self>: Sized
where
    T: From<Self>,
{
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

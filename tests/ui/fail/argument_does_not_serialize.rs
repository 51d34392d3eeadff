//! An argument which the client cannot send.

use wsjsonrpc::{Context, Result, rpc};

#[derive(serde::Deserialize)]
pub struct Number(i64);

#[rpc]
pub trait Math {
    async fn double(&self, ctx: &Context, number: Number) -> Result<i64>;
}

fn main() {}

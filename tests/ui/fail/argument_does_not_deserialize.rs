//! An argument which the server cannot decode.

use wsjsonrpc::{Context, Result, rpc};

#[derive(serde::Serialize)]
pub struct Number(i64);

#[rpc]
pub trait Math {
    async fn double(&self, ctx: &Context, number: Number) -> Result<i64>;
    async fn borrowed(&self, ctx: &Context, number: &Number) -> Result<i64>;
}

fn main() {}

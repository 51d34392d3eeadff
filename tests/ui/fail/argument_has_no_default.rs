//! `#[param(default)]` for a type without a default.

use wsjsonrpc::{Context, Result, rpc};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Number(i64);

#[rpc]
pub trait Math {
    async fn double(&self, ctx: &Context, #[param(default)] number: Number) -> Result<i64>;
}

fn main() {}

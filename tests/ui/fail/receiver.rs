//! Receivers other than `&self`.

use wsjsonrpc::{Context, Result, rpc};

use std::sync::Arc;

#[rpc]
pub trait Math {
    async fn by_value(self, ctx: &Context, x: i64) -> Result<i64>;
    async fn exclusive(&mut self, ctx: &Context, x: i64) -> Result<i64>;
    async fn shared(self: Arc<Self>, ctx: &Context, x: i64) -> Result<i64>;
    async fn none(ctx: &Context, x: i64) -> Result<i64>;
    async fn nothing_at_all(x: i64, y: i64);
}

fn main() {}

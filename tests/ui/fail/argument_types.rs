//! Types of arguments that the other side cannot know.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn opaque(&self, ctx: &Context, x: impl Into<i64> + Send) -> Result<i64>;
    async fn exclusive(&self, ctx: &Context, x: &mut i64) -> Result<i64>;
    async fn dynamic(&self, ctx: &Context, x: Box<dyn Send>) -> Result<i64>;
    async fn forever(&self, ctx: &Context, x: &'static str) -> Result<i64>;
    async fn own(&self, ctx: &Context, x: &Self) -> Result<i64>;
}

fn main() {}

//! Arguments with the same name on the wire.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(rename_all = "camelCase")]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, #[param(rename = "x")] y: i64) -> Result<i64>;
    async fn same(&self, ctx: &Context, x: i64, x: i64) -> Result<i64>;
    async fn product(&self, ctx: &Context, user_id: i64, userId: i64) -> Result<i64>;
}

fn main() {}

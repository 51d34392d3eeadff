//! Strings that are not one of the allowed values.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(rename_all = "Camel")]
pub trait Math {
    #[method(params = "object")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    #[method(cancel = "abort")]
    async fn product(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {}

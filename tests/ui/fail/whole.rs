//! `params = "whole"` with other than one plain argument.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    #[method(params = "whole")]
    async fn none(&self, ctx: &Context) -> Result<i64>;

    #[method(params = "whole")]
    async fn two(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    #[method(params = "whole")]
    async fn optional(&self, ctx: &Context, #[param(default)] numbers: Vec<i64>) -> Result<i64>;

    #[method(params = "whole")]
    async fn renamed(&self, ctx: &Context, #[param(rename = "list")] numbers: Vec<i64>) -> Result<i64>;
}

fn main() {}

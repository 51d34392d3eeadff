//! Empty names.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    #[method(name = "")]
    async fn sum(&self, ctx: &Context, #[param(rename = "")] x: i64) -> Result<i64>;

    #[method(aliases = ["add", ""])]
    async fn plus(&self, ctx: &Context) -> Result<i64>;
}

#[rpc(namespace = "")]
pub trait Nameless {
    async fn sum(&self, ctx: &Context) -> Result<i64>;
}

fn main() {}

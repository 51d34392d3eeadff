//! Names on the wire which JSON-RPC keeps for itself.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    #[method(name = "rpc.sum")]
    async fn sum(&self, ctx: &Context) -> Result<i64>;

    #[method(aliases = ["rpc.discover"])]
    async fn describe(&self, ctx: &Context) -> Result<i64>;
}

#[rpc(namespace = "rpc")]
pub trait Meta {
    async fn discover(&self, ctx: &Context) -> Result<i64>;
    async fn describe(&self, ctx: &Context) -> Result<i64>;
}

fn main() {}

//! Every argument of every attribute, in every spelling.

use wsjsonrpc::{Context, Result, rpc};

#[rpc()]
pub trait Nothing {}

#[rpc(namespace = "a", separator = "", rename_all = "SCREAMING-KEBAB-CASE", crate = wsjsonrpc,)]
pub trait All {
    #[method]
    async fn empty(&self, ctx: &Context) -> Result<()>;

    #[method()]
    async fn empty_list(&self, ctx: &Context) -> Result<()>;

    #[method(name = r#"a "name""#, aliases = ["b", "c",], params = "named")]
    async fn named(&self, ctx: &wsjsonrpc::Context, #[param()] x: u8, #[param(rename = "z", default)] y: u8) -> Result<()>;

    #[method(params = "positional", aliases = [])]
    fn positional(&self, context: &::wsjsonrpc::Context, #[param(default, rename = "z")] x: u8) -> Result<()>;

    #[method(blocking, params = "whole", idempotent)]
    fn whole(&self, _: &Context, list: Vec<u8>) -> Result<()>;
}

#[rpc(crate = "wsjsonrpc")]
pub trait InQuotes {
    async fn method(&self, ctx: &Context);
}

#[rpc(namespace = "eth", separator = "_")]
pub trait Chain {
    #[cfg(unix)]
    #[method(name = "eth_blockNumber")]
    async fn block_number(&self, ctx: &Context) -> Result<u64>;

    #[cfg(not(unix))]
    #[method(name = "eth_blockNumber")]
    async fn block_number(&self, ctx: &Context, node: String) -> Result<u64>;
}

fn main() {}

//! A value that is neither a list nor an object cannot be the whole of `params`. `omit_none` has no effect
//! inside of it.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(omit_none)]
pub trait Math {
    #[method(params = "whole")]
    async fn double(&self, ctx: &Context, x: i64) -> Result<i64>;
    #[method(params = "whole")]
    async fn upper(&self, ctx: &Context, text: &str) -> Result<String>;
    #[method(params = "whole", omit_none)]
    async fn mean(&self, ctx: &Context, numbers: Vec<f64>) -> Result<f64>;
}

fn main() {}

//! Words before `fn`, and `...`.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    unsafe fn dangerous(&self, ctx: &Context) -> Result<i64>;
    const fn early(&self, ctx: &Context) -> Result<i64>;
    extern "C" fn foreign(&self, ctx: &Context) -> Result<i64>;
    fn many(&self, ctx: &Context, _: ...) -> Result<i64>;
}

fn main() {}

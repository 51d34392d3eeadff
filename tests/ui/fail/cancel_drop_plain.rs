//! `cancel = "drop"` on a plain `fn`, which has no future to drop.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Files {
    #[method(cancel = "drop")]
    fn size(&self, ctx: &Context, path: &str) -> Result<u64>;

    #[method(blocking, cancel = "drop")]
    fn read(&self, ctx: &Context, path: &str) -> Result<String>;

    #[method(blocking, ordered, cancel = "signal")]
    fn write(&self, ctx: &Context, path: &str) -> Result<()>;
}

fn main() {}

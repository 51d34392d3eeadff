//! `blocking` on an `async fn`.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Files {
    #[method(blocking)]
    async fn read(&self, ctx: &Context, path: &str) -> Result<String>;
}

fn main() {}

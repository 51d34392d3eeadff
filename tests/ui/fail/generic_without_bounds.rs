//! A type parameter whose values cannot be sent.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Store<V> {
    async fn put(&self, ctx: &Context, value: V) -> Result<()>;
}

fn main() {}

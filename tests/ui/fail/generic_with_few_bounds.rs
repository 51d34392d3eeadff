use serde::Serialize;
use serde::de::DeserializeOwned;
use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Store<V: Serialize + DeserializeOwned> {
    async fn put(&self, ctx: &Context, value: V) -> Result<()>;
}

fn main() {}

//! A mock costs nothing as long as it is not used.

#![deny(warnings)]

use wsjsonrpc::{Context, Result, rpc};

#[rpc(mock)]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

#[rpc(mock = "FakeStore")]
pub trait Store<const N: usize, K>
where
    K: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    async fn get(&self, ctx: &Context, key: &K) -> Result<[u8; 4]>;
}

fn main() {}

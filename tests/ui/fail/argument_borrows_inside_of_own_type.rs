//! The same in a type that the macro does not know.

use wsjsonrpc::{Context, Result, rpc};

#[derive(serde::Serialize, serde::Deserialize)]
pub struct Pair<T>(T, T);

#[rpc]
pub trait Math {
    async fn count(&self, ctx: &Context, names: Pair<&str>) -> Result<usize>;
}

fn main() {}

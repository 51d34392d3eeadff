//! A default that cannot be shown, because its type does not serialize.

use serde::Deserialize;
use wsjsonrpc::schemars::{self, JsonSchema};
use wsjsonrpc::{Context, Result, rpc};

#[derive(Default, Deserialize, JsonSchema)]
pub struct Point {
    x: i64,
}

#[rpc(server, schema)]
trait Math {
    async fn norm(&self, ctx: &Context, #[param(default)] point: Point) -> Result<f64>;
}

fn main() {}

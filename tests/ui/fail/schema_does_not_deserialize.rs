//! An argument that cannot be decoded, in a trait with `schema`. One message.

use serde::Serialize;
use wsjsonrpc::schemars::{self, JsonSchema};
use wsjsonrpc::{Context, Result, rpc};

#[derive(Serialize, JsonSchema)]
pub struct Point {
    x: i64,
}

#[rpc(schema)]
trait Math {
    async fn norm(&self, ctx: &Context, point: Point) -> Result<f64>;
}

#[rpc(server, schema)]
trait Optional {
    async fn norm(&self, ctx: &Context, point: Option<Point>) -> Result<f64>;
}

fn main() {}

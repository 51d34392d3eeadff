//! `#[async_trait]` below `#[rpc]`.

use wsjsonrpc::{Context, Result, Server, rpc};

#[rpc]
#[wsjsonrpc::async_trait]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Calculator;

impl Math for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

fn main() {
    let _ = Server::builder().service(Calculator.into_service());
}

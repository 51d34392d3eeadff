//! All mistakes are reported together, and uses of the trait give no further errors.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(namespace = 1, renam = "camelCase")]
pub trait Math {
    async fn sum(&self, x: i64, y: i64) -> Result<i64>;

    #[method(name = "sum", aliases = ["rpc.sum"])]
    async fn plus(&mut self, ctx: &Context, x: i64, y: &'static str) -> Result<i64>;

    #[method(nmae = "product", blocking)]
    async fn product(&self, ctx: &Context, x: i64, _: i64) -> Result<&i64>;

    async fn fine(&self, ctx: &Context, x: i64) -> Result<i64>;
}

struct Calculator;

impl Math for Calculator {
    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
    async fn plus(&mut self, _ctx: &Context, x: i64, _y: &'static str) -> Result<i64> {
        Ok(x)
    }
    async fn product(&self, _ctx: &Context, _x: i64, _: i64) -> Result<&i64> {
        Ok(&1)
    }
    async fn fine(&self, _ctx: &Context, x: i64) -> Result<i64> {
        Ok(x)
    }
}

async fn use_it() -> Result<(), Box<dyn std::error::Error>> {
    let math = MathClient::connect("ws://127.0.0.1:8095").await?;
    math.sum(1, 2).await?;
    math.fine(1).await?;
    let _ = wsjsonrpc::Server::builder().service(Calculator.into_service());
    Ok(())
}

fn main() {}

//! `#[async_trait]` above `#[rpc]`, so it is expanded first. One message, and none about uses of the trait.

use wsjsonrpc::{Context, Peer, Result, Server, async_trait, rpc};

#[async_trait]
#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    #[method(name = "greet")]
    async fn greet(&self, ctx: &Context, name: &str, title: Option<&str>) -> Result<String>;
    async fn rest(&self, ctx: &Context);
}

struct Calculator;

#[async_trait]
impl Math for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }

    async fn greet(&self, _ctx: &Context, name: &str, _title: Option<&str>) -> Result<String> {
        Ok(name.to_owned())
    }

    async fn rest(&self, _ctx: &Context) {}
}

async fn call(peer: &Peer) {
    let math = MathClient::new(peer);
    let _ = math.sum(1, 2).await;
    let _ = math.greet("Ada", None).await;
    let _ = math.rest().await;
}

fn main() {
    let _ = Server::builder().service(Calculator.into_service());
    let _ = call;
}

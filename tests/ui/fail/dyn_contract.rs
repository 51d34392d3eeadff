//! `dyn` of a contract: to choose an implementation, and instead of the client.

use wsjsonrpc::{Context, Result, Server, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn serve(math: Box<dyn Math>) {
    let _ = Server::builder().service(math.into_service());
}

async fn call_back(ctx: &Context) {
    let _ = ctx.client::<dyn Math>().sum(1, 2).await;
}

fn main() {
    let _ = (serve, call_back);
}

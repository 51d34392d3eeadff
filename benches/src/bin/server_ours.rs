//! The server under test: this project's. Prints its address, then serves until it is killed.

use std::time::Duration;

use wsjsonrpc::{Config, Context, Result, Server, rpc};

#[rpc]
trait Bench {
    #[method(name = "math.sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
    async fn wait(&self, ctx: &Context, x: i64) -> Result<i64>;
    async fn note(&self, ctx: &Context, x: i64) -> Result<()>;
}

struct Service;

impl Bench for Service {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
    async fn echo(&self, _: &Context, s: &str) -> Result<String> {
        Ok(s.to_owned())
    }
    async fn wait(&self, _: &Context, x: i64) -> Result<i64> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok(x)
    }
    async fn note(&self, _: &Context, _: i64) -> Result<()> {
        Ok(())
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let config = Config { max_in_flight: 1 << 20, ..Config::default() };
    let server =
        Server::builder().service(Service.into_service()).config(config).bind("127.0.0.1:0").await?;
    println!("{}", server.local_addr());
    server.run().await;
    Ok(())
}

//! A server for clients of any language: `math.sum(x, y)` and `echo(s)`, on any path.
//!
//! Run it with `cargo run --example math_server [ADDR]` (default 127.0.0.1:8095; port 0 takes one
//! that is free) and call it with `cargo run --example math_client`. Ctrl-C shuts it down.

use wsjsonrpc::{Context, Result, Server, rpc};

#[rpc]
trait Math {
    #[method(name = "math.sum")]
    fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
}

struct Calculator;

impl Math for Calculator {
    fn math_sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }

    async fn echo(&self, _: &Context, s: &str) -> Result<String> {
        Ok(s.to_owned())
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8095".to_owned());
    let server = Server::builder().service(Calculator.into_service()).bind(address).await?;
    println!("listening on {}", server.url());

    let cut_off = server
        .run_until(async {
            if let Err(error) = tokio::signal::ctrl_c().await {
                eprintln!("can't wait for Ctrl-C: {error}");
            }
        })
        .await;
    println!("stopped; {cut_off} calls cut off");
    Ok(())
}

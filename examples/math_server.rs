//! A server for clients of any language: `math.sum(x, y)` and `echo(s)`, on any path.
//!
//! Run it with `cargo run --example math_server [ADDR]` (default 127.0.0.1:8095; port 0 takes one
//! that is free) and call it with `cargo run --example math_client`. Ctrl-C shuts it down.

use wsjsonrpc::{Config, Context, Result, Server, rpc};

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
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8095".to_owned());
    // The defaults bound what each client can hold; a server that strangers reach lowers them to what
    // its methods need.
    let config = Config {
        max_incoming_message: 1 << 20,
        max_outgoing_message: 1 << 20,
        max_in_flight_bytes: 4 << 20,
        // Behind a reverse proxy, all connections have the proxy's address: leave it out there.
        max_connections_per_address: Some(100),
        ..Config::default()
    };
    let server =
        Server::builder().service(Calculator.into_service()).config(config).bind(address).await?;
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

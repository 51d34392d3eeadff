//! A server for clients in any language. It has the methods `math.sum(x, y)` and `echo(s)` and accepts
//! connections on every path.
//!
//! Run it with `cargo run -p examples --example math_server [ADDR]` (default 127.0.0.1:8095; port 0 chooses a
//! free one) and call it with `cargo run -p examples --example math_client`. Ctrl-C shuts it down gracefully.

use wsjsonrpc::{Config, Context, Result, Server, rpc};

#[rpc]
trait Math {
    /// A method that never waits can be an ordinary function.
    #[method(name = "math.sum")]
    fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
}

struct Calculator;

impl Math for Calculator {
    fn math_sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        // Overflow is an error for the caller, not a panic.
        x.checked_add(y).ok_or_else(|| wsjsonrpc::ErrorObject::new(1001, "the sum is too large"))
    }

    async fn echo(&self, _: &Context, s: &str) -> Result<String> {
        Ok(s.to_owned())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8095".to_owned());
    // The defaults suit clients that you trust. A public server lowers the limits to what its methods need.
    let config = Config {
        max_incoming_message: 1 << 20,
        max_outgoing_message: 1 << 20,
        max_in_flight_bytes: 4 << 20,
        // Omit this limit behind a reverse proxy: there, all connections come from the proxy's address.
        max_connections_per_address: Some(100),
        ..Config::default()
    };
    let server =
        Server::builder().service(Calculator.into_service()).config(config).bind(address).await?;
    println!("The server listens on {}", server.url());

    let ctrl_c = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Cannot listen for Ctrl-C, shutting down: {error}");
        }
    };
    let aborted = server.run_until(ctrl_c).await;
    println!("The server has shut down; {aborted} handlers were aborted");
    Ok(())
}

//! A contract, a server and a client in one program.
//!
//! Run it with `cargo run -p examples --example quickstart`. It ends by itself.

use wsjsonrpc::{Context, Result, Server, rpc};

/// The contract. The attribute generates `MathClient` for callers and `into_service` for implementations.
#[rpc]
trait Math {
    /// Adds two numbers.
    #[method(name = "math.sum")]
    async fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    /// Callers may omit the greeting.
    async fn greet(&self, ctx: &Context, name: &str, greeting: Option<&str>) -> Result<String>;
}

struct Calculator;

impl Math for Calculator {
    async fn math_sum(&self, _: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }

    async fn greet(&self, _: &Context, name: &str, greeting: Option<&str>) -> Result<String> {
        Ok(format!("{}, {name}!", greeting.unwrap_or("Hello")))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server = Server::builder().service(Calculator.into_service()).bind("127.0.0.1:0").await?;
    let url = server.url();
    println!("The server listens on {url}");
    tokio::spawn(server.run());

    let math = MathClient::connect(&url).await?;
    println!("math.sum(1, 2) = {}", math.math_sum(1, 2).await?);
    println!("greet(\"Ada\") = {:?}", math.greet("Ada", None).await?);

    let (sum, text) =
        math.batch((math.math_sum(20, 22), math.greet("you", Some("Welcome")))).await?;
    println!("Two calls in one message: {} and {:?}", sum?, text?);
    Ok(())
}

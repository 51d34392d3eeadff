//! Calls a `math_server`.
//!
//! Run it with `cargo run -p examples --example math_client [URL]` (default ws://127.0.0.1:8095/) while
//! `cargo run -p examples --example math_server` runs. It ends by itself.

use std::time::{Duration, Instant};

use wsjsonrpc::{Context, Result, rpc};

/// A client declares only the methods that it calls.
#[rpc]
trait Math {
    #[method(name = "math.sum")]
    async fn math_sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;

    async fn echo(&self, ctx: &Context, s: &str) -> Result<String>;
}

const CALLS: i64 = 10_000;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8095/".to_owned());
    let math = MathClient::connect(&url).await?;

    println!("math.sum(1, 2) = {}", math.math_sum(1, 2).await?);
    println!("math.sum with named params: {}", math.math_sum(3, 4).by_name().await?);
    let text = math.echo("\u{1f600} \"quoted\"").timeout(Duration::from_secs(5)).await?;
    println!("echo, waiting at most 5 s: {text:?}");

    // Clones share one connection. Their calls run concurrently.
    let start = Instant::now();
    let calls: Vec<_> = (0..CALLS)
        .map(|x| {
            let math = math.clone();
            tokio::spawn(async move { math.math_sum(x, x).await })
        })
        .collect();
    let mut total = 0;
    for call in calls {
        total += call.await??;
    }
    println!("{CALLS} concurrent calls took {:?}; the total is {total}", start.elapsed());
    Ok(())
}

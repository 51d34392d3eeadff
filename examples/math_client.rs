//! Calls a `math_server`.
//!
//! Run it with `cargo run --example math_client [URL]` (default ws://127.0.0.1:8095/wsjsonrpc)
//! while `cargo run --example math_server` runs. It ends by itself.

use std::time::{Duration, Instant};

use wsjsonrpc::{Context, Result, rpc};

/// The client's view of the server: only the methods that it calls.
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
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8095/wsjsonrpc".to_owned());
    let math = MathClient::connect(&url).await?;

    println!("math.sum(1, 2) = {}", math.math_sum(1, 2).await?);
    println!("by name: {}", math.math_sum(3, 4).by_name().await?);
    println!(
        "echo: {:?}",
        math.echo("\u{1f600} \"quoted\"").timeout(Duration::from_secs(5)).await?
    );

    let begin = Instant::now();
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
    println!("{CALLS} calls at once: total {total} in {:?}", begin.elapsed());
    Ok(())
}

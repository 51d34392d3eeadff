//! A long computation that is cancelled: by dropping its call, by a deadline, and through a second
//! server that the first one asks. It shows that the work stops.
//!
//! Run it with `cargo run --example cancel`. It ends by itself.

use std::time::Duration;

use tokio::sync::mpsc;
use wsjsonrpc::{Context, Error, Peer, Result, Server, rpc};

#[rpc]
trait Primes {
    /// Counts the primes below a limit, and looks now and then whether anybody still waits.
    async fn count(&self, ctx: &Context, below: u64) -> Result<u64>;

    /// Asks somebody else. When this call is cancelled, its future is dropped, and with it the call
    /// that it waits for: that is cancelled, too.
    #[method(cancel = "drop")]
    async fn delegate(&self, ctx: &Context, below: u64) -> Result<u64>;
}

struct Calculator {
    /// What it has to say beside its results.
    events: mpsc::UnboundedSender<String>,
    other: Option<Peer>,
}

impl Primes for Calculator {
    async fn count(&self, ctx: &Context, below: u64) -> Result<u64> {
        self.events.send("the handler begins".to_owned())?;
        let mut primes = 0;
        for number in 2..below {
            primes += u64::from((2..).take_while(|n| n * n <= number).all(|n| number % n != 0));
            if number % 1000 == 0 {
                if ctx.is_cancelled() {
                    self.events.send(format!("the handler stops at {number}"))?;
                    break;
                }
                // Others on this thread get their turn, too.
                tokio::task::yield_now().await;
            }
        }
        Ok(primes)
    }

    async fn delegate(&self, ctx: &Context, below: u64) -> Result<u64> {
        let Some(other) = &self.other else { return self.count(ctx, below).await };
        // `with_deadline`: it has no more time than this call.
        Ok(PrimesClient::new(ctx.with_deadline(other)).count(below).await?)
    }
}

/// Starts a server; returns a client of it.
async fn start(calculator: Calculator) -> anyhow::Result<PrimesClient> {
    let server = Server::builder().service(calculator.into_service()).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());
    Ok(PrimesClient::connect(&url).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let (events, mut told) = mpsc::unbounded_channel();
    let mut next = async || println!("  {}", told.recv().await.unwrap_or_default());

    let far = start(Calculator { events: events.clone(), other: None }).await?;
    let near = start(Calculator { events, other: Some(far.peer().clone()) }).await?;

    println!("a call that is awaited:");
    let primes = near.count(10_000).await?;
    next().await;
    println!("  primes below 10000: {primes}");

    println!("a call that is dropped:");
    tokio::select! {
        _ = near.count(u64::MAX) => unreachable!("it would take ages"),
        () = next() => {}
    }
    next().await;

    println!("a call with a deadline:");
    match near.count(u64::MAX).timeout(Duration::from_millis(50)).await {
        Err(Error::Timeout(_)) => println!("  the caller waits no longer"),
        other => unreachable!("it would take ages: {other:?}"),
    }
    next().await;
    next().await;

    println!("a call that another server works at:");
    tokio::select! {
        _ = near.delegate(u64::MAX) => unreachable!("it would take ages"),
        () = next() => {}
    }
    next().await;
    Ok(())
}

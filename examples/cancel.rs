//! Cancellation of a long computation: by dropping its call, by a timeout, and across two servers. The output
//! shows that the handlers stop.
//!
//! Run it with `cargo run -p examples --example cancel`. It ends by itself.

use std::time::Duration;

use tokio::sync::mpsc;
use wsjsonrpc::{Context, Error, Peer, Result, Server, rpc};

#[rpc]
trait Primes {
    /// Counts the primes below a limit. The handler checks regularly whether the call was cancelled.
    async fn count(&self, ctx: &Context, below: u64) -> Result<u64>;

    /// Passes the call on to another server. With `cancel = "drop"` the server drops this handler when the
    /// call is cancelled. That drops the call to the other server, which cancels it there.
    #[method(cancel = "drop")]
    async fn delegate(&self, ctx: &Context, below: u64) -> Result<u64>;
}

struct Calculator {
    /// Reports what the handlers do.
    events: mpsc::UnboundedSender<String>,
    other: Option<Peer>,
}

impl Primes for Calculator {
    async fn count(&self, ctx: &Context, below: u64) -> Result<u64> {
        self.events.send("the handler starts".to_owned())?;
        let mut primes = 0;
        for number in 2..below {
            primes += u64::from((2..).take_while(|n| n * n <= number).all(|n| number % n != 0));
            if number % 1000 == 0 {
                if ctx.is_cancelled() {
                    self.events.send(format!("the handler stops at {number}"))?;
                    break;
                }
                // Lets other tasks of this thread run.
                tokio::task::yield_now().await;
            }
        }
        Ok(primes)
    }

    async fn delegate(&self, ctx: &Context, below: u64) -> Result<u64> {
        let Some(other) = &self.other else { return self.count(ctx, below).await };
        // The call to the other server gets the time that is left for this one.
        Ok(PrimesClient::new(ctx.with_deadline(other)).count(below).await?)
    }
}

/// Starts a server and returns a client for it.
async fn start(calculator: Calculator) -> anyhow::Result<PrimesClient> {
    let server = Server::builder().service(calculator.into_service()).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());
    Ok(PrimesClient::connect(&url).await?)
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let (events, mut received) = mpsc::unbounded_channel();
    let mut print_event = async || println!("  {}", received.recv().await.unwrap_or_default());

    let far = start(Calculator { events: events.clone(), other: None }).await?;
    let near = start(Calculator { events, other: Some(far.peer().clone()) }).await?;

    println!("The caller waits for the result:");
    let primes = near.count(10_000).await?;
    print_event().await;
    println!("  there are {primes} primes below 10000");

    println!("The caller drops the call:");
    tokio::select! {
        outcome = near.count(u64::MAX) => println!("  unexpected: {outcome:?}"),
        () = print_event() => {}
    }
    print_event().await;

    println!("The call has a timeout:");
    match near.count(u64::MAX).timeout(Duration::from_millis(50)).await {
        Err(error @ Error::Timeout(_)) => println!("  the caller gets an error: {error}"),
        other => println!("  unexpected: {other:?}"),
    }
    print_event().await;
    print_event().await;

    println!("The caller drops a call that another server handles:");
    tokio::select! {
        outcome = near.delegate(u64::MAX) => println!("  unexpected: {outcome:?}"),
        () = print_event() => {}
    }
    print_event().await;
    Ok(())
}

//! The typed client under test: this project's.

use std::time::Duration;

use anyhow::{Context as _, Result};
use wsjsonrpc::{Client, Context, Stream, rpc};
use wsjsonrpc_benches::client::{Caller, run};

#[rpc]
trait Math {
    #[method(name = "math.sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> wsjsonrpc::Result<i64>;
    async fn never(&self, ctx: &Context) -> wsjsonrpc::Result<()>;
    #[subscription]
    fn items(&self, ctx: &Context, items: usize) -> impl Stream<Item = usize>;
}

#[derive(Clone)]
struct Ours(MathClient);

impl Caller for Ours {
    async fn connect(url: String) -> Result<Self> {
        Ok(Ours(MathClient::new(Client::connect(&url).await?.peer())))
    }

    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(self.0.sum(x, y).await?)
    }

    async fn items(&self, items: usize) -> Result<usize> {
        // The other side ignores credit, so the window must hold all items.
        let mut numbers = self.0.items(items).window(usize::MAX).await?;
        let mut last = 0;
        for _ in 0..items {
            last = numbers.next().await.context("no more items")??;
        }
        Ok(last)
    }

    async fn never(&self) {
        drop(self.0.never().timeout(Duration::from_secs(600)).await);
    }
}

fn main() -> Result<()> {
    run::<Ours>()
}

//! jsonrpsee's typed client.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jsonrpsee::proc_macros::rpc;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use wsjsonrpc_benches::client::{Caller, run};

#[rpc(client)]
trait Math {
    #[method(name = "math.sum")]
    async fn sum(&self, x: i64, y: i64) -> Result<i64, jsonrpsee::types::ErrorObjectOwned>;
    #[method(name = "never")]
    async fn never(&self) -> Result<(), jsonrpsee::types::ErrorObjectOwned>;
    #[subscription(name = "items", unsubscribe = "stop", item = usize)]
    async fn items(&self, items: usize) -> jsonrpsee::core::SubscriptionResult;
}

#[derive(Clone)]
struct Jsonrpsee(Arc<WsClient>);

impl Caller for Jsonrpsee {
    async fn connect(url: String) -> Result<Self> {
        // High limits, so that no response is refused.
        let builder = WsClientBuilder::default()
            .max_concurrent_requests(1 << 20)
            .max_buffer_capacity_per_subscription(1 << 20)
            .request_timeout(Duration::from_secs(600));
        Ok(Jsonrpsee(Arc::new(builder.build(url).await?)))
    }

    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(self.0.sum(x, y).await?)
    }

    async fn items(&self, items: usize) -> Result<usize> {
        let mut numbers = self.0.items(items).await?;
        let mut last = 0;
        for _ in 0..items {
            last = numbers.next().await.context("no more items")??;
        }
        Ok(last)
    }

    async fn never(&self) {
        drop(self.0.never().await);
    }
}

fn main() -> Result<()> {
    run::<Jsonrpsee>()
}

//! jsonrpsee's typed client and server in one process, over loopback TCP.

use std::sync::Arc;

use anyhow::Result;
use jsonrpsee::core::async_trait;
use jsonrpsee::proc_macros::rpc;
use jsonrpsee::server::Server;
use jsonrpsee::types::ErrorObjectOwned;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};
use wsjsonrpc_benches::client::{Caller, run};

#[rpc(client, server)]
trait Math {
    #[method(name = "math.sum")]
    async fn sum(&self, x: i64, y: i64) -> Result<i64, ErrorObjectOwned>;
}

struct Service;

#[async_trait]
impl MathServer for Service {
    async fn sum(&self, x: i64, y: i64) -> Result<i64, ErrorObjectOwned> {
        Ok(x + y)
    }
}

#[derive(Clone)]
struct Jsonrpsee(Arc<WsClient>);

impl Caller for Jsonrpsee {
    async fn connect(_: String) -> Result<Self> {
        let server = Server::builder().build("127.0.0.1:0").await?;
        let url = format!("ws://{}/", server.local_addr()?);
        tokio::spawn(server.start(Service.into_rpc()).stopped());
        // As many as the tasks of the load, so that no call is refused.
        let builder = WsClientBuilder::default().max_concurrent_requests(1 << 20);
        Ok(Jsonrpsee(Arc::new(builder.build(url).await?)))
    }

    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(self.0.sum(x, y).await?)
    }
}

fn main() -> Result<()> {
    run::<Jsonrpsee>()
}

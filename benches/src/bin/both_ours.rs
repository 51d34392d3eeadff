//! This project's typed client and server in one process, over loopback TCP.

use anyhow::Result;
use wsjsonrpc::{Context, Server, rpc};
use wsjsonrpc_benches::client::{Caller, run};

#[rpc]
trait Math {
    #[method(name = "math.sum")]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> wsjsonrpc::Result<i64>;
}

struct Service;

impl Math for Service {
    async fn sum(&self, _: &Context, x: i64, y: i64) -> wsjsonrpc::Result<i64> {
        Ok(x + y)
    }
}

#[derive(Clone)]
struct Ours(MathClient);

impl Caller for Ours {
    async fn connect(_: String) -> Result<Self> {
        let server = Server::builder().service(Service.into_service()).bind("127.0.0.1:0").await?;
        let url = server.url();
        tokio::spawn(server.run());
        Ok(Ours(MathClient::connect(&url).await?))
    }

    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(self.0.sum(x, y).await?)
    }
}

fn main() -> Result<()> {
    run::<Ours>()
}

//! tarpc's typed client and server in one process, over loopback TCP with bincode, its fastest
//! format.

use std::future;

use anyhow::{Context as _, Result};
use futures_util::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context, serde_transport::tcp};
use wsjsonrpc_benches::client::{Caller, run};

#[tarpc::service]
trait Math {
    async fn sum(x: i64, y: i64) -> i64;
}

#[derive(Clone)]
struct Service;

impl Math for Service {
    async fn sum(self, _: context::Context, x: i64, y: i64) -> i64 {
        x + y
    }
}

#[derive(Clone)]
struct Tarpc(MathClient);

impl Caller for Tarpc {
    async fn connect(_: String) -> Result<Self> {
        let mut listener = tcp::listen("127.0.0.1:0", Bincode::default).await?;
        let address = listener.local_addr();
        tokio::spawn(async move {
            let transport = listener.next().await.context("the listener has ended")??;
            let requests = BaseChannel::with_defaults(transport).execute(Service.serve());
            requests
                .for_each(|handler| {
                    tokio::spawn(handler);
                    future::ready(())
                })
                .await;
            anyhow::Ok(())
        });
        let transport = tcp::connect(address, Bincode::default).await?;
        Ok(Tarpc(MathClient::new(client::Config::default(), transport).spawn()))
    }

    async fn sum(&self, x: i64, y: i64) -> Result<i64> {
        Ok(self.0.sum(context::current(), x, y).await?)
    }
}

fn main() -> Result<()> {
    run::<Tarpc>()
}

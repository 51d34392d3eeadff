//! A server that calls its clients. The program `two_way_client` is the other side.
//!
//! Run it with `cargo run -p examples --example two_way_server [ADDR]` (default 127.0.0.1:8097; port 0 chooses a
//! free one). Ctrl-C shuts it down gracefully.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Context, Error, ErrorObject, Result, Server};

use api::{Deployments, OperatorClient};

mod api;

/// How long the operator may think. The default of 30 s would be short for a person.
pub(crate) const CONFIRMATION: Duration = Duration::from_secs(60);

#[derive(Default)]
struct Cluster {
    deployments: AtomicU64,
}

impl Deployments for Cluster {
    async fn deploy(&self, ctx: &Context, version: &str) -> Result<u64> {
        // The stub calls back over the connection that the request came from.
        let operator: OperatorClient = ctx.client();
        let question = format!("Deploy version {version}?");
        match operator.confirm(&question).timeout(CONFIRMATION).await {
            Ok(true) => {}
            Ok(false) => return Err(ErrorObject::new(1001, "the operator declined")),
            Err(Error::Timeout(_)) => {
                return Err(ErrorObject::new(1002, "the operator did not answer in time"));
            }
            Err(error) => return Err(error.into()),
        }
        for step in ["build", "copy", "restart"] {
            // A notification waits only for space in the send queue, not for the client to read it.
            operator.report(&format!("{version}: {step}")).notify().await?;
        }
        let number = self.deployments.fetch_add(1, Ordering::Relaxed) + 1;
        println!("Deployed version {version} as number {number}");
        Ok(number)
    }
}

pub(crate) fn server() -> ServerBuilder {
    Server::builder().service(Cluster::default().into_service())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8097".to_owned());
    let server = server().bind(address).await?;
    println!("The server listens on {}", server.url());
    let ctrl_c = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("Cannot listen for Ctrl-C, shutting down: {error}");
        }
    };
    // Waits for handlers that are in flight, then closes the connections.
    let aborted = server.run_until(ctrl_c).await;
    println!("The server has shut down; {aborted} handlers were aborted");
    Ok(())
}

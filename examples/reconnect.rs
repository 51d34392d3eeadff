//! A client that outlives its server: it reconnects, logs in again, and continues with its calls.
//!
//! Run it with `cargo run -p examples --example reconnect`. It ends by itself.

use std::time::Duration;

use wsjsonrpc::client::{ConnectionState, Reconnect};
use wsjsonrpc::{Client, Context, Result, Server, rpc};

#[rpc]
trait Shop {
    async fn login(&self, ctx: &Context, name: String) -> Result<()>;

    /// An idempotent method may run several times: if the connection is lost during the call, the client sends
    /// the call again on the next connection.
    #[method(idempotent)]
    async fn price(&self, ctx: &Context, article: &str) -> Result<String>;
}

struct User(String);

struct Stock;

impl Shop for Stock {
    async fn login(&self, ctx: &Context, name: String) -> Result<()> {
        ctx.set(User(name));
        Ok(())
    }

    async fn price(&self, ctx: &Context, article: &str) -> Result<String> {
        Ok(format!("the price of the {article} for {} is 9.99", ctx.require::<User>()?.0))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server = Server::builder().service(Stock.into_service()).bind("127.0.0.1:0").await?;
    let (url, address, endpoint) = (server.url(), server.local_addr(), server.endpoint().clone());
    let running = tokio::spawn(server.run());

    let client = Client::builder()
        .reconnect(Reconnect { initial: Duration::from_millis(10), ..Reconnect::default() })
        // Runs on each new connection, before all other calls.
        .on_connect(|peer| async move { Ok(ShopClient::new(peer).login("Ada".to_owned()).await?) })
        .connect(&url)
        .await?;
    let mut states = client.states();
    let watching = tokio::spawn(async move {
        while let Some(state) = states.next().await {
            match state {
                ConnectionState::Connected { number, .. } => {
                    println!("Connected: connection {number}");
                }
                ConnectionState::Down { reason, .. } => println!("Reconnecting: {reason}"),
                ConnectionState::Closed { reason, .. } => println!("Closed: {reason}"),
                _ => {}
            }
        }
    });
    let shop = ShopClient::new(client.peer());
    println!("The first server answers: {}", shop.price("apple").await?);

    // The server shuts down, and another one starts on the same port.
    running.abort();
    let _ = running.await;
    endpoint.shutdown().await;
    let server = Server::builder().service(Stock.into_service()).bind(address).await?;
    tokio::spawn(server.run());
    // This call waits for the new connection.
    println!("The second server answers: {}", shop.price("orange").await?);

    client.close().await;
    watching.await?;
    Ok(())
}

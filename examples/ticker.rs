//! A subscription to prices with a fast and a slow consumer. The market never waits: if a consumer has no space
//! for a price, the server drops the oldest one and reports the number of dropped prices. The slow consumer
//! does not delay the fast one.
//!
//! Run it with `cargo run -p examples --example ticker`. It ends when the market closes.

use std::time::Duration;

use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::{Client, Context, ErrorObject, Result, Server, Stream, Subscription, rpc};

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) symbol: String,
    pub(crate) cents: u64,
}

#[rpc(namespace = "market")]
pub(crate) trait Market {
    /// The prices of one stock, starting now.
    #[subscription(overflow = "drop_oldest", buffer = 4)]
    async fn prices(
        &self,
        ctx: &Context,
        symbol: String,
    ) -> Result<impl Stream<Item = Price> + Send>;
}

struct Exchange {
    /// A weak sender: the streams end when the market drops the real one.
    prices: broadcast::WeakSender<Price>,
}

impl Market for Exchange {
    async fn prices(
        &self,
        _ctx: &Context,
        symbol: String,
    ) -> Result<impl Stream<Item = Price> + Send> {
        if symbol != "XYZ" {
            return Err(ErrorObject::invalid_params("the only symbol is XYZ"));
        }
        let prices = self.prices.upgrade().ok_or(ErrorObject::new(1001, "the market is closed"))?;
        Ok(stream::unfold(prices.subscribe(), |mut prices| async move {
            loop {
                match prices.recv().await {
                    Ok(price) => return Some((price, prices)),
                    // Prices that this stream did not take in time. Continue with the oldest that is left.
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        }))
    }
}

pub(crate) fn server(prices: &broadcast::Sender<Price>) -> ServerBuilder {
    Server::builder().service(Exchange { prices: prices.downgrade() }.into_service())
}

/// Receives prices until the subscription ends, with a pause after each.
async fn watch(name: &str, mut prices: Subscription<Price>, pause: Duration) -> anyhow::Result<()> {
    let (mut received, mut last) = (0, 0);
    while let Some(price) = prices.next().await {
        (received, last) = (received + 1, price?.cents);
        tokio::time::sleep(pause).await;
    }
    println!("{name}: received {received} prices, {} dropped, last price {last}", prices.dropped());
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let (trades, _) = broadcast::channel(16);
    let server = server(&trades).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());

    // Both subscriptions use one connection.
    let client = Client::connect(&url).await?;
    let market = MarketClient::new(client.peer());
    let fast = market.prices("XYZ".to_owned()).await?;
    // A window of 400 bytes holds about four prices.
    let slow = market.prices("XYZ".to_owned()).window(400).await?;
    match market.prices("ABC".to_owned()).await {
        Err(error) => println!("ABC: {error}"),
        Ok(_) => println!("Unexpected: subscribed to ABC"),
    }

    let trading = async move {
        for cents in 1..=200 {
            // Fails only if there is no subscriber.
            let _ = trades.send(Price { symbol: "XYZ".to_owned(), cents });
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    };
    tokio::try_join!(
        trading,
        watch("The fast consumer", fast, Duration::ZERO),
        watch("The slow consumer", slow, Duration::from_millis(20)),
    )?;
    Ok(())
}

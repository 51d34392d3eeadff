//! A feed of prices, with one consumer that is fast and one that is slow. The market does not wait: what
//! the slow one has no room for is left out, oldest first, and it learns how much that was. The fast one
//! does not notice.
//!
//! Run it with `cargo run --example ticker`. It ends by itself, when the market closes.

use std::time::Duration;

use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::{self, error::RecvError};
use wsjsonrpc::{Client, Context, ErrorObject, Result, Server, Stream, Subscription, rpc};

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Price {
    symbol: String,
    cents: u64,
}

#[rpc(namespace = "market")]
trait Market {
    /// The prices of one article, from now on.
    #[subscription(overflow = "drop_oldest", buffer = 4)]
    async fn prices(
        &self,
        ctx: &Context,
        symbol: String,
    ) -> Result<impl Stream<Item = Price> + Send>;
}

struct Exchange {
    /// `None` once the market has closed.
    prices: broadcast::WeakSender<Price>,
}

impl Market for Exchange {
    async fn prices(
        &self,
        _ctx: &Context,
        symbol: String,
    ) -> Result<impl Stream<Item = Price> + Send> {
        if symbol != "XYZ" {
            return Err(ErrorObject::invalid_params("only XYZ is traded here"));
        }
        let prices = self.prices.upgrade().ok_or(ErrorObject::new(1001, "the market is closed"))?;
        // Ends when the last sender is gone.
        Ok(stream::unfold(prices.subscribe(), |mut prices| async move {
            loop {
                match prices.recv().await {
                    Ok(price) => return Some((price, prices)),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return None,
                }
            }
        }))
    }
}

/// Takes prices to the end, with a pause after each.
async fn watch(name: &str, mut prices: Subscription<Price>, pause: Duration) -> anyhow::Result<()> {
    let (mut seen, mut last) = (0, 0);
    while let Some(price) = prices.next().await {
        (seen, last) = (seen + 1, price?.cents);
        tokio::time::sleep(pause).await;
    }
    println!("{name}: {seen} prices, {} left out, the last one {last}", prices.dropped());
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let (trades, _) = broadcast::channel(16);
    let exchange = Exchange { prices: trades.downgrade() };
    let server = Server::builder().service(exchange.into_service()).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());

    // Both on one connection.
    let client = Client::connect(&url).await?;
    let market = MarketClient::new(client.peer());
    let fast = market.prices("XYZ".to_owned()).await?;
    // Room for four prices or so.
    let slow = market.prices("XYZ".to_owned()).window(400).await?;
    if let Err(refused) = market.prices("ABC".to_owned()).await {
        println!("refused: {refused}");
    }

    let trading = async move {
        for cents in 1..=200 {
            // An error would say that nobody listens.
            let _ = trades.send(Price { symbol: "XYZ".to_owned(), cents });
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(())
    };
    tokio::try_join!(
        trading,
        watch("fast", fast, Duration::ZERO),
        watch("slow", slow, Duration::from_millis(20)),
    )?;
    Ok(())
}

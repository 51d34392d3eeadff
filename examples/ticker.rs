//! A channel of prices with a fast and a slow consumer. The market never waits: a consumer that is too slow misses
//! prices and learns how many, and it does not delay the fast one. When the connection is lost, both streams resume
//! on the next one. The fast consumer misses nothing.
//!
//! Run it with `cargo run -p examples --example ticker`. It ends when the market closes.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use wsjsonrpc::client::Reconnect;
use wsjsonrpc::error::Gap;
use wsjsonrpc::server::ServerBuilder;
use wsjsonrpc::subscription::Positioned;
use wsjsonrpc::{Channel, Client, Context, Error, Server, Stream, Subscription, rpc};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Price {
    pub(crate) cents: u64,
}

#[rpc(namespace = "market")]
pub(crate) trait Market {
    /// The prices of a stock, starting with the next one.
    #[subscription]
    fn prices(&self, ctx: &Context) -> impl Stream<Item = Positioned<Price>>;
}

struct Exchange {
    prices: Channel<Price>,
}

impl Market for Exchange {
    fn prices(&self, ctx: &Context) -> impl Stream<Item = Positioned<Price>> {
        // For a client that resumes, the stream continues after the last price that the client has consumed.
        self.prices.subscribe(ctx)
    }
}

/// The latest 50 prices are kept for clients that resume. At most 50 wait for slow consumers, once for all of them.
pub(crate) fn channel() -> Channel<Price> {
    Channel::builder().replay(50).buffer(50).build()
}

pub(crate) fn server(prices: &Channel<Price>) -> ServerBuilder {
    Server::builder().service(Exchange { prices: prices.clone() }.into_service())
}

/// Receives prices until the subscription ends, with a pause after each.
async fn watch(name: &str, mut prices: Subscription<Price>, pause: Duration) -> anyhow::Result<()> {
    let (mut received, mut missing, mut last) = (0, 0, 0);
    while let Some(price) = prices.next().await {
        match price {
            Ok(price) => (received, last) = (received + 1, price.cents),
            // Too slow, or away for too long. An application would load the current state now.
            Err(Error::Gap(Gap::Dropped { missed, .. } | Gap::Expired { missed, .. })) => {
                missing += missed;
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(pause).await;
    }
    println!("{name}: received {received} prices, missed {missing}, last price {last}");
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let prices = channel();
    let server = server(&prices).bind("127.0.0.1:0").await?;
    let (url, endpoint) = (server.url(), server.endpoint().clone());
    tokio::spawn(server.run());

    // Both subscriptions use one connection.
    let reconnect = Reconnect { initial: Duration::from_millis(10), ..Reconnect::default() };
    let client = Client::builder().reconnect(reconnect).connect(&url).await?;
    let market = MarketClient::new(&client);
    let fast = market.prices().resume().await?;
    // A window of 400 bytes holds about four prices.
    let slow = market.prices().window(400).resume().await?;

    let trading = async {
        for cents in 1..=200 {
            prices.publish(&Price { cents })?;
            if cents == 100 {
                println!("The server closes its connections");
                endpoint.connections().iter().for_each(|it| it.close(1012, "restart"));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The subscriptions end after the last price.
        prices.close();
        Ok(())
    };
    tokio::try_join!(
        trading,
        watch("The fast consumer", fast, Duration::ZERO),
        watch("The slow consumer", slow, Duration::from_millis(20)),
    )?;
    client.close().await;
    Ok(())
}

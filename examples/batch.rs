//! Several calls in one message: of different types, many of one type, filled step by step, with
//! notifications among them.
//!
//! Run it with `cargo run --example batch`. It ends by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use wsjsonrpc::{Context, ErrorObject, Result, Server, rpc};

#[rpc(namespace = "shop")]
trait Shop {
    async fn price(&self, ctx: &Context, article: &str) -> Result<u64>;
    async fn articles(&self, ctx: &Context) -> Result<Vec<String>>;
    /// Notifications: nobody waits for an answer.
    async fn viewed(&self, ctx: &Context, article: &str) -> Result<()>;
    async fn views(&self, ctx: &Context) -> Result<u64>;
}

#[derive(Default)]
struct Stock {
    views: AtomicU64,
}

const PRICES: [(&str, u64); 3] = [("apple", 30), ("pear", 45), ("plum", 20)];

impl Shop for Stock {
    async fn price(&self, _: &Context, article: &str) -> Result<u64> {
        let found = PRICES.iter().find(|(name, _)| *name == article);
        found.map(|(_, price)| *price).ok_or_else(|| ErrorObject::new(1001, "no such article"))
    }

    async fn articles(&self, _: &Context) -> Result<Vec<String>> {
        Ok(PRICES.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    async fn viewed(&self, _: &Context, _: &str) -> Result<()> {
        self.views.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn views(&self, _: &Context) -> Result<u64> {
        Ok(self.views.load(Ordering::Relaxed))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server =
        Server::builder().service(Stock::default().into_service()).bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());
    let shop = ShopClient::connect(&url).await?;

    // A tuple: each call has its own type, and its own result.
    let (apple, articles, dragonfruit, viewed) = shop
        .batch((
            shop.price("apple"),
            shop.articles(),
            shop.price("dragonfruit"),
            shop.viewed("apple").notify(),
        ))
        .await?;
    viewed?;
    println!("apple: {}, articles: {:?}", apple?, articles?);
    println!(
        "dragonfruit: {}",
        dragonfruit.map_or_else(|error| error.to_string(), |p| p.to_string())
    );

    // A list: as many as there are.
    let prices = shop.batch(PRICES.map(|(name, _)| shop.price(name))).await?;
    println!("all prices: {:?}", prices.into_iter().collect::<Result<Vec<u64>, _>>()?);

    // Step by step, where the calls are made in different places.
    let mut batch = shop.peer().new_batch();
    for (name, _) in PRICES {
        drop(batch.add(shop.viewed(name).notify()));
    }
    let views = batch.add(shop.views());
    batch.send().await?;
    println!("views: {}", views.await?);

    // An empty one is refused before it is sent.
    let nothing: Vec<wsjsonrpc::Call<u64>> = Vec::new();
    println!("an empty batch: {}", shop.batch(nothing).await.expect_err("it is refused"));
    Ok(())
}

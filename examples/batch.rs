//! Several calls in one message: calls of different types, a list of equal calls, and a batch that is filled
//! step by step. Notifications can be among them.
//!
//! Run it with `cargo run -p examples --example batch`. It ends by itself.

use std::sync::atomic::{AtomicU64, Ordering};

use wsjsonrpc::{Call, Context, ErrorObject, Result, Server, rpc};

#[rpc(namespace = "shop")]
trait Shop {
    async fn price(&self, ctx: &Context, article: &str) -> Result<u64>;
    async fn articles(&self, ctx: &Context) -> Result<Vec<String>>;
    /// Counts a view. The client sends it as a notification, which has no response.
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

    // A tuple: each call has its own type and its own result.
    let (apple, articles, dragonfruit, viewed) = shop
        .batch((
            shop.price("apple"),
            shop.articles(),
            shop.price("dragonfruit"),
            shop.viewed("apple").notify(),
        ))
        .await?;
    viewed?;
    println!("The apple costs {}; the articles are {:?}", apple?, articles?);
    match dragonfruit {
        Ok(price) => println!("The dragonfruit costs {price}"),
        Err(error) => println!("The dragonfruit has no price: {error}"),
    }

    // An array or a Vec: any number of calls of one type.
    let prices = shop.batch(PRICES.map(|(name, _)| shop.price(name))).await?;
    println!("All prices: {:?}", prices.into_iter().collect::<Result<Vec<u64>, _>>()?);

    // Step by step: for calls that are made in different places.
    let mut batch = shop.peer().new_batch();
    for (name, _) in PRICES {
        drop(batch.add(shop.viewed(name).notify()));
    }
    let views = batch.add(shop.views());
    batch.send().await?;
    println!("Views: {}", views.await?);

    // An empty batch is an error, and nothing is sent.
    match shop.batch(Vec::<Call<u64>>::new()).await {
        Err(error) => println!("An empty batch: {error}"),
        Ok(_) => println!("Unexpected: an empty batch was sent"),
    }
    Ok(())
}

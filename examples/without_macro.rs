//! Methods whose names are known only at run time: closures as methods, a fallback for all other names, and
//! calls by name.
//!
//! Run it with `cargo run -p examples --example without_macro`. It ends by itself.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use wsjsonrpc::server::Fallback;
use wsjsonrpc::service::Params;
use wsjsonrpc::{Client, Context, ErrorObject, Result, Server, async_trait};

/// Answers all methods that begin with `get.`.
struct Settings(BTreeMap<String, u32>);

#[async_trait]
impl Fallback for Settings {
    async fn call(&self, _: &Context, method: &str, _: Params<'_>) -> Result<Box<RawValue>> {
        let name = method.strip_prefix("get.").ok_or_else(ErrorObject::method_not_found)?;
        Ok(to_raw_value(&self.0.get(name))?)
    }
}

#[derive(Serialize)]
struct Point {
    x: f64,
    y: f64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let mut server = Server::builder()
        // Params as a list decode into a tuple or a Vec, params as an object into a struct or a map.
        .method("math.mean", |_ctx, numbers: Vec<f64>| async move {
            if numbers.is_empty() {
                return Err(ErrorObject::invalid_params("the list is empty"));
            }
            Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
        })
        .method("norm", |_ctx, point: BTreeMap<String, f64>| async move {
            Ok(point.values().map(|v| v * v).sum::<f64>().sqrt())
        })
        // The context has a handle to call the caller.
        .method("ask_me", |ctx: Context, (question,): (String,)| async move {
            let answer: String = ctx.peer().call("answer", [question]).await?;
            Ok(answer.to_uppercase())
        })
        .fallback(Settings(BTreeMap::from([("volume".to_owned(), 11)])));
    for base in 2..5_u32 {
        server =
            server.method(format!("power.{base}"), move |_ctx, (exponent,): (u32,)| async move {
                base.checked_pow(exponent).ok_or_else(|| ErrorObject::new(1001, "too large"))
            });
    }
    let server = server.bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());

    let client = Client::builder()
        .method("answer", |_ctx, (question,): (String,)| async move {
            Ok(format!("{question} forty-two"))
        })
        .connect(&url)
        .await?;
    let peer = client.peer();
    println!("math.mean: {}", peer.call::<f64>("math.mean", [1.0, 2.0, 6.0]).await?);
    println!("norm: {}", peer.call::<f64>("norm", Point { x: 3.0, y: 4.0 }).await?);
    println!("power.3: {}", peer.call::<u32>("power.3", (4,)).await?);
    println!("ask_me: {}", peer.call::<String>("ask_me", ["the answer?"]).await?);
    println!("get.volume: {:?}", peer.call::<Option<u32>>("get.volume", ()).await?);
    match peer.call::<()>("set.volume", (12,)).await {
        Err(error) => println!("set.volume: {error}"),
        Ok(()) => println!("Unexpected: set.volume is a method"),
    }
    Ok(())
}

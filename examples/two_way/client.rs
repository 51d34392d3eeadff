//! A client that the server calls back. The program `two_way_server` is the other side.
//!
//! Run it with `cargo run -p examples --example two_way_client [URL]` (default ws://127.0.0.1:8097/) while
//! `cargo run -p examples --example two_way_server` runs. It ends by itself.

use std::time::Duration;

use wsjsonrpc::{Client, Context, Result};

use api::{DeploymentsClient, Operator};

mod api;

/// Answers in place of a person: accepts all versions except previews.
struct Careful;

impl Operator for Careful {
    async fn confirm(&self, _: &Context, question: &str) -> Result<bool> {
        let answer = !question.contains("preview");
        println!("The server asks: {question} Answer: {}", if answer { "yes" } else { "no" });
        Ok(answer)
    }

    async fn report(&self, _: &Context, line: &str) -> Result<()> {
        println!("The server reports: {line}");
        Ok(())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8097/".to_owned());
    // A client serves its methods on the connection that it opens.
    let client = Client::builder().service(Careful.into_service()).connect(&url).await?;
    let deployments = DeploymentsClient::new(&client);

    // The deadline includes the time that the server waits for our own answer.
    let deadline = Duration::from_secs(120);
    let number = deployments.deploy("1.4.0").timeout(deadline).await?;
    println!("Deployment number {number} is done");
    match deployments.deploy("1.5.0-preview").timeout(deadline).await {
        Ok(number) => println!("Deployment number {number} is done"),
        Err(error) => println!("Not deployed: {error}"),
    }
    // Close handshake. Dropping the client would also close the connection.
    client.close().await;
    Ok(())
}

//! Two readers who want the same book. The program `library_server` is the other side.
//!
//! Run it with `cargo run -p examples-schema --example library_client [URL]` (default ws://127.0.0.1:8098/) while
//! `cargo run -p examples-schema --example library_server` runs. It ends by itself.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;
use wsjsonrpc::{Client, Context, Error, Result};

use api::{Activity, LibraryClient, LibraryError, Loan, Reader};

mod api;

/// The first reader, who borrows the book.
struct Ada(mpsc::Sender<Loan>);

impl Reader for Ada {
    async fn recall(&self, _: &Context, loan: Loan) -> Result<()> {
        Ok(self.0.send(loan).await?)
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:8098/".to_owned());
    let (recalls, mut recalled) = mpsc::channel(1);
    let ada = Client::builder().service(Ada(recalls).into_service()).connect(&url).await?;
    let bob = Client::connect(&url).await?;

    // Every client can read what the server can do.
    let document: Value = bob.peer().call("rpc.discover", ()).await?;
    for method in document["methods"].as_array().into_iter().flatten() {
        println!("{}: {}", method["name"], method["summary"]);
    }

    let mut activity = LibraryClient::new(&bob).activity().await?;
    let (ada_library, bob_library) = (LibraryClient::new(&ada), LibraryClient::new(&bob));
    let found = ada_library.search("in action", None, 0).await?;
    let [book] = found.items.as_slice() else { anyhow::bail!("unexpected books: {found:?}") };
    ada_library.lend(&book.isbn, 14).await?;

    match bob_library.lend(&book.isbn, 7).await {
        Err(Error::Call(LibraryError::Lent { days })) => {
            println!("{} is lent for {days} days", book.title);
        }
        other => println!("Unexpected: {other:?}"),
    }
    let wait = Duration::from_secs(30);
    if let Some(loan) = tokio::time::timeout(wait, recalled.recv()).await? {
        println!("The library asks Ada for {}", loan.isbn);
        ada_library.give_back(&loan.isbn).await?;
    }
    while let Some(event) = activity.next().await {
        match event? {
            Activity::Lent { loan } => println!("Bob sees that {} is lent", loan.isbn),
            Activity::Returned { isbn } => {
                println!("Bob sees that {isbn} is back");
                break;
            }
        }
    }
    let loan = bob_library.lend(&book.isbn, 7).await?;
    println!("Bob has {} for {} days", loan.isbn, loan.days);
    ada.close().await;
    bob.close().await;
    Ok(())
}

//! A client that is dropped at once, which closes its connection.
#![deny(unused_must_use)]

use wsjsonrpc::Client;
use wsjsonrpc::error::ConnectError;

async fn connect() -> Result<(), ConnectError> {
    Client::connect("ws://localhost/").await?;
    Client::builder().connect("ws://localhost/").await?;
    Ok(())
}

fn main() {}

//! Everything that can go wrong, and what the caller sees: the application's own error types, errors of other
//! libraries, wrong params, an unknown method, a timeout, a closed connection.
//!
//! Run it with `cargo run -p examples --example errors`. It ends by itself. The server logs the errors whose
//! text it does not send.

use std::fmt;
use std::time::Duration;

use wsjsonrpc::{Client, Context, Error, Result, RpcError, Server, rpc};

/// An error type of the application. The caller gets the same type.
#[derive(Debug, RpcError)]
enum BankError {
    /// The fields are sent as `data`: `{"missing": 50}`.
    #[rpc_error(code = 1001, message = "{missing} are missing")]
    Insufficient { missing: u64 },
    /// Without a `message`, the message is the variant's name in words.
    #[rpc_error(code = 1002)]
    NoSuchAccount,
}

/// Methods that return a plain `Result<T>` need this for `?`. The derive of thiserror also writes it.
impl std::error::Error for BankError {}

impl fmt::Display for BankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_object().message())
    }
}

#[rpc(namespace = "bank")]
trait Bank {
    /// The error type is part of the method's signature.
    async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
    /// `?` accepts any error. The caller gets -32603 "Internal error"; in debug builds also the error's text.
    async fn import(&self, ctx: &Context, amount: &str) -> Result<u64>;
    /// `?` keeps the code and data of an error type that the server knows by `map_error`.
    async fn close_account(&self, ctx: &Context) -> Result<()>;
    /// Takes very long. With `cancel = "drop"` the server drops the handler when the caller gives up or
    /// disconnects. By default, a handler runs to completion.
    #[method(cancel = "drop")]
    async fn audit(&self, ctx: &Context) -> Result<()>;
}

const BALANCE: u64 = 100;

struct Vault;

impl Bank for Vault {
    async fn withdraw(&self, _: &Context, amount: u64) -> Result<u64, BankError> {
        match BALANCE.checked_sub(amount) {
            Some(rest) => Ok(rest),
            None => Err(BankError::Insufficient { missing: amount - BALANCE }),
        }
    }

    async fn import(&self, _: &Context, amount: &str) -> Result<u64> {
        Ok(amount.parse::<u64>()?)
    }

    async fn close_account(&self, _: &Context) -> Result<()> {
        Err(BankError::NoSuchAccount)?
    }

    async fn audit(&self, _: &Context) -> Result<()> {
        std::future::pending().await
    }
}

/// Prints the outcome of a call.
fn show<T: fmt::Debug, E: fmt::Display>(what: &str, outcome: Result<T, E>) {
    match outcome {
        Ok(value) => println!("{what}: {value:?}"),
        Err(error) => println!("{what}: {error}"),
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt::init();
    let server = Server::builder().service(Vault.into_service()).map_error::<BankError>();
    let server = server.bind("127.0.0.1:0").await?;
    let url = server.url();
    tokio::spawn(server.run());
    let client = Client::connect(&url).await?;
    let bank = BankClient::new(&client);

    match bank.withdraw(150).await {
        Err(Error::Call(BankError::Insufficient { missing })) => {
            println!("An error with its own type: {missing} are missing");
        }
        other => println!("Unexpected: {other:?}"),
    }
    show("An error of another library", bank.import("12 apples").await);
    show("An error type that the server knows", bank.close_account().await);

    let peer = client.peer();
    show("Wrong params", peer.call::<u64>("bank.withdraw", ["a lot"]).await);
    show("An unknown method", peer.call::<u64>("bank.rob", ()).await);
    show("A timeout", bank.audit().timeout(Duration::from_millis(50)).await);

    client.close().await;
    match bank.withdraw(1).await {
        Err(Error::Closed(reason)) => println!("After closing the connection: {reason}"),
        other => println!("Unexpected: {other:?}"),
    }
    Ok(())
}

//! What can go wrong, and what the caller sees of it: the application's own errors with their
//! types, foreign errors, wrong params, timeouts, a closed connection.
//!
//! Run it with `cargo run --example errors`. It ends by itself.

use std::fmt;
use std::time::Duration;

use wsjsonrpc::{Client, Context, Error, Result, RpcError, Server, rpc};

/// An error of the application. It keeps its type over the wire.
#[derive(Debug, RpcError)]
enum BankError {
    /// What is in it travels as `data`: `{"missing": 50}`.
    #[rpc_error(code = 1001, message = "{missing} are missing")]
    Insufficient { missing: u64 },
    /// The message is the name in words.
    #[rpc_error(code = 1002)]
    NoSuchAccount,
}

/// With this, `?` takes it where a plain `Result<T>` is returned. (thiserror writes it, too.)
impl std::error::Error for BankError {}

impl fmt::Display for BankError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_object().message())
    }
}

#[rpc(namespace = "bank")]
trait Bank {
    /// The error's type is part of the method's.
    async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
    /// `?` takes any error; the peer learns nothing of the inside of one.
    async fn import(&self, ctx: &Context, amount: &str) -> Result<u64>;
    /// ... but an error that the server was told to recognize keeps its code.
    async fn close_account(&self, ctx: &Context) -> Result<()>;
    /// Takes very long. When the caller gives up, or its connection ends, the handler is dropped;
    /// without that, it would stay until it ends by itself.
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
        Err(Error::Call(BankError::Insufficient { missing })) => println!("{missing} are missing"),
        other => println!("unexpected: {other:?}"),
    }
    println!("a foreign error: {}", bank.import("12 apples").await.expect_err("no number"));
    println!("a recognized one: {}", bank.close_account().await.expect_err("no account"));

    let wrong = client.peer().call::<u64>("bank.withdraw", ["a lot"]).await;
    println!("wrong params: {}", wrong.expect_err("not a number"));
    let unknown = client.peer().call::<u64>("bank.rob", ()).await;
    println!("an unknown method: {}", unknown.expect_err("not there"));

    let audit = bank.audit().timeout(Duration::from_millis(50)).await;
    println!("a deadline: {}", audit.expect_err("it never ends"));

    client.close().await;
    println!("after closing: {}", bank.withdraw(1).await.expect_err("closed"));
    Ok(())
}

//! `mock` with a value that is not a name, and methods with names that the mock needs.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(mock = 3)]
pub trait Number {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}

#[rpc(mock = "not an ident")]
pub trait Words {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}

#[rpc(mock = FakeMath)]
pub trait WithoutQuotes {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}

#[rpc(mock = "TakenClient")]
pub trait Taken {
    async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>;
}

#[rpc(mock)]
pub trait Phone {
    async fn calls(&self, ctx: &Context) -> Result<u64>;
    async fn into_client(&self, ctx: &Context) -> Result<()>;
    async fn number(&self, ctx: &Context) -> Result<u64>;
}

/// No further message about the mock of a trait with errors.
async fn uses() -> Result<u64> {
    let mock = PhoneMock::new().number(|_ctx| Ok(1));
    let _service = mock.clone().into_service();
    let phone = mock.clone().into_client();
    phone.number().await?;
    Ok(mock.calls("number"))
}

fn main() {}

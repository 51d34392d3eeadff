//! A mock costs nothing as long as it is not used, and neither does a description: its types need
//! no schema.

#![deny(warnings)]

use wsjsonrpc::{Context, Result, RpcError, Stream, rpc};

#[rpc(mock)]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

#[rpc(mock = "FakeStore")]
pub trait Store<const N: usize, K>
where
    K: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static,
{
    async fn get(&self, ctx: &Context, key: &K) -> Result<[u8; 4]>;
}

/// Implements neither `JsonSchema` nor `Debug`.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct Date(String);

#[derive(Debug, RpcError)]
#[rpc_error(schema)]
pub enum DateError {
    #[rpc_error(code = 1001)]
    TooLate {
        #[rpc_error(schema = String)]
        by: u64,
    },
    #[rpc_error(transparent)]
    Other(Undescribed),
}

#[derive(Debug, RpcError)]
#[rpc_error(code = 1002)]
pub struct Undescribed;

#[rpc(schema)]
pub trait Dates {
    #[method(result_schema = String, progress = f64)]
    #[example(params = (Date::default(), None), result = Date::default())]
    #[example(name = "too late", params = (Date::default(), None), error = DateError::Other(Undescribed))]
    async fn shift(
        &self,
        ctx: &Context,
        #[param(schema = String)] date: Date,
        by: Option<Date>,
    ) -> Result<Date, DateError>;

    #[subscription(item_schema = String)]
    fn dates(&self, ctx: &Context) -> impl Stream<Item = Date> + Send;
}

fn main() {}

//! The values of an example have other types than the method.

use wsjsonrpc::{Context, Result, RpcError, rpc};

#[derive(Debug, RpcError)]
#[rpc_error(schema, code = 1)]
pub struct TooLarge;

#[rpc(schema)]
trait Math {
    #[example(params = (1, "two"), result = 3)]
    async fn param(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    #[example(params = (1, 2), result = "three")]
    async fn result(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    #[example(params = (1, 2))]
    async fn missing(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    #[example(params = (1, 2), error = "too large")]
    async fn error(&self, ctx: &Context, x: i64, y: i64) -> Result<i64, TooLarge>;
    #[example(result = 1)]
    fn notify(&self, ctx: &Context);
}

fn main() {}

//! Examples that do not fit their method.

use wsjsonrpc::{Context, Result, Stream, rpc};

#[rpc(schema)]
trait Math {
    #[example(params = (1, 2, 3), result = 3)]
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    #[example(result = 3)]
    async fn double(&self, ctx: &Context, x: i64) -> Result<i64>;
    #[example(params = (1), result = 3)]
    async fn ready(&self, ctx: &Context) -> Result<i64>;
    #[example(params = 1, result = 3)]
    async fn triple(&self, ctx: &Context, x: i64) -> Result<i64>;
    #[example(param = (1), result = 3)]
    async fn half(&self, ctx: &Context) -> Result<i64>;
    #[example(result = 3, error = 4)]
    async fn both(&self, ctx: &Context) -> Result<i64>;
    #[example = 3]
    async fn value(&self, ctx: &Context) -> Result<i64>;
    #[example(name = 3, result = 3)]
    async fn name(&self, ctx: &Context) -> Result<i64>;
    #[example(params, result = 3)]
    async fn empty(&self, ctx: &Context) -> Result<i64>;
    #[example(params = ())]
    #[subscription]
    fn ticks(&self, ctx: &Context) -> impl Stream<Item = u8> + Send;
}

fn main() {}

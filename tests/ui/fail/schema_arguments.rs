//! Options of descriptions in a trait without `schema`, and wrong forms of them.

use wsjsonrpc::{Context, Result, RpcError, Stream, rpc};

#[rpc]
trait Without {
    #[method(result_schema = String)]
    async fn result(&self, ctx: &Context) -> Result<u8>;
    #[method(progress = f64)]
    async fn progress(&self, ctx: &Context) -> Result<u8>;
    async fn argument(&self, ctx: &Context, #[param(schema = String)] x: u8) -> Result<u8>;
    #[subscription(item_schema = String)]
    fn items(&self, ctx: &Context) -> impl Stream<Item = u8> + Send;
    #[example(result = 3)]
    async fn example(&self, ctx: &Context) -> Result<u8>;
}

#[rpc(schema = "x")]
trait Value {
    async fn ready(&self, ctx: &Context) -> Result<u8>;
}

#[rpc(schema, schema)]
trait Twice {
    async fn ready(&self, ctx: &Context) -> Result<u8>;
}

#[rpc(schema)]
trait Forms {
    #[method(result_schema = "String")]
    async fn result(&self, ctx: &Context) -> Result<u8>;
    #[method(progress)]
    async fn progress(&self, ctx: &Context) -> Result<u8>;
    async fn argument(&self, ctx: &Context, #[param(schema)] x: u8) -> Result<u8>;
    #[subscription(item_schema = 3)]
    fn items(&self, ctx: &Context) -> impl Stream<Item = u8> + Send;
}

#[derive(Debug, RpcError)]
#[rpc_error(schema = "x", code = 1)]
pub struct Error;

#[derive(Debug, RpcError)]
pub enum Fields {
    #[rpc_error(code = 1)]
    One(#[rpc_error(schema = String)] u8),
    #[rpc_error(code = 2, schema)]
    Two,
}

fn main() {}

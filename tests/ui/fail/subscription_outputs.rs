//! What a subscription returns is a stream of one type that can be sent.

use wsjsonrpc::{Context, Result, Stream, rpc};

#[rpc]
pub trait Feed {
    #[subscription]
    fn nothing(&self, ctx: &Context);

    #[subscription]
    fn number(&self, ctx: &Context) -> u64;

    #[subscription]
    async fn refused_number(&self, ctx: &Context) -> Result<u64>;

    #[subscription]
    fn no_item(&self, ctx: &Context) -> impl Stream;

    #[subscription]
    fn boxed(&self, ctx: &Context) -> std::pin::Pin<Box<dyn Stream<Item = u64> + Send>>;

    #[subscription]
    fn tuple(&self, ctx: &Context) -> (impl Stream<Item = u64>, u64);

    #[subscription]
    fn borrowed(&self, ctx: &Context) -> impl Stream<Item = &str>;

    #[subscription]
    fn nested(&self, ctx: &Context) -> impl Stream<Item = impl Clone>;

    #[subscription]
    fn dynamic(&self, ctx: &Context) -> impl Stream<Item = Box<dyn std::fmt::Debug>>;

    #[subscription(item = Self)]
    fn itself(&self, ctx: &Context) -> impl Stream<Item = Self>;
}

#[rpc]
pub trait Methods {
    async fn forgotten(&self, ctx: &Context) -> Result<impl Stream<Item = u64>>;
    fn also(&self, ctx: &Context) -> impl wsjsonrpc::Stream<Item = u64> + Send;
    fn dynamic(&self, ctx: &Context) -> std::pin::Pin<Box<dyn Stream<Item = u64> + Send>>;
}

fn main() {}

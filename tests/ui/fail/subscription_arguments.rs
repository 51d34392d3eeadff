//! Arguments of `#[subscription(…)]` that it does not take, or not so.

use wsjsonrpc::{Context, Stream, rpc};

#[rpc]
pub trait Feed {
    #[subscription(overflow = "newest")]
    fn policy(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(buffer = 5)]
    fn waits(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(overflow = "latest", buffer = 5)]
    fn one(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(overflow = "close", buffer = 0)]
    fn none(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(buffer = "5", tell_end = 1, item, unsubscribe = stop)]
    fn kinds(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(unsubscribe = "", notification = "")]
    fn empty(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(idempotent, aliases = ["a"])]
    fn unknown(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription = "name"]
    fn form(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription]
    #[subscription(buffer = 1)]
    fn twice(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription]
    #[method(name = "both")]
    fn both(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(name = "taken", unsubscribe = "sum")]
    fn clash(&self, ctx: &Context) -> impl Stream<Item = u64>;

    #[subscription(unsubscribe = "rpc.stop")]
    fn reserved(&self, ctx: &Context) -> impl Stream<Item = u64>;

    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> wsjsonrpc::Result<i64>;
}

fn main() {}

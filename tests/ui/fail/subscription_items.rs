//! Items that can't be sent, or are not what the stream brings, and streams that may not move between
//! threads.

use futures_util::stream;
use wsjsonrpc::{Context, Result, Stream, rpc};

pub struct Plain;

#[rpc]
pub trait Feed {
    #[subscription]
    fn plain(&self, ctx: &Context) -> impl Stream<Item = Plain>;
}

#[rpc]
pub trait Other {
    #[subscription(item = u8)]
    fn other(&self, ctx: &Context) -> impl Stream<Item = u64>;
}

#[rpc]
pub trait Fails {
    #[subscription]
    fn fails(&self, ctx: &Context) -> impl Stream<Item = Result<u64, Plain>>;
}

#[rpc]
pub trait Refuses {
    #[subscription]
    async fn refuses(&self, ctx: &Context) -> Result<impl Stream<Item = u64>, Plain>;
}

#[rpc]
pub trait Local {
    #[subscription]
    fn local(&self, ctx: &Context) -> impl Stream<Item = u64>;
}

struct Here;

impl Local for Here {
    fn local(&self, _ctx: &Context) -> impl Stream<Item = u64> {
        let shared = std::rc::Rc::new(1);
        stream::iter(0..10).map(move |number| number + *shared)
    }
}

use futures_util::StreamExt;

fn main() {}

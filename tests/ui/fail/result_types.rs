//! Types of results that the other side cannot know.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math: Sized {
    async fn borrowed(&self, ctx: &Context) -> Result<&str>;
    fn opaque(&self, ctx: &Context) -> impl Future<Output = Result<i64>> + Send;
    async fn dynamic(&self, ctx: &Context) -> Result<Box<dyn Send>>;
    fn own(&self, ctx: &Context) -> Result<Option<Self>>;
}

fn main() {}

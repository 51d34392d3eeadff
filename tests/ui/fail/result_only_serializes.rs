//! Types that go only one way, in a contract for both sides.

use wsjsonrpc::{Context, Result, Stream, rpc};

#[derive(serde::Serialize)]
pub struct Report(i64);

#[rpc]
pub trait Reports {
    async fn report(&self, ctx: &Context) -> Result<Report>;
    #[subscription]
    fn reports(&self, ctx: &Context) -> impl Stream<Item = Report>;
}

fn main() {}

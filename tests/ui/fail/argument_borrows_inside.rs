use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn count(&self, ctx: &Context, names: Vec<&str>) -> Result<usize>;
}

fn main() {}

//! Methods whose names in Rust generated code needs.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(namespace = "chat")]
pub trait Chat {
    async fn new(&self, ctx: &Context) -> Result<()>;
    async fn connect(&self, ctx: &Context) -> Result<()>;
    async fn peer(&self, ctx: &Context) -> Result<()>;
    async fn batch(&self, ctx: &Context) -> Result<()>;
    async fn into_service(&self, ctx: &Context) -> Result<()>;
}

struct Room;

impl Chat for Room {
    async fn new(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }
    async fn connect(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }
    async fn peer(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }
    async fn batch(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }
    async fn into_service(&self, _ctx: &Context) -> Result<()> {
        Ok(())
    }
}

fn main() {}

//! References inside of arguments: they could not be decoded from every message.

use std::collections::HashMap;

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn vector(&self, ctx: &Context, names: Vec<&str>) -> Result<usize>;
    async fn slice(&self, ctx: &Context, names: &[&str]) -> Result<usize>;
    async fn twice(&self, ctx: &Context, name: &&str) -> Result<usize>;
    async fn map(&self, ctx: &Context, names: Option<HashMap<&str, u32>>) -> Result<usize>;
    async fn tuple(&self, ctx: &Context, name: (&str, u32)) -> Result<usize>;
}

fn main() {}

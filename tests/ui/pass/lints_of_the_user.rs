//! Lint attributes stay where they were written.

#![forbid(unsafe_code)]
#![deny(warnings, clippy::all)]

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
#[allow(non_snake_case)]
trait Shop {
    #[expect(clippy::too_many_arguments)]
    async fn placeOrder(&self, ctx: &Context, a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8) -> Result<()>;

    #[expect(unused_variables)]
    async fn body(&self, ctx: &Context, unused: u8) -> Result<()> {
        Ok(())
    }

    async fn argument(&self, #[allow(unused_variables)] ctx: &Context, #[param(default)] #[allow(unused_variables)] x: u8) -> Result<()> {
        Ok(())
    }
}

fn main() {
    _ = ShopClient::placeOrder;
    _ = ShopClient::argument;
}

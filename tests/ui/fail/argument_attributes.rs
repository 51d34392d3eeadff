//! Attributes on arguments which mean nothing there, or too much.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, #[param(rename = "c")] ctx: &Context, x: i64, #[cfg(unix)] y: i64) -> Result<i64>;
}

fn main() {}

//! Attributes on arguments that have no meaning there, or contradict each other.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, #[param(rename = "c")] ctx: &Context, x: i64, #[cfg(unix)] y: i64) -> Result<i64>;
}

fn main() {}

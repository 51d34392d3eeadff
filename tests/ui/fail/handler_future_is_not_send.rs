//! A handler whose future stays on one thread.

use wsjsonrpc::{Context, Result, rpc};

use std::rc::Rc;

#[rpc]
pub trait Math {
    async fn count(&self, ctx: &Context) -> Result<i64>;
}

struct Counter;

impl Math for Counter {
    async fn count(&self, _ctx: &Context) -> Result<i64> {
        let one = Rc::new(1);
        std::future::ready(()).await;
        Ok(*one)
    }
}

fn main() {}

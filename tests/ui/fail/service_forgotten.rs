//! An implementation of a contract where its service is expected.

use std::sync::Arc;

use wsjsonrpc::{Client, Context, Result, Server, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

struct Calculator;

impl Math for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

fn main() {
    let _ = Server::builder().service(Calculator);
    let _ = Client::builder().service(Arc::new(Calculator));
    let _ = Server::builder().service(|x: i64| x);
}

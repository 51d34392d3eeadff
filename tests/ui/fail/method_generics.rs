//! Methods with parameters of their own.

use wsjsonrpc::{Context, Result, rpc};

#[rpc]
pub trait Math {
    async fn any<T: Send>(&self, ctx: &Context, x: T) -> Result<T>;
    async fn list<const N: usize>(&self, ctx: &Context, x: [i64; N]) -> Result<i64>;
    async fn text<'a>(&self, ctx: &Context, x: &'a str) -> Result<i64>;
    async fn bound(&self, ctx: &Context, x: i64) -> Result<i64>
    where
        Self: Sized;
}

struct Calculator;

impl Math for Calculator {
    async fn any<T: Send>(&self, _ctx: &Context, x: T) -> Result<T> {
        Ok(x)
    }
    async fn list<const N: usize>(&self, _ctx: &Context, _x: [i64; N]) -> Result<i64> {
        Ok(0)
    }
    async fn text<'a>(&self, _ctx: &Context, _x: &'a str) -> Result<i64> {
        Ok(0)
    }
    async fn bound(&self, _ctx: &Context, x: i64) -> Result<i64> {
        Ok(x)
    }
}

fn main() {}

//! No context. Uses of the trait give no further errors.

use wsjsonrpc::{Result, rpc};

#[rpc]
pub trait Math {
    async fn sum(&self, x: i64, numbers: &[i64]) -> Result<i64>;
    fn reset(&self);
}

struct Calculator;

impl Math for Calculator {
    async fn sum(&self, x: i64, _numbers: &[i64]) -> Result<i64> {
        Ok(x)
    }
    fn reset(&self) {}
}

async fn call(math: MathClient) {
    math.sum(1, &[2]).await.unwrap();
    let _service = Calculator.into_service();
}

fn main() {}

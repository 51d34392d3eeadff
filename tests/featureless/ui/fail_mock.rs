//! A mock without the feature `testing`. One message for each use of the mock.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(mock)]
pub trait Math {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

fn main() {
    let math = MathMock::new().sum(|_, x, y| Ok(x + y));
    assert_eq!(math.calls("sum"), 0);
    let _client = math.into_client();
}

//! Arguments that no attribute has.

use wsjsonrpc::{Context, Result, rpc};

#[rpc(namespaec = "math", rename_all = "camelCase")]
pub trait Math {
    #[method(nam = "sum", blocking)]
    fn sum(&self, ctx: &Context, x: i64, #[param(optional)] y: i64) -> Result<i64>;
}

fn call(math: MathClient) {
    let _ = math.sum(1, 2);
}

fn main() {}

//! Generated code gives no warnings, used or not, whichever lints are denied.

#![deny(warnings, missing_docs, missing_debug_implementations, unreachable_pub, unused, private_interfaces)]
#![deny(private_bounds, nonstandard_style, future_incompatible, rust_2018_idioms, deprecated, async_fn_in_trait)]
#![deny(unused_qualifications, unused_results, let_underscore_drop, missing_copy_implementations, unnameable_types)]

use wsjsonrpc::{Context, Result, rpc};

/// Seen from everywhere.
#[rpc]
pub trait Public {
    /// Adds.
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    /// Goes away.
    #[deprecated(note = "use `sum`")]
    async fn old(&self, ctx: &Context, text: &str) -> Result<String>;
    /// Has a body.
    async fn body(&self, _ctx: &Context, names: Vec<String>) -> Result<usize> {
        Ok(names.len())
    }
    /// Returns nothing.
    async fn nothing(&self, ctx: &Context);
    /// Returns nothing at once.
    fn nothing_at_once(&self, ctx: &Context);
    /// Blocks.
    #[method(blocking)]
    fn blocking(&self, ctx: &Context, names: &[String]) -> Result<()>;
}

/// Goes away as a whole.
#[deprecated]
#[rpc]
pub trait Old {
    /// Adds.
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

#[rpc]
trait Unused {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

#[rpc]
trait OnlyClient {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

#[rpc]
trait OnlyService {
    async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
}

mod inside {
    use super::{Context, Result, rpc};

    #[derive(serde::Serialize, serde::Deserialize, Debug)]
    pub(super) struct Number(i64);

    #[rpc]
    pub(crate) trait InCrate {
        async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    }

    #[rpc]
    pub(super) trait InParent<K: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + 'static> {
        async fn sum(&self, ctx: &Context, x: Number, key: &K) -> Result<Number>;
    }
}

struct Calculator;

impl OnlyService for Calculator {
    async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
        Ok(x + y)
    }
}

fn main() {
    fn call(math: &OnlyClientClient) {
        drop(math.sum(1, 2));
    }
    _ = call;
    drop(Calculator.into_service());
    _ = inside::InCrateClient::sum;
    _ = inside::InParentClient::<u8>::peer;
}

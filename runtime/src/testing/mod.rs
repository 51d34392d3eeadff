//! Helpers for testing programs that use this crate: networks with faults, a recording counterpart,
//! and the parts of generated mocks. Needs the feature `testing`.
//!
//! # Testing code that makes calls
//!
//! `#[rpc(mock)]` generates a mock of a contract. Set a closure for each method, with the method's
//! own types.
//!
//! ```
//! use wsjsonrpc::{Context, Error, Result, rpc};
//!
//! #[rpc(mock)]
//! pub trait Math {
//!     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
//!     async fn name(&self, ctx: &Context, number: i64) -> Result<String>;
//! }
//!
//! /// The code under test.
//! async fn describe(math: &MathClient, numbers: &[i64]) -> Result<String, Error> {
//!     let mut total = 0;
//!     for number in numbers {
//!         total = math.sum(total, *number).await?;
//!     }
//!     math.name(total).await
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mock = MathMock::new()
//!     .sum(|_ctx, x, y| Ok(x + y))
//!     .name(|_ctx, number| Ok(format!("number {number}")));
//! let math = mock.clone().into_client();
//! assert_eq!(describe(&math, &[1, 2, 3]).await?, "number 6");
//! assert_eq!(mock.calls("sum"), 3);
//! # Ok(())
//! # }
//! ```
//!
//! If the contract is not available, or to check what is sent, use [`Recorder`]: it records calls
//! as JSON and responds from a script.
//!
//! # Networks that fail
//!
//! [`pair`] connects a client and a server in memory like [`memory::pair`](crate::memory::pair),
//! over a [`Network`] with [`Faults`]: delays, bytes that arrive in pieces, and all kinds of broken
//! connections. If tokio's clock is paused, delays and timeouts take no time. A seed gives the same
//! run each time.
//!
//! # Mocks
//!
//! For a trait `Math` with `#[rpc(mock)]`, the macro generates `MathMock` (or the name in `mock =
//! "FakeMath"`) if this feature is enabled. So users of a library can mock its contracts by
//! enabling the feature. The mock has these methods:
//!
//! - `new()`.
//! - A method for each method of the trait. It takes a closure with the same context, arguments and
//!   return type; the stream of a subscription is [boxed](BoxStream). The closure may change
//!   captured values (`FnMut`). It runs where the call was read, so it must not block, and it runs
//!   for one call at a time.
//! - `into_client()`: a stub for the mock, over its own connection in memory.
//! - `into_service()`, because the mock implements the trait:
//!   `Server::builder().service(mock.into_service())`. If the trait has supertraits other than
//!   `Clone`, `Debug` and `Default`, implement them for the mock.
//! - `calls("sum")`: how many times that method was called. Clones share everything, so keep one
//!   for this.
//!
//! A method without a closure responds with -32601 and an explanation, even if the trait has a
//! default body for it. Calling the method directly without a connection, as `Math::sum(&mock, …)`,
//! panics.

mod faults;
mod line;
pub(crate) mod mock;
mod network;
#[cfg(feature = "schema")]
mod openrpc;
mod pair;
mod recorded;
mod recorder;
mod script;

pub use self::faults::{Cut, Direction, Faults};
pub use self::mock::BoxStream;
pub use self::network::{End, Network};
#[cfg(feature = "schema")]
pub use self::openrpc::{assert_examples, assert_openrpc};
pub use self::pair::pair;
pub use self::recorded::Recorded;
pub use self::recorder::Recorder;

//! For tests of programs that use this crate: networks with faults, a counterpart that records, and
//! what generated mocks are made of. Needs the feature `testing`.
//!
//! # Code that calls, without a server
//!
//! `#[rpc(mock)]` makes a mock of a contract: a closure for each method, with the method's own types.
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
//! /// What is tested.
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
//! Where the contract is not at hand, or what counts is what is sent, [`Recorder`] records calls as JSON
//! and answers by a script.
//!
//! # Networks that fail
//!
//! [`pair`] connects a client and a server in memory, as [`memory::pair`](crate::memory::pair) does, over
//! a [`Network`] with [`Faults`]: delays, bytes that arrive in pieces, cuts of all kinds. With tokio's
//! clock paused, delays and timeouts take no time, and a seed gives the same run each time.
//!
//! # Mocks
//!
//! For a trait `Math` with `#[rpc(mock)]`, `MathMock` (or the name in `mock = "FakeMath"`) is made if this
//! feature is on, so contracts of a library can be mocked by whoever turns it on. It has
//!
//! - `new()`, and a method for each of the trait's, which takes a closure: the context and the
//!   arguments as the trait's method has them, and the same return type. A subscription's stream is
//!   [boxed](BoxStream). The closure may change what it has captured (`FnMut`), and runs where the call
//!   was read, so it must not block. It runs for one call at a time.
//! - `into_client()`: a stub for it, over a connection of its own in memory.
//! - `into_service()`, as it implements the trait: `Server::builder().service(mock.into_service())`. If
//!   the trait has supertraits other than `Clone`, `Debug` and `Default`, implement them for the mock.
//! - `calls("sum")`: how often that method was called. Clones of a mock are the same mock, so keep one.
//!
//! A method without a closure is answered with -32601, with words that say so; also one that has a body in
//! the trait. Only who calls it without a connection, as `Math::sum(&mock, …)`, gets a panic.

mod faults;
mod line;
pub(crate) mod mock;
mod network;
mod pair;
mod recorded;
mod recorder;
mod script;

pub use self::faults::{Cut, Direction, Faults};
pub use self::mock::BoxStream;
pub use self::network::{End, Network};
pub use self::pair::pair;
pub use self::recorded::Recorded;
pub use self::recorder::Recorder;

//! The `#[rpc]` attribute of `wsjsonrpc`. Use it as `wsjsonrpc::rpc`.
//!
//! Must not know more of the runtime than what its hidden `__private` module offers.
//!
//! The macro is a pipeline. In the order in which they work:
//!
//! - `attr` reads the arguments of our attributes; `case` is what `rename_all` means;
//! - `signature` and `types` read one method, `model` the whole trait;
//! - `check` has the rules that need the whole trait;
//! - `expand` writes the trait, the client and the service.
//!
//! Every step adds what it finds to one `report`, with the right form as `text`. If anything is
//! in it at the end, `fallback` takes the place of `expand`.

mod attr;
mod case;
mod check;
mod expand;
mod fallback;
mod model;
mod report;
mod signature;
#[cfg(test)]
mod snapshots;
mod text;
mod types;

use proc_macro2::TokenStream;

use crate::attr::RpcOptions;
use crate::model::Contract;
use crate::report::Report;

/// Makes a client and a service of a trait.
///
/// ```
/// use wsjsonrpc::{Client, Context, Result, Server, memory, rpc};
///
/// #[rpc(namespace = "math")]
/// pub trait Math {
///     /// Adds two numbers.
///     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
/// }
///
/// struct Calculator;
///
/// impl Math for Calculator {
///     async fn sum(&self, _ctx: &Context, x: i64, y: i64) -> Result<i64> {
///         Ok(x + y)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let server = Server::builder().service(Calculator.into_service());
/// let (client, _) = memory::pair(Client::builder(), server)?; // or over a socket
/// let math = MathClient::new(client.peer());
/// assert_eq!(math.sum(1, 2).await?, 3);
/// # Ok(())
/// # }
/// ```
///
/// # What is made
///
/// For a trait `Math`, with the trait's visibility:
///
/// - `MathClient` has a method for each of the trait's, without the context. It returns a
///   `wsjsonrpc::Call`, which is sent when it is awaited. There are also `MathClient::new(peer)`,
///   `MathClient::connect(url)`, `peer()` and `batch(calls)`.
/// - `MathService<T>` answers calls with a `T: Math`. It comes from `T::into_service()`, or from an
///   `Arc<T>` by `MathService::from`.
/// - The trait stays. `async fn` becomes `fn … -> impl Future<Output = …> + Send`, which an
///   implementation writes as a plain `async fn`; the trait gets `Send + Sync + 'static` as
///   supertraits and the method `into_service`.
///
/// Where a type implements two such traits, name the one that is meant:
/// `Math::into_service(calculator)`.
///
/// # On the trait: `#[rpc(…)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `namespace = "math"` | goes before each method's name | none |
/// | `separator = "/"` | stands between namespace and name | `"."` |
/// | `rename_all = "camelCase"` | rewrites names that are not in quotes, of methods and of arguments | as in Rust |
/// | `crate = path` | where `wsjsonrpc` is, if it has another name; a path or a string | `::wsjsonrpc` |
///
/// `rename_all` takes serde's set: `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`,
/// `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case` and `SCREAMING-KEBAB-CASE`.
///
/// # On a method: `#[method(…)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `name = "math.add"` | the whole name on the wire; neither namespace nor `rename_all` is applied | namespace, separator, renamed name |
/// | `aliases = ["add", "plus"]` | further whole names that the service answers to | none |
/// | `params = "positional"` | the client sends a list | this |
/// | `params = "named"` | the client sends an object | |
/// | `params = "whole"` | all of `params` is decoded into the one argument | |
/// | `blocking` | a plain `fn` runs on a thread where it may block | it runs where the request was read |
/// | `idempotent` | doing it twice is as good as once: a reconnecting client sends a call again that was under way when its connection broke | such a call fails with `Error::Closed` |
///
/// | `cancel = "signal"` | when the caller takes the call back, the handler sees it: `ctx.cancelled()`, `ctx.is_cancelled()` | this |
/// | `cancel = "drop"` | the handler's future is dropped then, and when the connection ends; an `async fn` only | |
/// | `ordered` | a connection's calls of ordered methods, of whatever services, are handled one after another, in the order in which they came | calls are handled at the same time |
///
/// A service takes lists and objects, whatever its client prefers.
///
/// The caller gets its answer, -32800, as soon as it takes a call back, whatever the handler does. A
/// future that is dropped stops where it waits: `cancel = "drop"` suits what leaves nothing half
/// done. Calls that it waits for itself are taken back along with it. Notifications can't be taken
/// back, and are handled to their end.
///
/// An ordered call that is taken back while it waits for its turn is never begun. It counts as in
/// flight while it waits. An ordered handler that calls its caller and thereby waits for another
/// ordered call on its own connection waits for itself, until the timeout of its call. A `blocking`
/// method and a plain `fn` may be ordered, too.
///
/// # On an argument: `#[param(…)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rename = "n"` | the name on the wire | the argument's own, after `rename_all` |
/// | `default` | may be left out, and is then `Default::default()` | must be given, unless it is an `Option` |
///
/// # Methods
///
/// The first argument after `&self` is the context, `ctx: &Context`. The others are decoded from
/// the request: owned types, or `&str`, `&[T]`, `&T` and an `Option` of these. An `Option` may be
/// left out. What is returned is a `wsjsonrpc::Result<T>`, a `Result<T, E>` whose `E` can be sent
/// as an error, or nothing. `Option` and `Result` are known by their types, so aliases of them will
/// do.
///
/// A method is an `async fn`, or a plain `fn` for what is done at once. It may have a body, which
/// implementations may replace. Docs, `#[deprecated]` and `#[cfg(…)]` count for the client too.
///
/// ```
/// use wsjsonrpc::{Context, Result, rpc};
///
/// #[rpc(namespace = "shop", rename_all = "camelCase")]
/// pub trait Shop {
///     /// `{"method": "shop.placeOrder", "params": {"articleId": 7, "n": 2}}`
///     #[method(params = "named")]
///     async fn place_order(
///         &self,
///         ctx: &Context,
///         article_id: u64,
///         #[param(rename = "n", default)] how_many: u32,
///     ) -> Result<u64>;
///
///     /// `{"method": "total", "params": [9.99, 0.5]}`
///     #[method(name = "total", aliases = ["shop.total"], params = "whole")]
///     fn total(&self, ctx: &Context, prices: &[f64]) -> Result<f64> {
///         let _ = ctx;
///         Ok(prices.iter().sum())
///     }
///
///     /// Reads from a slow disk.
///     #[method(blocking)]
///     fn picture(&self, ctx: &Context, article: &str) -> Result<Vec<u8>>;
/// }
/// ```
///
/// # Generics
///
/// The trait may have type and const parameters; the client and the service have them too. Values
/// of such a type are sent and handled on any thread, and the trait must say so:
///
/// ```
/// use serde::{Serialize, de::DeserializeOwned};
/// use wsjsonrpc::{Context, Result, rpc};
///
/// #[rpc]
/// pub trait Store<V: Serialize + DeserializeOwned + Send + Sync + 'static> {
///     async fn get(&self, ctx: &Context, key: &str) -> Result<Option<V>>;
///     async fn put(&self, ctx: &Context, key: &str, value: V) -> Result<()>;
/// }
/// ```
///
/// # Names that are taken
///
/// No method can be called `new`, `connect`, `peer`, `batch` or `into_service` in Rust; on the wire
/// it can, with `#[method(name = "connect")]`. On the wire, names that begin with `rpc.` are
/// reserved by JSON-RPC.
#[proc_macro_attribute]
pub fn rpc(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_rpc(arguments.into(), item.into()).into()
}

/// The whole macro, on tokens that tests can make too.
fn expand_rpc(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut report = Report::default();
    let options = RpcOptions::parse(arguments, &mut report);
    let contract = match Contract::read(options, item, &mut report) {
        Ok(contract) => contract,
        Err(item) => return report.compile_errors().into_iter().chain([item]).collect(),
    };
    check::check(&contract, &mut report);
    match report.compile_errors() {
        None => expand::expand(&contract),
        Some(errors) => fallback::expand(contract, errors),
    }
}

//! The `#[rpc]` attribute and `#[derive(RpcError)]` of `wsjsonrpc`. Use them through that crate.
//!
//! Generated code uses nothing of the runtime but its hidden `__private` module.
//!
//! The attribute is a pipeline. In order of execution:
//!
//! - `attr` parses the arguments of the attributes, with `arguments`; `case` has the values of
//!   `rename_all`;
//! - `async_trait` reverts the changes of an `#[async_trait]` on the trait;
//! - `trait_item` reads the whole trait, `signature` and `types` one method, `subscription` what makes
//!   it a subscription; `model` has what they find;
//! - `check` has the rules that need the whole trait;
//! - `expand` writes the trait, the client, the service and the mock.
//!
//! Every step adds its errors to one `report`, with the correct form written by `text`. If there are
//! errors at the end, `fallback` runs instead of `expand`. The derive is a shorter pipeline,
//! `rpc_error`.

mod arguments;
mod async_trait;
mod attr;
mod case;
mod check;
mod expand;
mod fallback;
mod model;
mod report;
mod rpc_error;
mod signature;
#[cfg(test)]
mod snapshots;
mod subscription;
mod text;
mod trait_item;
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
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
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
/// - `MathService<T>` answers calls with a `T: Math`. It comes from `T::into_service()`.
/// - `Arc<T>` implements the trait if `T` does, so a program can keep a value that it serves:
///   `Arc::clone(&calculator).into_service()`.
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
/// | `mock`, `mock = "FakeMath"` | with the feature `testing` of `wsjsonrpc`, a mock is made, too: `MathMock`, or what is in quotes; see the module `wsjsonrpc::testing`. Without the feature, nothing | none |
/// | `omit_none` | `omit_none` for all methods and subscriptions, except those with `params = "whole"` | `None` is sent as `null` |
/// | `server` | only the service is generated: arguments need no `Serialize`, and results no `Deserialize` | both sides |
/// | `client` | only the client is generated: arguments need no `Deserialize`, and results no `Serialize` | both sides |
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
/// | `params = "positional"` | the client sends a list; the server takes lists and objects | this |
/// | `params = "named"` | the client sends an object; the server takes lists and objects | |
/// | `params = "list"` | the client sends a list, and the server takes nothing else: the arguments have no names on the wire | |
/// | `params = "whole"` | all of `params` is decoded into the one argument: a tuple, a `Vec`, a struct, a map | |
/// | `max_params = "64 KiB"` | the service refuses params of more bytes of JSON with -32602, before it decodes them. Units are `B`, `KiB` and `MiB`. Decoded params can be much larger than their text: a `serde_json::Value` has up to 130 times as many bytes | `Config::max_incoming_message` is the only limit |
/// | `omit_none` | the client leaves out arguments that serialize as `null`: at the end of a list, and anywhere in an object. For servers that tell `null` from an argument that is not there | `None` is sent as `null` |
/// | `blocking` | a plain `fn` runs on a thread where it may block | it runs where the request was read |
/// | `idempotent` | doing it several times is as good as once: a reconnecting client sends a call again each time that its connection breaks | such a call fails with `Error::Closed` |
/// | `cancel = "signal"` | when the caller takes the call back, the handler sees it: `ctx.cancelled()`, `ctx.is_cancelled()` | this |
/// | `cancel = "drop"` | the handler's future is dropped then, and when the connection ends; an `async fn` only | |
/// | `ordered` | a connection's calls of ordered methods, of whatever services, are handled one after another, in the order in which they came | calls are handled at the same time |
///
/// A client sends `None` as `null`, which is the same for servers that use this crate. An untyped
/// call (`Peer::call`) does what its params' `Serialize` does:
/// `#[serde(skip_serializing_if = "Option::is_none")]` leaves a member out.
///
/// An `Option` may be left out at the end of a list and anywhere in an object, and so may the
/// `Option`s at the end of a tuple that is the whole of `params`:
///
/// ```
/// # use wsjsonrpc::{Context, Result, rpc};
/// #[rpc]
/// pub trait Chain {
///     /// `[{"to": …}]` and `[{"to": …}, "latest"]`, but no object.
///     #[method(params = "list")]
///     async fn call(&self, ctx: &Context, tx: String, block: Option<String>) -> Result<String>;
///
///     /// The same on the wire.
///     #[method(params = "whole")]
///     async fn estimate(&self, ctx: &Context, params: (String, Option<String>)) -> Result<u64>;
/// }
/// ```
///
/// A handler must not block its thread unless its method is `blocking`. Its future is first polled in the
/// task of its connection: that makes a call cheap, but while a handler blocks, its connection reads,
/// writes and times out nothing (`ServerBuilder::handler_runtime` changes that). `Handle::block_on`, also within `block_in_place`, waits forever there if
/// it waits for a call back to the caller, because only that task could read the answer. In a `blocking`
/// method, which has a thread of its own, `Handle::current().block_on(…)` works, and so does every other
/// call that blocks. There is no guard against it: tokio has no hook that tells a future that its own
/// task waits for it, and a check of each poll would cost every call.
///
/// The caller gets its answer, -32800, as soon as it takes a call back, whatever the handler does. A
/// future that is dropped stops where it waits: `cancel = "drop"` suits what leaves nothing half
/// done. Calls that it waits for itself are taken back along with it. Notifications can't be taken
/// back, and are handled to their end.
///
/// An ordered call that is taken back while it waits for its turn is never begun. It counts as in
/// flight while it waits. An ordered handler that calls its caller and thereby waits for another
/// ordered call on its own connection waits for itself, until the timeout of its call; a warning
/// names both methods after five seconds. A `blocking`
/// method and a plain `fn` may be ordered, too.
///
/// # Subscriptions: `#[subscription(…)]`
///
/// A function that returns a stream, `-> impl Stream<Item = T>`, or a `Result` of one to refuse. It
/// is plain or `async`. What the stream brings is `T`, or a `Result<T, E>` whose first error ends
/// it. The stream may borrow from `self`, the context and the arguments. The client's method returns
/// a `wsjsonrpc::subscription::Subscribe`, which brings a `wsjsonrpc::Subscription<T>` when it is awaited. If the
/// other side also uses this crate and has an ordinary method of that name, it fails with -32600.
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `name = "eth_subscribe"` | the whole name on the wire | as that of a method |
/// | `unsubscribe = "eth_unsubscribe"` | the whole name of the method that ends it and its like, and no other subscription; several may share one. Its one parameter is the id, by position or by the name `subscription` | `unsubscribe_blocks` for `blocks` and for `subscribe_blocks`, with namespace and `rename_all` |
/// | `notification = "eth_subscription"` | the whole name of the notifications with the items; several may share one | the name |
/// | `item = Type` | the type of an item | `T` of `Item = T` and of `Item = Result<T, E>` |
/// | `params = "positional"` | as for a method | this |
/// | `omit_none` | as for a method | `None` is sent as `null` |
/// | `overflow = "block"` | the stream waits for a slow consumer; or `"drop_oldest"`, `"drop_newest"`, `"latest"`, `"close"`: see `wsjsonrpc::subscription::Overflow` | this |
/// | `max_params = "64 KiB"` | as for a method | |
/// | `buffer = 16` | how many items may wait where the stream does not | 16 |
/// | `tell_end = false` | only peers that use this crate are told that the stream has ended without an error | all are |
///
/// ```
/// use wsjsonrpc::{Context, Result, Stream, rpc};
///
/// #[rpc]
/// pub trait Node {
///     /// As an Ethereum node has it.
///     #[subscription(
///         name = "eth_subscribe",
///         unsubscribe = "eth_unsubscribe",
///         notification = "eth_subscription",
///         tell_end = false
///     )]
///     async fn subscribe(&self, ctx: &Context, what: &str) -> Result<impl Stream<Item = String> + Send>;
///
///     /// Prices, of which only the latest is of interest.
///     #[subscription(overflow = "latest")]
///     fn prices(&self, ctx: &Context, symbol: String) -> impl Stream<Item = f64> + Send;
/// }
/// ```
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
/// # async_trait, `dyn` and recursion
///
/// `#[async_trait]` is not needed, and does not work: neither on the trait nor on an `impl` of it.
///
/// A trait with an `async fn` or a subscription has no `dyn` form. To choose an implementation at run
/// time, choose the service: `Box<dyn Service>` and `Arc<dyn Service>` are services. See
/// `wsjsonrpc::service::Service`. A function that takes any implementation takes an `impl Math`.
///
/// The client is always named `MathClient`: `ctx.client::<MathClient>()`, `MathClient::new(peer)`.
///
/// An `async fn` of an `impl` can't call itself. Let it call a function of your own, which calls itself
/// through a `Box`:
///
/// ```
/// use wsjsonrpc::{Context, Result, rpc};
///
/// #[rpc]
/// pub trait Math {
///     async fn factorial(&self, ctx: &Context, n: u64) -> Result<u64>;
/// }
///
/// struct Calculator;
///
/// impl Calculator {
///     async fn factorial_of(&self, n: u64) -> Result<u64> {
///         match n {
///             0 => Ok(1),
///             n => Ok(n * Box::pin(self.factorial_of(n - 1)).await?),
///         }
///     }
/// }
///
/// impl Math for Calculator {
///     async fn factorial(&self, _ctx: &Context, n: u64) -> Result<u64> {
///         self.factorial_of(n).await
///     }
/// }
/// ```
///
/// # Names that are taken
///
/// No method can be called `new`, `connect`, `peer`, `batch` or `into_service` in Rust, nor `calls` or
/// `into_client` where there is a mock; on the wire it can, with `#[method(name = "connect")]`. On the wire, names that begin with `rpc.` are
/// reserved by JSON-RPC.
#[proc_macro_attribute]
pub fn rpc(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_rpc(arguments.into(), item.into(), cfg!(feature = "testing")).into()
}

/// Makes an error type of the application one that travels: each kind of error has a code, its fields
/// are sent as `data`, and the caller gets the same value back as `Error::Call`.
///
/// ```
/// use wsjsonrpc::{Client, Context, Error, Result, RpcError, Server, memory, rpc};
///
/// #[derive(Debug, RpcError)]
/// pub enum BankError {
///     #[rpc_error(code = 1001, message = "{missing} are missing")]
///     Insufficient { missing: u64 },
///     #[rpc_error(code = 1002)]
///     NoSuchAccount(String),
/// }
///
/// #[rpc]
/// trait Bank {
///     async fn withdraw(&self, ctx: &Context, amount: u64) -> Result<u64, BankError>;
/// }
///
/// struct Vault;
///
/// impl Bank for Vault {
///     async fn withdraw(&self, _ctx: &Context, amount: u64) -> Result<u64, BankError> {
///         100u64.checked_sub(amount).ok_or_else(|| BankError::Insufficient { missing: amount - 100 })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Vault.into_service());
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let bank = BankClient::new(client.peer());
/// // {"code": 1001, "message": "50 are missing", "data": {"missing": 50}}
/// match bank.withdraw(150).await {
///     Err(Error::Call(BankError::Insufficient { missing })) => assert_eq!(missing, 50),
///     Err(Error::Timeout(_)) => println!("later, perhaps"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// It is for enums, and for structs, which are one kind of error. It makes neither `Display` nor
/// `std::error::Error`; thiserror does, on the same type.
///
/// # On a variant, or on a struct: `#[rpc_error(…)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `code = 1001` | the code: an integer, or the path of an `i64` constant. No two variants share one, and -32768 to -32000 are JSON-RPC's own | must be given |
/// | `message = "{missing} are missing"` | the message, with fields as in `format!`: `{missing}`, `{0}`, `{0:?}` | see below |
/// | `display` | the message is what `Display` says of the value | see below |
/// | `transparent` | in place of the others: it has one field, which is itself such an error, and travels as that does | |
/// | `from` | beside `transparent`, on the variant that holds an `ErrorObject`: `?` converts an `ErrorObject` and a failed call into it | no conversions |
///
/// The message is, in this order: the variant's `message`; its `Display`, if the variant has
/// `display` or thiserror's `#[error(…)]`; the same for the enum; the name in words, "no such account"
/// for `NoSuchAccount`.
///
/// # On the type: `#[rpc_error(…)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `display` | for variants without a message of their own | |
/// | `rename_all = "camelCase"` | rewrites the names of all fields; takes what `#[rpc]` does | as in Rust |
/// | `crate = path` | where `wsjsonrpc` is, if it has another name; a path or a string | `::wsjsonrpc` |
///
/// # On a field: `#[rpc_error(…)]`
///
/// | argument | meaning | default |
/// |---|---|---|
/// | `rename = "n"` | the name in `data` | the field's own, after `rename_all` |
/// | `default` | may be left out by the peer, and is then `Default::default()` | must be there, unless it is an `Option` |
///
/// # Fields
///
/// All of them travel, so none should be a secret; each type needs serde's `Serialize` and
/// `Deserialize`.
///
/// | variant | `data` |
/// |---|---|
/// | `Insufficient { missing: u64 }` | `{"missing": 50}` |
/// | `NoSuchAccount(String)` | `"eve"` |
/// | `OverLimit(u64, String)` | `[50, "EUR"]` |
/// | `Closed` | absent |
///
/// serde's attributes on the fields are not looked at, as it is not serde's derive that writes them.
/// For what they can do, give the variant one unnamed field of a type that derives serde's traits:
/// `Insufficient(Details)`.
///
/// What does not serialize (a map whose keys are no strings, for example) is logged, and the error
/// goes out without data.
///
/// # What the caller gets
///
/// The variant with the code of the error object, if the data fits: every field is there and of its
/// type. Members and elements that are too many are ignored, so a server may add details. All else
/// is kept as it came in `Error::Other`: another code, or data that does not fit.
///
/// With a `transparent` variant, objects that are of no other variant's code are offered to its
/// field's type; several of them are asked in their order. An `ErrorObject` takes all. So error
/// types can be nested, and one can have a place for the rest:
///
/// ```
/// # use wsjsonrpc::{ErrorObject, RpcError};
/// # #[derive(Debug, RpcError)]
/// # #[rpc_error(code = 1001)]
/// # pub struct BankError;
/// #[derive(Debug, RpcError)]
/// pub enum ShopError {
///     #[rpc_error(code = 2001)]
///     SoldOut,
///     #[rpc_error(transparent)]
///     Bank(BankError),
///     /// Last, as it takes whatever comes.
///     #[rpc_error(transparent, from)]
///     Other(ErrorObject),
/// }
///
/// /// For `?`: the caller gets -32603, the log gets the details.
/// impl From<std::io::Error> for ShopError {
///     fn from(error: std::io::Error) -> Self {
///         ShopError::Other(error.into())
///     }
/// }
///
/// let object = ErrorObject::new(-32601, "Method not found");
/// assert!(matches!(ShopError::from_object(object), Ok(ShopError::Other(_))));
/// ```
///
/// # `?` in a handler
///
/// With `from`, `?` works in a handler that returns `Result<T, ShopError>`:
///
/// - on an `ErrorObject`, as `ctx.require()` returns it. It is sent as it is.
/// - on a failed call, a `wsjsonrpc::Error<E>`. As in a handler that returns `wsjsonrpc::Result<T>`,
///   the caller gets -32603, and the error is logged. To pass the peer's error on, write
///   `.map_err(Error::into_object)?`.
///
/// thiserror's `#[from]` writes other conversions on the same enum. It does not fit here, because
/// an `ErrorObject` is not a `std::error::Error`.
///
/// # Generics
///
/// Type parameters need bounds, which the type must have itself, as a rule
/// `T: Serialize + DeserializeOwned + Send + 'static`. There are no lifetime parameters: what was
/// received borrows from nothing.
// `from` is thiserror's. It is declared here so that this derive can report one without thiserror.
#[proc_macro_derive(RpcError, attributes(rpc_error, from))]
pub fn derive_rpc_error(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rpc_error::derive(item.into()).into()
}

/// The whole attribute, on tokens that tests can create, too.
fn expand_rpc(arguments: TokenStream, item: TokenStream, makes_mocks: bool) -> TokenStream {
    let mut report = Report::default();
    let options = RpcOptions::parse(arguments, &mut report);
    let contract = match trait_item::read(options, item, &mut report) {
        Ok(contract) => Contract { makes_mocks, ..contract },
        Err(item) => return report.compile_errors().into_iter().chain([item]).collect(),
    };
    check::check(&contract, &mut report);
    match report.compile_errors() {
        None => expand::expand(&contract),
        Some(errors) => fallback::expand(contract, errors),
    }
}

//! The `#[rpc]` attribute and `#[derive(RpcError)]` of `wsjsonrpc`. Use them through that crate.
//!
//! Generated code uses only the hidden module `__private` of the runtime.
//!
//! The attribute is a pipeline, in order of execution:
//!
//! - `attr` parses the arguments of the attributes, with `arguments`; `case` has the values of
//!   `rename_all`;
//! - `example` parses examples;
//! - `async_trait` reverts the changes of an `#[async_trait]` on the trait;
//! - `trait_item` reads the whole trait, `signature` and `types` read one method, and `subscription`
//!   reads what makes it a subscription; `model` holds the result;
//! - `check` applies the rules that need the whole trait;
//! - `expand` writes the trait, the client, the service and the mock.
//!
//! Each step adds its errors to a `report`; `text` helps to show the correct form. If there are
//! errors at the end, `fallback` runs instead of `expand`. The derive is a shorter pipeline,
//! `rpc_error`.

mod arguments;
mod async_trait;
mod attr;
mod case;
mod check;
mod example;
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

/// Generates a typed client and a service from a trait.
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
/// # Generated items
///
/// For a trait `Math`, with the visibility of the trait:
///
/// - `MathClient` has the methods of the trait, without the context argument. Each returns a
///   `wsjsonrpc::Call`, which is sent when it is awaited. The client also has
///   `MathClient::new(peer)`, `MathClient::connect(url)`, `peer()` and `batch(calls)`.
/// - `MathService<T>` answers calls with a `T: Math`. `T::into_service()` creates it.
/// - `Arc<T>` implements the trait if `T` does. With `Arc::clone(&calculator).into_service()`, a
///   program keeps access to the value that it serves.
/// - The trait itself. An `async fn` becomes `fn … -> impl Future<Output = …> + Send`, which
///   implementations still write as an `async fn`. The trait gets the supertraits
///   `Send + Sync + 'static` and the method `into_service`.
///
/// If a type implements two such traits, name the trait: `Math::into_service(calculator)`.
///
/// # On the trait: `#[rpc(…)]`
///
/// | argument | effect | default |
/// |---|---|---|
/// | `namespace = "math"` | puts this prefix before the name of each method | no namespace |
/// | `separator = "/"` | separates the namespace from the name | `"."` |
/// | `rename_all = "camelCase"` | renames methods and arguments that have no explicit name | names as in Rust |
/// | `omit_none` | applies `omit_none` to all methods and subscriptions, except those with `params = "whole"` | `None` is sent as `null` |
/// | `server` | generates only the service: arguments need no `Serialize`, and results no `Deserialize` | both |
/// | `client` | generates only the client: arguments need no `Deserialize`, and results no `Serialize` | both |
/// | `mock`, `mock = "FakeMath"` | with the feature `testing` of `wsjsonrpc`, also generates a mock with the name `MathMock` or the given name; without the feature, it generates nothing. See the module `wsjsonrpc::testing` | no mock |
/// | `schema` | with the feature `schema` of `wsjsonrpc`, also generates descriptions of the methods, for OpenRPC documents; without the feature, it generates nothing. See [Describing the API](#describing-the-api-schema) | no descriptions |
/// | `crate = path` | the path of `wsjsonrpc` if the crate is renamed or re-exported: a path or a string | `::wsjsonrpc` |
///
/// `rename_all` accepts the same values as serde: `lowercase`, `UPPERCASE`, `PascalCase`,
/// `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case` and `SCREAMING-KEBAB-CASE`.
///
/// ```
/// use wsjsonrpc::{Client, Context, Result, Server, memory, rpc};
///
/// #[rpc(namespace = "shop", separator = "/", rename_all = "camelCase")]
/// pub trait Shop {
///     async fn place_order(&self, ctx: &Context, article_id: u64) -> Result<u64>;
/// }
///
/// struct Counter;
///
/// impl Shop for Counter {
///     async fn place_order(&self, _ctx: &Context, article_id: u64) -> Result<u64> {
///         Ok(article_id + 1000)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Counter.into_service());
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// // The names on the wire, in a call without the generated client:
/// let order: u64 = client.peer().call("shop/placeOrder", (7,)).await?;
/// assert_eq!(order, 1007);
/// # Ok(())
/// # }
/// ```
///
/// # Methods
///
/// The first argument after `&self` is the context, `ctx: &Context`. All other arguments are
/// decoded from the request. They are owned types, or `&str`, `&[T]`, `&T` and an `Option` of
/// these. An `Option` may be missing from the request.
///
/// A method returns `wsjsonrpc::Result<T>`, a `Result<T, E>` whose `E` implements
/// [`RpcError`](derive@RpcError), or nothing. The types decide, not their names, so aliases of
/// `Option` and `Result` work.
///
/// A method is an `async fn`, or a plain `fn` if it finishes at once. It may have a body, which
/// implementations can replace. The client's methods have the same docs, `#[deprecated]` and
/// `#[cfg(…)]` as the trait's methods.
///
/// ## On a method: `#[method(…)]`
///
/// | argument | effect | default |
/// |---|---|---|
/// | `name = "math.add"` | the complete name on the wire, without namespace and `rename_all` | namespace, separator and renamed name |
/// | `aliases = ["add", "plus"]` | more complete names that the service accepts | none |
/// | `params = "positional"` | the client sends a list; the service accepts lists and objects | this |
/// | `params = "named"` | the client sends an object; the service accepts lists and objects | |
/// | `params = "list"` | the client sends a list; the service accepts only lists. The arguments have no names on the wire | |
/// | `params = "whole"` | all of `params` is decoded into the only argument: a tuple, a `Vec`, a struct or a map | |
/// | `max_params = "64 KiB"` | the service refuses params with more bytes of JSON, with -32602 and before it decodes them. Units are `B`, `KiB` and `MiB`. Decoded params can take much more memory than their text: a `serde_json::Value` up to 130 times as much | only `Config::max_incoming_message` limits params |
/// | `omit_none` | the client omits arguments that serialize to `null`: at the end of a list, and anywhere in an object. Needed for servers that distinguish `null` from a missing argument | `None` is sent as `null` |
/// | `blocking` | a plain `fn` runs on a thread where it may block | it runs in the task of the connection |
/// | `idempotent` | the call may run several times: if its connection breaks, a reconnecting client sends the call again | the call fails with `Error::Closed` |
/// | `cancel = "signal"` | if the caller cancels the call, `ctx.cancelled()` completes and `ctx.is_cancelled()` returns `true` | this |
/// | `cancel = "drop"` | if the caller cancels the call or the connection ends, the handler's future is dropped. Only for an `async fn` | |
/// | `ordered` | the calls of all ordered methods on a connection, of all services, run one after another in the order of arrival | calls run concurrently |
/// | `result_schema = Type` | with `#[rpc(schema)]`, describes the result with the schema of another type | the type of the result |
/// | `progress = Type` | with `#[rpc(schema)]`, describes the values that the handler passes to `ctx.progress` | no description of progress |
///
/// ## On an argument: `#[param(…)]`
///
/// | argument | effect | default |
/// |---|---|---|
/// | `rename = "n"` | the name on the wire | the argument's name after `rename_all` |
/// | `default` | if the argument is missing from the request, it is `Default::default()` | the argument is required, unless it is an `Option` |
/// | `schema = Type` | with `#[rpc(schema)]`, describes the argument with the schema of another type | the type of the argument |
///
/// ```
/// use wsjsonrpc::{Client, Context, Result, Server, memory, rpc};
///
/// #[rpc]
/// pub trait Shop {
///     /// `{"method": "order", "params": {"article": 7, "n": 2}}`
///     #[method(params = "named", idempotent)]
///     async fn order(
///         &self,
///         ctx: &Context,
///         article: u64,
///         #[param(rename = "n", default)] how_many: u32,
///     ) -> Result<String>;
///
///     /// `{"method": "total", "params": [9.5, 0.5]}`
///     #[method(params = "whole", max_params = "1 KiB", aliases = ["shop.total"])]
///     fn total(&self, ctx: &Context, prices: &[f64]) -> Result<f64> {
///         let _ = ctx;
///         Ok(prices.iter().sum())
///     }
///
///     /// Reads from a slow disk.
///     #[method(blocking, ordered)]
///     fn picture(&self, ctx: &Context, article: &str) -> Result<Vec<u8>>;
///
///     /// Stops at an `await` if the caller cancels the call.
///     #[method(cancel = "drop")]
///     async fn search(&self, ctx: &Context, text: &str) -> Result<Vec<u64>>;
/// }
///
/// struct Corner;
///
/// impl Shop for Corner {
///     async fn order(&self, _ctx: &Context, article: u64, how_many: u32) -> Result<String> {
///         Ok(format!("{how_many} of {article}"))
///     }
///
///     fn picture(&self, _ctx: &Context, article: &str) -> Result<Vec<u8>> {
///         Ok(article.bytes().collect())
///     }
///
///     async fn search(&self, _ctx: &Context, text: &str) -> Result<Vec<u64>> {
///         Ok(vec![text.len() as u64])
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Corner.into_service());
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let shop = ShopClient::new(client.peer());
/// assert_eq!(shop.order(7, 2).await?, "2 of 7");
/// assert_eq!(shop.total(&[9.5, 0.5]).await?, 10.0);
/// assert_eq!(shop.picture("pen").await?, b"pen");
/// assert_eq!(shop.search("pen").await?, [3]);
///
/// // Calls without the generated client: `n` is missing, and another name of `total`.
/// let order: String = client.peer().call("order", (7,)).await?;
/// assert_eq!(order, "0 of 7");
/// let total: f64 = client.peer().call("shop.total", [9.5, 0.5]).await?;
/// assert_eq!(total, 10.0);
/// # Ok(())
/// # }
/// ```
///
/// ## Optional arguments
///
/// A client sends `None` as `null`. Services of this crate treat `null` and a missing argument
/// alike. For other servers, use `omit_none`. In an untyped call (`Peer::call`), the `Serialize` of
/// the params decides: `#[serde(skip_serializing_if = "Option::is_none")]` omits a member.
///
/// An `Option` may be missing at the end of a list and anywhere in an object. With
/// `params = "whole"` and a tuple, each `Option` at the end of the tuple may be missing:
///
/// ```
/// # use wsjsonrpc::{Client, Context, Result, Server, memory, rpc};
/// #[rpc]
/// pub trait Chain {
///     /// Accepts `["0x1"]` and `["0x1", "latest"]`, but no object.
///     #[method(params = "list")]
///     async fn balance(&self, ctx: &Context, account: String, block: Option<String>) -> Result<u64>;
///
///     /// The same on the wire.
///     #[method(params = "whole")]
///     async fn nonce(&self, ctx: &Context, params: (String, Option<String>)) -> Result<u64>;
/// }
/// #
/// # struct Node;
/// #
/// # impl Chain for Node {
/// #     async fn balance(&self, _: &Context, _: String, block: Option<String>) -> Result<u64> {
/// #         Ok(if block.is_none() { 1 } else { 2 })
/// #     }
/// #     async fn nonce(&self, _: &Context, params: (String, Option<String>)) -> Result<u64> {
/// #         Ok(if params.1.is_none() { 1 } else { 2 })
/// #     }
/// # }
/// #
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Node.into_service());
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// # for method in ["balance", "nonce"] {
/// #     assert_eq!(client.peer().call::<u64>(method, ("0x1",)).await?, 1);
/// #     assert_eq!(client.peer().call::<u64>(method, ("0x1", "latest")).await?, 2);
/// # }
/// # Ok(())
/// # }
/// ```
///
/// ## Blocking
///
/// A handler must not block its thread, unless its method is `blocking`. The task of the connection
/// polls a handler's future for the first time. This makes calls cheap, but while a handler blocks,
/// the connection does not read, write or check timeouts. `ServerBuilder::handler_runtime` moves
/// all handlers to another runtime.
///
/// `Handle::block_on` in such a handler, also within `block_in_place`, waits forever if it waits for
/// a call to the peer, because only the blocked task could read the response. In a `blocking`
/// method, which has its own thread, `Handle::current().block_on(…)` works, and so does all other
/// blocking code. The library cannot detect this mistake: tokio has no hook by which a future could
/// learn that its own task waits for it, and a check in each poll would slow down every call.
///
/// ## Cancellation
///
/// When a caller cancels a call, it gets the error -32800 at once, whatever the handler does. A
/// dropped future stops at its current `await`, so use `cancel = "drop"` for handlers that leave
/// nothing half done. If a dropped handler was waiting for calls, these are cancelled as well.
/// Notifications cannot be cancelled, and their handlers run to the end.
///
/// ## Ordered methods
///
/// An ordered call that is cancelled while it waits for earlier ones never starts. It counts as in
/// flight while it waits. `async`, plain and `blocking` methods can be ordered.
///
/// An ordered handler can deadlock: if it calls its caller, and that call waits for another ordered
/// call on the same connection, both wait until the call times out. After five seconds, a warning
/// in the log names both methods.
///
/// # Subscriptions: `#[subscription(…)]`
///
/// A function with `#[subscription]` returns a stream of items, `-> impl Stream<Item = T>`, or a
/// `Result` of such a stream if it can refuse the subscription. It is a plain `fn` or an
/// `async fn`. The items of the stream are `T`, or `Result<T, E>`, whose first error ends the
/// subscription. In place of `T`, the stream may yield `wsjsonrpc::subscription::Positioned<T>`, as
/// that of a `wsjsonrpc::Channel` does: then clients can resume after a reconnect. The stream may
/// borrow from `self`, the context and the arguments.
///
/// The client's method returns a `wsjsonrpc::subscription::Subscribe`. Awaiting it returns a
/// `wsjsonrpc::Subscription<T>`. It fails with -32600 if the peer also uses this crate and has an
/// ordinary method with that name.
///
/// | argument | effect | default |
/// |---|---|---|
/// | `name = "eth_subscribe"` | the complete name on the wire | as for a method |
/// | `unsubscribe = "eth_unsubscribe"` | the complete name of the method that ends this subscription. Several subscriptions may share one; it ends only these. Its only parameter is the id, by position or with the name `subscription` | `unsubscribe_blocks` for `blocks` and for `subscribe_blocks`, with namespace and `rename_all` |
/// | `notification = "eth_subscription"` | the complete name of the notifications that carry the items. Several subscriptions may share one | the name of the subscription |
/// | `item = Type` | the type of an item | `T` in `Item = T`, in `Positioned<T>` and in `Result<T, E>` |
/// | `params`, `max_params`, `omit_none` | as for a method | as for a method |
/// | `overflow = "block"` | what happens if the consumer is slow: the stream waits (`"block"`), or items are dropped (`"drop_oldest"`, `"drop_newest"`, `"latest"`), or the subscription ends (`"close"`). See `wsjsonrpc::subscription::Overflow` | `"block"` |
/// | `buffer = 16` | how many items are buffered, unless the stream waits | 16 |
/// | `tell_end = false` | if the stream ends without an error, only peers that use this crate are notified | all peers are notified |
/// | `item_schema = Type` | with `#[rpc(schema)]`, describes the items with the schema of another type | the type of the items |
///
/// ```
/// use futures_util::stream;
/// use wsjsonrpc::{Client, Context, ErrorObject, Result, Server, Stream, memory, rpc};
///
/// #[rpc]
/// pub trait Node {
///     #[subscription(overflow = "latest")]
///     fn prices(&self, ctx: &Context, symbol: String) -> impl Stream<Item = f64> + Send;
///
///     /// The names that Ethereum nodes use.
///     #[subscription(
///         name = "eth_subscribe",
///         unsubscribe = "eth_unsubscribe",
///         notification = "eth_subscription",
///         tell_end = false
///     )]
///     async fn subscribe(&self, ctx: &Context, what: &str) -> Result<impl Stream<Item = u64> + Send>;
/// }
///
/// struct Light;
///
/// impl Node for Light {
///     fn prices(&self, _ctx: &Context, _symbol: String) -> impl Stream<Item = f64> + Send {
///         stream::iter([101.5])
///     }
///
///     async fn subscribe(&self, _ctx: &Context, what: &str) -> Result<impl Stream<Item = u64> + Send> {
///         match what {
///             "newHeads" => Ok(stream::iter(1..=3)),
///             _ => Err(ErrorObject::invalid_params("unknown subscription")),
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::builder().service(Light.into_service());
/// # let (client, _) = memory::pair(Client::builder(), server)?;
/// let node = NodeClient::new(client.peer());
/// let mut heads = node.subscribe("newHeads").await?;
/// while let Some(head) = heads.next().await {
///     println!("{}", head?);
/// }
/// assert!(node.subscribe("oldHeads").await.is_err());
/// # Ok(())
/// # }
/// ```
///
/// # Describing the API: `schema`
///
/// With `#[rpc(schema)]` and the feature `schema` of `wsjsonrpc`, a trait describes its methods.
/// `wsjsonrpc::Endpoint::openrpc` makes an OpenRPC document of the descriptions, and
/// `ServerBuilder::discover` serves it.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wsjsonrpc::openrpc::Info;
/// use wsjsonrpc::schemars::{self, JsonSchema};
/// use wsjsonrpc::{Context, Result, RpcError, Server, rpc};
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// pub struct Order {
///     article: u64,
///     count: u32,
/// }
///
/// #[derive(Debug, RpcError)]
/// #[rpc_error(schema)]
/// pub enum ShopError {
///     #[rpc_error(code = 1001, message = "only {left} are left")]
///     SoldOut { left: u32 },
/// }
///
/// #[rpc(schema)]
/// pub trait Shop {
///     /// Orders an article, and returns the price.
///     ///
///     /// The first paragraph is the summary, and the rest is the description.
///     #[example(params = (Order { article: 7, count: 2 }, None), result = 20)]
///     #[example(
///         name = "too many",
///         params = (Order { article: 7, count: 9 }, None),
///         error = ShopError::SoldOut { left: 5 },
///     )]
///     async fn order(&self, ctx: &Context, order: Order, note: Option<&str>) -> Result<u64, ShopError>;
/// }
///
/// struct Corner;
///
/// impl Shop for Corner {
///     async fn order(&self, _: &Context, order: Order, _: Option<&str>) -> Result<u64, ShopError> {
///         match order.count {
///             0..=5 => Ok(u64::from(order.count) * 10),
///             _ => Err(ShopError::SoldOut { left: 5 }),
///         }
///     }
/// }
///
/// let endpoint = Server::builder().service(Corner.into_service()).build()?;
/// let document = endpoint.openrpc(&Info::new("Shop", "1.0.0"));
/// let order = &document.as_value()["methods"][0];
/// assert_eq!(order["summary"], "Orders an article, and returns the price.");
/// assert_eq!(order["params"][1]["required"], false);
/// assert_eq!(order["errors"][0]["code"], 1001);
/// assert_eq!(order["examples"][1]["name"], "too many");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The client (with `#[rpc(server)]`, the service) implements `wsjsonrpc::openrpc::Describe`, and
/// the service returns the descriptions from `Service::describe`. Calls run the same code as
/// without `schema`.
///
/// The types of arguments, results, items and progress need `schemars::JsonSchema`, and error types
/// need `#[rpc_error(schema)]`. For a type that does not implement `JsonSchema`, the arguments
/// `schema`, `result_schema` and `item_schema` in the tables above name a type with the same JSON.
///
/// - A generic trait declares the bound `JsonSchema` on the type parameters that it sends, and so
///   does a generic error type with `#[rpc_error(schema)]`.
/// - The document has the default of an argument with `#[param(default)]`, so its type needs
///   `Serialize`, also with `#[rpc(server)]`.
/// - With `#[rpc(client)]`, an argument is described as optional if its type is written `Option<…>`
///   or if it has `#[param(default)]`; an alias of `Option` is not recognised, because a client
///   need not be able to decode the type.
/// - The description has the doc comments, but not those in `#[cfg_attr(…, doc = "…")]`, whose
///   condition a macro cannot see.
///
/// ## On a method: `#[example(…)]`
///
/// A method may have several examples. The compiler checks the types of the values, and
/// `wsjsonrpc::testing::assert_examples` checks that a service answers as the examples say.
/// Subscriptions have no examples.
///
/// | argument | effect | default |
/// |---|---|---|
/// | `name = "too many"` | the name in the document | `example`; with several examples, `example 1`, `example 2` and so on |
/// | `params = (1, 2)` | one value for each argument, also for optional ones; without the context. One value is written as `(1,)` or `(1)` | for methods without arguments |
/// | `result = 3` | the result without `Ok` | for methods that return `()` or nothing |
/// | `error = MyError::NotFound` | the error without `Err`, in place of `result` | the call succeeds |
///
/// # Generics
///
/// The trait may have type and const parameters, which the client and the service then have too.
/// Values of a type parameter are sent and are handled on any thread, so the trait must declare
/// these bounds:
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
/// # `async_trait` and `dyn`
///
/// `#[async_trait]` is not needed and does not work, neither on the trait nor on its `impl`s.
///
/// A trait with an `async fn` or a subscription is not `dyn` compatible. To choose an
/// implementation at run time, choose the service: `Box<dyn Service>` and `Arc<dyn Service>` are
/// services, see `wsjsonrpc::service::Service`. A function that accepts any implementation takes an
/// `impl Math`.
///
/// A client is always named by its type: `ctx.client::<MathClient>()`, `MathClient::new(peer)`.
///
/// # Recursion
///
/// An `async fn` of an `impl` cannot call itself. Let it call another function, which calls itself
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
/// # Reserved names
///
/// In Rust, a method cannot be named `new`, `connect`, `peer`, `batch` or `into_service`, nor, if
/// there is a mock, `calls` or `into_client`. On the wire it can, with
/// `#[method(name = "connect")]`. On the wire, JSON-RPC reserves all names that begin with `rpc.`.
#[proc_macro_attribute]
pub fn rpc(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    let features =
        Features { testing: cfg!(feature = "testing"), schema: cfg!(feature = "schema") };
    expand_rpc(arguments.into(), item.into(), features).into()
}

/// Makes an error type of the application an error that handlers return and callers receive.
///
/// Each variant has a code. Its fields are sent as the `data` of the error object. The caller gets
/// the same value back, in `Error::Call`.
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
///     Err(Error::Timeout(_)) => println!("try again later"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
///
/// The derive works on enums and on structs. A struct counts as one variant. It does not implement
/// `Display` and `std::error::Error`; derive thiserror's `Error` on the same type for these.
///
/// # On a variant or a struct: `#[rpc_error(…)]`
///
/// | argument | effect | default |
/// |---|---|---|
/// | `code = 1001` | the code: an integer, or the path of an `i64` constant. Each variant needs a different code, and JSON-RPC reserves -32768 to -32000 | required |
/// | `message = "{missing} are missing"` | the message, with fields as in `format!`: `{missing}`, `{0}`, `{0:?}` | see below |
/// | `display` | takes the message from `Display` | see below |
/// | `transparent` | sends the only field, whose type also implements `RpcError`, in place of the variant. Excludes the other arguments | |
/// | `from` | next to `transparent`, on the variant that holds an `ErrorObject`: `?` converts an `ErrorObject` and a failed call into this variant | no conversions |
///
/// The message is the first of these:
///
/// 1. the variant's `message`;
/// 2. its `Display`, if the variant has `display` or thiserror's `#[error(…)]`;
/// 3. its `Display`, if the enum has `display` or thiserror's `#[error(…)]`;
/// 4. the name of the variant in words: "no such account" for `NoSuchAccount`.
///
/// # On the type: `#[rpc_error(…)]`
///
/// | argument | effect | default |
/// |---|---|---|
/// | `display` | takes the message of variants without their own message from `Display` | |
/// | `rename_all = "camelCase"` | renames all fields; accepts the same values as in `#[rpc]` | names as in Rust |
/// | `schema` | with the feature `schema` of `wsjsonrpc`, implements `wsjsonrpc::openrpc::DescribeError`, which a trait with `#[rpc(schema)]` needs; without the feature, it generates nothing. The type of each field needs `schemars::JsonSchema` | no description |
/// | `crate = path` | the path of `wsjsonrpc` if the crate is renamed or re-exported: a path or a string | `::wsjsonrpc` |
///
/// # On a field: `#[rpc_error(…)]`
///
/// | argument | effect | default |
/// |---|---|---|
/// | `rename = "n"` | the name in `data` | the field's name after `rename_all` |
/// | `default` | if the field is missing in received data, it is `Default::default()` | the field is required, unless it is an `Option` |
/// | `schema = Type` | with `#[rpc_error(schema)]` on the type, describes the field with the schema of another type | the type of the field |
///
/// ```
/// use wsjsonrpc::RpcError;
///
/// #[derive(Debug, PartialEq, RpcError)]
/// #[rpc_error(display, rename_all = "camelCase")]
/// enum QuotaError {
///     #[rpc_error(code = 3001)]
///     Exceeded {
///         #[rpc_error(rename = "max")]
///         limit: u32,
///         #[rpc_error(default)]
///         retry_after: u32,
///     },
/// }
///
/// impl std::fmt::Display for QuotaError {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         let QuotaError::Exceeded { limit, .. } = self;
///         write!(f, "more than {limit} calls")
///     }
/// }
///
/// let error = QuotaError::Exceeded { limit: 10, retry_after: 60 };
/// let object = error.to_object();
/// assert_eq!(object.message(), "more than 10 calls");
/// assert_eq!(object.data().unwrap().get(), r#"{"max":10,"retryAfter":60}"#);
/// assert_eq!(QuotaError::from_object(object).unwrap(), error);
/// ```
///
/// # Fields
///
/// All fields are sent to the caller, so none may hold a secret. Each type needs serde's
/// `Serialize` and `Deserialize`.
///
/// | variant | `data` |
/// |---|---|
/// | `Insufficient { missing: u64 }` | `{"missing": 50}` |
/// | `NoSuchAccount(String)` | `"eve"` |
/// | `OverLimit(u64, String)` | `[50, "EUR"]` |
/// | `Closed` | absent |
///
/// serde's attributes have no effect on the fields, because the code is not written by serde's
/// derive. To use them, give the variant one unnamed field of a type that derives serde's traits:
/// `Insufficient(Details)`.
///
/// If a field cannot be serialized, as a map whose keys are not strings, a warning is logged and
/// the error is sent without data.
///
/// # Decoding
///
/// The caller gets the variant whose code is that of the error object, if the data fits: each field
/// is present and has the right type. Extra members and elements are ignored, so a server may add
/// details. If the code is unknown or the data does not fit, the caller gets the unchanged error
/// object in `Error::Other`.
///
/// If there are `transparent` variants, error objects that match no other variant are offered to
/// the types of their fields, in the order of the variants. An `ErrorObject` accepts all of them.
/// So error types can be nested, and an error type can have a variant for everything else:
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
///     /// The last variant, because it accepts every error object.
///     #[rpc_error(transparent, from)]
///     Other(ErrorObject),
/// }
///
/// /// For `?`: the caller gets -32603, and the details are logged.
/// impl From<std::io::Error> for ShopError {
///     fn from(error: std::io::Error) -> Self {
///         ShopError::Other(error.into())
///     }
/// }
///
/// let object = ErrorObject::new(1001, "bank error");
/// assert!(matches!(ShopError::from_object(object), Ok(ShopError::Bank(BankError))));
/// let object = ErrorObject::new(-32601, "Method not found");
/// assert!(matches!(ShopError::from_object(object), Ok(ShopError::Other(_))));
/// ```
///
/// # `?` in a handler
///
/// With `from`, `?` works in a handler that returns `Result<T, ShopError>`:
///
/// - on an `ErrorObject`, for example from `ctx.require()`. It is sent unchanged.
/// - on a failed call, a `wsjsonrpc::Error<E>`. As in a handler that returns
///   `wsjsonrpc::Result<T>`, the caller gets -32603, and the error is logged. To forward the peer's
///   error, write `.map_err(Error::into_object)?`.
///
/// thiserror's `#[from]` writes other conversions on the same enum. It does not work here, because
/// an `ErrorObject` does not implement `std::error::Error`.
///
/// # Generics
///
/// Type parameters need bounds on the type itself, usually
/// `T: Serialize + DeserializeOwned + Send + 'static`. Lifetime parameters are not possible,
/// because a received error cannot borrow.
// `from` is an attribute of thiserror. It is declared here so that this derive can report a `from`
// without thiserror.
#[proc_macro_derive(RpcError, attributes(rpc_error, from))]
pub fn derive_rpc_error(item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    rpc_error::derive(item.into(), cfg!(feature = "schema")).into()
}

/// The features of this crate that decide what is generated.
struct Features {
    testing: bool,
    schema: bool,
}

/// The whole attribute, on tokens that tests can also create.
fn expand_rpc(arguments: TokenStream, item: TokenStream, features: Features) -> TokenStream {
    let mut report = Report::default();
    let options = RpcOptions::parse(arguments, &mut report);
    let contract = match trait_item::read(options, item, &mut report) {
        Ok(contract) => {
            Contract { makes_mocks: features.testing, makes_schemas: features.schema, ..contract }
        }
        Err(item) => return report.compile_errors().into_iter().chain([item]).collect(),
    };
    check::check(&contract, &mut report);
    match report.compile_errors() {
        None => expand::expand(&contract),
        Some(errors) => fallback::expand(contract, errors),
    }
}

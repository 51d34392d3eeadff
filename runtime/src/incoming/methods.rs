//! Handlers for methods whose names are known only at run time: closures ([`Methods`]), and a
//! [`Fallback`] for all unknown names.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::incoming::context::Context;
use crate::incoming::service::{Outcome, Params, Request, Service};
use crate::incoming::topic::{ClosureItem, Topic};
use crate::protocol::error::Result;
use crate::protocol::whole::form_of;
use crate::util::catch_unwind::UserValues;

/// A service made of closures, for methods whose names are known only at run time.
///
/// ```
/// use wsjsonrpc::{ErrorObject, Methods};
///
/// let methods = Methods::new()
///     .method("math.sum", |_ctx, (x, y): (i64, i64)| async move { Ok(x + y) })
///     .method("math.mean", |_ctx, numbers: Vec<f64>| async move {
///         if numbers.is_empty() {
///             return Err(ErrorObject::invalid_params("no numbers"));
///         }
///         Ok(numbers.iter().sum::<f64>() / numbers.len() as f64)
///     });
/// # drop(methods);
/// ```
#[derive(Default)]
pub struct Methods {
    names: Vec<Cow<'static, str>>,
    /// Names of unsubscribe methods.
    unsubscribe: Vec<Cow<'static, str>>,
    handlers: UserValues<Arc<Handler>>,
    #[cfg(feature = "schema")]
    descriptions: Vec<crate::openrpc::Method>,
}

type Handler = dyn Fn(Request) -> Outcome + Send + Sync;

type ItemOf<S> = <<S as Stream>::Item as ClosureItem>::Value;

impl Methods {
    /// A service without methods.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a method. The closure gets the context and all params as one value, and returns a
    /// future of a [`Result`]. The type `P` of that value decides which params are valid:
    ///
    /// | `P` | params |
    /// |---|---|
    /// | `()` | none |
    /// | a tuple, such as `(String, Option<u32>)` | a list; trailing `Option`s may be left out |
    /// | `Vec<T>` | a list of any length |
    /// | a struct, or a map | an object; a struct also takes a list of its fields |
    /// | an enum | a list of one, `["red"]`; a variant with data may also be the object itself |
    /// | a number, `bool`, `String`, and what serializes as one of them | a list of one, `[5]` |
    ///
    /// In the last row, `P` is never a list or an object itself, so the params have only one
    /// meaning. [`method`](Self::method) detects this when the method is added, by deserializing a
    /// `P` from nothing.
    ///
    /// Neither the closure nor its future may block the thread, because both start in the
    /// connection's task. In particular, `Handle::block_on` (even within `block_in_place`) around a
    /// call back to the caller never returns. Run blocking code with
    /// `tokio::task::spawn_blocking(…)`.
    ///
    /// ```
    /// use serde::Deserialize;
    /// use wsjsonrpc::Methods;
    ///
    /// #[derive(Deserialize)]
    /// struct Order {
    ///     article: String,
    ///     count: u32,
    /// }
    ///
    /// let methods = Methods::new()
    ///     .method("ping", |_ctx, (): ()| async { Ok("pong") })
    ///     .method("sum", |_ctx, numbers: Vec<i64>| async move { Ok(numbers.iter().sum::<i64>()) })
    ///     .method("order", |_ctx, order: Order| async move {
    ///         Ok(format!("{} × {}", order.count, order.article))
    ///     });
    /// # drop(methods);
    /// ```
    #[must_use]
    pub fn method<P, F, T>(
        mut self,
        name: impl Into<Cow<'static, str>>,
        handler: impl Fn(Context, P) -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
        F: Future<Output = Result<T>> + Send + 'static,
        T: Serialize,
    {
        self.names.push(name.into());
        let form = form_of::<P>();
        self.handlers.push(Arc::new(move |request| {
            let params = request.refuse_subscribing().and_then(|()| request.of_closure::<P>(form));
            match params {
                Ok(params) => {
                    let answer = handler(request.context().clone(), params);
                    Outcome::future(async move { request.reply(answer.await) })
                }
                Err(error) => Outcome::ready(|| request.fail(error)),
            }
        }));
        self
    }

    /// Adds a subscription. The closure gets the same arguments as that of a
    /// [`method`](Self::method), and returns a future of a stream, or of an error that refuses the
    /// subscription. The stream yields `Result<T>`, whose first error ends the subscription, or is
    /// that of a [`Channel`](crate::Channel).
    ///
    /// ```
    /// use futures_util::stream;
    /// use wsjsonrpc::{ErrorObject, Methods};
    /// use wsjsonrpc::subscription::Topic;
    ///
    /// let methods = Methods::new().subscription(Topic::new("count"), |_ctx, (upto,): (u32,)| async move {
    ///     if upto > 1000 {
    ///         return Err(ErrorObject::invalid_params("upto must be at most 1000"));
    ///     }
    ///     Ok(stream::iter((1..=upto).map(Ok)))
    /// });
    /// # drop(methods);
    /// ```
    #[must_use]
    pub fn subscription<P, F, S>(
        mut self,
        topic: Topic,
        handler: impl Fn(Context, P) -> F + Send + Sync + 'static,
    ) -> Self
    where
        P: DeserializeOwned,
        F: Future<Output = Result<S>> + Send + 'static,
        S: Stream + Send + 'static,
        S::Item: ClosureItem,
    {
        self.names.push(topic.name.clone());
        self.unsubscribe.push(topic.unsubscribe.clone());
        let form = form_of::<P>();
        self.handlers.push(Arc::new(move |request| {
            let params = match request.of_closure::<P>(form) {
                Ok(params) => params,
                Err(error) => return Outcome::ready(|| request.fail(error)),
            };
            let stream = handler(request.context().clone(), params);
            Outcome::subscription(request, topic.clone(), |request, producer| async move {
                match stream.await {
                    Ok(stream) => producer.run::<ItemOf<S>, S>(stream).await,
                    Err(error) => request.fail(error),
                }
            })
        }));
        self
    }

    /// Limits the params of the methods and subscriptions added so far to this many bytes of JSON.
    /// Larger params get -32602 before they are decoded.
    ///
    /// Decoded params can be much larger than their text: a `serde_json::Value` uses up to 130
    /// times as many bytes. For a trait, use `#[method(max_params = "64 KiB")]`.
    ///
    /// ```
    /// use wsjsonrpc::Methods;
    ///
    /// let methods = Methods::new()
    ///     .method("echo", |_ctx, (value,): (serde_json::Value,)| async move { Ok(value) })
    ///     .max_params(64 * 1024)
    ///     .method("upload", |_ctx, (text,): (String,)| async move { Ok(text.len()) });
    /// # drop(methods);
    /// ```
    #[must_use]
    pub fn max_params(mut self, bytes: usize) -> Self {
        for handler in self.handlers.iter_mut() {
            let limited = Arc::clone(handler);
            *handler = Arc::new(move |request| match request.refuse_params_over(bytes) {
                Some(refused) => refused,
                None => limited(request),
            });
        }
        self
    }

    /// Describes a method or a subscription for the OpenRPC document, which leaves out methods
    /// without a description. Needs the feature `schema`.
    ///
    /// ```
    /// use wsjsonrpc::openrpc::Method;
    /// use wsjsonrpc::{Context, Methods};
    ///
    /// let methods = Methods::new()
    ///     .method("double", |_: Context, (x,): (i64,)| async move { Ok(2 * x) })
    ///     .describe(Method::new("double").list_only().param::<i64>("x").result::<i64>());
    /// # drop(methods);
    /// ```
    #[cfg(feature = "schema")]
    #[must_use]
    pub fn describe(mut self, method: crate::openrpc::Method) -> Self {
        self.descriptions.push(method);
        self
    }

    pub(crate) fn append(&mut self, other: Self) {
        #[cfg(feature = "schema")]
        self.descriptions.extend(other.descriptions);
        self.names.extend(other.names);
        self.unsubscribe.extend(other.unsubscribe);
        self.handlers.append(other.handlers);
    }
}

impl Service for Methods {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        let methods = self.names.iter().cloned().enumerate().map(|(index, name)| (name, index));
        let unsubscribe = self.unsubscribe.iter().cloned();
        methods.chain(unsubscribe.map(|name| (name, Topic::UNSUBSCRIBE))).collect()
    }

    fn call(&self, method: usize, request: Request) -> Outcome {
        match self.handlers.get(method) {
            Some(handler) => handler(request),
            None => Outcome::unknown(request),
        }
    }

    #[cfg(feature = "schema")]
    fn describe(&self) -> Vec<crate::openrpc::Method> {
        self.descriptions.clone()
    }
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Methods").field(&self.names).finish()
    }
}

/// Handles the calls of all unknown methods, for example to forward or log them. Passed to
/// [`ServerBuilder::fallback`](crate::server::ServerBuilder::fallback).
///
/// ```
/// use serde_json::value::{RawValue, to_raw_value};
/// use wsjsonrpc::{async_trait, Context, Result, Server};
/// use wsjsonrpc::server::Fallback;
/// use wsjsonrpc::service::Params;
///
/// struct Echo;
///
/// #[async_trait]
/// impl Fallback for Echo {
///     async fn call(&self, _: &Context, method: &str, params: Params<'_>) -> Result<Box<RawValue>> {
///         Ok(to_raw_value(&(method, params.json().map(str::len)))?)
///     }
/// }
///
/// let server = Server::builder().fallback(Echo);
/// # drop(server);
/// ```
#[async_trait]
pub trait Fallback: Send + Sync + 'static {
    /// Handles one call. The result of a notification is dropped.
    ///
    /// # Errors
    /// Return [`ErrorObject::method_not_found`](crate::ErrorObject::method_not_found) for unknown
    /// names. The message that the caller gets then names the method.
    async fn call(
        &self,
        context: &Context,
        method: &str,
        params: Params<'_>,
    ) -> Result<Box<RawValue>>;
}

/// A fallback as a service without method names.
pub(crate) struct FallbackService(pub(crate) Arc<dyn Fallback>);

impl Service for FallbackService {
    fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
        Vec::new()
    }

    fn call(&self, _: usize, request: Request) -> Outcome {
        let fallback = Arc::clone(&self.0);
        Outcome::future(async move {
            let answer = fallback.call(request.context(), request.method(), request.params()).await;
            request.reply(answer.map_err(|error| error.naming(request.method())))
        })
    }
}

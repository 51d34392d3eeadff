//! The description of one method: [`Method`], with its [`Example`]s and its [`Errors`]. `#[rpc]`
//! and `derive(RpcError)` generate code that creates them; a program describes untyped methods in
//! the same way.

use std::borrow::Cow;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde_json::Value;

use crate::protocol::error::{ErrorCode, ErrorObject};
use crate::protocol::params::Args;

/// Creates the schema of one type.
pub(super) type SchemaFn = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema + ?Sized>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A type with a JSON Schema: every type that implements [`schemars::JsonSchema`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no JSON Schema, so it cannot be part of a trait with `#[rpc(schema)]`",
    label = "`{Self}`, or a type in it, does not implement `schemars::JsonSchema`",
    note = "derive it: `#[derive(schemars::JsonSchema)]`, or with the crate that `wsjsonrpc` re-exports: `#[derive(wsjsonrpc::schemars::JsonSchema)] #[schemars(crate = \"wsjsonrpc::schemars\")]`",
    note = "to use the schema of another type: `#[param(schema = String)]` on an argument, `#[method(result_schema = String)]`, `#[subscription(item_schema = String)]`, or `#[rpc_error(schema = String)]` on a field"
)]
pub trait HasSchema: JsonSchema {}

#[diagnostic::do_not_recommend]
impl<T: JsonSchema + ?Sized> HasSchema for T {}

/// A typed client whose trait describes itself, because it has `#[rpc(schema)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not describe its methods",
    label = "expected a client of a trait with `#[rpc(schema)]`",
    note = "add `schema` to the trait's attribute: `#[rpc(schema)]`"
)]
pub trait Describe {
    /// The descriptions of all methods of the trait.
    fn methods() -> Vec<Method>;
}

/// An error type that describes its codes. `derive(RpcError)` implements it for a type with
/// `#[rpc_error(schema)]`.
///
/// ```
/// use wsjsonrpc::openrpc::{DescribeError, Errors};
///
/// /// Any code from 2000 to 2999.
/// struct Upstream(i64);
///
/// impl DescribeError for Upstream {
///     fn describe(errors: &mut Errors) {
///         errors.add(2000, "upstream is unreachable");
///         errors.add(2001, "upstream timed out").data::<f64>();
///     }
/// }
/// # Upstream::describe(&mut Errors::default());
/// # let _ = Upstream(1).0;
/// ```
#[diagnostic::on_unimplemented(
    message = "the error `{Self}` does not describe its codes, so it cannot be part of a trait with `#[rpc(schema)]`",
    label = "`{Self}` does not implement `wsjsonrpc::openrpc::DescribeError`",
    note = "with `derive(RpcError)`, add `#[rpc_error(schema)]` to the type; otherwise implement the trait"
)]
pub trait DescribeError {
    /// Adds the codes that this type can send.
    fn describe(errors: &mut Errors);
}

/// May have any code, so it declares none.
impl DescribeError for ErrorObject {
    fn describe(_: &mut Errors) {}
}

impl DescribeError for Infallible {
    fn describe(_: &mut Errors) {}
}

/// The errors that a method declares. See [`DescribeError`].
#[derive(Clone, Debug, Default)]
pub struct Errors {
    pub(super) list: Vec<ErrorDescription>,
}

impl Errors {
    /// Adds an error. A second error with the same code is a variant of the first.
    pub fn add(
        &mut self,
        code: i64,
        message: impl Into<Cow<'static, str>>,
    ) -> &mut ErrorDescription {
        self.list.push(ErrorDescription {
            code: ErrorCode(code),
            message: message.into(),
            data: Data::None,
        });
        let last = self.list.len() - 1;
        &mut self.list[last]
    }
}

/// One declared error. Created by [`Errors::add`].
#[derive(Clone, Debug)]
pub struct ErrorDescription {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
    pub(super) data: Data,
}

/// The `data` of an error.
#[derive(Clone)]
pub(super) enum Data {
    None,
    Value(SchemaFn),
    Object(Vec<(&'static str, SchemaFn)>),
    List(Vec<SchemaFn>),
}

impl ErrorDescription {
    /// The `data` of the error is a `T`.
    pub fn data<T: HasSchema + ?Sized>(&mut self) -> &mut Self {
        self.data = Data::Value(schema_of::<T>);
        self
    }

    /// The `data` of the error is an object, and this is one of its members.
    pub fn field<T: HasSchema + ?Sized>(&mut self, name: &'static str) -> &mut Self {
        match &mut self.data {
            Data::Object(fields) => fields.push((name, schema_of::<T>)),
            data => *data = Data::Object(vec![(name, schema_of::<T>)]),
        }
        self
    }

    /// The `data` of the error is a list, and this is its next element.
    pub fn element<T: HasSchema + ?Sized>(&mut self) -> &mut Self {
        match &mut self.data {
            Data::List(elements) => elements.push(schema_of::<T>),
            data => *data = Data::List(vec![schema_of::<T>]),
        }
        self
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Data::None => "none",
            Data::Value(_) => "a value",
            Data::Object(_) => "an object",
            Data::List(_) => "a list",
        })
    }
}

/// The description of a method, for the [`Document`](super::Document).
///
/// `#[rpc(schema)]` creates the descriptions of a trait's methods. For a method that is a closure,
/// pass one to `describe` of the builder or of [`Methods`](crate::Methods):
///
/// ```
/// use wsjsonrpc::openrpc::Method;
/// use wsjsonrpc::{Context, Server};
///
/// let server = Server::builder()
///     .method("math.sum", |_: Context, (x, y): (i64, i64)| async move { Ok(x + y) })
///     .describe(
///         Method::new("math.sum")
///             .doc("Adds two numbers.")
///             .param::<i64>("x")
///             .param::<i64>("y")
///             .list_only()
///             .result::<i64>(),
///     );
/// # drop(server);
/// ```
#[derive(Clone)]
pub struct Method {
    pub(super) name: Cow<'static, str>,
    pub(super) aliases: Vec<Cow<'static, str>>,
    pub(super) doc: Cow<'static, str>,
    pub(super) deprecated: Option<Cow<'static, str>>,
    pub(super) structure: ParamStructure,
    pub(super) params: Vec<Param>,
    pub(super) result: Option<SchemaFn>,
    pub(super) errors: Errors,
    pub(super) examples: Vec<Example>,
    pub(super) idempotent: bool,
    pub(super) ordered: bool,
    pub(super) cancel_drops: bool,
    pub(super) progress: Option<SchemaFn>,
    pub(super) subscription: Option<SubscriptionDescription>,
}

/// How the params of a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum ParamStructure {
    Either,
    ByPosition,
    ByName,
    /// The only param is the whole of `params`.
    Whole,
}

#[derive(Clone)]
pub(super) struct Param {
    pub(super) name: Cow<'static, str>,
    pub(super) schema: SchemaFn,
    pub(super) required: bool,
    pub(super) default: Option<Value>,
}

#[derive(Clone)]
pub(super) struct SubscriptionDescription {
    pub(super) unsubscribe: Cow<'static, str>,
    pub(super) notification: Cow<'static, str>,
    pub(super) item: SchemaFn,
    pub(super) resume: bool,
}

impl Method {
    /// The description of the method with this name on the wire. Without further calls, the method
    /// has no params and returns `null`.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Method {
            name: name.into(),
            aliases: Vec::new(),
            doc: Cow::Borrowed(""),
            deprecated: None,
            structure: ParamStructure::Either,
            params: Vec::new(),
            result: None,
            errors: Errors::default(),
            examples: Vec::new(),
            idempotent: false,
            ordered: false,
            cancel_drops: false,
            progress: None,
            subscription: None,
        }
    }

    /// The method's name on the wire.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name and the aliases.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&*self.name).chain(self.aliases.iter().map(|name| &**name))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn examples(&self) -> &[Example] {
        &self.examples
    }

    /// The `params` of an example as a peer sends them.
    #[cfg(feature = "testing")]
    pub(crate) fn params_of(&self, example: &Example) -> Value {
        let mut values = example.params.iter().cloned();
        match self.structure {
            ParamStructure::Whole => values.next().unwrap_or_default(),
            ParamStructure::ByName => {
                let names = self.params.iter().map(|param| param.name.clone().into_owned());
                names.zip(values).collect::<serde_json::Map<_, _>>().into()
            }
            ParamStructure::Either | ParamStructure::ByPosition => values.collect(),
        }
    }

    /// Another name of the method on the wire (`x-aliases`).
    #[must_use]
    pub fn alias(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.aliases.push(name.into());
        self
    }

    /// What the method does, in Markdown. The first paragraph is the summary, and the rest is the
    /// description.
    #[must_use]
    pub fn doc(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.doc = text.into();
        self
    }

    /// The method is deprecated; `note` says what to use in its place, and may be empty.
    #[must_use]
    pub fn deprecated(mut self, note: impl Into<Cow<'static, str>>) -> Self {
        self.deprecated = Some(note.into());
        self
    }

    /// The next param, which every call must send.
    #[must_use]
    pub fn param<T: HasSchema + ?Sized>(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.with_param(name.into(), schema_of::<T>, true, None)
    }

    /// The next param, which a call may leave out.
    #[must_use]
    pub fn optional_param<T: HasSchema + ?Sized>(self, name: impl Into<Cow<'static, str>>) -> Self {
        self.with_param(name.into(), schema_of::<T>, false, None)
    }

    /// The next param, which has this value if a call leaves it out.
    #[must_use]
    pub fn param_with_default<T: HasSchema + Serialize>(
        self,
        name: impl Into<Cow<'static, str>>,
        default: T,
    ) -> Self {
        self.with_param(name.into(), schema_of::<T>, false, example_value(&default))
    }

    /// The next param, which may be left out only if `required` is false. For generated code.
    #[doc(hidden)]
    #[must_use]
    pub fn argument<T: HasSchema + ?Sized>(
        self,
        name: &'static str,
        required: bool,
        default: Option<Value>,
    ) -> Self {
        self.with_param(name.into(), schema_of::<T>, required, default)
    }

    fn with_param(
        mut self,
        name: Cow<'static, str>,
        schema: SchemaFn,
        required: bool,
        default: Option<Value>,
    ) -> Self {
        self.params.push(Param { name, schema, required, default });
        self
    }

    /// All of `params` is one `T`: a struct, a tuple, a list or a map. Replaces all other params.
    #[must_use]
    pub fn params<T: HasSchema + ?Sized>(mut self) -> Self {
        self.params.clear();
        self.structure = ParamStructure::Whole;
        self.with_param("params".into(), schema_of::<T>, true, None)
    }

    /// Calls must send the params as a list. By default, they may send a list or an object.
    #[must_use]
    pub fn list_only(mut self) -> Self {
        self.structure = ParamStructure::ByPosition;
        self
    }

    /// Calls must send the params as an object. By default, they may send a list or an object.
    #[must_use]
    pub fn object_only(mut self) -> Self {
        self.structure = ParamStructure::ByName;
        self
    }

    /// The type of the result. Default: `null`.
    #[must_use]
    pub fn result<T: HasSchema + ?Sized>(mut self) -> Self {
        self.result = Some(schema_of::<T>);
        self
    }

    /// The errors that the method can return, besides those of JSON-RPC.
    #[must_use]
    pub fn errors<E: DescribeError>(mut self) -> Self {
        E::describe(&mut self.errors);
        self
    }

    /// The method is a subscription with this type of items. `unsubscribe` is the name of the
    /// method that ends it, and `notification` the name of the notifications that carry the items.
    #[must_use]
    pub fn subscription<T: HasSchema + ?Sized>(
        mut self,
        unsubscribe: impl Into<Cow<'static, str>>,
        notification: impl Into<Cow<'static, str>>,
    ) -> Self {
        self.subscription = Some(SubscriptionDescription {
            unsubscribe: unsubscribe.into(),
            notification: notification.into(),
            item: schema_of::<T>,
            resume: false,
        });
        self
    }

    /// The items of the subscription have positions, so a consumer can resume after one of them.
    /// Call it after [`subscription`](Self::subscription).
    #[must_use]
    pub fn resumable(mut self) -> Self {
        if let Some(subscription) = &mut self.subscription {
            subscription.resume = true;
        }
        self
    }

    /// The method may be called several times with the effect of one call (`x-idempotent`).
    #[must_use]
    pub fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// The ordered methods of a connection run one after another (`x-ordered`).
    #[must_use]
    pub fn ordered(mut self) -> Self {
        self.ordered = true;
        self
    }

    /// If the caller cancels the call, the handler stops at its next `await` (`x-cancel`).
    #[must_use]
    pub fn cancel_drops(mut self) -> Self {
        self.cancel_drops = true;
        self
    }

    /// The type of the progress that the method reports (`x-progress`).
    #[must_use]
    pub fn progress<T: HasSchema + ?Sized>(mut self) -> Self {
        self.progress = Some(schema_of::<T>);
        self
    }

    /// An example of a call.
    #[must_use]
    pub fn example(mut self, example: Example) -> Self {
        self.examples.push(example);
        self
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Method").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An example of a call: its params, and its result or its error.
///
/// ```
/// use wsjsonrpc::openrpc::{Example, Method};
///
/// let sum = Method::new("math.sum")
///     .param::<i64>("x")
///     .param::<i64>("y")
///     .result::<i64>()
///     .example(Example::new("one and two").param(&1).param(&2).result(&3));
/// # drop(sum);
/// ```
#[derive(Clone, Debug)]
pub struct Example {
    pub(super) name: Cow<'static, str>,
    /// In the order of the method's params.
    pub(super) params: Vec<Value>,
    /// A value cannot be serialized.
    pub(super) broken: bool,
    pub(super) outcome: Option<Outcome>,
}

#[derive(Clone, Debug)]
pub(super) enum Outcome {
    Result(Value),
    Error(ErrorObject),
}

impl Example {
    #[cfg(feature = "testing")]
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether a value cannot be serialized.
    #[cfg(feature = "testing")]
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// What the call must return: the result, or the error.
    #[cfg(feature = "testing")]
    pub(crate) fn expected(&self) -> Result<Value, ErrorObject> {
        match &self.outcome {
            Some(Outcome::Result(value)) => Ok(value.clone()),
            Some(Outcome::Error(error)) => Err(error.clone()),
            None => Ok(Value::Null),
        }
    }

    /// An example without params, which returns `null`.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Example { name: name.into(), params: Vec::new(), broken: false, outcome: None }
    }

    /// The value of the next param, in the order of the method's params.
    ///
    /// If a value cannot be serialized, the document leaves out the example, and the log has a
    /// warning.
    #[must_use]
    pub fn param<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        match example_value(value) {
            Some(value) => self.params.push(value),
            None => self.broken = true,
        }
        self
    }

    /// The result.
    #[must_use]
    pub fn result<T: Serialize + ?Sized>(mut self, value: &T) -> Self {
        self.outcome = example_value(value).map(Outcome::Result);
        self.broken |= self.outcome.is_none();
        self
    }

    /// The method returns nothing. For generated code.
    #[doc(hidden)]
    #[must_use]
    pub fn no_result<T: ReturnsNothing>(self, _: PhantomData<T>) -> Self {
        self.result(&())
    }

    /// The error that the call fails with.
    #[must_use]
    pub fn error(mut self, error: ErrorObject) -> Self {
        self.outcome = Some(Outcome::Error(error));
        self
    }
}

/// A value of a default or of an example as JSON.
pub fn example_value<T: Serialize + ?Sized>(value: &T) -> Option<Value> {
    serde_json::to_value(value)
        .inspect_err(|error| {
            tracing::warn!(%error, "a default or an example cannot be serialized; the OpenRPC document leaves it out");
        })
        .ok()
}

/// Whether a param of this type may be missing from a call. `next` is `Args::next`: it brings the
/// bounds on the type, so that rustc reports a missing bound once, as in the service.
pub fn is_optional<'a, T>(next: fn(&mut Args<'a>) -> Result<T, ErrorObject>) -> bool {
    next(&mut Args::empty()).is_ok()
}

/// The result of a method whose examples have no `result`.
#[diagnostic::on_unimplemented(
    message = "the example has no result, and the method returns `{Self}`",
    label = "add `result = …` or `error = …`"
)]
pub trait ReturnsNothing {}

impl ReturnsNothing for () {}

/// The type of an argument whose default is in the document.
#[diagnostic::on_unimplemented(
    message = "the default `{Self}` cannot be written into an OpenRPC document: it does not serialize",
    label = "`{Self}` does not implement `serde::Serialize`",
    note = "with `#[rpc(schema)]`, the type of an argument with `#[param(default)]` needs it: `#[derive(serde::Serialize)]`"
)]
pub trait HasDefault: Serialize {}

#[diagnostic::do_not_recommend]
impl<T: Serialize> HasDefault for T {}

/// The default of a param of this type as JSON. `next` is `Args::next_or_default`.
pub fn default_value<'a, T: HasDefault>(
    next: fn(&mut Args<'a>) -> Result<T, ErrorObject>,
) -> Option<Value> {
    next(&mut Args::empty()).ok().and_then(|default| example_value(&default))
}

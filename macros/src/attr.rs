//! Parses the arguments of `#[rpc(…)]`, `#[method(…)]` and `#[param(…)]`. `model` and `check` apply
//! them to the trait.

use proc_macro2::{Span, TokenStream};
use syn::{Attribute, Ident, LitStr, Path, Type};

use crate::arguments::{Arguments, Known};
use crate::case::Case;
use crate::report::Report;

const RPC: &Known = &[
    ("namespace", r#"namespace = "…""#),
    ("separator", r#"separator = "…""#),
    ("rename_all", r#"rename_all = "camelCase""#),
    ("crate", "crate = path::to::wsjsonrpc"),
    ("mock", r#"mock = "FakeMath""#),
    ("omit_none", "omit_none"),
    ("server", "server"),
    ("client", "client"),
    ("schema", "schema"),
];
const METHOD: &Known = &[
    ("name", r#"name = "…""#),
    ("aliases", r#"aliases = ["…", "…"]"#),
    ("params", r#"params = "positional""#),
    ("max_params", r#"max_params = "64 KiB""#),
    ("blocking", "blocking"),
    ("idempotent", "idempotent"),
    ("cancel", r#"cancel = "drop""#),
    ("ordered", "ordered"),
    ("omit_none", "omit_none"),
    ("result_schema", "result_schema = Type"),
    ("progress", "progress = Type"),
];
const PARAM: &Known =
    &[("rename", r#"rename = "…""#), ("default", "default"), ("schema", "schema = Type")];

/// How a client sends the arguments of a method. A server accepts lists and objects, except with
/// [`Form::List`] and [`Form::Whole`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Form {
    /// `[1, 2]`
    #[default]
    Positional,
    /// `[1, 2]`, and the server accepts only lists.
    List,
    /// `{"x": 1, "y": 2}`
    Named,
    /// The one argument is the whole of `params`.
    Whole,
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bytes(pub(crate) usize);

/// What happens to a handler whose call is cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Cancel {
    /// The handler is notified by its context.
    #[default]
    Signal,
    /// Its future is dropped.
    Drop,
}

/// The arguments of `#[rpc(…)]`.
#[derive(Default)]
pub(crate) struct RpcOptions {
    pub(crate) namespace: Option<LitStr>,
    pub(crate) separator: Option<LitStr>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) krate: Option<Path>,
    pub(crate) mock: Option<Mock>,
    /// The default for all methods.
    pub(crate) omit_none: Option<Span>,
    /// Only the service is generated.
    pub(crate) server: Option<Span>,
    /// Only the client is generated.
    pub(crate) client: Option<Span>,
    /// The trait describes itself.
    pub(crate) schema: Option<Span>,
}

/// The requested mock.
pub(crate) enum Mock {
    /// `FooMock`
    Default,
    Named(Ident),
}

impl RpcOptions {
    pub(crate) fn parse(tokens: TokenStream, report: &mut Report) -> Self {
        let mut arguments = Arguments::parse("rpc", RPC, tokens, report);
        RpcOptions {
            namespace: arguments.string("namespace", report),
            separator: arguments.string("separator", report),
            rename_all: arguments.one_of("rename_all", report),
            krate: arguments.path("crate", report),
            mock: arguments
                .flag_or_name("mock", report)
                .map(|name| name.map_or(Mock::Default, Mock::Named)),
            omit_none: arguments.flag("omit_none", report),
            server: arguments.flag("server", report),
            client: arguments.flag("client", report),
            schema: arguments.flag("schema", report),
        }
    }
}

/// The arguments of `#[method(…)]`. Each span is that of the token that set the option.
#[derive(Default)]
pub(crate) struct MethodOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) form: Option<(Form, Span)>,
    pub(crate) max_params: Option<Bytes>,
    pub(crate) blocking: Option<Span>,
    pub(crate) idempotent: Option<Span>,
    pub(crate) cancel: Option<(Cancel, Span)>,
    pub(crate) ordered: Option<Span>,
    /// The client omits arguments that are null, where it can.
    pub(crate) omit_none: Option<Span>,
    /// The type whose schema describes the result. Default: the type of the result.
    pub(crate) result_schema: Option<Type>,
    /// The type of the progress that the handler reports.
    pub(crate) progress: Option<Type>,
}

impl MethodOptions {
    /// Takes `#[method(…)]` out of a function's attributes.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let mut arguments = Arguments::take("method", METHOD, attributes, report);
        MethodOptions {
            name: arguments.string("name", report),
            aliases: arguments.strings("aliases", report),
            form: arguments.spanned_one_of("params", report),
            max_params: arguments.one_of("max_params", report),
            blocking: arguments.flag("blocking", report),
            idempotent: arguments.flag("idempotent", report),
            cancel: arguments.spanned_one_of("cancel", report),
            ordered: arguments.flag("ordered", report),
            omit_none: arguments.flag("omit_none", report),
            result_schema: arguments.ty("result_schema", report),
            progress: arguments.ty("progress", report),
        }
    }
}

/// The arguments of `#[param(…)]`. The span is that of the token `default`.
#[derive(Default)]
pub(crate) struct ParamOptions {
    pub(crate) rename: Option<LitStr>,
    pub(crate) default: Option<Span>,
    /// The type whose schema describes the argument. Default: the type of the argument.
    pub(crate) schema: Option<Type>,
}

impl ParamOptions {
    /// Takes `#[param(…)]` out of an argument's attributes.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let mut arguments = Arguments::take("param", PARAM, attributes, report);
        ParamOptions {
            rename: arguments.string("rename", report),
            default: arguments.flag("default", report),
            schema: arguments.ty("schema", report),
        }
    }
}

impl std::str::FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "positional" => Ok(Form::Positional),
            "list" => Ok(Form::List),
            "named" => Ok(Form::Named),
            "whole" => Ok(Form::Whole),
            _ => Err(format!(
                "unknown form `\"{text}\"`, expected one of: \
                 `\"positional\"` (sent as a list), \
                 `\"list\"` (sent as a list, and the server rejects objects), \
                 `\"named\"` (sent as an object), \
                 `\"whole\"` (the only argument is the whole of `params`)"
            )),
        }
    }
}

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = text.split_once(' ').and_then(|(number, unit)| {
            let factor = match unit {
                "B" => 1,
                "KiB" => 1 << 10,
                "MiB" => 1 << 20,
                _ => return None,
            };
            // Rust parses `+1` as a number.
            let number = number.parse::<u32>().ok().filter(|_| !number.starts_with('+'))?;
            // The size must also fit into a 32-bit `usize`.
            number.checked_mul(factor).filter(|bytes| *bytes > 0)
        });
        let bytes = parsed.and_then(|bytes| usize::try_from(bytes).ok());
        bytes.map(Bytes).ok_or_else(|| {
            format!(
                "invalid size `\"{text}\"`, expected a positive integer, a space and a unit, less \
                 than 4 GiB: `\"512 B\"`, `\"64 KiB\"` or `\"1 MiB\"`"
            )
        })
    }
}

impl std::str::FromStr for Cancel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "signal" => Ok(Cancel::Signal),
            "drop" => Ok(Cancel::Drop),
            _ => Err(format!(
                "unknown value `\"{text}\"` of `cancel`, expected one of: \
                 `\"signal\"` (completes `ctx.cancelled()` in the handler), \
                 `\"drop\"` (drops the handler's future)"
            )),
        }
    }
}

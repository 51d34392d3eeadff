//! Reads the arguments of `#[rpc(…)]`, `#[method(…)]` and `#[param(…)]`.
//! It knows what may be written there, and not what it means for the trait.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitStr, Meta, Path, Token};

use crate::case::Case;
use crate::report::Report;

/// The arguments that an attribute takes: each one's name and its right form.
type Known = [(&'static str, &'static str)];

const RPC: &Known = &[
    ("namespace", r#"namespace = "…""#),
    ("separator", r#"separator = "…""#),
    ("rename_all", r#"rename_all = "camelCase""#),
    ("crate", "crate = path::to::wsjsonrpc"),
];
const METHOD: &Known = &[
    ("name", r#"name = "…""#),
    ("aliases", r#"aliases = ["…", "…"]"#),
    ("params", r#"params = "positional""#),
    ("blocking", "blocking"),
    ("idempotent", "idempotent"),
    ("cancel", r#"cancel = "drop""#),
    ("ordered", "ordered"),
];
const PARAM: &Known = &[("rename", r#"rename = "…""#), ("default", "default")];

/// How a client sends the arguments of a method. A server takes all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Form {
    /// `[1, 2]`
    #[default]
    Positional,
    /// `{"x": 1, "y": 2}`
    Named,
    /// The one argument is the whole of `params`.
    Whole,
}

/// What becomes of a handler whose call is taken back.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Cancel {
    /// It learns it from its context.
    #[default]
    Signal,
    /// Its future is dropped.
    Drop,
}

/// What `#[rpc(…)]` says.
#[derive(Default)]
pub(crate) struct RpcOptions {
    pub(crate) namespace: Option<LitStr>,
    pub(crate) separator: Option<LitStr>,
    pub(crate) rename_all: Option<Case>,
    pub(crate) krate: Option<Path>,
}

impl RpcOptions {
    pub(crate) fn parse(tokens: TokenStream, report: &mut Report) -> Self {
        let mut arguments = Arguments::parse("rpc", RPC, tokens, report);
        RpcOptions {
            namespace: arguments.string("namespace", report),
            separator: arguments.string("separator", report),
            rename_all: arguments.one_of("rename_all", report),
            krate: arguments.path("crate", report),
        }
    }
}

/// What `#[method(…)]` says. Spans are of the token which asked for it.
#[derive(Default)]
pub(crate) struct MethodOptions {
    pub(crate) name: Option<LitStr>,
    pub(crate) aliases: Vec<LitStr>,
    pub(crate) form: Option<(Form, Span)>,
    pub(crate) blocking: Option<Span>,
    pub(crate) idempotent: Option<Span>,
    pub(crate) cancel: Option<(Cancel, Span)>,
    pub(crate) ordered: Option<Span>,
}

impl MethodOptions {
    /// Takes `#[method(…)]` out of a function's attributes.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let mut arguments = Arguments::take("method", METHOD, attributes, report);
        MethodOptions {
            name: arguments.string("name", report),
            aliases: arguments.strings("aliases", report),
            form: arguments.spanned_one_of("params", report),
            blocking: arguments.flag("blocking", report),
            idempotent: arguments.flag("idempotent", report),
            cancel: arguments.spanned_one_of("cancel", report),
            ordered: arguments.flag("ordered", report),
        }
    }
}

/// What `#[param(…)]` says. The span is that of the word `default`.
#[derive(Default)]
pub(crate) struct ParamOptions {
    pub(crate) rename: Option<LitStr>,
    pub(crate) default: Option<Span>,
}

impl ParamOptions {
    /// Takes `#[param(…)]` out of an argument's attributes.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let mut arguments = Arguments::take("param", PARAM, attributes, report);
        ParamOptions {
            rename: arguments.string("rename", report),
            default: arguments.flag("default", report),
        }
    }
}

impl std::str::FromStr for Form {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "positional" => Ok(Form::Positional),
            "named" => Ok(Form::Named),
            "whole" => Ok(Form::Whole),
            _ => Err(format!(
                "unknown form `\"{text}\"`, expected one of: \
                 `\"positional\"` (a list), `\"named\"` (an object), \
                 `\"whole\"` (the one argument is all of `params`)"
            )),
        }
    }
}

impl std::str::FromStr for Cancel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "signal" => Ok(Cancel::Signal),
            "drop" => Ok(Cancel::Drop),
            _ => Err(format!(
                "unknown way to cancel `\"{text}\"`, expected one of: \
                 `\"signal\"` (the handler sees it in `ctx.cancelled()`), \
                 `\"drop\"` (its future is dropped)"
            )),
        }
    }
}

/// One `name` or `name = value`.
struct Argument {
    name: Ident,
    value: Option<Expr>,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `crate` is a keyword, hence `parse_any`.
        let name = input.call(Ident::parse_any)?;
        let value = match input.parse::<Option<Token![=]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        Ok(Argument { name, value })
    }
}

/// The arguments of one attribute, all of them known and none given twice.
struct Arguments {
    known: &'static Known,
    list: Vec<Argument>,
}

impl Arguments {
    /// Takes `#[name(…)]` out of `attributes`.
    fn take(
        name: &str,
        known: &'static Known,
        attributes: &mut Vec<Attribute>,
        report: &mut Report,
    ) -> Self {
        let (mine, others) =
            attributes.drain(..).partition(|attribute| attribute.path().is_ident(name));
        *attributes = others;
        let mut mine = Vec::into_iter(mine);
        let first: Option<Attribute> = mine.next();
        for repeated in mine {
            report.error(
                &repeated,
                format!("`#[{name}(…)]` is given twice, put its arguments into the first one"),
            );
        }
        let tokens = match first.map(|attribute| attribute.meta) {
            None | Some(Meta::Path(_)) => TokenStream::new(),
            Some(Meta::List(list)) => list.tokens,
            Some(Meta::NameValue(pair)) => {
                report.error(pair, format!("expected `#[{name}({})]`", known[0].1));
                TokenStream::new()
            }
        };
        Self::parse(name, known, tokens, report)
    }

    fn parse(
        attribute: &str,
        known: &'static Known,
        tokens: TokenStream,
        report: &mut Report,
    ) -> Self {
        let parser = Punctuated::<Argument, Token![,]>::parse_terminated;
        let parsed = parser.parse2(tokens).unwrap_or_else(|error| {
            let forms = listed(known.iter().map(|(_, form)| form));
            report.error_at(error.span(), format!("{error}; `#[{attribute}(…)]` takes: {forms}"));
            Punctuated::new()
        });
        let mut list = Vec::<Argument>::new();
        for argument in parsed {
            let name = argument.name.unraw();
            if !known.iter().any(|(known, _)| name == known) {
                let names = listed(known.iter().map(|(name, _)| name));
                report.error(
                    &argument.name,
                    format!("unknown argument `{name}`, expected one of: {names}"),
                );
            } else if list.iter().any(|earlier| earlier.name == argument.name) {
                report.error(&argument.name, format!("`{name}` is given twice"));
            } else {
                list.push(argument);
            }
        }
        Arguments { known, list }
    }

    fn remove(&mut self, name: &str) -> Option<Argument> {
        let at = self.list.iter().position(|argument| argument.name == name)?;
        Some(self.list.swap_remove(at))
    }

    /// The value of `name = …`, which must be there if the name is.
    fn value(&mut self, name: &str, report: &mut Report) -> Option<Expr> {
        let argument = self.remove(name)?;
        if argument.value.is_none() {
            report.error(argument.name, format!("`{name}` needs a value: `{}`", self.form(name)));
        }
        argument.value.map(ungrouped)
    }

    fn string(&mut self, name: &str, report: &mut Report) -> Option<LitStr> {
        match self.value(name, report)? {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
            other => {
                report.error(other, format!("`{name}` takes a string: `{}`", self.form(name)));
                None
            }
        }
    }

    fn strings(&mut self, name: &str, report: &mut Report) -> Vec<LitStr> {
        let expected = format!("`{name}` takes a list of strings: `{}`", self.form(name));
        let elements = match self.value(name, report) {
            Some(Expr::Array(array)) => array.elems,
            Some(other) => {
                report.error(other, expected);
                return Vec::new();
            }
            None => return Vec::new(),
        };
        let mut strings = Vec::new();
        for element in elements {
            match ungrouped(element) {
                Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => strings.push(text),
                other => report.error(other, &expected),
            }
        }
        strings
    }

    fn one_of<T: std::str::FromStr<Err = String>>(
        &mut self,
        name: &str,
        report: &mut Report,
    ) -> Option<T> {
        self.spanned_one_of(name, report).map(|(choice, _)| choice)
    }

    fn spanned_one_of<T>(&mut self, name: &str, report: &mut Report) -> Option<(T, Span)>
    where
        T: std::str::FromStr<Err = String>,
    {
        let text = self.string(name, report)?;
        match text.value().parse() {
            Ok(choice) => Some((choice, text.span())),
            Err(expected) => {
                report.error(text, expected);
                None
            }
        }
    }

    fn flag(&mut self, name: &str, report: &mut Report) -> Option<Span> {
        let argument = self.remove(name)?;
        if let Some(value) = argument.value {
            report.error(value, format!("`{name}` takes no value, the word alone says it"));
        }
        Some(argument.name.span())
    }

    /// A path, as it is or in a string.
    fn path(&mut self, name: &str, report: &mut Report) -> Option<Path> {
        let value = self.value(name, report)?;
        let path = match &value {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                text.parse_with(Path::parse_mod_style).ok()
            }
            _ => None,
        };
        if path.is_none() {
            report.error(value, format!("`{name}` takes a path: `{}`", self.form(name)));
        }
        path
    }

    fn form(&self, name: &str) -> &'static str {
        let known = self.known.iter().find(|(known, _)| *known == name);
        known.map_or("", |(_, form)| form)
    }
}

/// Without the invisible brackets that `macro_rules` puts around a `$value:expr`.
fn ungrouped(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}

fn listed(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<_> = items.map(|item| format!("`{item}`")).collect();
    items.join(", ")
}

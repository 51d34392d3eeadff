//! Parses `#[example(…)]`: a call with its result or its error.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, LitStr, Meta};

use crate::arguments::{Arguments, Known};
use crate::report::Report;

const EXAMPLE: &Known = &[
    ("name", r#"name = "…""#),
    ("params", "params = (1, 2)"),
    ("result", "result = 3"),
    ("error", "error = MyError::NotFound"),
];

/// An example of a call.
pub(crate) struct Example {
    pub(crate) span: Span,
    pub(crate) name: Option<LitStr>,
    /// One value for each argument, and where they are.
    pub(crate) params: (Vec<Expr>, Span),
    pub(crate) outcome: Outcome,
    /// Whether an error in it was reported.
    pub(crate) wrong: bool,
}

/// What the call returns.
pub(crate) enum Outcome {
    /// Nothing, with a method that returns nothing.
    Nothing,
    Result(Expr),
    Error(Expr),
}

impl Example {
    /// Takes each `#[example(…)]` out of a function's attributes.
    pub(crate) fn take(attributes: &mut Vec<Attribute>, report: &mut Report) -> Vec<Self> {
        let is_example = |attribute: &Attribute| attribute.path().is_ident("example");
        let (examples, others) = attributes.drain(..).partition(is_example);
        *attributes = others;
        Vec::into_iter(examples).map(|attribute| Self::parse(attribute, report)).collect()
    }

    fn parse(attribute: Attribute, report: &mut Report) -> Self {
        let span = attribute.path().span();
        let before = report.count();
        let tokens = match attribute.meta {
            Meta::List(list) => list.tokens,
            Meta::Path(_) => TokenStream::new(),
            Meta::NameValue(pair) => {
                report.error(pair, "expected `#[example(params = (1, 2), result = 3)]`");
                TokenStream::new()
            }
        };
        let mut arguments = Arguments::parse("example", EXAMPLE, tokens, report);
        let name = arguments.string("name", report);
        let params = arguments.has("params").then(|| arguments.value("params", report)).flatten();
        let params_span = params.as_ref().map_or(span, Spanned::span);
        let params = match params {
            None => Vec::new(),
            Some(Expr::Tuple(tuple)) => tuple.elems.into_iter().collect(),
            Some(Expr::Paren(one)) => vec![*one.expr],
            Some(other) => {
                report.error(
                    &other,
                    "`params` takes one value for each argument, in parentheses: `params = (1, 2)`",
                );
                vec![other]
            }
        };
        let result = arguments.has("result").then(|| arguments.value("result", report)).flatten();
        let error = arguments.has("error").then(|| arguments.value("error", report)).flatten();
        let outcome = match (result, error) {
            (Some(_), Some(error)) => {
                report.error(error, "a call has either a result or an error: remove one of them");
                Outcome::Nothing
            }
            (Some(result), None) => Outcome::Result(result),
            (None, Some(error)) => Outcome::Error(error),
            (None, None) => Outcome::Nothing,
        };
        let wrong = report.count() > before;
        Example { span, name, params: (params, params_span), outcome, wrong }
    }
}

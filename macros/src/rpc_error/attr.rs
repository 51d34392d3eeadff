//! Parses the arguments of `#[rpc_error(…)]` on a type, a variant and a field. `model` applies
//! them.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Attribute, Expr, ExprLit, ExprUnary, Item, Lit, LitStr, Path, Type, UnOp};

use crate::arguments::{Arguments, Known};
use crate::case::Case;
use crate::report::Report;

const NAME: &str = "rpc_error";

type Form = (&'static str, &'static str);
const CODE: Form = ("code", "code = 1001");
const MESSAGE: Form = ("message", r#"message = "…""#);
const DISPLAY: Form = ("display", "display");
const TRANSPARENT: Form = ("transparent", "transparent");
const FROM: Form = ("from", "from");
const RENAME_ALL: Form = ("rename_all", r#"rename_all = "camelCase""#);
const CRATE: Form = ("crate", "crate = path::to::wsjsonrpc");

const SCHEMA: Form = ("schema", "schema");

const ENUM: &Known = &[DISPLAY, RENAME_ALL, SCHEMA, CRATE];
const STRUCT: &Known = &[CODE, MESSAGE, DISPLAY, TRANSPARENT, FROM, RENAME_ALL, SCHEMA, CRATE];
const VARIANT: &Known = &[CODE, MESSAGE, DISPLAY, TRANSPARENT, FROM];
const FIELD: &Known =
    &[("rename", r#"rename = "…""#), ("default", "default"), ("schema", "schema = Type")];

/// The options of the whole type.
#[derive(Default)]
pub(super) struct TypeOptions {
    pub(super) display: Option<Span>,
    pub(super) rename_all: Option<Case>,
    pub(super) krate: Option<Path>,
    /// The type describes its codes.
    pub(super) schema: bool,
}

impl TypeOptions {
    pub(super) fn of_enum(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let display = thiserror_display(attributes);
        let mut arguments = Arguments::take(NAME, ENUM, attributes, report);
        TypeOptions {
            display: arguments.flag("display", report).or(display),
            ..Self::common(&mut arguments, report)
        }
    }

    /// Reads the options of a struct: those of an enum and those of a variant.
    pub(super) fn of_struct(
        attributes: &mut Vec<Attribute>,
        report: &mut Report,
    ) -> (Self, VariantOptions) {
        let display = thiserror_display(attributes);
        let mut arguments = Arguments::take(NAME, STRUCT, attributes, report);
        let options = Self::common(&mut arguments, report);
        let own = VariantOptions::read(arguments, display, report);
        (options, VariantOptions { error_text: thiserror_text(attributes), ..own })
    }

    fn common(arguments: &mut Arguments, report: &mut Report) -> Self {
        TypeOptions {
            display: None,
            rename_all: arguments.one_of("rename_all", report),
            krate: arguments.path("crate", report),
            schema: arguments.flag("schema", report).is_some(),
        }
    }
}

/// The options of one variant.
pub(super) struct VariantOptions {
    pub(super) code: Given<Code>,
    pub(super) message: Option<LitStr>,
    /// The `display` flag.
    pub(super) display: Option<Span>,
    /// The `#[error(…)]` next to it, from which thiserror derives `Display`.
    pub(super) error_attribute: Option<Span>,
    /// The text in that `#[error("…")]`.
    pub(super) error_text: Option<String>,
    pub(super) transparent: Option<Span>,
    /// `?` converts an `ErrorObject` and a failed call into this variant.
    pub(super) from: Option<Span>,
}

impl VariantOptions {
    pub(super) fn of_variant(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let display = thiserror_display(attributes);
        let text = thiserror_text(attributes);
        let arguments = Arguments::take(NAME, VARIANT, attributes, report);
        VariantOptions { error_text: text, ..Self::read(arguments, display, report) }
    }

    fn read(mut arguments: Arguments, thiserror: Option<Span>, report: &mut Report) -> Self {
        let code = match code(&mut arguments, report) {
            // The invalid argument may have been meant as the code.
            Given::Not if arguments.wrong() => Given::Wrong,
            code => code,
        };
        VariantOptions {
            code,
            message: arguments.string("message", report),
            display: arguments.flag("display", report),
            error_attribute: thiserror,
            error_text: None,
            transparent: arguments.flag("transparent", report),
            from: arguments.flag("from", report),
        }
    }
}

/// The options of one field.
pub(super) struct FieldOptions {
    pub(super) rename: Option<LitStr>,
    pub(super) default: Option<Span>,
    /// The type whose schema describes the field. Default: the type of the field.
    pub(super) schema: Option<Type>,
    /// thiserror's `#[from]` or `#[source]` next to it.
    pub(super) source: Option<Span>,
}

impl FieldOptions {
    pub(super) fn take(attributes: &mut Vec<Attribute>, report: &mut Report) -> Self {
        let source = thiserror_source(attributes);
        let mut arguments = Arguments::take(NAME, FIELD, attributes, report);
        FieldOptions {
            rename: arguments.string("rename", report),
            default: arguments.flag("default", report),
            schema: arguments.ty("schema", report),
            source,
        }
    }
}

/// A required argument. A missing one is still to be reported; a wrong one was reported already.
pub(super) enum Given<T> {
    Right(T),
    Wrong,
    Not,
}

/// The error's code on the wire.
pub(super) enum Code {
    /// The value, and its tokens in the source.
    Literal(i64, TokenStream),
    /// A constant; only rustc knows its value.
    Constant(Path),
}

impl ToTokens for Code {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Code::Literal(_, written) => written.to_tokens(tokens),
            Code::Constant(path) => path.to_tokens(tokens),
        }
    }
}

fn code(arguments: &mut Arguments, report: &mut Report) -> Given<Code> {
    if !arguments.has("code") {
        return Given::Not;
    }
    let Some(value) = arguments.value("code", report) else { return Given::Wrong };
    let (negative, literal) = match &value {
        Expr::Path(path) if path.qself.is_none() => {
            return Given::Right(Code::Constant(path.path.clone()));
        }
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => (true, &**expr),
        other => (false, other),
    };
    let mistake = match literal {
        Expr::Lit(ExprLit { lit: Lit::Int(digits), .. }) => {
            let sign = if negative { "-" } else { "" };
            match format!("{sign}{}", digits.base10_digits()).parse() {
                Ok(-32768..=-32000) => {
                    "codes from -32768 to -32000 are reserved by JSON-RPC: choose another code"
                }
                Ok(number) => return Given::Right(Code::Literal(number, value.to_token_stream())),
                Err(_) => "the code does not fit into an `i64`: choose a smaller number",
            }
        }
        _ => {
            "`code` takes an integer or the path of an `i64` constant: `code = 1001`, \
             `code = codes::NO_FUNDS`"
        }
    };
    report.error(value, mistake);
    Given::Wrong
}

/// Finds thiserror's `#[error(…)]`, from which it derives `Display`.
fn thiserror_display(attributes: &[Attribute]) -> Option<Span> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("error"))?;
    attribute.path().get_ident().map(syn::Ident::span)
}

/// The text of thiserror's `#[error("…")]`.
fn thiserror_text(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("error"))?;
    let text = |input: ParseStream<'_>| {
        let text: LitStr = input.parse()?;
        // The arguments of the format string.
        input.parse::<TokenStream>()?;
        Ok(text.value())
    };
    attribute.parse_args_with(text).ok()
}

/// Reports each `#[from]` on a field of a type that does not use thiserror. A `#[from]` on a
/// variant may belong to derive_more.
pub(super) fn check_from_without_thiserror(item: &Item, report: &mut Report) {
    let (attributes, fields): (Vec<_>, Vec<_>) = match item {
        Item::Enum(item) => {
            let of_variants = item.variants.iter().flat_map(|variant| &variant.attrs);
            let fields = item.variants.iter().flat_map(|variant| &variant.fields);
            (item.attrs.iter().chain(of_variants).collect(), fields.collect())
        }
        Item::Struct(item) => (item.attrs.iter().collect(), item.fields.iter().collect()),
        _ => return,
    };
    if attributes.iter().any(|attribute| attribute.path().is_ident("error")) {
        return;
    }
    for attribute in fields.iter().flat_map(|field| &field.attrs) {
        if attribute.path().is_ident("from") {
            report.error(
                attribute,
                "`#[from]` is an attribute of thiserror: derive `thiserror::Error` with \
                 `#[error(\"…\")]` on each variant, or write `impl From<T> for E`",
            );
        }
    }
}

/// Finds thiserror's `#[from]` or `#[source]`.
fn thiserror_source(attributes: &[Attribute]) -> Option<Span> {
    let mut words = attributes.iter().filter_map(|attribute| attribute.path().get_ident());
    words.find(|word| *word == "from" || *word == "source").map(syn::Ident::span)
}

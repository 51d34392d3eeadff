//! Parses the arguments of one attribute, `#[name(word, word = value)]`. Reports unknown names,
//! repeated names and values of the wrong kind. `attr` and `rpc_error::attr` pass in the known
//! names.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitBool, LitInt, LitStr, Meta, Path, Token, Type};

use crate::report::Report;

/// The arguments that an attribute accepts: the name of each and its correct form.
pub(crate) type Known = [(&'static str, &'static str)];

/// The arguments whose values are types. `Vec<u8>` does not parse as an expression.
const TYPES: [&str; 5] = ["item", "item_schema", "progress", "result_schema", "schema"];

/// One `name` or `name = value`.
struct Argument {
    name: Ident,
    value: Option<Expr>,
    /// Given instead of `value` where a type is expected.
    ty: Option<Type>,
}

impl Parse for Argument {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        // `crate` is a keyword, hence `parse_any`.
        let name = input.call(Ident::parse_any)?;
        let (mut value, mut ty) = (None, None);
        if input.parse::<Option<Token![=]>>()?.is_some() {
            if TYPES.iter().any(|known| name == known) && !input.peek(Lit) {
                ty = Some(input.parse()?);
            } else {
                value = Some(input.parse()?);
            }
        }
        Ok(Argument { name, value, ty })
    }
}

/// The arguments of one attribute. Each is known, and none occurs twice.
pub(crate) struct Arguments {
    known: &'static Known,
    list: Vec<Argument>,
    wrong: bool,
}

impl Arguments {
    /// Takes `#[name(…)]` out of `attributes`.
    pub(crate) fn take(
        name: &str,
        known: &'static Known,
        attributes: &mut Vec<Attribute>,
        report: &mut Report,
    ) -> Self {
        let before = report.count();
        let (mine, others) =
            attributes.drain(..).partition(|attribute| attribute.path().is_ident(name));
        *attributes = others;
        let mut mine = Vec::into_iter(mine);
        let first: Option<Attribute> = mine.next();
        for repeated in mine {
            report.error(
                &repeated,
                format!("duplicate `#[{name}(…)]`: move its arguments to the first one"),
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
        let arguments = Self::parse(name, known, tokens, report);
        Arguments { wrong: report.count() > before, ..arguments }
    }

    pub(crate) fn parse(
        attribute: &str,
        known: &'static Known,
        tokens: TokenStream,
        report: &mut Report,
    ) -> Self {
        let before = report.count();
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
                report.error(&argument.name, format!("duplicate argument `{name}`"));
            } else {
                list.push(argument);
            }
        }
        Arguments { known, list, wrong: report.count() > before }
    }

    /// Whether parsing has reported an error.
    pub(crate) fn wrong(&self) -> bool {
        self.wrong
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.list.iter().any(|argument| argument.name == name)
    }

    fn remove(&mut self, name: &str) -> Option<Argument> {
        let at = self.list.iter().position(|argument| argument.name == name)?;
        Some(self.list.swap_remove(at))
    }

    /// The value of `name = …`. Reports an error if there is a name without a value.
    pub(crate) fn value(&mut self, name: &str, report: &mut Report) -> Option<Expr> {
        let argument = self.remove(name)?;
        if argument.value.is_none() {
            report.error(argument.name, format!("`{name}` needs a value: `{}`", self.form(name)));
        }
        argument.value.map(ungrouped)
    }

    pub(crate) fn string(&mut self, name: &str, report: &mut Report) -> Option<LitStr> {
        match self.value(name, report)? {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
            other => {
                report.error(other, format!("`{name}` takes a string: `{}`", self.form(name)));
                None
            }
        }
    }

    pub(crate) fn strings(&mut self, name: &str, report: &mut Report) -> Vec<LitStr> {
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

    pub(crate) fn one_of<T: std::str::FromStr<Err = String>>(
        &mut self,
        name: &str,
        report: &mut Report,
    ) -> Option<T> {
        self.spanned_one_of(name, report).map(|(choice, _)| choice)
    }

    pub(crate) fn spanned_one_of<T>(&mut self, name: &str, report: &mut Report) -> Option<(T, Span)>
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

    pub(crate) fn ty(&mut self, name: &str, report: &mut Report) -> Option<Type> {
        let argument = self.remove(name)?;
        let form = self.form(name);
        match (&argument.ty, argument.value) {
            (Some(_), _) => {}
            (None, Some(value)) => {
                report.error(value, format!("`{name}` takes a type: `{form}`"));
            }
            (None, None) => {
                report.error(argument.name, format!("`{name}` needs a type: `{form}`"));
            }
        }
        argument.ty
    }

    pub(crate) fn integer(&mut self, name: &str, report: &mut Report) -> Option<LitInt> {
        match self.value(name, report)? {
            Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) => Some(number),
            other => {
                report.error(other, format!("`{name}` takes a number: `{}`", self.form(name)));
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, name: &str, report: &mut Report) -> Option<LitBool> {
        match self.value(name, report)? {
            Expr::Lit(ExprLit { lit: Lit::Bool(value), .. }) => Some(value),
            other => {
                let expected = format!("`{name}` takes `true` or `false`: `{}`", self.form(name));
                report.error(other, expected);
                None
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str, report: &mut Report) -> Option<Span> {
        let argument = self.remove(name)?;
        let value = argument.value.map(ToTokens::into_token_stream);
        if let Some(value) = value.or(argument.ty.map(ToTokens::into_token_stream)) {
            report.error(value, format!("`{name}` is a flag and takes no value"));
        }
        Some(argument.name.span())
    }

    /// The flag alone, or with a type's name in quotes.
    pub(crate) fn flag_or_name(
        &mut self,
        name: &str,
        report: &mut Report,
    ) -> Option<Option<Ident>> {
        let value = self.remove(name)?.value.map(ungrouped);
        let (form, words) = (self.form(name), format!("or `{name}` without a value"));
        match value {
            Some(Expr::Lit(ExprLit { lit: Lit::Str(text), .. })) => match text.parse::<Ident>() {
                Ok(ident) => Some(Some(ident)),
                Err(_) => {
                    let found = text.value();
                    report.error(
                        text,
                        format!("`{found}` is not a valid type name: expected `{form}`, {words}"),
                    );
                    None
                }
            },
            Some(other) => {
                report.error(
                    other,
                    format!("`{name}` takes a type name in quotes: `{form}`, {words}"),
                );
                None
            }
            None => Some(None),
        }
    }

    /// A path, with or without quotes.
    pub(crate) fn path(&mut self, name: &str, report: &mut Report) -> Option<Path> {
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

/// Removes the invisible brackets that `macro_rules` puts around a `$value:expr`.
fn ungrouped(mut value: Expr) -> Expr {
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    value
}

pub(crate) fn listed(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<_> = items.map(|item| format!("`{item}`")).collect();
    items.join(", ")
}

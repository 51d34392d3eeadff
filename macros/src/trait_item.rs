//! Reads the whole trait: first its header, then each method. Reports errors.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{GenericParam, ItemTrait, TraitItem, WherePredicate};

use crate::async_trait;
use crate::attr::RpcOptions;
use crate::model::{Contract, Method};
use crate::report::Report;
use crate::signature;
use crate::text::words;
use crate::types::{check_has_bounds, is_self};

const ASYNC_TRAIT: &str = "`#[rpc]` does not need `#[async_trait]` and does not work with it: remove it \
    here and above each `impl` of this trait, and write a plain `async fn`";

/// Returns the tokens as an error if they are not a trait.
pub(crate) fn read(
    options: RpcOptions,
    item: TokenStream,
    report: &mut Report,
) -> Result<Contract, TokenStream> {
    let mut item = match syn::parse2::<ItemTrait>(item.clone()) {
        Ok(parsed) => parsed,
        Err(error) => {
            report.add(no_trait(&item, error));
            return Err(item);
        }
    };
    let usable = read_header(&item, report);
    let mut undone = item.clone();
    let mut methods = match async_trait::undo(&mut undone) {
        None => read_items(&mut item, &options, report),
        Some(span) => {
            report.error_at(span, ASYNC_TRAIT);
            item.attrs.clone_from(&undone.attrs);
            // The trait itself keeps its signatures, because its implementations have the
            // attribute, too.
            read_items(&mut item, &options, &mut Report::default());
            read_items(&mut undone, &options, report)
        }
    };
    if !usable {
        // The header's errors would be repeated in each generated method.
        methods.iter_mut().for_each(|method| method.usable = false);
    }
    Ok(Contract { options, makes_mocks: false, makes_schemas: false, item, methods })
}

/// Removes this crate's attributes from the items. Also removes functions for which rustc would
/// report a second error.
fn read_items(item: &mut ItemTrait, options: &RpcOptions, report: &mut Report) -> Vec<Method> {
    let mut methods = Vec::<Method>::new();
    item.items.retain_mut(|item| {
        let TraitItem::Fn(function) = item else {
            let message = format!(
                "{} in an `#[rpc]` trait is not supported: the peer can only call methods",
                kind_of(item)
            );
            report.error(item, message);
            return true;
        };
        let method = signature::read(function, options, report);
        let twin =
            |other: &Method| other.ident == method.ident && !(other.has_cfg() && method.has_cfg());
        if methods.iter().any(twin) {
            report.error(
                &method.ident,
                format!(
                    "duplicate method `{}`: methods cannot be overloaded by their arguments",
                    method.ident
                ),
            );
            return false;
        }
        methods.push(method);
        true
    });
    methods
}

/// Reports errors outside the methods, and returns whether code can be generated for the trait.
fn read_header(item: &ItemTrait, report: &mut Report) -> bool {
    if let Some(unsafety) = &item.unsafety {
        report.error(unsafety, "an `#[rpc]` trait cannot be `unsafe`: remove the keyword");
    }
    if let Some(auto) = &item.modifiers.auto_token {
        report.error(auto, "an `#[rpc]` trait cannot be an auto trait: remove the keyword");
    }
    let before = report.count();
    for param in &item.generics.params {
        match param {
            GenericParam::Lifetime(lifetime) => report.error(
                lifetime,
                "an `#[rpc]` trait cannot have lifetime parameters: a service must be `'static`, \
                 and arguments borrow without a named lifetime (`&str`)",
            ),
            GenericParam::Type(param) => {
                refuse_self(param, report);
                let ident = &param.ident;
                check_has_bounds(param, &item.generics, report, || {
                    format!(
                        "`{ident}` needs bounds, because its values are sent and are handled on \
                         any thread: `{ident}: Serialize + DeserializeOwned + Send + Sync + 'static`"
                    )
                });
            }
            GenericParam::Const(_) => {}
        }
    }
    for predicate in item.generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
        match predicate {
            // `where Self: …` is one more supertrait.
            WherePredicate::Type(predicate) if is_self(&predicate.bounded_ty) => {
                refuse_self(&predicate.bounds, report);
            }
            other => refuse_self(other, report),
        }
    }
    report.count() == before
}

/// The generated client has the same generics, and there `Self` would be the client.
fn refuse_self(tokens: impl ToTokens, report: &mut Report) {
    let words = words(tokens.to_token_stream());
    if let Some(word) = words.iter().find(|word| word.text == "Self") {
        report.error_at(
            word.span,
            "`Self` in a bound would mean the generated client: write the bound without `Self`",
        );
    }
}

fn kind_of(item: &TraitItem) -> &'static str {
    match item {
        TraitItem::Const(_) => "a constant",
        TraitItem::Type(_) => "an associated type",
        TraitItem::Macro(_) => "a macro call",
        _ => "this item",
    }
}

/// The error for an item that is not a trait is shown at its keyword.
fn no_trait(item: &TokenStream, error: syn::Error) -> syn::Error {
    const KEYWORDS: [&str; 10] =
        ["struct", "enum", "union", "impl", "fn", "mod", "type", "const", "static", "use"];
    let words = item.clone().into_iter().filter_map(|token| match token {
        proc_macro2::TokenTree::Ident(word) => Some(word),
        _ => None,
    });
    for word in words {
        if word == "trait" {
            break;
        }
        if KEYWORDS.iter().any(|keyword| word == keyword) {
            return syn::Error::new(
                word.span(),
                format!(
                    "expected a trait, found `{word}`:\n\n    \
                     #[rpc]\n    pub trait Math {{\n        \
                     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;\n    }}\n"
                ),
            );
        }
    }
    error
}

//! Selects which of the user's attributes generated items get.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

use crate::types::is_one_of;

/// For everything that is generated for one method: it must exist exactly when the method exists.
pub(super) fn conditions(attributes: &[Attribute]) -> Vec<TokenStream> {
    select(attributes, |meta| is_one_of(meta.path(), &["cfg"]))
}

/// For the client's method, which has the same docs as the trait's method.
pub(super) fn for_client_method(attributes: &[Attribute]) -> Vec<TokenStream> {
    select(attributes, |meta| is_one_of(meta.path(), &["cfg", "doc", "deprecated"]))
}

/// For the types that are generated for a trait. They have their own docs, but `#[doc(hidden)]` on
/// the trait applies to them, too.
pub(super) fn for_type(attributes: &[Attribute]) -> Vec<TokenStream> {
    select(attributes, |meta| match meta {
        Meta::List(list) => is_one_of(&list.path, &["doc", "deprecated", "allow"]),
        other => other.path().is_ident("deprecated"),
    })
}

/// Keeps the wanted attributes, including those inside `cfg_attr`.
fn select(attributes: &[Attribute], wanted: fn(&Meta) -> bool) -> Vec<TokenStream> {
    let mut selected = Vec::new();
    for attribute in attributes {
        if wanted(&attribute.meta) {
            selected.push(attribute.to_token_stream());
        } else if attribute.path().is_ident("cfg_attr") {
            let parser = Punctuated::<Meta, Token![,]>::parse_terminated;
            let mut parts = attribute.parse_args_with(parser).unwrap_or_default().into_iter();
            let condition = parts.next();
            let kept: Vec<_> = parts.filter(wanted).collect();
            if !kept.is_empty() {
                selected.push(quote!(#[cfg_attr(#condition, #(#kept),*)]));
            }
        }
    }
    selected
}

//! Writes the code for a trait without errors, in independent parts: the trait itself, the same for
//! a shared value, the client that calls it, the service that answers (or only one of the two), and
//! a mock if one is requested.
//!
//! Rules for all of them: every path begins with `::core` or with the hidden module of the runtime,
//! no trait method is called with a dot, and all identifiers of generated code have the span of
//! [`site`], so that no name of the user can conflict with them.

mod attributes;
pub(crate) mod client;
pub(crate) mod contract;
mod generics;
pub(crate) mod mock;
pub(crate) mod service;
mod shared;
mod subscription;

use proc_macro2::{Span, TokenStream};
use quote::quote;

use crate::model::{Contract, Method};

pub(crate) fn expand(contract: &Contract) -> TokenStream {
    let shared = contract.makes_service().then(|| shared::expand(contract));
    let client = contract.makes_client().then(|| client::expand(contract));
    let service = contract.makes_service().then(|| service::expand(contract));
    let mocks = [mock::expand(contract), mock::missing(contract)];
    let parts = [Some(contract::expand(contract)), shared, client, service];
    parts.into_iter().chain(mocks).flatten().collect()
}

/// The span of local variables of generated code, which hides them from the user's code: an
/// argument may be called `request` or `peer`.
fn site() -> Span {
    Span::mixed_site()
}

/// The names of a method's params on the wire, in order.
fn param_names(method: &Method) -> impl Iterator<Item = &str> {
    method.params.iter().map(|param| param.name.text.as_str())
}

/// A doc comment, one attribute for each line.
fn docs(text: &str) -> TokenStream {
    let lines =
        text.lines().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote!(#(#[doc = #lines])*)
}

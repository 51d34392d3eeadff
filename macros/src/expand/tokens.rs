//! Small pieces of code that all parts of the expansion use.

use proc_macro2::{Span, TokenStream};
use quote::quote;

use crate::model::Method;

/// The span of local variables in generated code. It hides them from the user's code, so an
/// argument may be named `request` or `peer`.
pub(super) fn site() -> Span {
    Span::mixed_site()
}

/// The names of a method's params on the wire, in order.
pub(super) fn param_names(method: &Method) -> impl Iterator<Item = &str> {
    method.params.iter().map(|param| param.name.text.as_str())
}

/// A doc comment, one attribute for each line.
pub(super) fn docs(text: &str) -> TokenStream {
    let lines =
        text.lines().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote!(#(#[doc = #lines])*)
}

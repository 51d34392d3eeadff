//! `#[derive(RpcError)]`: a pipeline of its own, with the report, the arguments of attributes and
//! the words that `#[rpc]` uses, too.
//!
//! - `attr` reads `#[rpc_error(…)]`, `template` the fields in a message;
//! - `model` reads the type, with the rules for each variant and across all of them;
//! - `expand` writes the implementation, or after errors one that only holds the place.

mod attr;
mod expand;
mod model;
mod template;

use proc_macro2::TokenStream;

use crate::report::Report;
use model::ErrorType;

/// The whole derive, on tokens that tests can make too.
pub(crate) fn derive(item: TokenStream) -> TokenStream {
    let mut report = Report::default();
    let Some(item) = ErrorType::read(item, &mut report) else {
        return report.compile_errors().unwrap_or_default();
    };
    match report.compile_errors() {
        None => expand::expand(&item),
        Some(errors) => expand::fallback(&item, errors),
    }
}

//! `#[derive(RpcError)]`: a separate pipeline, which shares `report`, `arguments` and `text` with
//! `#[rpc]`:
//!
//! - `attr` parses `#[rpc_error(…)]`, `template` the fields in a message;
//! - `model` reads the type, and checks each variant and the type as a whole;
//! - `expand` writes the implementation, or a placeholder after errors.

mod attr;
mod expand;
mod model;
mod template;

use proc_macro2::TokenStream;

use crate::report::Report;
use model::ErrorType;

/// The whole derive, on tokens that tests can also create.
pub(crate) fn derive(item: TokenStream, makes_schemas: bool) -> TokenStream {
    let mut report = Report::default();
    let Some(item) = ErrorType::read(item, &mut report) else {
        return report.compile_errors().unwrap_or_default();
    };
    match report.compile_errors() {
        None => expand::expand(&item, makes_schemas),
        Some(errors) => expand::fallback(&item, makes_schemas, errors),
    }
}

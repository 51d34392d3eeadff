//! The `#[rpc]` attribute of `wsjsonrpc`. Use it as `wsjsonrpc::rpc`.
//!
//! The macro is a pipeline, one module a step, in the order of the list below. Every step adds what it
//! finds to one [`report`]; if anything is in it at the end, [`fallback`] takes the place of [`expand`].

mod attr;
mod case;
mod check;
mod expand;
mod fallback;
mod model;
mod report;
mod signature;
#[cfg(test)]
mod snapshots;
mod text;
mod types;

use proc_macro2::TokenStream;

use crate::attr::RpcOptions;
use crate::model::Contract;
use crate::report::Report;

/// docs
#[proc_macro_attribute]
pub fn rpc(
    arguments: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    expand_rpc(arguments.into(), item.into()).into()
}

/// The whole macro, on tokens that tests can make too.
fn expand_rpc(arguments: TokenStream, item: TokenStream) -> TokenStream {
    let mut report = Report::default();
    let options = RpcOptions::parse(arguments, &mut report);
    let contract = match Contract::read(options, item, &mut report) {
        Ok(contract) => contract,
        Err(item) => return report.compile_errors().into_iter().chain([item]).collect(),
    };
    check::check(&contract, &mut report);
    match report.compile_errors() {
        None => expand::expand(&contract),
        Some(errors) => fallback::expand(contract, errors),
    }
}

//! Writes the code for a trait without errors, in independent parts: the trait itself, its
//! implementation for `Arc<T>`, the client and the service (or only one of the two), and a mock if
//! one is requested.
//!
//! Three rules prevent conflicts with names of the user: every path begins with `::core` or with
//! the hidden module of the runtime, no trait method is called with a dot, and all identifiers of
//! generated code have the span of [`tokens::site`].

mod attributes;
mod call;
pub(crate) mod client;
pub(crate) mod contract;
pub(crate) mod describe;
mod generics;
pub(crate) mod mock;
pub(crate) mod service;
mod shared;
mod subscription;
mod tokens;

use proc_macro2::TokenStream;

use crate::model::Contract;

pub(crate) fn expand(contract: &Contract) -> TokenStream {
    let shared = contract.makes_service().then(|| shared::expand(contract));
    let client = contract.makes_client().then(|| client::expand(contract));
    let service = contract.makes_service().then(|| service::expand(contract));
    let describe = describe::expand(contract);
    let mocks = [mock::expand(contract), mock::missing(contract)];
    let parts = [Some(contract::expand(contract)), shared, client, service, describe];
    parts.into_iter().chain(mocks).flatten().collect()
}

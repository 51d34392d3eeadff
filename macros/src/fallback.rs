//! The output for a trait with errors. The rest of the user's program still compiles against it, so
//! that one mistake causes one message and not one for every use of the trait.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::quote;
use syn::{FnArg, Pat, PatWild, Token, TraitItem, TraitItemFn, parse_quote};

use crate::check::is_rust_name_taken;
use crate::expand::{client, contract, describe, mock, service};
use crate::model::{Contract, Method};

// Input:  a trait with errors
// Output: the errors, the trait in a form that rustc accepts, a client with the methods that could
//         be understood, a service without methods, and a mock with the same methods as the client
pub(crate) fn expand(mut contract: Contract, errors: TokenStream) -> TokenStream {
    contract.item.modifiers.auto_token = None;
    contract
        .item
        .attrs
        .push(parse_quote!(#[allow(async_fn_in_trait, reason = "the trait has errors")]));
    let mut methods = std::mem::take(&mut contract.methods);
    methods.retain(|method| {
        method.usable
            && !is_rust_name_taken(&contract, &method.ident)
            && !repeats_an_argument(method)
    });
    contract.methods = methods;
    for item in &mut contract.item.items {
        if let TraitItem::Fn(function) = item {
            remove_what_rustc_refuses(function);
        }
    }
    let contract_itself = contract::expand(&contract);
    let client = contract.makes_client().then(|| client::expand(&contract));
    let service = contract.makes_service().then(|| service::stub(&contract));
    let describe = describe::stub(&contract);
    let mock = mock::stub(&contract);
    quote!(#errors #contract_itself #client #service #describe #mock)
}

fn repeats_an_argument(method: &Method) -> bool {
    let idents: HashSet<_> = method.params.iter().map(|param| &param.ident).collect();
    idents.len() < method.params.len()
}

/// Removes what rustc would report a second time.
fn remove_what_rustc_refuses(function: &mut TraitItemFn) {
    function.sig.constness = None;
    function.sig.variadic = None;
    if function.default.is_some() {
        return;
    }
    for input in &mut function.sig.inputs {
        if let FnArg::Typed(argument) = input {
            if !matches!(*argument.pat, Pat::Ident(ref name) if name.mutability.is_none()) {
                let underscore_token = Token![_](proc_macro2::Span::mixed_site());
                *argument.pat = Pat::Wild(PatWild { attrs: Vec::new(), underscore_token });
            }
        }
    }
}

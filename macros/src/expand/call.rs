//! The part of the service that decodes the arguments of a method and calls it. Methods and
//! subscriptions share it.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Type};

use super::tokens::{param_names, site};
use crate::attr::Form;
use crate::model::{Contract, Method, Param};
use crate::text::words;

/// Decodes the arguments, calls the method, and binds what it returns to `result`.
pub(super) fn expand(
    contract: &Contract,
    implementation: &TokenStream,
    method: &Method,
) -> TokenStream {
    let Method { ident, output, params, .. } = method;
    let decode = match params.as_slice() {
        [param] if method.form() == Form::Whole => decode_whole(param),
        _ => decode_args(method),
    };
    let context = method.context.as_ref().map(|ty| {
        // If the user's `Context` is another type, rustc shows the error at the user's code.
        let span = words(ty.to_token_stream())
            .last()
            .map_or_else(site, |word| word.span.resolved_at(site()));
        quote_spanned!(span=> request.context(),)
    });
    let arguments =
        params.iter().map(
            |Param { ident, ty, .. }| {
                if borrows(ty) { get(contract, ident, ty) } else { quote!(#ident) }
            },
        );
    let wait = method.is_async.then(|| quote!(.await));
    let result = Ident::new("result", output.span());
    quote_spanned! {site()=>
        #decode
        let #result = #implementation::#ident(&service, #context #(#arguments),*) #wait;
    }
}

fn decode_args(method: &Method) -> TokenStream {
    let names = param_names(method);
    let mutability = (!method.params.is_empty()).then(|| quote!(mut));
    let values = method.params.iter().map(|param| {
        let next = if param.options.default.is_some() { "next_or_default" } else { "next" };
        let next = Ident::new(next, param.ty.span());
        keep(param, quote_spanned!(site()=> args.#next()))
    });
    let take = match method.form() {
        Form::List => quote_spanned!(site()=> list),
        _ => quote_spanned!(site()=> args),
    };
    let args = or_fail(quote_spanned!(site()=> request.#take(&[#(#names),*])));
    quote_spanned! {site()=>
        let #mutability args = #args;
        #(#values)*
        if let ::core::result::Result::Err(error) = args.finish() {
            return request.fail(error);
        }
    }
}

fn decode_whole(param: &Param) -> TokenStream {
    let whole = Ident::new("whole", param.ty.span());
    keep(param, quote_spanned!(site()=> request.#whole()))
}

// Input:  times: u8
// Output: let times: u8 = match … {
//             Ok(value) => value,
//             Err(error) => return request.fail(error),
//         };
//
// Input:  name: &str
// Output: let name = match … { … };
//
// What is kept in the second case follows from `Arg::get(&name)`.
fn keep(param: &Param, decoded: TokenStream) -> TokenStream {
    let Param { ident, ty, .. } = param;
    let value = or_fail(decoded);
    let annotation = (!borrows(ty)).then(|| quote!(: #ty));
    quote_spanned!(site()=> let #ident #annotation = #value;)
}

// Output: Arg::get(&name)
fn get(contract: &Contract, ident: &Ident, ty: &Type) -> TokenStream {
    let private = contract.private_at(ty.span());
    let mut stored = ident.clone();
    stored.set_span(ident.span().located_at(ty.span()));
    quote_spanned!(ty.span()=> #private::Arg::get(&#stored))
}

pub(super) fn borrows(ty: &Type) -> bool {
    words(ty.to_token_stream()).iter().any(|word| word.text == "&")
}

fn or_fail(result: TokenStream) -> TokenStream {
    quote_spanned! {site()=>
        match #result {
            ::core::result::Result::Ok(value) => value,
            ::core::result::Result::Err(error) => return request.fail(error),
        }
    }
}

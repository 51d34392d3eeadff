//! The trait itself. An `async fn` becomes a function that returns a `Send` future.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{Ident, ItemTrait, ReturnType, Signature, TraitItem, TraitItemFn};

use super::generics::{Generics, angled};
use super::tokens::{docs, site};
use crate::check::TRAIT_METHOD;
use crate::model::{Contract, Method};

// Input:  pub trait Math: Debug { … }
// Output: pub trait Math: Send + Sync + 'static + Debug {
//             …
//             fn into_service(self) -> MathService<Self> where Self: Sized { … }
//         }
pub(crate) fn expand(contract: &Contract) -> TokenStream {
    let ItemTrait { attrs, vis, unsafety, modifiers, ident, generics, supertraits, items, .. } =
        &contract.item;
    let auto = &modifiers.auto_token;
    let where_clause = &generics.where_clause;
    let supertraits = supertraits.iter();
    let understood = |ident: &Ident| contract.methods.iter().any(|method| method.ident == *ident);
    let items = items.iter().map(|item| match item {
        // In a trait with errors, methods that could not be understood are not changed.
        TraitItem::Fn(function) if understood(&function.sig.ident) => expand_method(function),
        other => quote!(#other),
    });
    let into_service = into_service(contract);
    let no_dyn = no_dyn(contract);
    let unmocked = contract.made_mock().map(|_| unmocked(contract));
    let allow = (!contract.makes_service()).then(|| {
        quote_spanned! {site()=>
            #[allow(dead_code, reason = "only the client is generated")]
        }
    });
    quote_spanned! {site()=>
        #(#attrs)*
        #allow
        #vis #unsafety #auto trait #ident #generics:
            ::core::marker::Send + ::core::marker::Sync + 'static #(+ #supertraits)*
        #where_clause
        {
            #no_dyn
            #(#items)*
            #into_service
            #unmocked
        }
    }
}

// Output: const USE_MathClient_TO_CALL_AND_impl_Math_OR_Box_dyn_Service_TO_SERVE: () = ();
//
// An `async fn` makes a trait incompatible with `dyn`. Rustc's error has no advice, but it names the
// other incompatible items. A constant is such an item, and its name is the advice. Nothing reads
// the constant.
fn no_dyn(contract: &Contract) -> Option<TokenStream> {
    let is_unfit = |method: &Method| method.is_async || method.subscription.is_some();
    if !contract.methods.iter().any(|method| is_unfit(method) && !method.has_cfg()) {
        return None;
    }
    let trait_ident = contract.item.ident.unraw();
    let client = contract.client();
    let advice =
        format_ident!("USE_{client}_TO_CALL_AND_impl_{trait_ident}_OR_Box_dyn_Service_TO_SERVE");
    Some(quote_spanned! {site()=>
        #[doc(hidden)]
        #[allow(dead_code, non_upper_case_globals, reason = "for the compiler's message about `dyn`")]
        const #advice: () = ();
    })
}

// Output: fn __unmocked(&self, _method: usize) -> Option<ErrorObject> { None }
//
// Only in a trait with a mock. The service calls this before it calls a method.
fn unmocked(contract: &Contract) -> TokenStream {
    let private = contract.private();
    quote_spanned! {site()=>
        #[doc(hidden)]
        fn __unmocked(
            &self,
            _method: ::core::primitive::usize,
        ) -> ::core::option::Option<#private::ErrorObject> {
            ::core::option::Option::None
        }
    }
}

// Input:  async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
// Output: fn sum(&self, ctx: &Context, x: i64, y: i64) -> impl Future<Output = Result<i64>> + Send;
//
// Input:  async fn zero(&self, ctx: &Context) -> Result<i64> { Ok(0) }
// Output: fn zero(&self, ctx: &Context) -> impl Future<Output = Result<i64>> + Send {
//             async move { Ok(0) }
//         }
//
// A plain `fn` stays as it is.
fn expand_method(function: &TraitItemFn) -> TokenStream {
    if function.sig.asyncness.is_none() {
        return quote!(#function);
    }
    let sig = expand_signature(&function.sig);
    let attrs = &function.attrs;
    let body = match &function.default {
        Some(body) => quote_spanned!(site()=> { async move #body }),
        None => quote!(;),
    };
    quote_spanned! {site()=>
        #(#attrs)*
        #sig #body
    }
}

/// The signature without `async`.
pub(super) fn expand_signature(sig: &Signature) -> TokenStream {
    if sig.asyncness.is_none() {
        return quote!(#sig);
    }
    let output = match &sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, ty) => quote!(#ty),
    };
    let sig = Signature { asyncness: None, output: ReturnType::Default, ..sig.clone() };
    // Rustc points here if a handler's future is not `Send`.
    let send = quote_spanned!(sig.ident.span()=> ::core::marker::Send);
    quote_spanned! {site()=>
        #sig -> impl ::core::future::Future<Output = #output> + #send
    }
}

// Output: fn into_service(self) -> MathService<Self> where Self: Sized { … }
fn into_service(contract: &Contract) -> Option<TokenStream> {
    let is_taken = |item: &TraitItem| match item {
        TraitItem::Fn(function) => function.sig.ident == TRAIT_METHOD,
        _ => false,
    };
    if contract.item.items.iter().any(is_taken) || !contract.makes_service() {
        return None;
    }
    let private = contract.private();
    let service = contract.service();
    let arguments = Generics::of(&contract.item).arguments;
    let arguments: Vec<_> = std::iter::once(quote!(Self)).chain(arguments).collect();
    let arguments = angled(&arguments);
    let docs = docs(&format!(
        "Converts this value into a service, with which a server or a client answers calls.\n\n\
         To keep access to the value, or to serve it in several places, call this method on an\n\
         `Arc` of it. See [`{service}`]."
    ));
    Some(quote_spanned! {site()=>
        #docs
        #[allow(dead_code, deprecated, reason = "generated along with the trait")]
        fn into_service(self) -> #service #arguments
        where
            Self: ::core::marker::Sized,
        {
            ::core::convert::From::from(#private::Arc::new(self))
        }
    })
}

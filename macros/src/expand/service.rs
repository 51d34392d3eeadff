//! `FooService`: decodes incoming calls and calls the user's implementation.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::generics::{Generics, angled, unused_name, where_clause};
use super::tokens::{docs, site};
use super::{attributes, call, describe, subscription};
use crate::attr::{Bytes, Cancel};
use crate::model::{Contract, Method};

pub(crate) fn expand(contract: &Contract) -> TokenStream {
    let structure = structure(contract);
    let dispatch = dispatch(contract);
    quote!(#structure #dispatch)
}

/// The forms of the service's generics. They have one parameter more than the trait: the type that
/// implements it.
pub(super) struct Spelling {
    pub(super) generics: Generics,
    pub(super) handler: Ident,
}

impl Spelling {
    pub(super) fn of(contract: &Contract) -> Self {
        Spelling {
            generics: Generics::of(&contract.item),
            handler: unused_name(&contract.item, "T"),
        }
    }

    /// `where T: Store<K>`, with the predicates of the trait.
    pub(super) fn where_clause(&self, contract: &Contract) -> Option<TokenStream> {
        let (handler, trait_ident) = (&self.handler, &contract.item.ident);
        let arguments = angled(&self.generics.arguments);
        let implemented = quote!(#handler: #trait_ident #arguments);
        let predicates = self.generics.predicates.iter().cloned();
        where_clause(&std::iter::once(implemented).chain(predicates).collect::<Vec<_>>())
    }

    /// `<T, K>` from `K`.
    pub(super) fn with_handler(&self, list: &[TokenStream]) -> Option<TokenStream> {
        let handler = self.handler.to_token_stream();
        let list: Vec<_> = std::iter::once(handler).chain(list.iter().cloned()).collect();
        angled(&list)
    }
}

// Input:  pub trait Store<K> { … }
// Output: pub struct StoreService<T, K>(Arc<T>, PhantomData<fn() -> (K,)>);
//         and From<Arc<T>>, Clone and Debug for it, for any T and K
fn structure(contract: &Contract) -> TokenStream {
    let private = contract.private();
    let attributes = attributes::for_type(&contract.item.attrs);
    let vis = &contract.item.vis;
    let service = contract.service();
    let service_name = service.to_string();
    let spelling = Spelling::of(contract);
    let handler = &spelling.handler;
    let declared = spelling.with_handler(&spelling.generics.declared);
    let bare = spelling.with_handler(&spelling.generics.bare);
    let arguments = spelling.with_handler(&spelling.generics.arguments);
    let marker = spelling.generics.marker.as_ref();
    let marker_type =
        marker.map(|marker| quote_spanned!(site()=> , ::core::marker::PhantomData<#marker>));
    let marker_value = marker.map(|_| quote_spanned!(site()=> , ::core::marker::PhantomData));
    let docs = docs(&format!(
        "A service that answers calls with an implementation of [`{0}`](trait@{0}).\n\n\
         Created by `into_service()`, which can also be called on an `Arc` that is used elsewhere.\n\
         Clones are cheap and share the implementation.",
        contract.item.ident
    ));
    quote_spanned! {site()=>
        #docs
        #(#attributes)*
        #vis struct #service #declared (#private::Arc<#handler> #marker_type);

        #[allow(deprecated, reason = "generated along with the trait")]
        impl #bare ::core::convert::From<#private::Arc<#handler>> for #service #arguments {
            fn from(shared: #private::Arc<#handler>) -> Self {
                Self(shared #marker_value)
            }
        }

        #[allow(deprecated, reason = "generated along with the trait")]
        impl #bare ::core::clone::Clone for #service #arguments {
            fn clone(&self) -> Self {
                Self(::core::clone::Clone::clone(&self.0) #marker_value)
            }
        }

        #[allow(deprecated, reason = "generated along with the trait")]
        impl #bare ::core::fmt::Debug for #service #arguments {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.debug_struct(#service_name).finish_non_exhaustive()
            }
        }
    }
}

// Output: impl<T: Store<K>, K: Serialize> Service for StoreService<T, K> {
//             fn methods(&self) -> Vec<(Cow<'static, str>, usize)> {
//                 From::from([("get", 0), …])
//             }
//             fn call(&self, method: usize, request: Request) -> Outcome {
//                 match method { 0 => …, … }
//             }
//         }
fn dispatch(contract: &Contract) -> TokenStream {
    let private = contract.private();
    let service = contract.service();
    let spelling = Spelling::of(contract);
    let bounded = spelling.with_handler(&spelling.generics.bounded);
    let arguments = spelling.with_handler(&spelling.generics.arguments);
    let handler = &spelling.handler;
    let trait_ident = &contract.item.ident;
    let trait_arguments = angled(&spelling.generics.arguments);
    let where_clause = spelling.where_clause(contract);
    let methods = contract.methods.iter().enumerate();
    let entries = methods.clone().flat_map(|(index, method)| entries(&private, index, method));
    let implementation = quote!(<#handler as #trait_ident #trait_arguments>);
    let arms = methods.map(|(index, method)| arm(contract, &implementation, index, method));
    // A mocked method without a closure is not called, because not every result type can hold the
    // error.
    let unmocked = contract.made_mock().map(|_| {
        quote_spanned! {site()=>
            if let ::core::option::Option::Some(error) =
                #implementation::__unmocked(&self.0, method)
            {
                return #private::Outcome::ready(move || request.fail(error));
            }
        }
    });
    let describe = describe::method_of_service(contract);
    quote_spanned! {site()=>
        #[allow(deprecated, reason = "a deprecated method is still answered")]
        impl #bounded #private::Service for #service #arguments #where_clause {
            fn methods(
                &self,
            ) -> #private::Vec<(
                #private::Cow<'static, ::core::primitive::str>,
                ::core::primitive::usize,
            )> {
                ::core::convert::From::from([#(#entries),*])
            }

            fn call(
                &self,
                method: ::core::primitive::usize,
                request: #private::Request,
            ) -> #private::Outcome {
                #unmocked
                match method {
                    #(#arms)*
                    _ => #private::Outcome::unknown(request),
                }
            }

            #describe
        }
    }
}

// Input:  #[method(name = "math.sum", aliases = ["add"])]
// Output: (Cow::Borrowed("math.sum"), 0), (Cow::Borrowed("add"), 0)
fn entries(private: &TokenStream, index: usize, method: &Method) -> Vec<TokenStream> {
    let conditions = attributes::conditions(&method.attrs);
    let entry = |name: &str, number: TokenStream| quote_spanned!(site()=> #(#conditions)* (#private::Cow::Borrowed(#name), #number));
    let names = method.names().into_iter();
    let mut entries: Vec<_> = names.map(|name| entry(&name.text, quote!(#index))).collect();
    if let Some(subscription) = &method.subscription {
        let number = quote_spanned!(site()=> #private::Topic::UNSUBSCRIBE);
        entries.push(entry(&subscription.unsubscribe.text, number));
    }
    entries
}

// Input:  async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
// Output: 0 => {
//             let service = Clone::clone(&self.0);
//             Outcome::future(async move { … })
//         }
//
// Input:  #[method(ordered, cancel = "drop")]
// Output: 0 => {
//             let caller = request.caller();
//             let service = Clone::clone(&self.0);
//             Outcome::future(async move { … }).ordered(&caller).droppable(&caller)
//         }
//
// Input:  #[method(max_params = "64 KiB")]
// Output: 0 => {
//             if let Some(refused) = request.refuse_params_over(65536) { return refused; }
//             …
//         }
fn arm(
    contract: &Contract,
    implementation: &TokenStream,
    index: usize,
    method: &Method,
) -> TokenStream {
    let private = contract.private();
    let conditions = attributes::conditions(&method.attrs);
    let limit = method.options.max_params.map(|Bytes(limit)| {
        quote_spanned! {site()=>
            if let ::core::option::Option::Some(refused) = request.refuse_params_over(#limit) {
                return refused;
            }
        }
    });
    if let Some(subscription) = &method.subscription {
        let run = subscription::subscribe(contract, implementation, method, subscription);
        return quote_spanned!(site()=> #(#conditions)* #index => { #limit #run });
    }
    let body = body(contract, implementation, method);
    let shared = quote_spanned!(site()=> let service = ::core::clone::Clone::clone(&self.0););
    let options = &method.options;
    let ordered = options.ordered.map(|_| quote_spanned!(site()=> .ordered(&caller)));
    let drops = matches!(options.cancel, Some((Cancel::Drop, _)));
    let droppable = drops.then(|| quote_spanned!(site()=> .droppable(&caller)));
    let caller = (ordered.is_some() || drops)
        .then(|| quote_spanned!(site()=> let caller = request.caller();));
    let run = match (method.is_async || ordered.is_some(), options.blocking) {
        (_, Some(_)) => {
            quote_spanned!(site()=> #shared #private::Outcome::blocking(move || { #body }))
        }
        // An ordered plain `fn` also needs a future, because it may have to wait.
        (true, None) => {
            quote_spanned!(site()=> #shared #private::Outcome::future(async move { #body }))
        }
        (false, None) => {
            let borrowed = quote_spanned!(site()=> let service = &self.0;);
            quote_spanned!(site()=> #borrowed #private::Outcome::ready(move || { #body }))
        }
    };
    quote_spanned!(site()=> #(#conditions)* #index => { #limit #caller #run #ordered #droppable })
}

// Input:  async fn greet(&self, ctx: &Context, name: &str, times: u8) -> Result<String>;
// Output: let mut args = match request.args(&["name", "times"]) { … };
//         let name = match args.next() { … };
//         let times: u8 = match args.next() { … };
//         if let Err(error) = args.finish() { return request.fail(error); }
//         let result =
//             <T as Hello>::greet(&service, request.context(), Arg::get(&name), times).await;
//         Request::reply::<Result<String>>(&request, result)
fn body(contract: &Contract, implementation: &TokenStream, method: &Method) -> TokenStream {
    let output = &method.output;
    let call = call::expand(contract, implementation, method);
    // Rustc shows an error about the result's type at the user's code, and only once, because the
    // client has the same tokens.
    let result = Ident::new("result", output.span());
    let request = quote_spanned!(site()=> &request);
    let private_at_output = contract.private_at(output.span());
    let reply = quote_spanned! {output.span()=>
        #private_at_output::Request::reply::<#output>(#request, #result)
    };
    quote_spanned!(site()=> #call #reply)
}

/// For a trait with errors: a service without methods, which does not implement calls of the trait.
pub(crate) fn stub(contract: &Contract) -> TokenStream {
    let private = contract.private();
    let service = contract.service();
    let spelling = Spelling::of(contract);
    let bare = spelling.with_handler(&spelling.generics.bare);
    let arguments = spelling.with_handler(&spelling.generics.arguments);
    let structure = structure(contract);
    quote_spanned! {site()=>
        #structure

        impl #bare #private::Service for #service #arguments
        where
            Self: ::core::marker::Send + ::core::marker::Sync + 'static,
        {
            fn methods(
                &self,
            ) -> #private::Vec<(
                #private::Cow<'static, ::core::primitive::str>,
                ::core::primitive::usize,
            )> {
                #private::Vec::new()
            }

            fn call(
                &self,
                _method: ::core::primitive::usize,
                request: #private::Request,
            ) -> #private::Outcome {
                #private::Outcome::unknown(request)
            }
        }
    }
}

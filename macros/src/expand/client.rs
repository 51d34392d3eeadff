//! `FooClient`: the methods of the trait as calls to the other side.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::generics::{Generics, angled, unused_name, where_clause};
use super::tokens::{docs, param_names, site};
use super::{attributes, subscription};
use crate::attr::Form;
use crate::model::{Contract, Method, Subscription};

pub(crate) fn expand(contract: &Contract) -> TokenStream {
    let generics = Generics::of(&contract.item);
    let structure = structure(contract, &generics);
    let connecting = connecting(contract, &generics);
    let calls = calls(contract, &generics);
    let traits = traits(contract, &generics);
    quote!(#structure #connecting #calls #traits)
}

// Input:  pub trait Store<K> { … }
// Output: pub struct StoreClient<K> { peer: Peer, marker: PhantomData<fn() -> (K,)> }
fn structure(contract: &Contract, generics: &Generics) -> TokenStream {
    let private = contract.private();
    let attributes = attributes::for_type(&contract.item.attrs);
    let vis = &contract.item.vis;
    let client = contract.client();
    let declared = angled(&generics.declared);
    let marker = generics
        .marker
        .as_ref()
        .map(|marker| quote_spanned!(site()=> marker: ::core::marker::PhantomData<#marker>,));
    let docs = docs(&format!(
        "Calls the methods of [`{0}`](trait@{0}) on the other side of a connection.\n\n\
         It does not matter which side has opened the connection. Clones are cheap and share it.",
        contract.item.ident
    ));
    quote_spanned! {site()=>
        #docs
        #(#attributes)*
        #[allow(dead_code, reason = "a program may have just the service")]
        #vis struct #client #declared {
            peer: #private::Peer,
            #marker
        }
    }
}

// Output: impl<K> StoreClient<K> { new, connect, peer, batch }
fn connecting(contract: &Contract, generics: &Generics) -> TokenStream {
    let private = contract.private();
    let vis = &contract.item.vis;
    let client = contract.client();
    let bare = angled(&generics.bare);
    let arguments = angled(&generics.arguments);
    let batch = unused_name(&contract.item, "B");
    let marker = generics
        .marker
        .as_ref()
        .map(|_| quote_spanned!(site()=> marker: ::core::marker::PhantomData,));
    quote_spanned! {site()=>
        #[allow(dead_code, deprecated, reason = "made along with the trait, all or nothing")]
        impl #bare #client #arguments {
            /// A client for a connection which is there already: `client.peer()`, `ctx.peer()`.
            #[must_use]
            #vis fn new(peer: impl ::core::convert::Into<#private::Peer>) -> Self {
                Self { peer: ::core::convert::Into::into(peer), #marker }
            }

            /// Opens a connection of its own to `url`, as in `ws://127.0.0.1:8095/`.
            ///
            /// # Errors
            ///
            /// If nobody answers at `url`, or not as a WebSocket server.
            #vis async fn connect(
                url: &::core::primitive::str,
            ) -> ::core::result::Result<Self, #private::ConnectError> {
                match #private::Client::connect(url).await {
                    ::core::result::Result::Ok(client) => {
                        ::core::result::Result::Ok(Self::new(client.peer()))
                    }
                    ::core::result::Result::Err(error) => ::core::result::Result::Err(error),
                }
            }

            /// The handle to the other side which the calls go through.
            #[must_use]
            #vis fn peer(&self) -> &#private::Peer {
                &self.peer
            }

            /// Sends several calls in one frame.
            #vis fn batch<#batch: #private::IntoBatch>(
                &self,
                calls: #batch,
            ) -> #private::BatchCall<#batch> {
                self.peer.batch(calls)
            }
        }
    }
}

// Output: impl<K: Serialize> StoreClient<K> { one method for each method of the trait }
fn calls(contract: &Contract, generics: &Generics) -> TokenStream {
    let client = contract.client();
    let bounded = angled(&generics.bounded);
    let arguments = angled(&generics.arguments);
    let where_clause = where_clause(&generics.predicates);
    let methods = contract.methods.iter().map(|method| call(contract, method));
    quote_spanned! {site()=>
        #[allow(
            dead_code,
            deprecated,
            non_snake_case,
            clippy::fn_params_excessive_bools,
            clippy::needless_pass_by_value,
            clippy::too_many_arguments,
            clippy::type_complexity,
            reason = "they are as the trait has them, and are there whether called or not"
        )]
        impl #bounded #client #arguments #where_clause {
            #(#methods)*
        }
    }
}

// Input:  async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
// Output: pub fn sum(&self, x: i64, y: i64) -> CallOf<Result<i64>> {
//             let mut encoder = Encoder::new(&self.peer, "sum", Form::Positional, &["x", "y"]);
//             encoder.arg::<i64>(&x);
//             encoder.arg::<i64>(&y);
//             encoder.finish()          // .idempotent() if the method is marked so
//         }
fn call(contract: &Contract, method: &Method) -> TokenStream {
    let private = contract.private();
    let vis = &contract.item.vis;
    let Method { attrs, ident, params, output, name, .. } = method;
    let attributes = attributes::for_client_method(attrs);
    let has_docs = attrs.iter().any(|attribute| attribute.path().is_ident("doc"));
    let docs = docs(&format!("{}Calls `{}`.", if has_docs { "\n" } else { "" }, name.text));
    let name = &name.text;
    // Without names, such a call can't be sent by name.
    let names = param_names(method).filter(|_| method.form() != Form::List);
    let form = match method.form() {
        Form::Positional | Form::List => quote!(Positional),
        Form::Named => quote!(Named),
        Form::Whole => quote!(Whole),
    };
    let idempotent = method.options.idempotent.map(|_| quote_spanned!(site()=> .idempotent()));
    let omit_none = contract.options.omit_none.or(method.options.omit_none);
    let arg = match omit_none.filter(|_| method.form() != Form::Whole) {
        Some(_) => quote_spanned!(site()=> arg_unless_null),
        None => quote_spanned!(site()=> arg),
    };
    let mutability = (!params.is_empty()).then(|| quote!(mut));
    let idents: Vec<_> = params.iter().map(|param| &param.ident).collect();
    let types: Vec<_> = params.iter().map(|param| &param.ty).collect();
    // An error about the result's type occurs in the signature and in the body. If the span is the
    // same, too, rustc shows it once.
    let private_at_output = contract.private_at(output.span());
    let call = match &method.subscription {
        Some(subscription) => subscription::client_type(contract, subscription, output.span()),
        None => quote_spanned!(output.span()=> #private_at_output::CallOf<#output>),
    };
    let finish = match &method.subscription {
        Some(Subscription { unsubscribe, notification, .. }) => {
            let (unsubscribe, notification) = (&unsubscribe.text, &notification.text);
            let subscribe = Ident::new("subscribe", output.span());
            quote_spanned!(site()=> encoder.#subscribe(#unsubscribe, #notification))
        }
        None => {
            let finish = Ident::new("finish", output.span());
            quote_spanned!(site()=> encoder.#finish()#idempotent)
        }
    };
    let body = quote_spanned! {site()=>
        let #mutability encoder = #private::Encoder::new(
            &self.peer,
            #name,
            #private::Form::#form,
            &[#(#names),*],
        );
        #(encoder.#arg::<#types>(&#idents);)*
        #finish
    };
    let body = quote_spanned!(output.span()=> { #body });
    quote_spanned! {site()=>
        #(#attributes)*
        #docs
        #vis fn #ident(&self, #(#idents: #types),*) -> #call #body
    }
}

// Output: Clone, Debug and From<Peer> for StoreClient<K>, for any K
fn traits(contract: &Contract, generics: &Generics) -> TokenStream {
    let private = contract.private();
    let client = contract.client();
    let client_name = client.to_string();
    let bare = angled(&generics.bare);
    let arguments = angled(&generics.arguments);
    quote_spanned! {site()=>
        #[allow(deprecated, reason = "made along with the trait")]
        impl #bare ::core::clone::Clone for #client #arguments {
            fn clone(&self) -> Self {
                Self::new(::core::clone::Clone::clone(&self.peer))
            }
        }

        #[allow(deprecated, reason = "made along with the trait")]
        impl #bare ::core::fmt::Debug for #client #arguments {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.debug_struct(#client_name).field("peer", &self.peer).finish()
            }
        }

        #[allow(deprecated, reason = "made along with the trait")]
        impl #bare ::core::convert::From<#private::Peer> for #client #arguments {
            fn from(peer: #private::Peer) -> Self {
                Self::new(peer)
            }
        }
    }
}

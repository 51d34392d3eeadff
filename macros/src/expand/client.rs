//! `FooClient`: the methods of the trait as calls to the peer.

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
        "A typed client: calls the methods of [`{0}`](trait@{0}) on the peer.\n\n\
         Either side of a connection can have one, whichever side opened the connection. Clones\n\
         are cheap and share the connection.",
        contract.item.ident
    ));
    quote_spanned! {site()=>
        #docs
        #(#attributes)*
        #[allow(dead_code, reason = "a program may use only the service")]
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
        #[allow(dead_code, deprecated, reason = "generated, whether used or not")]
        impl #bare #client #arguments {
            /// Creates a client that uses an existing connection: `client.peer()`, `ctx.peer()`.
            #[must_use]
            #vis fn new(peer: impl ::core::convert::Into<#private::Peer>) -> Self {
                Self { peer: ::core::convert::Into::into(peer), #marker }
            }

            /// Opens a new connection to `url`, such as `ws://127.0.0.1:8095/`.
            ///
            /// # Errors
            ///
            /// Fails if `url` is invalid, if no server can be reached, or if the server refuses the
            /// WebSocket handshake.
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

            /// Returns the handle to the peer that this client sends its calls through.
            #[must_use]
            #vis fn peer(&self) -> &#private::Peer {
                &self.peer
            }

            /// Sends several calls in one message.
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
            reason = "they mirror the trait's methods, whether called or not"
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
    // Params of this form are always a list, so their names are not passed on.
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
    // An error about the result's type occurs in the signature and in the body. Because both have
    // the same span, rustc shows the error once.
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
        #[allow(deprecated, reason = "generated along with the trait")]
        impl #bare ::core::clone::Clone for #client #arguments {
            fn clone(&self) -> Self {
                Self::new(::core::clone::Clone::clone(&self.peer))
            }
        }

        #[allow(deprecated, reason = "generated along with the trait")]
        impl #bare ::core::fmt::Debug for #client #arguments {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                formatter.debug_struct(#client_name).field("peer", &self.peer).finish()
            }
        }

        #[allow(deprecated, reason = "generated along with the trait")]
        impl #bare ::core::convert::From<#private::Peer> for #client #arguments {
            fn from(peer: #private::Peer) -> Self {
                Self::new(peer)
            }
        }
    }
}

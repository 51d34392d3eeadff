//! Subscriptions: how the service starts one, and which type the client returns.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::call;
use super::tokens::site;
use crate::model::{Contract, Method, Subscription};
use crate::subscription::{Items, Overflow};

// Input:  fn blocks(&self, ctx: &Context, from: u64) -> Result<impl Stream<Item = Block>, Refused>;
// Output: Outcome::subscription(request, Topic::fixed("blocks", …), |request, producer| async move {
//             …
//             let result = <T as Node>::blocks(&service, request.context(), from);
//             let stream = match Returns::into_result(result) { … };   // only of a `Result`
//             producer.run::<Block, _>(stream).await
//         })
pub(super) fn subscribe(
    contract: &Contract,
    implementation: &TokenStream,
    method: &Method,
    subscription: &Subscription,
) -> TokenStream {
    let private = contract.private();
    let Subscription { options, items, unsubscribe, notification } = subscription;
    let (name, unsubscribe, notification) =
        (&method.name.text, &unsubscribe.text, &notification.text);
    let overflow = options.overflow.map(|(overflow, _)| {
        let policy = match overflow {
            Overflow::Block => quote!(Block),
            Overflow::DropOldest => quote!(DropOldest),
            Overflow::DropNewest => quote!(DropNewest),
            Overflow::Latest => quote!(Latest),
            Overflow::Close => quote!(Close),
        };
        quote_spanned!(site()=> .overflow(#private::Overflow::#policy))
    });
    let buffer = options.buffer.as_ref().map(|items| quote_spanned!(site()=> .buffer(#items)));
    let tell_end = options.tell_end.as_ref().map(|tell| quote_spanned!(site()=> .tell_end(#tell)));
    let call = call::expand(contract, implementation, method);
    let result = Ident::new("result", method.output.span());
    let private_at_output = contract.private_at(method.output.span());
    let accept = items.refusal.as_ref().map(|_| {
        let into_result = quote_spanned! {method.output.span()=>
            #private_at_output::Returns::into_result(#result)
        };
        quote_spanned! {site()=>
            let #result = match #into_result {
                ::core::result::Result::Ok(stream) => stream,
                ::core::result::Result::Err(error) => {
                    return request.fail(#private::RpcError::to_object(&error));
                }
            };
        }
    });
    // Rustc shows an error about the items at the user's code, and only once, because the client
    // has the same tokens.
    let item = &items.item;
    let producer = quote_spanned!(site()=> producer);
    let run = quote_spanned!(items.brought.span()=> #producer.run::<#item, _>(#result).await);
    quote_spanned! {site()=>
        let service = ::core::clone::Clone::clone(&self.0);
        let topic = #private::Topic::fixed(#name, #unsubscribe, #notification) #overflow #buffer #tell_end;
        #private::Outcome::subscription(request, topic, move |request, producer| async move {
            #call
            #accept
            #run
        })
    }
}

// Input:  -> impl Stream<Item = u64>                 Output: Subscribe<u64, ErrorObject>
// Input:  -> Result<impl Stream<Item = u64>, E>       Output: Subscribe<u64, <Result<(), E> as Returns>::Err>
// Input:  -> impl Stream<Item = Result<u64, E>>       Output: Subscribe<u64, <Result<u64, E> as IntoItem<u64>>::Err>
pub(super) fn client_type(
    contract: &Contract,
    subscription: &Subscription,
    output: Span,
) -> TokenStream {
    let private = contract.private();
    let Items { item, brought, fails, refusal, .. } = &subscription.items;
    let error = match refusal {
        _ if *fails => {
            let private = contract.private_at(brought.span());
            quote_spanned!(brought.span()=> <#brought as #private::IntoItem<#item>>::Err)
        }
        Some(refusal) => {
            let private = contract.private_at(output);
            quote_spanned!(output=> <#refusal as #private::Returns>::Err)
        }
        None => quote_spanned!(site()=> #private::ErrorObject),
    };
    quote_spanned!(site()=> #private::Subscribe<#item, #error>)
}

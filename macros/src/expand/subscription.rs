//! What is special about subscriptions: the call that the client makes, and the handler that brings a
//! stream.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::spanned::Spanned;

use super::service::call;
use super::site;
use crate::model::{Contract, Method, Subscription};
use crate::subscription::{Items, Overflow};

// Input:  -> impl Stream<Item = u64>                 Output: Subscribe<u64, ErrorObject>
// Input:  -> Result<impl Stream<Item = u64>, E>       Output: Subscribe<u64, <Result<(), E> as Returns>::Err>
// Input:  -> impl Stream<Item = Result<u64, E>>       Output: Subscribe<u64, <Result<u64, E> as Yields<u64>>::Err>
pub(super) fn call_type(contract: &Contract, subscription: &Subscription) -> TokenStream {
    let private = contract.private();
    let Items { item, brought, refusal } = &subscription.items;
    let error = match refusal {
        _ if item.to_string() != brought.to_string() => {
            quote_spanned!(site()=> <#brought as #private::Yields<#item>>::Err)
        }
        Some(refusal) => quote_spanned!(site()=> <#refusal as #private::Returns>::Err),
        None => quote_spanned!(site()=> #private::ErrorObject),
    };
    quote_spanned!(site()=> #private::Subscribe<#item, #error>)
}

// Input:  fn blocks(&self, ctx: &Context, from: u64) -> Result<impl Stream<Item = Block>, Refused>;
// Output: Outcome::subscription(request, Topic::fixed("blocks", …), |request, producer| async move {
//             …
//             let result = <T as Node>::blocks(&service, request.context(), from);
//             let stream = match Returns::into_result(result) { … };   // only of a `Result`
//             producer.run::<Block, _>(stream).await
//         })
pub(super) fn serve(
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
    let call = call(contract, implementation, method);
    let result = Ident::new("result", method.output.span());
    let accept = items.refusal.as_ref().map(|_| {
        quote_spanned! {site()=>
            let #result = match #private::Returns::into_result(#result) {
                ::core::result::Result::Ok(stream) => stream,
                ::core::result::Result::Err(error) => {
                    return request.fail(#private::RpcError::to_object(&error));
                }
            };
        }
    });
    let item = &items.item;
    quote_spanned! {site()=>
        let service = ::core::clone::Clone::clone(&self.0);
        let topic = #private::Topic::fixed(#name, #unsubscribe, #notification) #overflow #buffer #tell_end;
        #private::Outcome::subscription(request, topic, move |request, producer| async move {
            #call
            #accept
            producer.run::<#item, _>(#result).await
        })
    }
}

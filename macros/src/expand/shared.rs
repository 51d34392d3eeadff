//! Implements the trait for `Arc<T>`, a shared implementation.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{ItemTrait, TraitItem, TypeParamBound, WherePredicate};

use super::attributes;
use super::contract::expand_signature;
use super::generics::{Generics, angled, unused_name, where_clause};
use super::tokens::site;
use crate::model::{Contract, Method};
use crate::types::is_self;

// Input:  pub trait Math: Debug { async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>; }
// Output: impl<T: Math> Math for Arc<T> where Self: Debug {
//             fn sum(&self, context: &Context, x: i64) -> impl Future<Output = Result<i64>> + Send {
//                 T::sum(&self, context, x)
//             }
//         }
//
// With `arc.into_service()`, the program keeps a handle to the value that it serves.
pub(crate) fn expand(contract: &Contract) -> TokenStream {
    let private = contract.private();
    let ItemTrait { ident, supertraits, generics, items, .. } = &contract.item;
    let spelling = Generics::of(&contract.item);
    let handler = unused_name(&contract.item, "T");
    let trait_arguments = angled(&spelling.arguments);
    let declared: Vec<_> =
        std::iter::once(quote!(#handler)).chain(spelling.bounded.iter().cloned()).collect();
    let declared = angled(&declared);

    let own = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let own = own.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) if is_self(&predicate.bounded_ty) => {
            Some(&predicate.bounds)
        }
        _ => None,
    });
    let bounds: Vec<&TypeParamBound> = supertraits.iter().chain(own.flatten()).collect();
    let itself = (!bounds.is_empty())
        .then(|| quote_spanned!(site()=> #private::Arc<#handler>: #(#bounds)+*));
    let implemented = quote!(#handler: #ident #trait_arguments);
    let predicates: Vec<_> =
        [implemented].into_iter().chain(spelling.predicates.clone()).chain(itself).collect();
    let where_clause = where_clause(&predicates);

    let implementation = quote!(<#handler as #ident #trait_arguments>);
    let functions = items.iter().filter_map(|item| match item {
        TraitItem::Fn(function) => Some(function),
        _ => None,
    });
    let methods = functions.zip(&contract.methods).map(|(function, method)| {
        let Method { attrs, ident, context, params, .. } = method;
        let conditions = attributes::conditions(attrs);
        let idents: Vec<_> = params.iter().map(|param| &param.ident).collect();
        let types = params.iter().map(|param| &param.ty);
        let context = context.iter();
        let mut sig = function.sig.clone();
        sig.inputs = syn::parse_quote_spanned! {site()=>
            &self, #(context: #context,)* #(#idents: #types),*
        };
        let sig = expand_signature(&sig);
        quote_spanned! {site()=>
            #(#conditions)*
            #sig {
                #implementation::#ident(&**self, context, #(#idents),*)
            }
        }
    });
    let unmocked = contract.made_mock().map(|_| {
        quote_spanned! {site()=>
            fn __unmocked(
                &self,
                method: ::core::primitive::usize,
            ) -> ::core::option::Option<#private::ErrorObject> {
                #implementation::__unmocked(&**self, method)
            }
        }
    });
    quote_spanned! {site()=>
        #[allow(
            deprecated,
            non_snake_case,
            clippy::too_many_arguments,
            clippy::type_complexity,
            reason = "generated along with the trait"
        )]
        impl #declared #ident #trait_arguments for #private::Arc<#handler> #where_clause {
            #(#methods)*
            #unmocked
        }
    }
}

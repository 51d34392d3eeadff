//! The trait's generic parameters, in the forms that the generated types and impls need.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{GenericParam, Ident, ItemTrait, WherePredicate};

use super::tokens::site;
use crate::text::words;
use crate::types::is_self;

/// Lists of tokens without brackets and commas; [`angled`] adds them.
pub(super) struct Generics {
    /// For the declaration of a type: `K = String`, `const N: usize`. Without bounds, so that a
    /// struct with a client in it need not repeat them.
    pub(super) declared: Vec<TokenStream>,
    /// For a type that needs the bounds: `K: Serialize = String`, `const N: usize`.
    pub(super) declared_with_bounds: Vec<TokenStream>,
    /// For an impl that needs no bounds: `K`, `const N: usize`.
    pub(super) bare: Vec<TokenStream>,
    /// For an impl that needs the bounds: `K: Serialize`, `const N: usize`.
    pub(super) bounded: Vec<TokenStream>,
    /// For uses: `K`, `N`.
    pub(super) arguments: Vec<TokenStream>,
    /// The trait's `where` clause, without predicates about `Self`.
    pub(super) predicates: Vec<TokenStream>,
    /// The type parameters, which a type must mention: `fn() -> (K,)`.
    pub(super) marker: Option<TokenStream>,
}

impl Generics {
    pub(super) fn of(item: &ItemTrait) -> Self {
        let mut generics = Generics {
            declared: Vec::new(),
            declared_with_bounds: Vec::new(),
            bare: Vec::new(),
            bounded: Vec::new(),
            arguments: Vec::new(),
            predicates: Vec::new(),
            marker: None,
        };
        let mut types = Vec::new();
        for param in &item.generics.params {
            match param {
                // Lifetimes were reported as errors, and code for a trait with errors omits them.
                GenericParam::Lifetime(_) => {}
                GenericParam::Type(param) => {
                    let ident = &param.ident;
                    let bounds = &param.bounds;
                    // A default of `Self` was reported as an error, and rustc would report it
                    // again.
                    let default = param.default.as_ref().filter(|(_, ty)| !is_self(ty));
                    let default = default.map(|(eq, ty)| quote!(#eq #ty));
                    generics.declared.push(quote!(#ident #default));
                    generics.declared_with_bounds.push(quote!(#ident: #bounds #default));
                    generics.bare.push(quote!(#ident));
                    generics.bounded.push(quote!(#ident: #bounds));
                    generics.arguments.push(quote!(#ident));
                    types.push(ident);
                }
                GenericParam::Const(param) => {
                    let ident = &param.ident;
                    let ty = &param.ty;
                    let default = param.default.as_ref().map(|(eq, value)| quote!(#eq #value));
                    generics.declared.push(quote!(const #ident: #ty #default));
                    generics.declared_with_bounds.push(quote!(const #ident: #ty #default));
                    generics.bare.push(quote!(const #ident: #ty));
                    generics.bounded.push(quote!(const #ident: #ty));
                    generics.arguments.push(quote!(#ident));
                }
            }
        }
        let clause = item.generics.where_clause.iter().flat_map(|clause| &clause.predicates);
        let kept = clause.filter(|predicate| match predicate {
            WherePredicate::Type(predicate) => !is_self(&predicate.bounded_ty),
            _ => true,
        });
        generics.predicates = kept.map(ToTokens::to_token_stream).collect();
        if !types.is_empty() {
            generics.marker = Some(quote_spanned!(site()=> fn() -> (#(#types,)*)));
        }
        generics
    }
}

/// `<K, V>`, or nothing.
pub(super) fn angled(list: &[TokenStream]) -> Option<TokenStream> {
    (!list.is_empty()).then(|| quote!(<#(#list),*>))
}

/// `where …`, or nothing.
pub(super) fn where_clause(predicates: &[TokenStream]) -> Option<TokenStream> {
    (!predicates.is_empty()).then(|| quote!(where #(#predicates),*))
}

/// Returns `first`, or a similar name that does not occur in the trait: generic parameters have no
/// hygiene, and the user may have a type with this name.
pub(super) fn unused_name(item: &ItemTrait, first: &str) -> Ident {
    let words = words(item.to_token_stream());
    let mut name = first.to_owned();
    while words.iter().any(|word| word.text == name) {
        name.push('_');
    }
    Ident::new(&name, Span::call_site())
}

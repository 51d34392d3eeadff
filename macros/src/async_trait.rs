//! Finds `#[async_trait]` on a trait with `#[rpc]`, and restores the original signatures. The
//! attribute is not needed, and the signatures that it generates cannot be implemented by an `async
//! fn`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    GenericArgument, Generics, ItemTrait, PathArguments, ReturnType, Signature, Token, TraitItem,
    Type, TypeParamBound,
};

/// The name of the attribute, and of the lifetime that it adds to each method.
const LIFETIME: &str = "async_trait";

/// Removes the attribute if it is below `#[rpc]`, and reverts its changes if it was above. Returns
/// its location.
pub(crate) fn undo(item: &mut ItemTrait) -> Option<Span> {
    let is_its = |attribute: &syn::Attribute| {
        attribute.path().segments.last().is_some_and(|segment| segment.ident == LIFETIME)
    };
    let below = item.attrs.iter().find(|attribute| is_its(attribute)).map(|attribute| {
        attribute.path().segments.last().map_or_else(Span::call_site, |last| last.ident.span())
    });
    item.attrs.retain(|attribute| !is_its(attribute));
    let mut above = None;
    for item in &mut item.items {
        if let TraitItem::Fn(function) = item {
            let lifetimes = &mut function.sig.generics.lifetimes();
            let its = lifetimes.find(|param| param.lifetime.ident == LIFETIME);
            if let Some(span) = its.map(|param| param.lifetime.apostrophe) {
                above = above.or(Some(span));
                undo_signature(&mut function.sig);
            }
        }
    }
    below.or(above)
}

// Input:  fn sum<'life0, 'life1, 'async_trait>(&'life0 self, ctx: &'life1 Context, x: i64)
//             -> Pin<Box<dyn Future<Output = Result<i64>> + Send + 'async_trait>>
//         where 'life0: 'async_trait, …
// Output: async fn sum(&self, ctx: &Context, x: i64) -> Result<i64>
fn undo_signature(sig: &mut Signature) {
    sig.generics = Generics::default();
    if let Ok(inputs) = syn::parse::Parser::parse2(
        syn::punctuated::Punctuated::parse_terminated,
        without_lifetimes(sig.inputs.to_token_stream()),
    ) {
        sig.inputs = inputs;
    }
    let ReturnType::Type(_, ty) = &sig.output else { return };
    let Some(output) = output_of(ty) else { return };
    if let Ok(output) = syn::parse2(without_lifetimes(output.to_token_stream())) {
        sig.asyncness = Some(Token![async](sig.fn_token.span));
        if let ReturnType::Type(_, ty) = &mut sig.output {
            **ty = output;
        }
    }
}

/// `T` of `Pin<Box<dyn Future<Output = T> + …>>`.
fn output_of(ty: &Type) -> Option<&Type> {
    let Type::TraitObject(object) = argument(argument(ty)?)? else { return None };
    object.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let PathArguments::AngleBracketed(list) = &bound.path.segments.last()?.arguments else {
            return None;
        };
        list.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(output) => Some(&output.ty),
            _ => None,
        })
    })
}

/// `T` of `Box<T>`.
fn argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(list) = &path.path.segments.last()?.arguments else {
        return None;
    };
    list.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

fn without_lifetimes(tokens: TokenStream) -> TokenStream {
    let mut tokens = tokens.into_iter();
    let mut kept = Vec::new();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '\'' => drop(tokens.next()),
            TokenTree::Group(group) => {
                let stream = without_lifetimes(group.stream());
                let mut inner = proc_macro2::Group::new(group.delimiter(), stream);
                inner.set_span(group.span());
                kept.push(TokenTree::Group(inner));
            }
            other => kept.push(other),
        }
    }
    kept.into_iter().collect()
}

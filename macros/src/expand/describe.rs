//! The descriptions of a trait's methods, for `#[rpc(schema)]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Type};

use super::attributes;
use super::call::borrows;
use super::generics::{Generics, angled, where_clause};
use super::service::Spelling;
use super::tokens::site;
use crate::attr::{Cancel, Form};
use crate::example::{Example, Outcome};
use crate::model::{Contract, Method, Param, Subscription};

// Output: impl<K: Serialize> Describe for StoreClient<K> {
//             fn methods() -> Vec<Method> { From::from([Method::new("get")…, …]) }
//         }
//
// Without a client, the service implements `Describe`.
pub(super) fn expand(contract: &Contract) -> Option<TokenStream> {
    implementation(contract, &contract.methods)
}

/// For a trait with errors: it describes no methods, so that uses of the description cause no
/// further errors.
pub(crate) fn stub(contract: &Contract) -> Option<TokenStream> {
    implementation(contract, &[])
}

fn implementation(contract: &Contract, methods: &[Method]) -> Option<TokenStream> {
    contract.describes().then(|| {
        let private = contract.private();
        let (generics, described, where_clause) = match contract.makes_client() {
            true => {
                let generics = Generics::of(&contract.item);
                let predicates = where_clause(&generics.predicates);
                let (client, arguments) = (contract.client(), angled(&generics.arguments));
                (angled(&generics.bounded), quote!(#client #arguments), predicates)
            }
            false => {
                let spelling = Spelling::of(contract);
                let arguments = spelling.with_handler(&spelling.generics.arguments);
                let service = contract.service();
                let bounded = spelling.with_handler(&spelling.generics.bounded);
                (bounded, quote!(#service #arguments), spelling.where_clause(contract))
            }
        };
        let methods = methods.iter().map(|method| describe(contract, method));
        quote_spanned! {site()=>
            #[allow(
                deprecated,
                clippy::let_unit_value,
                clippy::too_many_lines,
                reason = "a deprecated method is still described"
            )]
            impl #generics #private::Describe for #described #where_clause {
                fn methods() -> #private::Vec<#private::Method> {
                    ::core::convert::From::from([#(#methods),*])
                }
            }
        }
    })
}

// Output: fn describe(&self) -> Vec<Method> { <StoreClient<K> as Describe>::methods() }
pub(super) fn method_of_service(contract: &Contract) -> Option<TokenStream> {
    contract.describes().then(|| {
        let private = contract.private();
        let described = match contract.makes_client() {
            true => {
                let arguments = angled(&Generics::of(&contract.item).arguments);
                let client = contract.client();
                quote!(#client #arguments)
            }
            false => quote!(Self),
        };
        quote_spanned! {site()=>
            fn describe(&self) -> #private::Vec<#private::Method> {
                <#described as #private::Describe>::methods()
            }
        }
    })
}

// Input:  /// Adds two numbers.
//         async fn sum(&self, ctx: &Context, x: i64, y: Option<i64>) -> Result<i64>;
// Output: Method::new("sum")
//             .doc("Adds two numbers.")
//             .argument::<i64>("x", !is_optional::<i64>(Args::next), None)
//             .argument::<Option<i64>>("y", !is_optional::<Option<i64>>(Args::next), None)
//             .result::<<Result<i64> as Returns>::Ok>()
//             .errors::<<Result<i64> as Returns>::Err>()
fn describe(contract: &Contract, method: &Method) -> TokenStream {
    let private = contract.private();
    let conditions = attributes::conditions(&method.attrs);
    let name = &method.name.text;
    let aliases = &method.options.aliases;
    let doc = doc(&method.attrs);
    let doc = (!doc.is_empty()).then(|| quote_spanned!(site()=> .doc(#doc)));
    let deprecated = deprecated(&method.attrs);
    let deprecated = deprecated.map(|note| quote_spanned!(site()=> .deprecated(#note)));
    let params = match (method.form(), method.params.as_slice()) {
        (Form::Whole, [param]) => {
            let ty = param.options.schema.as_ref().unwrap_or(&param.ty);
            let params = Ident::new("params", ty.span());
            quote_spanned!(site()=> .#params::<#ty>())
        }
        (form, params) => {
            let params = params.iter().map(|param| argument(contract, param));
            let list_only = (form == Form::List).then(|| quote_spanned!(site()=> .list_only()));
            quote_spanned!(site()=> #(#params)* #list_only)
        }
    };
    let outcome = match &method.subscription {
        Some(subscription) => items(contract, method, subscription),
        None => result(contract, method),
    };
    let flags = [
        ("idempotent", method.options.idempotent.is_some()),
        ("ordered", method.options.ordered.is_some()),
        ("cancel_drops", matches!(method.options.cancel, Some((Cancel::Drop, _)))),
    ];
    let flags = flags.into_iter().filter(|(_, is)| *is).map(|(name, _)| Ident::new(name, site()));
    let progress = method.options.progress.as_ref().map(|ty| {
        let progress = Ident::new("progress", ty.span());
        quote_spanned!(site()=> .#progress::<#ty>())
    });
    let count = method.examples.len();
    let examples = method.examples.iter().enumerate().map(|(index, example)| {
        let default =
            if count == 1 { "example".to_owned() } else { format!("example {}", index + 1) };
        self::example(contract, method, example, &default)
    });
    quote_spanned! {site()=>
        #(#conditions)*
        #private::Method::new(#name)
            #(.alias(#aliases))*
            #doc
            #deprecated
            #params
            #outcome
            #(.#flags())*
            #progress
            #(#examples)*
    }
}

// Input:  #[param(default)] times: u32
// Output: .argument::<u32>("times", false, default_value::<u32>(Args::next_or_default))
fn argument(contract: &Contract, param: &Param) -> TokenStream {
    let Param { ty, name, options, .. } = param;
    let private = contract.private();
    let span = ty.span();
    let private_at_type = contract.private_at(span);
    // What the service decodes.
    let decoded = match borrows(ty) {
        true => quote_spanned!(span=> <#ty as #private_at_type::Arg<'_>>::Store),
        false => ty.to_token_stream(),
    };
    // The bounds on the type stand in `Args`, with the same spans as in the service, so that rustc
    // shows an error about the type once.
    let next = |name: &str| {
        let (private, name) = (contract.private_at(span), Ident::new(name, span));
        quote_spanned!(span=> #private::Args::#name)
    };
    let (required, default) = match (options.default, contract.makes_service()) {
        (Some(_), true) => {
            let next = next("next_or_default");
            let default_value = Ident::new("default_value", span);
            let value = quote_spanned!(site()=> #private::#default_value::<#decoded>(#next));
            (quote!(false), value)
        }
        (Some(_), false) => {
            let default = quote_spanned!(span=> <#decoded as ::core::default::Default>::default());
            // What is stored for a borrowed argument need not implement `Serialize`.
            let default = match borrows(ty) {
                true => quote_spanned!(span=> #private_at_type::Arg::get(&#default)),
                false => default,
            };
            let example_value = Ident::new("example_value", span);
            let value = quote_spanned!(site()=> #private::#example_value::<#ty>(&#default));
            (quote!(false), value)
        }
        (None, true) => {
            let next = next("next");
            let required = quote_spanned!(site()=> !#private::is_optional::<#decoded>(#next));
            (required, quote!(::core::option::Option::None))
        }
        // Without a service, the type need not implement `Deserialize`.
        (None, false) => {
            let required = !is_named_option(ty);
            (quote!(#required), quote!(::core::option::Option::None))
        }
    };
    let name = &name.text;
    let shown = options.schema.as_ref().unwrap_or(ty);
    let argument = Ident::new("argument", shown.span());
    quote_spanned!(site()=> .#argument::<#shown>(#name, #required, #default))
}

fn is_named_option(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => {
            path.path.segments.last().is_some_and(|segment| segment.ident == "Option")
        }
        Type::Group(group) => is_named_option(&group.elem),
        Type::Paren(paren) => is_named_option(&paren.elem),
        _ => false,
    }
}

fn result(contract: &Contract, method: &Method) -> TokenStream {
    let output = &method.output;
    let span = output.span();
    let ok = match &method.options.result_schema {
        Some(ty) => ty.to_token_stream(),
        None => returned(contract, output, "Ok"),
    };
    let result = Ident::new("result", ok.span());
    let error = returned(contract, output, "Err");
    let errors = Ident::new("errors", span);
    quote_spanned!(site()=> .#result::<#ok>() .#errors::<#error>())
}

// Output: <Result<i64> as Returns>::Ok
fn returned(contract: &Contract, output: &TokenStream, part: &str) -> TokenStream {
    let span = output.span();
    let private = contract.private_at(span);
    let part = Ident::new(part, span);
    quote_spanned!(span=> <#output as #private::Returns>::#part)
}

fn items(contract: &Contract, method: &Method, subscription: &Subscription) -> TokenStream {
    let Subscription { options, items, unsubscribe, notification } = subscription;
    let (unsubscribe, notification) = (&unsubscribe.text, &notification.text);
    let item = match &options.item_schema {
        Some(ty) => ty.to_token_stream(),
        None => items.item.clone(),
    };
    let subscribe = Ident::new("subscription", item.span());
    let resumable = items.positioned.then(|| quote_spanned!(site()=> .resumable()));
    let errors = Ident::new("errors", method.output.span());
    let refusal = items.refusal.as_ref().map(|refusal| {
        let error = returned(contract, refusal, "Err");
        quote_spanned!(site()=> .#errors::<#error>())
    });
    let failure = items.fails.then(|| {
        let (item, brought) = (&items.item, &items.brought);
        let private = contract.private_at(brought.span());
        let error = quote_spanned!(brought.span()=> <#brought as #private::IntoItem<#item>>::Err);
        quote_spanned!(site()=> .#errors::<#error>())
    });
    quote_spanned! {site()=>
        .#subscribe::<#item>(#unsubscribe, #notification) #resumable #refusal #failure
    }
}

// Input:  #[example(params = (1, 2), result = 3)]
// Output: .example({
//             let value: i64 = 1;
//             let example = Example::new("example").param::<i64>(&value);
//             …
//             let value: <Result<i64> as Returns>::Ok = 3;
//             example.result(&value)
//         })
fn example(
    contract: &Contract,
    method: &Method,
    example: &Example,
    default_name: &str,
) -> TokenStream {
    let private = contract.private();
    let name = match &example.name {
        Some(name) => name.value(),
        None => default_name.to_owned(),
    };
    let params = method.params.iter().zip(&example.params.0).map(|(Param { ty, .. }, value)| {
        quote_spanned! {site()=>
            let value: #ty = #value;
            let example = example.param::<#ty>(&value);
        }
    });
    let outcome = match &example.outcome {
        Outcome::Error(error) => {
            let ty = returned(contract, &method.output, "Err");
            quote_spanned! {site()=>
                let value: #ty = #error;
                example.error(#private::RpcError::to_object(&value))
            }
        }
        Outcome::Result(value) => {
            let ty = returned(contract, &method.output, "Ok");
            quote_spanned!(site()=> let value: #ty = #value; example.result(&value))
        }
        Outcome::Nothing => {
            let ty = returned(contract, &method.output, "Ok");
            // If the method returns something, rustc shows the error at the example.
            let nothing = Ident::new("nothing", site().located_at(example.span));
            quote_spanned! {site()=>
                let #nothing = ::core::marker::PhantomData::<#ty>;
                example.no_result(#nothing)
            }
        }
    };
    quote_spanned! {site()=>
        .example({
            let example = #private::Example::new(#name);
            #(#params)*
            #outcome
        })
    }
}

/// The doc comment, without the space at the start of each line.
fn doc(attributes: &[Attribute]) -> String {
    let lines = attributes.iter().filter_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("doc") => literal(&pair.value),
        _ => None,
    });
    let mut text = String::new();
    for comment in lines {
        // Each line of a `/** … */` may begin with a star.
        let mut after_first = comment.lines().skip(1).map(str::trim_start);
        let stars = after_first.all(|line| line.is_empty() || line.starts_with('*'));
        for (index, line) in comment.split('\n').enumerate() {
            let line = match index > 0 && stars {
                true => line.trim_start().trim_start_matches('*'),
                false => line,
            };
            text.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
            text.push('\n');
        }
    }
    text.trim().to_owned()
}

/// The note of `#[deprecated]`; empty without one.
fn deprecated(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|attribute| attribute.path().is_ident("deprecated"))?;
    let mut note = None;
    match &attribute.meta {
        Meta::NameValue(pair) => note = literal(&pair.value),
        Meta::List(list) => {
            // An invalid attribute is reported by rustc.
            let _ = list.parse_nested_meta(|meta| {
                let value: Expr = meta.value()?.parse()?;
                if meta.path.is_ident("note") {
                    note = literal(&value);
                }
                Ok(())
            });
        }
        Meta::Path(_) => {}
    }
    Some(note.unwrap_or_default())
}

fn literal(value: &Expr) -> Option<String> {
    match value {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    }
}

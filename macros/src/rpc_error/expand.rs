//! Writes the implementation of `RpcError`. As in `expand` for traits, no name of the user can
//! conflict with generated code.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Generics, parse_quote};

use super::attr::Code;
use super::model::{ErrorType, Field, Kind, Variant};
use super::template::Message;

fn site() -> Span {
    Span::mixed_site()
}

/// The binding of a field. It has the span of the field's type, because rustc would show an error
/// about the type at the derive if the binding had the derive's span.
fn binding(index: usize, field: &Field) -> Ident {
    Ident::new(&format!("__field{index}"), field.ty.span())
}

fn numbered(item: &ErrorType) -> impl Iterator<Item = (usize, &Variant)> {
    item.variants.iter().enumerate()
}

// Input:  enum BankError { … }
// Output: impl RpcError for BankError {
//             fn to_object(&self) -> ErrorObject { match *self { … } }
//             fn from_object(object: ErrorObject) -> Result<Self, ErrorObject> { … }
//         }
pub(super) fn expand(item: &ErrorType, makes_schemas: bool) -> TokenStream {
    let private = item.private();
    let to_arms = numbered(item).map(|(index, variant)| to_arm(item, index, variant));
    let decode = decode(item);
    let transparent =
        item.variants.iter().filter(|variant| matches!(variant.kind, Kind::Transparent));
    let transparent = transparent.map(|variant| from_transparent(item, variant));
    let methods = quote_spanned! {site()=>
        fn to_object(&self) -> #private::ErrorObject {
            match *self {
                #(#to_arms)*
            }
        }

        fn from_object(
            object: #private::ErrorObject,
        ) -> ::core::result::Result<Self, #private::ErrorObject> {
            #decode
            #(#transparent)*
            ::core::result::Result::Err(object)
        }
    };
    let conversions = item.variants.iter().find(|variant| variant.from.is_some());
    let conversions = conversions.map(|variant| conversions_into(item, variant));
    let implementation = implementation(item, &item.generics, methods);
    let description =
        makes_schemas.then(|| description(item, &item.generics, &item.variants)).flatten();
    with_constants(item, quote!(#implementation #conversions #description))
}

// Input:  #[rpc_error(transparent, from)] Other(ErrorObject)
// Output: impl From<ErrorObject> for BankError {
//             fn from(object: ErrorObject) -> Self { Self::Other { 0: object } }
//         }
//         impl<__E: RpcError + Debug + Sync> From<CallError<__E>> for BankError {
//             fn from(error: CallError<__E>) -> Self {
//                 Self::Other { 0: <ErrorObject as From<_>>::from(error) }
//             }
//         }
fn conversions_into(item: &ErrorType, variant: &Variant) -> TokenStream {
    let private = item.private();
    let ident = &item.ident;
    let path = &variant.path;
    let member = variant.fields.iter().map(|field| &field.member);
    let member = quote!(#(#member)*);
    let (generics, arguments, where_clause) = item.generics.split_for_impl();
    let mut with_error = item.generics.clone();
    let error = Ident::new("__E", site());
    with_error.params.push(parse_quote! {
        #error: #private::RpcError + ::core::fmt::Debug + ::core::marker::Sync
    });
    let (with_error, _, _) = with_error.split_for_impl();
    quote_spanned! {site()=>
        #[automatically_derived]
        #[allow(deprecated, reason = "a deprecated error still travels")]
        impl #generics ::core::convert::From<#private::ErrorObject> for #ident #arguments
        #where_clause
        {
            fn from(object: #private::ErrorObject) -> Self {
                #path { #member: object }
            }
        }

        #[automatically_derived]
        #[allow(deprecated, reason = "a deprecated error still travels")]
        impl #with_error ::core::convert::From<#private::CallError<#error>> for #ident #arguments
        #where_clause
        {
            fn from(error: #private::CallError<#error>) -> Self {
                #path {
                    #member: <#private::ErrorObject as ::core::convert::From<_>>::from(error),
                }
            }
        }
    }
}

// Input:  #[rpc_error(code = 1001, message = "{missing} are missing")]
//         Insufficient { missing: u64 }
// Output: impl DescribeError for BankError {
//             fn describe(errors: &mut Errors) {
//                 errors.add(1001, "{missing} are missing").field::<u64>("missing");
//             }
//         }
fn description(item: &ErrorType, generics: &Generics, variants: &[Variant]) -> Option<TokenStream> {
    if !item.describes() {
        return None;
    }
    let private = item.private();
    let ident = &item.ident;
    let (generics, arguments, where_clause) = generics.split_for_impl();
    let added = variants.iter().enumerate().map(|(index, variant)| match &variant.kind {
        Kind::Transparent => {
            let inner = variant.fields.iter().map(|Field { ty, .. }| {
                let private = item.private_at(ty.span());
                quote_spanned!(ty.span()=> <#ty as #private::DescribeError>::describe)
            });
            quote_spanned!(site()=> #(#inner(errors);)*)
        }
        Kind::Coded { shown, .. } => {
            let code = code_of(index, variant);
            let data = data_of(variant);
            quote_spanned!(site()=> errors.add(#code, #shown) #data;)
        }
    });
    Some(quote_spanned! {site()=>
        #[automatically_derived]
        #[allow(deprecated, unused_variables, reason = "a deprecated error is still described")]
        impl #generics #private::DescribeError for #ident #arguments #where_clause {
            fn describe(errors: &mut #private::Errors) {
                #(#added)*
            }
        }
    })
}

fn data_of(variant: &Variant) -> TokenStream {
    let shown = |field: &Field| {
        let ty = field.schema.as_ref().unwrap_or(&field.ty);
        (ty.to_token_stream(), ty.span())
    };
    match variant.fields.as_slice() {
        [field] if !variant.is_named() => {
            let (ty, span) = shown(field);
            let data = Ident::new("data", span);
            quote_spanned!(site()=> .#data::<#ty>())
        }
        fields => {
            let parts = fields.iter().map(|field| {
                let (ty, span) = shown(field);
                let (name, is_named) = (&field.name, variant.is_named());
                let add = Ident::new(if is_named { "field" } else { "element" }, span);
                let name = is_named.then_some(name);
                quote_spanned!(site()=> .#add::<#ty>(#name))
            });
            parts.collect()
        }
    }
}

/// The implementation for a type with errors, so that uses of the type cause no further errors.
pub(super) fn fallback(item: &ErrorType, makes_schemas: bool, errors: TokenStream) -> TokenStream {
    let private = item.private();
    let methods = quote_spanned! {site()=>
        fn to_object(&self) -> #private::ErrorObject {
            #private::ErrorObject::internal()
        }

        fn from_object(
            object: #private::ErrorObject,
        ) -> ::core::result::Result<Self, #private::ErrorObject> {
            ::core::result::Result::Err(object)
        }
    };
    let mut generics = item.generics.clone();
    if !generics.params.is_empty() {
        // Missing bounds were reported already.
        let predicate = parse_quote!(Self: ::core::marker::Send + 'static);
        generics.make_where_clause().predicates.push(predicate);
    }
    let implementation = implementation(item, &generics, methods);
    let description = makes_schemas.then(|| description(item, &generics, &[])).flatten();
    quote!(#errors #implementation #description)
}

fn implementation(item: &ErrorType, generics: &Generics, methods: TokenStream) -> TokenStream {
    let private = item.private();
    let ident = &item.ident;
    let (generics, arguments, where_clause) = generics.split_for_impl();
    quote_spanned! {site()=>
        #[automatically_derived]
        #[allow(deprecated, reason = "a deprecated error still travels")]
        impl #generics #private::RpcError for #ident #arguments #where_clause {
            #methods
        }
    }
}

// Input:  #[rpc_error(code = 1001, message = "{missing} are missing")]
//         Insufficient { missing: u64 }
// Output: Self::Insufficient { missing: ref field0 } => {
//             let object = ErrorObject::new(1001, message(format_args!("{0} are missing", field0)));
//             let mut fields = Fields::new(true);
//             fields.put("missing", field0);
//             object.with_data(fields)
//         }
fn to_arm(item: &ErrorType, index: usize, variant: &Variant) -> TokenStream {
    let private = item.private();
    let path = &variant.path;
    let bindings: Vec<_> =
        variant.fields.iter().enumerate().map(|(index, field)| binding(index, field)).collect();
    let members = variant.fields.iter().map(|field| &field.member);
    let pattern = quote_spanned!(site()=> #path { #(#members: ref #bindings),* });
    let (code, message) = match &variant.kind {
        Kind::Coded { message, .. } => (code_of(index, variant), message),
        Kind::Transparent => {
            // The same tokens as in `from_transparent`, so that rustc shows an error about them
            // once.
            let objects =
                variant.fields.iter().zip(&bindings).map(|(Field { ty, .. }, binding)| {
                    let private = item.private_at(ty.span());
                    quote_spanned!(ty.span()=> <#ty as #private::RpcError>::to_object(#binding))
                });
            return quote_spanned!(site()=> #pattern => #(#objects)*,);
        }
    };
    let message = message_of(item, message, &bindings);
    let object = quote_spanned!(site()=> #private::ErrorObject::new(#code, #message));
    let body = match variant.fields.as_slice() {
        [] => object,
        [field] if !variant.is_named() => {
            let with_data = Ident::new("with_data", field.ty.span());
            let data = bindings.iter().map(|binding| sent(item, field, binding));
            quote_spanned!(site()=> #object.#with_data(#(#data),*))
        }
        fields => {
            let named = variant.is_named();
            let puts = fields.iter().zip(&bindings).map(|(field, binding)| {
                let (name, put) = (&field.name, Ident::new("put", field.ty.span()));
                let value = sent(item, field, binding);
                let value = if field.is_source { quote!(&#value) } else { value };
                quote_spanned!(site()=> fields.#put(#name, #value);)
            });
            quote_spanned! {site()=>
                {
                    let mut fields = #private::Fields::new(#named);
                    #(#puts)*
                    #object.with_data(fields)
                }
            }
        }
    };
    quote_spanned!(site()=> #pattern => #body,)
}

// Output: field0
//
// Input:  #[from] error: io::Error
// Output: source_field(field0)
fn sent(item: &ErrorType, field: &Field, binding: &Ident) -> TokenStream {
    if !field.is_source {
        return binding.to_token_stream();
    }
    let private = item.private_at(field.ty.span());
    quote_spanned!(field.ty.span()=> #private::source_field(#binding))
}

// Input:  "{missing} are missing"
// Output: message(format_args!("{0} are missing", field0))
fn message_of(item: &ErrorType, message: &Message, bindings: &[Ident]) -> TokenStream {
    let (text, arguments) = match message {
        Message::Text(text) => return text.to_token_stream(),
        Message::Template(format, fields) => {
            let used = fields.iter().filter_map(|index| bindings.get(*index));
            let arguments = used.map(|binding| {
                let mut binding = binding.clone();
                binding.set_span(binding.span().located_at(format.span()));
                binding.into_token_stream()
            });
            (format.to_token_stream(), arguments.collect())
        }
        Message::Display(span) => {
            let this = quote_spanned!(site().located_at(*span)=> self);
            (quote!("{0}"), vec![this])
        }
    };
    let arguments: Vec<TokenStream> = arguments;
    let private = item.private();
    quote_spanned!(site()=> #private::message(::core::format_args!(#text, #(#arguments),*)))
}

// Output: let decode = |object: &ErrorObject| -> Option<Self> {
//             match object.code().0 { 1001 => …, _ => None }
//         };
//         if let Some(error) = decode(&object) {
//             return Ok(error);
//         }
fn decode(item: &ErrorType) -> Option<TokenStream> {
    let private = item.private();
    let arms: Vec<_> =
        numbered(item).filter_map(|(index, variant)| from_arm(item, index, variant)).collect();
    (!arms.is_empty()).then(|| {
        quote_spanned! {site()=>
            let decode = |object: &#private::ErrorObject| -> ::core::option::Option<Self> {
                match object.code().0 {
                    #(#arms)*
                    _ => ::core::option::Option::None,
                }
            };
            if let ::core::option::Option::Some(error) = decode(&object) {
                return ::core::result::Result::Ok(error);
            }
        }
    })
}

// Input:  #[rpc_error(code = 1001)] Insufficient { missing: u64 }
// Output: 1001 => {
//             let mut fields = Received::named(object, &["missing"])?;
//             Some(Self::Insufficient { missing: fields.get()? })
//         }
fn from_arm(item: &ErrorType, index: usize, variant: &Variant) -> Option<TokenStream> {
    let private = item.private();
    let path = &variant.path;
    let pattern = code_of(index, variant)?;
    let (fields, values) = match variant.fields.as_slice() {
        [] => (None, Vec::new()),
        [field] if !variant.is_named() => (None, vec![only_value(item, field)]),
        fields => {
            let received = match variant.is_named() {
                true => {
                    let names = fields.iter().map(|field| &field.name);
                    quote_spanned!(site()=> named(object, &[#(#names),*]))
                }
                false => {
                    let count = fields.len();
                    quote_spanned!(site()=> listed(object, #count))
                }
            };
            let bind = quote_spanned!(site()=> let mut fields = #private::Received::#received?;);
            (Some(bind), fields.iter().map(next_value).collect())
        }
    };
    let error = quote_spanned!(site()=> #path { #(#values),* });
    Some(quote_spanned! {site()=>
        #pattern => {
            #fields
            ::core::option::Option::Some(#error)
        }
    })
}

// Output: 0: value(object)?
fn only_value(item: &ErrorType, field: &Field) -> TokenStream {
    let Field { member, ty, has_default, is_source, .. } = field;
    let private = item.private_at(ty.span());
    let value = match (is_source, has_default) {
        (_, true) => "value_or_default",
        (true, false) => "source_value",
        (false, false) => "value",
    };
    let value = Ident::new(value, ty.span());
    let object = quote_spanned!(site()=> object);
    quote_spanned!(ty.span()=> #member: #private::#value(#object)?)
}

// Output: missing: fields.get()?
fn next_value(field: &Field) -> TokenStream {
    let Field { member, ty, has_default, is_source, .. } = field;
    let get = match (is_source, has_default) {
        (_, true) => "get_or_default",
        (true, false) => "get_source",
        (false, false) => "get",
    };
    let get = Ident::new(get, ty.span());
    quote_spanned!(site()=> #member: fields.#get()?)
}

// Input:  #[rpc_error(transparent)] Other(ErrorObject)
// Output: let object = match RpcError::from_object(object) {
//             Ok(field) => return Ok(Self::Other { 0: field }),
//             Err(object) => object,
//         };
fn from_transparent(item: &ErrorType, variant: &Variant) -> Option<TokenStream> {
    let Field { member, ty, .. } = variant.fields.first()?;
    let private = item.private_at(ty.span());
    let path = &variant.path;
    let object = quote_spanned!(site()=> object);
    let decoded = quote_spanned!(ty.span()=> <#ty as #private::RpcError>::from_object(#object));
    Some(quote_spanned! {site()=>
        let object = match #decoded {
            ::core::result::Result::Ok(field) => {
                return ::core::result::Result::Ok(#path { #member: field });
            }
            ::core::result::Result::Err(object) => object,
        };
    })
}

// Input:  two variants, of which the second has a constant for a code
// Output: const _: () = {
//             const _: () = check_code(1001, &[]);
//             const __CODE1: i64 = codes::CLOSED;
//             const _: () = check_code(__CODE1, &[1001]);
//             impl …
//         };
fn with_constants(item: &ErrorType, implementation: TokenStream) -> TokenStream {
    let coded: Vec<_> = numbered(item)
        .filter_map(|(index, variant)| Some((variant.code()?, code_of(index, variant)?)))
        .collect();
    if !coded.iter().any(|(code, _)| matches!(code, Code::Constant(_))) {
        return implementation;
    }
    let checks = coded.iter().enumerate().map(|(index, (code, name))| {
        let span = code.span();
        let private = item.private_at(span);
        let constant = matches!(code, Code::Constant(_))
            .then(|| quote_spanned!(site()=> const #name: ::core::primitive::i64 = #code;));
        let earlier = coded.iter().take(index).map(|(_, name)| name);
        quote_spanned! {span=>
            #constant
            const _: () = #private::check_code(#name, &[#(#earlier),*]);
        }
    });
    quote_spanned! {site()=>
        const _: () = {
            #(#checks)*
            #implementation
        };
    }
}

/// The code as a pattern and as a value.
fn code_of(index: usize, variant: &Variant) -> Option<TokenStream> {
    Some(match variant.code()? {
        Code::Literal(number, written) => quote_spanned!(written.span()=> #number),
        Code::Constant(path) => {
            Ident::new(&format!("__CODE{index}"), path.span()).into_token_stream()
        }
    })
}

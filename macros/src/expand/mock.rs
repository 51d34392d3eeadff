//! `FooMock`: an implementation of the trait by closures.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt;

use super::attributes;
use super::generics::{Generics, angled, where_clause};
use super::tokens::{docs, site};
use crate::model::{Contract, Method};

pub(crate) fn expand(contract: &Contract) -> Option<TokenStream> {
    let mock = Mock::of(contract)?;
    let parts = [
        mock.structure(),
        mock.setters(),
        mock.own_methods(),
        mock.traits(),
        mock.implementation(),
    ];
    Some(parts.into_iter().collect())
}

/// For a trait with errors: a mock that does not implement the trait, but is a service.
pub(crate) fn stub(contract: &Contract) -> Option<TokenStream> {
    let mock = Mock::of(contract)?;
    let parts =
        [mock.structure(), mock.setters(), mock.own_methods(), mock.traits(), mock.conversion()];
    Some(parts.into_iter().collect())
}

// Output: pub struct MathMock;
//         impl MathMock { fn new() -> … where the feature `testing` is on }
//
// Generated if the feature is off. Using it is a compile error that names the feature.
pub(crate) fn missing(contract: &Contract) -> Option<TokenStream> {
    let name = contract.mock().filter(|_| !contract.makes_mocks)?;
    let private = contract.private();
    let vis = &contract.item.vis;
    let generics = Generics::of(&contract.item);
    let declared = angled(&generics.declared);
    let bare = angled(&generics.bare);
    let arguments = angled(&generics.arguments);
    let marker = generics.marker.as_ref().map_or_else(
        || quote!(()),
        |marker| quote_spanned!(site()=> ::core::marker::PhantomData<#marker>),
    );
    Some(quote_spanned! {site()=>
        #[doc(hidden)]
        #[allow(dead_code, reason = "the mock needs the feature `testing`")]
        #vis struct #name #declared (#marker);

        #[allow(dead_code, reason = "the mock needs the feature `testing`")]
        impl #bare #name #arguments {
            #vis fn new<'a>() -> <&'a Self as #private::NeedsTesting>::Output
            where
                &'a Self: #private::NeedsTesting,
            {
                ::core::unreachable!()
            }
        }
    })
}

/// The data that all parts need.
struct Mock<'a> {
    contract: &'a Contract,
    private: TokenStream,
    name: Ident,
    generics: Generics,
    /// `<K: Serialize>`, `<K>` and the `where` clause.
    bounded: Option<TokenStream>,
    arguments: Option<TokenStream>,
    predicates: Option<TokenStream>,
}

/// A method, in the forms that several parts need.
struct Mocked<'a> {
    method: &'a Method,
    conditions: Vec<TokenStream>,
    /// The method's name in messages and for `calls`.
    shown: String,
}

impl<'a> Mock<'a> {
    fn of(contract: &'a Contract) -> Option<Self> {
        let generics = Generics::of(&contract.item);
        Some(Mock {
            name: contract.made_mock()?,
            private: contract.private(),
            bounded: angled(&generics.bounded),
            arguments: angled(&generics.arguments),
            predicates: where_clause(&generics.predicates),
            generics,
            contract,
        })
    }

    fn methods(&self) -> impl Iterator<Item = Mocked<'a>> {
        self.contract.methods.iter().map(|method| Mocked {
            method,
            conditions: attributes::conditions(&method.attrs),
            shown: method.ident.unraw().to_string(),
        })
    }

    // Input:  async fn greet(&self, ctx: &Context, name: &str) -> Result<String>;
    // Output: FnMut(&Context, &str) -> Result<String> + Send
    //
    // Input:  fn ticks(&self, ctx: &Context) -> Result<impl Stream<Item = Tick>>;
    // Output: FnMut(&Context) -> Result<BoxStream<Tick>> + Send
    fn closure(&self, method: &Method) -> TokenStream {
        let Method { context, output, params, .. } = method;
        let private = &self.private;
        let types = context.iter().chain(params.iter().map(|param| &param.ty));
        let output = method.subscription.as_ref().map_or_else(
            || output.clone(),
            |subscription| {
                let brought = &subscription.items.brought;
                let stream = quote_spanned!(site()=> #private::BoxStream<#brought>);
                subscription.items.returning(stream)
            },
        );
        quote_spanned! {site()=>
            ::core::ops::FnMut(#(#types),*) -> #output + ::core::marker::Send
        }
    }

    // Input:  pub trait Store<K: Key> { … }
    // Output: pub struct StoreMock<K: Key> {
    //             get: Slot<dyn FnMut(&Context, &K) -> Result<String> + Send>,
    //             …
    //             __marker: PhantomData<fn() -> (K,)>,
    //         }
    //
    // The struct needs the bounds, because the types of the closures need them.
    fn structure(&self) -> TokenStream {
        let Mock { contract, private, name, predicates, .. } = self;
        let attributes = attributes::for_type(&contract.item.attrs);
        let vis = &contract.item.vis;
        let bounded = angled(&self.generics.declared_with_bounds);
        let fields = self.methods().map(|Mocked { method, conditions, .. }| {
            let (ident, closure) = (&method.ident, self.closure(method));
            quote_spanned!(site()=> #(#conditions)* #ident: #private::Slot<dyn #closure>,)
        });
        let marker =
            self.generics.marker.as_ref().map(
                |marker| quote_spanned!(site()=> __marker: ::core::marker::PhantomData<#marker>,),
            );
        let docs = docs(&format!(
            "A mock of [`{0}`](trait@{0}), with a closure for each method.\n\n\
             Clones share the closures and the call counts: keep a clone to read the counts later.",
            contract.item.ident
        ));
        quote_spanned! {site()=>
            #docs
            #(#attributes)*
            #[allow(
                dead_code,
                deprecated,
                non_snake_case,
                clippy::type_complexity,
                reason = "generated along with the trait"
            )]
            #vis struct #name #bounded #predicates {
                #(#fields)*
                #marker
            }
        }
    }

    // Output: impl StoreMock { one method for each method of the trait, which takes its closure }
    fn setters(&self) -> TokenStream {
        let Mock { contract, private, name, bounded, arguments, predicates, .. } = self;
        let vis = &contract.item.vis;
        let setters = self.methods().map(|Mocked { method, conditions, shown }| {
            let (ident, closure) = (&method.ident, self.closure(method));
            let docs = docs(&format!("Sets the closure that answers calls of `{shown}`."));
            quote_spanned! {site()=>
                #(#conditions)*
                #docs
                #vis fn #ident(self, closure: impl #closure + 'static) -> Self {
                    self.#ident.set(#private::Box::new(closure));
                    self
                }
            }
        });
        quote_spanned! {site()=>
            #[allow(
                dead_code,
                deprecated,
                non_snake_case,
                clippy::should_implement_trait,
                clippy::type_complexity,
                reason = "named like the trait's methods, whether used or not"
            )]
            impl #bounded #name #arguments #predicates {
                #(#setters)*
            }
        }
    }

    // Output: impl StoreMock { new, calls, into_client }
    fn own_methods(&self) -> TokenStream {
        let Mock { contract, private, name, bounded, arguments, predicates, .. } = self;
        let vis = &contract.item.vis;
        let shown_name = name.to_string();
        let client = contract.client();
        let service = self.service();
        let calls = self.methods().map(|Mocked { method, conditions, shown }| {
            let ident = &method.ident;
            quote_spanned!(site()=> #(#conditions)* #shown => self.#ident.calls(),)
        });
        quote_spanned! {site()=>
            #[allow(dead_code, deprecated, reason = "generated, whether used or not")]
            impl #bounded #name #arguments #predicates {
                /// Creates a mock without closures. A call of a method without a closure fails with
                /// -32601 and a message that says so.
                #[must_use]
                #vis fn new() -> Self {
                    ::core::default::Default::default()
                }

                /// Returns how often `method` was called. `method` is its name in Rust.
                ///
                /// # Panics
                ///
                /// Panics if there is no such method.
                #[must_use]
                #[track_caller]
                #vis fn calls(&self, method: &::core::primitive::str) -> ::core::primitive::u64 {
                    match method {
                        #(#calls)*
                        _ => #private::no_such_method(#shown_name, method),
                    }
                }

                /// Returns a client that calls this mock over a new connection in memory.
                ///
                /// # Panics
                ///
                /// Panics outside of a tokio runtime.
                #[must_use]
                #vis fn into_client(self) -> #client #arguments {
                    let service: #service = ::core::convert::From::from(#private::Arc::new(self));
                    ::core::convert::From::from(#private::client_of(service))
                }
            }
        }
    }

    // Output: StoreService<Self, K>
    fn service(&self) -> TokenStream {
        let service = self.contract.service();
        let arguments = self.generics.arguments.iter().cloned();
        let arguments: Vec<_> = std::iter::once(quote!(Self)).chain(arguments).collect();
        let arguments = angled(&arguments);
        quote!(#service #arguments)
    }

    // Output: Default, Clone and Debug for StoreMock
    fn traits(&self) -> TokenStream {
        let Mock { name, bounded, arguments, predicates, .. } = self;
        let shown_name = name.to_string();
        let marker = self
            .generics
            .marker
            .as_ref()
            .map(|_| quote_spanned!(site()=> __marker: ::core::marker::PhantomData,));
        let empty = self.methods().map(|Mocked { method, conditions, .. }| {
            let ident = &method.ident;
            quote_spanned!(site()=> #(#conditions)* #ident: ::core::default::Default::default(),)
        });
        let cloned = self.methods().map(|Mocked { method, conditions, .. }| {
            let ident = &method.ident;
            quote_spanned!(site()=> #(#conditions)* #ident: ::core::clone::Clone::clone(&self.#ident),)
        });
        let shown = self.methods().map(|Mocked { method, conditions, shown }| {
            let ident = &method.ident;
            quote_spanned!(site()=> #(#conditions)* structure.field(#shown, &self.#ident);)
        });
        quote_spanned! {site()=>
            #[allow(deprecated, reason = "generated along with the trait")]
            impl #bounded ::core::default::Default for #name #arguments #predicates {
                fn default() -> Self {
                    Self { #(#empty)* #marker }
                }
            }

            #[allow(deprecated, reason = "generated along with the trait")]
            impl #bounded ::core::clone::Clone for #name #arguments #predicates {
                fn clone(&self) -> Self {
                    Self { #(#cloned)* #marker }
                }
            }

            #[allow(deprecated, reason = "generated along with the trait")]
            impl #bounded ::core::fmt::Debug for #name #arguments #predicates {
                fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    let mut structure = formatter.debug_struct(#shown_name);
                    #(#shown)*
                    structure.finish()
                }
            }
        }
    }

    // Input:  async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;
    // Output: impl Math for MathMock {
    //             async fn sum(&self, context: &Context, x: i64, y: i64) -> Result<i64> {
    //                 self.sum.run("MathMock", "sum", move |closure| closure(context, x, y))
    //             }
    //             fn __unmocked(&self, method: usize) -> Option<ErrorObject> {
    //                 match method { 0 => self.sum.refusal("MathMock", "sum"), …, _ => None }
    //             }
    //         }
    fn implementation(&self) -> TokenStream {
        let Mock { contract, private, name, bounded, arguments, predicates, .. } = self;
        let trait_ident = &contract.item.ident;
        let shown_name = name.to_string();
        let methods = self.methods().map(|Mocked { method, conditions, shown }| {
            let Method { ident, output, params, .. } = method;
            let asyncness = method.is_async.then(|| quote!(async));
            let context = method.context.iter();
            let idents: Vec<_> = params.iter().map(|param| &param.ident).collect();
            let types = params.iter().map(|param| &param.ty);
            quote_spanned! {site()=>
                #(#conditions)*
                #asyncness fn #ident(
                    &self,
                    #(context: #context,)*
                    #(#idents: #types,)*
                ) -> #output {
                    self.#ident.run(#shown_name, #shown, move |closure| {
                        closure(context, #(#idents),*)
                    })
                }
            }
        });
        let unmocked = self.methods().enumerate().map(|(index, mocked)| {
            let Mocked { method, conditions, shown } = mocked;
            let ident = &method.ident;
            quote_spanned! {site()=>
                #(#conditions)* #index => self.#ident.refusal(#shown_name, #shown),
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
            impl #bounded #trait_ident #arguments for #name #arguments #predicates {
                #(#methods)*

                fn __unmocked(
                    &self,
                    method: ::core::primitive::usize,
                ) -> ::core::option::Option<#private::ErrorObject> {
                    match method {
                        #(#unmocked)*
                        _ => ::core::option::Option::None,
                    }
                }
            }
        }
    }

    // Output: impl MathMock { fn into_service(self) -> MathService<Self> { … } }
    fn conversion(&self) -> TokenStream {
        let Mock { contract, private, name, bounded, arguments, predicates, .. } = self;
        let vis = &contract.item.vis;
        let service = self.service();
        quote_spanned! {site()=>
            #[allow(dead_code, reason = "the trait has errors")]
            impl #bounded #name #arguments #predicates {
                #vis fn into_service(self) -> #service {
                    ::core::convert::From::from(#private::Arc::new(self))
                }
            }
        }
    }
}

//! The parsed trait ([`Contract`], [`Method`]): for each method its name on the wire, how it runs
//! and its arguments.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote_spanned};
use syn::ext::IdentExt;
use syn::{Attribute, Ident, ItemTrait, LitStr, Type};

use crate::attr::{Form, MethodOptions, Mock, ParamOptions, RpcOptions};
use crate::example::Example;
use crate::subscription;
use crate::types::is_one_of;

/// A trait with `#[rpc]` on it.
pub(crate) struct Contract {
    pub(crate) options: RpcOptions,
    /// Whether requested mocks are generated.
    pub(crate) makes_mocks: bool,
    /// Whether requested descriptions are generated.
    pub(crate) makes_schemas: bool,
    /// The trait as the user wrote it, without this crate's attributes.
    pub(crate) item: ItemTrait,
    pub(crate) methods: Vec<Method>,
}

/// One method that the peer can call.
pub(crate) struct Method {
    /// Whether code can be generated for it. If not, an error was reported, and the other fields
    /// are still checked.
    pub(crate) usable: bool,
    pub(crate) options: MethodOptions,
    /// Attributes such as docs and `cfg`, without `#[method(…)]`.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) name: WireName,
    pub(crate) is_async: bool,
    /// The type of the context. `None` if it is missing, which was reported.
    pub(crate) context: Option<Type>,
    pub(crate) params: Vec<Param>,
    pub(crate) examples: Vec<Example>,
    /// The type after `->`, or `()`.
    pub(crate) output: TokenStream,
    /// Set for a subscription.
    pub(crate) subscription: Option<Subscription>,
}

/// A method that starts a stream of items.
pub(crate) struct Subscription {
    pub(crate) options: subscription::Options,
    pub(crate) items: subscription::Items,
    pub(crate) unsubscribe: WireName,
    pub(crate) notification: WireName,
}

/// An argument that is sent.
pub(crate) struct Param {
    pub(crate) options: ParamOptions,
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) name: WireName,
}

/// A name on the wire, with its location in the source.
pub(crate) struct WireName {
    pub(crate) text: String,
    pub(crate) span: Span,
}

impl From<&LitStr> for WireName {
    /// A name in quotes is used as it is written.
    fn from(text: &LitStr) -> Self {
        WireName { text: text.value(), span: text.span() }
    }
}

impl Contract {
    /// The path to the runtime's module for generated code.
    pub(crate) fn private(&self) -> TokenStream {
        self.private_at(Span::mixed_site())
    }

    /// Like [`private`](Self::private), for code whose type errors must be shown at `span`.
    pub(crate) fn private_at(&self, span: Span) -> TokenStream {
        match &self.options.krate {
            Some(path) => quote_spanned!(span=> #path::__private),
            None => quote_spanned!(span=> ::wsjsonrpc::__private),
        }
    }

    pub(crate) fn client(&self) -> Ident {
        format_ident!("{}Client", self.item.ident)
    }

    pub(crate) fn service(&self) -> Ident {
        format_ident!("{}Service", self.item.ident)
    }

    pub(crate) fn makes_client(&self) -> bool {
        self.options.server.is_none()
    }

    pub(crate) fn makes_service(&self) -> bool {
        self.options.client.is_none()
    }

    /// Whether the methods are described.
    pub(crate) fn describes(&self) -> bool {
        self.makes_schemas && self.options.schema.is_some()
    }

    /// The mock's name, if one is requested.
    pub(crate) fn mock(&self) -> Option<Ident> {
        self.options.mock.as_ref().map(|mock| match mock {
            Mock::Default => format_ident!("{}Mock", self.item.ident),
            Mock::Named(name) => name.clone(),
        })
    }

    /// The mock's name, if one is generated. `None` if the trait or another generated type has that
    /// name.
    pub(crate) fn made_mock(&self) -> Option<Ident> {
        self.mock().filter(|name| self.makes_mocks && !self.has_type(name))
    }

    /// Whether the trait or a type that is always generated has this name.
    pub(crate) fn has_type(&self, name: &Ident) -> bool {
        [&self.item.ident, &self.client(), &self.service()].contains(&name)
    }
}

impl RpcOptions {
    /// The prefix of method names from `namespace` and `separator`.
    pub(crate) fn prefix(&self) -> String {
        let Some(namespace) = &self.namespace else { return String::new() };
        let separator = self.separator.as_ref().map_or(".".to_owned(), LitStr::value);
        namespace.value() + &separator
    }

    /// The name on the wire of a Rust identifier.
    pub(crate) fn renamed(&self, ident: &Ident) -> WireName {
        let name = ident.unraw().to_string();
        let text = self.rename_all.map_or(name.clone(), |case| case.apply(&name));
        WireName { text, span: ident.span() }
    }

    /// The name of the method that ends a subscription: `unsubscribe_blocks` for `blocks`, and for
    /// `subscribe_blocks`.
    pub(crate) fn unsubscribe_name(&self, ident: &Ident) -> WireName {
        let name = ident.unraw().to_string();
        let what = name.strip_prefix("subscribe_").unwrap_or(&name);
        let name = match what {
            "subscribe" => "unsubscribe".to_owned(),
            what => format!("unsubscribe_{what}"),
        };
        self.method_name(&Ident::new(&name, ident.span()))
    }

    pub(crate) fn method_name(&self, ident: &Ident) -> WireName {
        let mut name = self.renamed(ident);
        // An empty name stays empty, and `check` reports it.
        if !name.text.is_empty() {
            name.text.insert_str(0, &self.prefix());
        }
        name
    }
}

impl Method {
    pub(crate) fn form(&self) -> Form {
        self.options.form.map_or(Form::default(), |(form, _)| form)
    }

    pub(crate) fn has_cfg(&self) -> bool {
        self.attrs.iter().any(|attribute| is_one_of(attribute.path(), &["cfg", "cfg_attr"]))
    }

    /// The name and the aliases.
    pub(crate) fn names(&self) -> Vec<WireName> {
        let name = WireName { text: self.name.text.clone(), span: self.name.span };
        std::iter::once(name).chain(self.options.aliases.iter().map(WireName::from)).collect()
    }
}

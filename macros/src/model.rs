//! The trait as the rest of the pipeline sees it ([`Contract`], [`Method`]): each method's name on
//! the wire, how it runs and what it takes. Errors found while reading are reported.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::ext::IdentExt;
use syn::{
    Attribute, GenericParam, Generics, Ident, ItemTrait, LitStr, Path, TraitItem, Type, TypeParam,
    WherePredicate,
};

use crate::async_trait;
use crate::attr::{Form, MethodOptions, Mock, ParamOptions, RpcOptions};
use crate::report::Report;
use crate::signature;
use crate::subscription;
use crate::text::words;

/// A trait with `#[rpc]` on it.
pub(crate) struct Contract {
    pub(crate) options: RpcOptions,
    /// Whether requested mocks are generated.
    pub(crate) makes_mocks: bool,
    /// What the user wrote, without this crate's attributes.
    pub(crate) item: ItemTrait,
    pub(crate) methods: Vec<Method>,
}

/// One method that can be called from the other side.
pub(crate) struct Method {
    /// Whether code can be generated for it: its signature was understood. If not, the error is
    /// reported, and the other fields are still checked.
    pub(crate) usable: bool,
    pub(crate) options: MethodOptions,
    /// Docs, `cfg`s and the like; not `#[method(…)]`.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) ident: Ident,
    pub(crate) name: WireName,
    pub(crate) is_async: bool,
    /// The type of the context; `None` if it is missing, which is reported.
    pub(crate) context: Option<Type>,
    pub(crate) params: Vec<Param>,
    /// The type after `->`, or `()`.
    pub(crate) output: TokenStream,
    /// Present if it is a subscription.
    pub(crate) subscription: Option<Subscription>,
}

/// A method that begins a stream of items.
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

/// A name on the wire, with its source location.
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
    /// `Err` returns the tokens if they are no trait.
    pub(crate) fn read(
        options: RpcOptions,
        item: TokenStream,
        report: &mut Report,
    ) -> Result<Self, TokenStream> {
        let mut item = match syn::parse2::<ItemTrait>(item.clone()) {
            Ok(parsed) => parsed,
            Err(error) => {
                report.add(no_trait(&item, error));
                return Err(item);
            }
        };
        let usable = read_header(&item, report);
        let mut undone = item.clone();
        let mut methods = match async_trait::undo(&mut undone) {
            None => read_items(&mut item, &options, report),
            Some(span) => {
                report.error_at(span, ASYNC_TRAIT);
                item.attrs.clone_from(&undone.attrs);
                // The trait itself stays as it is: its implementations have the attribute, too.
                read_items(&mut item, &options, &mut Report::default());
                read_items(&mut undone, &options, report)
            }
        };
        if !usable {
            // The header's errors would be repeated in each generated method.
            methods.iter_mut().for_each(|method| method.usable = false);
        }
        Ok(Contract { options, makes_mocks: false, item, methods })
    }

    /// The path to the runtime's module for generated code.
    pub(crate) fn private(&self) -> TokenStream {
        self.private_at(Span::mixed_site())
    }

    /// The same, for code whose type errors must be shown at `span`.
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

    /// The mock's name, if one is requested.
    pub(crate) fn mock(&self) -> Option<Ident> {
        self.options.mock.as_ref().map(|mock| match mock {
            Mock::Default => format_ident!("{}Mock", self.item.ident),
            Mock::Named(name) => name.clone(),
        })
    }

    /// The mock's name, if one is generated: not if something else has the name.
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
        // An empty name stays empty and is refused as such.
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

const ASYNC_TRAIT: &str = "remove `#[async_trait]`, here and above each `impl` of this trait: with \
    `#[rpc]` a plain `async fn` is all that is needed";

/// Removes this crate's attributes from the items, and the attributes about which rustc would
/// report a second error.
fn read_items(item: &mut ItemTrait, options: &RpcOptions, report: &mut Report) -> Vec<Method> {
    let mut methods = Vec::<Method>::new();
    item.items.retain_mut(|item| {
        let TraitItem::Fn(function) = item else {
            let message = format!(
                "{} in an `#[rpc]` trait is not supported: \
                 only methods can be called from the other side",
                kind_of(item)
            );
            report.error(item, message);
            return true;
        };
        let method = signature::read(function, options, report);
        let twin =
            |other: &Method| other.ident == method.ident && !(other.has_cfg() && method.has_cfg());
        if methods.iter().any(twin) {
            report.error(
                &method.ident,
                format!(
                    "there is a method `{}` already, and the number of arguments makes no \
                     difference",
                    method.ident
                ),
            );
            return false;
        }
        methods.push(method);
        true
    });
    methods
}

/// Reports errors outside the methods, and returns whether code can be generated for the trait.
fn read_header(item: &ItemTrait, report: &mut Report) -> bool {
    if let Some(unsafety) = &item.unsafety {
        report.error(unsafety, "an `#[rpc]` trait cannot be `unsafe`: remove the word");
    }
    if let Some(auto) = &item.modifiers.auto_token {
        report.error(auto, "an `#[rpc]` trait cannot be an auto trait: remove the word");
    }
    let before = report.count();
    for param in &item.generics.params {
        match param {
            GenericParam::Lifetime(lifetime) => report.error(
                lifetime,
                "an `#[rpc]` trait has no lifetime parameters: services live as long as the \
                 server, and arguments borrow without naming a lifetime (`&str`)",
            ),
            GenericParam::Type(param) => {
                refuse_self(param, report);
                let ident = &param.ident;
                check_has_bounds(param, &item.generics, report, || {
                    format!(
                        "values of type `{ident}` are sent, and handled on any thread: write \
                         `{ident}: Serialize + DeserializeOwned + Send + Sync + 'static`"
                    )
                });
            }
            GenericParam::Const(_) => {}
        }
    }
    for predicate in item.generics.where_clause.iter().flat_map(|clause| &clause.predicates) {
        match predicate {
            // `where Self: …` is one more supertrait.
            WherePredicate::Type(predicate) if is_self(&predicate.bounded_ty) => {
                refuse_self(&predicate.bounds, report);
            }
            other => refuse_self(other, report),
        }
    }
    report.count() == before
}

/// Requires bounds on type parameters: without them, rustc would report an error in each place
/// where values are sent.
pub(crate) fn check_has_bounds(
    param: &TypeParam,
    generics: &Generics,
    report: &mut Report,
    message: impl FnOnce() -> String,
) {
    let predicates = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let mut bounded = predicates.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => Some(predicate.bounded_ty.to_token_stream()),
        _ => None,
    });
    let ident = &param.ident;
    if param.bounds.is_empty()
        && !bounded.any(|ty| words(ty).iter().any(|word| *ident == word.text))
    {
        report.error(ident, message());
    }
}

/// The client has the trait's generics as well, and there `Self` would be the client.
fn refuse_self(tokens: impl ToTokens, report: &mut Report) {
    let words = words(tokens.to_token_stream());
    if let Some(word) = words.iter().find(|word| word.text == "Self") {
        report.error_at(
            word.span,
            "`Self` in a bound means something else in the generated client: \
             write the bound without it",
        );
    }
}

pub(crate) fn is_self(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("Self"))
}

fn kind_of(item: &TraitItem) -> &'static str {
    match item {
        TraitItem::Const(_) => "a constant",
        TraitItem::Type(_) => "an associated type",
        TraitItem::Macro(_) => "a macro call",
        _ => "this item",
    }
}

/// The error for an item that is not a trait is shown at its keyword.
fn no_trait(item: &TokenStream, error: syn::Error) -> syn::Error {
    const KEYWORDS: [&str; 10] =
        ["struct", "enum", "union", "impl", "fn", "mod", "type", "const", "static", "use"];
    let words = item.clone().into_iter().filter_map(|token| match token {
        proc_macro2::TokenTree::Ident(word) => Some(word),
        _ => None,
    });
    for word in words {
        if word == "trait" {
            break;
        }
        if KEYWORDS.iter().any(|keyword| word == keyword) {
            return syn::Error::new(
                word.span(),
                format!(
                    "expected a trait, found `{word}`:\n\n    \
                     #[rpc]\n    pub trait Math {{\n        \
                     async fn sum(&self, ctx: &Context, x: i64, y: i64) -> Result<i64>;\n    }}\n"
                ),
            );
        }
    }
    error
}

/// `Path::is_ident` for several names.
pub(crate) fn is_one_of(path: &Path, names: &[&str]) -> bool {
    names.iter().any(|name| path.is_ident(name))
}

//! Reads a subscription: the arguments of `#[subscription(…)]`, and the stream in the signature.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Attribute, GenericArgument, Ident, LitBool, LitInt, LitStr, PathArguments, ReturnType, Type,
    TypeParamBound,
};

use crate::arguments::{Arguments, Known};
use crate::report::Report;
use crate::text::words;

const SUBSCRIPTION: &Known = &[
    ("name", r#"name = "…""#),
    ("unsubscribe", r#"unsubscribe = "…""#),
    ("notification", r#"notification = "…""#),
    ("item", "item = Type"),
    ("item_schema", "item_schema = Type"),
    ("params", r#"params = "positional""#),
    ("max_params", r#"max_params = "64 KiB""#),
    ("omit_none", "omit_none"),
    ("overflow", r#"overflow = "drop_oldest""#),
    ("buffer", "buffer = 16"),
    ("tell_end", "tell_end = false"),
];

/// The correct return type of a subscription.
const RIGHT_FORM: &str = "`-> impl Stream<Item = T>`, \
     or `-> Result<impl Stream<Item = T>>` if the method can refuse the subscription";

/// The arguments of `#[subscription(…)]`, without those that it shares with `#[method(…)]`.
pub(crate) struct Options {
    pub(crate) unsubscribe: Option<LitStr>,
    pub(crate) notification: Option<LitStr>,
    item: Option<Type>,
    /// The type whose schema describes an item. Default: the type of the item.
    pub(crate) item_schema: Option<Type>,
    pub(crate) overflow: Option<(Overflow, Span)>,
    pub(crate) buffer: Option<LitInt>,
    pub(crate) tell_end: Option<LitBool>,
}

/// What happens to items for which there is no space.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Overflow {
    Block,
    DropOldest,
    DropNewest,
    Latest,
    Close,
}

/// The types that a subscription sends.
pub(crate) struct Items {
    /// The type of an item.
    pub(crate) item: TokenStream,
    /// The stream's item: the type itself, `Positioned` of it, or a `Result` of one of them.
    pub(crate) brought: TokenStream,
    /// Whether the items have positions.
    pub(crate) positioned: bool,
    /// Whether the stream's items may be errors.
    pub(crate) fails: bool,
    /// For a function that can refuse, its return type with `()` in place of the stream:
    /// `Result<(), E>`.
    pub(crate) refusal: Option<TokenStream>,
}

impl Items {
    /// The function's return type with another type in place of the stream.
    pub(crate) fn returning(&self, stream: TokenStream) -> TokenStream {
        let Some(refusal) = &self.refusal else { return stream };
        let Ok(mut refusal) = syn::parse2::<Type>(refusal.clone()) else { return stream };
        if let Some(unit) = first_argument(&mut refusal) {
            *unit = Type::Verbatim(stream);
        }
        quote!(#refusal)
    }
}

impl Options {
    /// Takes `#[subscription(…)]` out of a function's attributes, if it is present. Also returns
    /// the options that it shares with methods.
    pub(crate) fn take(
        attributes: &mut Vec<Attribute>,
        report: &mut Report,
    ) -> Option<(Self, crate::attr::MethodOptions)> {
        if !attributes.iter().any(|attribute| attribute.path().is_ident("subscription")) {
            return None;
        }
        let mut arguments = Arguments::take("subscription", SUBSCRIPTION, attributes, report);
        let common = crate::attr::MethodOptions {
            name: arguments.string("name", report),
            form: arguments.spanned_one_of("params", report),
            max_params: arguments.one_of("max_params", report),
            omit_none: arguments.flag("omit_none", report),
            ..Default::default()
        };
        let options = Options {
            unsubscribe: arguments.string("unsubscribe", report),
            notification: arguments.string("notification", report),
            item: arguments.ty("item", report),
            item_schema: arguments.ty("item_schema", report),
            overflow: arguments.spanned_one_of("overflow", report),
            buffer: arguments.integer("buffer", report),
            tell_end: arguments.boolean("tell_end", report),
        };
        options.check(report);
        Some((options, common))
    }

    fn check(&self, report: &mut Report) {
        let overflow = self.overflow.map_or(Overflow::Block, |(overflow, _)| overflow);
        let Some(buffer) = &self.buffer else { return };
        match overflow {
            Overflow::Block => report.error(
                buffer,
                "`buffer` has no effect with `overflow = \"block\"`, the default: \
                 add `overflow = \"drop_oldest\"`, `\"drop_newest\"` or `\"close\"`",
            ),
            Overflow::Latest => {
                report.error(
                    buffer,
                    "`buffer` has no effect with `overflow = \"latest\"`, which keeps one item: \
                     remove `buffer`",
                );
            }
            _ if buffer.base10_parse::<usize>().map_or(true, |items| items == 0) => {
                report.error(buffer, "`buffer` takes a number of items, at least 1: `buffer = 16`");
            }
            _ => {}
        }
    }

    /// The items of a function with this output. `None` after an error.
    pub(crate) fn items(
        &self,
        output: &ReturnType,
        name: &Ident,
        report: &mut Report,
    ) -> Option<Items> {
        let ReturnType::Type(_, ty) = output else {
            report.error(name, format!("a subscription must return a stream: {RIGHT_FORM}"));
            return None;
        };
        let ty = ungrouped(ty);
        let (stream, refusal) = match ty {
            Type::ImplTrait(_) => (Some(ty.clone()), None),
            _ => split(ty),
        };
        let brought = stream.as_ref().and_then(brought);
        let Some(brought) = brought else {
            report.error(ty, format!("expected a stream: {RIGHT_FORM}"));
            return None;
        };
        let ok = type_in("Result", &brought);
        let fails = match &self.item {
            Some(item) => {
                quote!(#item).to_string() != quote!(#brought).to_string()
                    && type_in("Positioned", &brought).is_none()
            }
            None => ok.is_some(),
        };
        let value = ok.unwrap_or_else(|| brought.clone());
        let position = type_in("Positioned", &value);
        let positioned = position.is_some();
        let item = self.item.clone().or(position).unwrap_or(value);
        for word in words(item.to_token_stream()) {
            let why = match word.text.as_str() {
                "&" => {
                    "an item cannot borrow, because it is sent to the subscriber: use an owned type"
                }
                "impl" | "dyn" => {
                    "an item needs a concrete type that both client and server know: name the type, \
                     or write `#[subscription(item = Type)]`"
                }
                "Self" => "`Self` is not known to the peer: name the type",
                _ => continue,
            };
            report.error_at(word.span, why);
            return None;
        }
        Some(Items { item: quote!(#item), brought: quote!(#brought), positioned, fails, refusal })
    }
}

/// Splits `Result<impl Stream, E>` into its stream and `Result<(), E>`.
fn split(ty: &Type) -> (Option<Type>, Option<TokenStream>) {
    let mut ty = ty.clone();
    let Some(first) = first_argument(&mut ty) else { return (None, None) };
    let stream = std::mem::replace(first, syn::parse_quote!(()));
    (Some(ungrouped(&stream).clone()), Some(quote!(#ty)))
}

/// `T` of `Result<T, E>`.
fn first_argument(ty: &mut Type) -> Option<&mut Type> {
    let Type::Path(path) = ty else { return None };
    let segment = path.path.segments.last_mut()?;
    let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { return None };
    match arguments.args.first_mut()? {
        GenericArgument::Type(first) => Some(first),
        _ => None,
    }
}

/// `T` of `impl Stream<Item = T> + Send`.
fn brought(stream: &Type) -> Option<Type> {
    let Type::ImplTrait(stream) = stream else { return None };
    stream.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else { return None };
        let segment = bound.path.segments.last()?;
        let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
        arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
            _ => None,
        })
    })
}

/// `T` of `Result<T>` or `Result<T, E>` if the name is `Result`.
fn type_in(name: &str, ty: &Type) -> Option<Type> {
    let Type::Path(path) = ungrouped(ty) else { return None };
    let segment = path.path.segments.last().filter(|segment| segment.ident == name)?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    }
}

/// Removes the invisible brackets of a `macro_rules`.
fn ungrouped(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungrouped(&group.elem),
        Type::Paren(paren) => ungrouped(&paren.elem),
        ty => ty,
    }
}

/// Adds `Send` to the stream in a function's return type if it is missing.
pub(crate) fn make_send(output: &mut ReturnType) {
    let ReturnType::Type(_, ty) = output else { return };
    make_type_send(ty);
}

fn make_type_send(ty: &mut Type) {
    match ty {
        Type::ImplTrait(stream) => {
            let is_send = |bound: &TypeParamBound| match bound {
                TypeParamBound::Trait(bound) => {
                    bound.path.segments.last().is_some_and(|segment| segment.ident == "Send")
                }
                _ => false,
            };
            if !stream.bounds.iter().any(is_send) {
                stream.bounds.push(syn::parse_quote!(::core::marker::Send));
            }
        }
        Type::Group(group) => make_type_send(&mut group.elem),
        Type::Paren(paren) => make_type_send(&mut paren.elem),
        Type::Path(path) => {
            let Some(segment) = path.path.segments.last_mut() else { return };
            let PathArguments::AngleBracketed(arguments) = &mut segment.arguments else { return };
            if let Some(GenericArgument::Type(first)) = arguments.args.first_mut() {
                make_type_send(first);
            }
        }
        _ => {}
    }
}

impl std::str::FromStr for Overflow {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "block" => Ok(Overflow::Block),
            "drop_oldest" => Ok(Overflow::DropOldest),
            "drop_newest" => Ok(Overflow::DropNewest),
            "latest" => Ok(Overflow::Latest),
            "close" => Ok(Overflow::Close),
            _ => Err(format!(
                "unknown policy `\"{text}\"`, expected one of: `\"block\"` (the stream waits), \
                 `\"drop_oldest\"`, `\"drop_newest\"`, `\"latest\"` (keeps only the newest item), \
                 `\"close\"` (the subscription ends with an error)"
            )),
        }
    }
}

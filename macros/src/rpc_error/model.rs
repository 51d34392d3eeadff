//! The type as the rest of the pipeline sees it ([`ErrorType`]): its variants, each with a code, a
//! message and the fields that are sent. Errors in any of them, or across them, are reported.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{GenericParam, Generics, Ident, Item, Member, Type};

use super::attr::{
    Code, FieldOptions, Given, TypeOptions, VariantOptions, check_from_without_thiserror,
};
use super::template::Message;
use crate::report::Report;
use crate::types::check_has_bounds;

/// A type with `#[derive(RpcError)]` on it. A struct has one variant, itself.
pub(super) struct ErrorType {
    pub(super) ident: Ident,
    pub(super) generics: Generics,
    pub(super) variants: Vec<Variant>,
    options: TypeOptions,
}

/// One variant of the error.
pub(super) struct Variant {
    pub(super) ident: Ident,
    /// `Self::Insufficient`, or `Self` for a struct.
    pub(super) path: TokenStream,
    pub(super) kind: Kind,
    pub(super) fields: Vec<Field>,
    /// `?` converts an `ErrorObject` and a failed call into this variant.
    pub(super) from: Option<Span>,
}

/// How a variant is sent.
pub(super) enum Kind {
    Coded {
        /// `None` if the code is missing, which is reported.
        code: Option<Code>,
        message: Message,
    },
    /// As its only field is sent.
    Transparent,
}

/// A field of a variant.
pub(super) struct Field {
    pub(super) member: Member,
    pub(super) ty: Type,
    /// Its name on the wire, if it has one.
    pub(super) name: String,
    pub(super) has_default: bool,
    /// Whether it is the error's source, for thiserror.
    pub(super) is_source: bool,
}

impl ErrorType {
    /// `None` if it is neither an enum nor a struct.
    pub(super) fn read(item: TokenStream, report: &mut Report) -> Option<Self> {
        let item = syn::parse2::<Item>(item).inspect(|item| {
            check_from_without_thiserror(item, report);
        });
        let item = match item {
            Ok(Item::Enum(mut item)) => {
                let options = TypeOptions::of_enum(&mut item.attrs, report);
                let variants = item.variants.into_iter();
                let variants = variants.map(|variant| read_variant(variant, &options, report));
                let variants = variants.collect();
                ErrorType { ident: item.ident, generics: item.generics, variants, options }
            }
            Ok(Item::Struct(mut item)) => {
                let (options, own) = TypeOptions::of_struct(&mut item.attrs, report);
                let ident = item.ident.clone();
                let path = quote!(Self);
                let variant = Variant::new(ident, path, own, item.fields, &options, report);
                ErrorType {
                    ident: item.ident,
                    generics: item.generics,
                    variants: vec![variant],
                    options,
                }
            }
            Ok(other) => {
                let keyword = match &other {
                    Item::Union(item) => item.union_token.to_token_stream(),
                    other => other.to_token_stream(),
                };
                report.error(keyword, "`RpcError` is derived for an enum or a struct");
                return None;
            }
            Err(error) => {
                report.add(error);
                return None;
            }
        };
        check_generics(&item.generics, report);
        check_codes(&item.variants, report);
        for variant in item.variants.iter().filter(|variant| variant.from.is_some()).skip(1) {
            if let Some(span) = variant.from {
                report.error_at(span, "`from` is given twice: one variant takes what `?` brings");
            }
        }
        Some(item)
    }

    /// The path to the runtime's module for generated code.
    pub(super) fn private(&self) -> TokenStream {
        self.private_at(Span::mixed_site())
    }

    /// The same, for code whose type errors must be shown at `span`.
    pub(super) fn private_at(&self, span: Span) -> TokenStream {
        match &self.options.krate {
            Some(path) => quote_spanned!(span=> #path::__private),
            None => quote_spanned!(span=> ::wsjsonrpc::__private),
        }
    }
}

fn read_variant(mut variant: syn::Variant, options: &TypeOptions, report: &mut Report) -> Variant {
    let own = VariantOptions::of_variant(&mut variant.attrs, report);
    let ident = &variant.ident;
    let path = quote!(Self::#ident);
    Variant::new(variant.ident, path, own, variant.fields, options, report)
}

impl Variant {
    fn new(
        ident: Ident,
        path: TokenStream,
        own: VariantOptions,
        fields: syn::Fields,
        options: &TypeOptions,
        report: &mut Report,
    ) -> Self {
        let transparent = own.transparent;
        let fields = read_fields(fields, options, transparent, report);
        let kind = match transparent {
            Some(span) => {
                check_transparent(&ident, span, &own, &fields, report);
                Kind::Transparent
            }
            None => {
                let message = message(&ident, &own, &fields, options, report);
                Kind::Coded { code: code(&ident, own.code, report), message }
            }
        };
        if let Some(span) = own.from {
            check_from(&ident, span, transparent, &fields, report);
        }
        Variant { ident, path, kind, fields, from: own.from }
    }

    pub(super) fn is_named(&self) -> bool {
        matches!(self.fields.first(), Some(Field { member: Member::Named(_), .. }))
    }

    pub(super) fn code(&self) -> Option<&Code> {
        match &self.kind {
            Kind::Coded { code, .. } => code.as_ref(),
            Kind::Transparent => None,
        }
    }
}

fn code(ident: &Ident, given: Given<Code>, report: &mut Report) -> Option<Code> {
    match given {
        Given::Right(code) => Some(code),
        Given::Wrong => None,
        Given::Not => {
            report.error(
                ident,
                format!(
                    "`{ident}` has no code: put `#[rpc_error(code = 1001)]` above it, with a number \
                     of its own"
                ),
            );
            None
        }
    }
}

/// The variant's own message comes before that of the whole type; this crate's attribute comes
/// before thiserror's.
fn message(
    ident: &Ident,
    own: &VariantOptions,
    fields: &[Field],
    options: &TypeOptions,
    report: &mut Report,
) -> Message {
    if let (Some(_), Some(display)) = (&own.message, own.display) {
        report.error_at(
            display,
            "`display` takes the message from `Display`, and there is a `message`: remove one",
        );
    }
    if let Some(text) = &own.message {
        let names: Vec<_> = fields.iter().map(Field::rust_name).collect();
        return Message::parse(text, &names, report);
    }
    match own.display.or(own.error_attribute).or(options.display) {
        Some(span) => Message::Display(span),
        None => Message::of_name(ident),
    }
}

fn check_transparent(
    ident: &Ident,
    span: Span,
    own: &VariantOptions,
    fields: &[Field],
    report: &mut Report,
) {
    if fields.len() != 1 {
        report.error_at(
            span,
            format!(
                "what is `transparent` has one field and travels as that does: \
                 `{ident}(OtherError)`, or `{ident}(ErrorObject)` for whatever comes"
            ),
        );
    }
    let code = if let Given::Right(code) = &own.code { Some(code.to_token_stream()) } else { None };
    let message = own.message.as_ref().map(ToTokens::to_token_stream);
    let display = own.display.map(|span| quote_spanned!(span=> display));
    for what in [code, message, display].into_iter().flatten() {
        report.error(what, "with `transparent`, this comes from the field: remove one of them");
    }
}

/// Both conversions need a field for any error object.
fn check_from(
    ident: &Ident,
    span: Span,
    transparent: Option<Span>,
    fields: &[Field],
    report: &mut Report,
) {
    let holds_object = matches!(fields, [field] if is_error_object(&field.ty));
    if transparent.is_none() || !holds_object {
        report.error_at(
            span,
            format!(
                "`from` goes on the variant that holds an `ErrorObject`: \
                 `#[rpc_error(transparent, from)] {ident}(ErrorObject)`"
            ),
        );
    }
}

fn is_error_object(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "ErrorObject")
}

impl Field {
    /// Its name in Rust.
    fn rust_name(&self) -> String {
        match &self.member {
            Member::Named(ident) => ident.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        }
    }
}

fn read_fields(
    fields: syn::Fields,
    options: &TypeOptions,
    transparent: Option<Span>,
    report: &mut Report,
) -> Vec<Field> {
    let members: Vec<_> = fields.members().collect();
    let mut seen: Vec<Field> = Vec::new();
    for (member, mut field) in members.into_iter().zip(fields) {
        let own = FieldOptions::take(&mut field.attrs, report);
        if let (Some(span), true) = (own.source, is_error_object(&field.ty)) {
            report.error_at(
                span,
                "`ErrorObject` does not implement `std::error::Error`, which this attribute of \
                 thiserror needs: remove it, and write `#[rpc_error(transparent, from)]` above the \
                 variant",
            );
        }
        if transparent.is_none() {
            check_owned(&field.ty, report);
        } else if let Some(span) = own.default.or(own.rename.as_ref().map(Spanned::span)) {
            report.error_at(span, "with `transparent`, the field is all there is");
        }
        let (name, span) = match (&member, &own.rename) {
            (Member::Unnamed(_), rename) => {
                if let Some(rename) = rename {
                    report.error(rename, "a field without a name travels without one");
                }
                (String::new(), None)
            }
            (Member::Named(_), Some(rename)) => (rename.value(), Some(rename.span())),
            (Member::Named(ident), None) => {
                let name = ident.unraw().to_string();
                let name = options.rename_all.map_or(name.clone(), |case| case.apply(&name));
                (name, Some(ident.span()))
            }
        };
        if let (Some(span), true) = (span, seen.iter().any(|other| other.name == name)) {
            report.error_at(span, format!("two fields are called `{name}` on the wire"));
        }
        let (has_default, is_source) = (own.default.is_some(), own.source.is_some());
        seen.push(Field { member, ty: field.ty, name, has_default, is_source });
    }
    seen
}

/// Rustc would only report that an implementation is not general enough.
fn check_owned(ty: &Type, report: &mut Report) {
    if let Type::Reference(reference) = ty {
        report.error(
            reference,
            "an error that was received borrows from nothing: own the field, as a `String`, a \
             `Vec<T>` or a `Cow<'static, str>`",
        );
    }
}

fn check_generics(generics: &Generics, report: &mut Report) {
    for param in &generics.params {
        match param {
            GenericParam::Lifetime(lifetime) => report.error(
                lifetime,
                "an error that was received borrows from nothing: own what is in it, and leave out \
                 the lifetime",
            ),
            GenericParam::Type(param) => {
                const BOUNDS: &str = "Serialize + DeserializeOwned + Send + 'static";
                let ident = &param.ident;
                check_has_bounds(param, generics, report, || {
                    format!(
                        "values of type `{ident}` travel with the error: write `{ident}: {BOUNDS}`"
                    )
                });
            }
            GenericParam::Const(_) => {}
        }
    }
}

fn check_codes(variants: &[Variant], report: &mut Report) {
    let mut seen: Vec<(i64, &Ident)> = Vec::new();
    for variant in variants {
        let Some(Code::Literal(code, written)) = variant.code() else { continue };
        if let Some((_, owner)) = seen.iter().find(|(other, _)| other == code) {
            report.error(written, format!("the code {code} is taken: `{owner}` has it"));
        }
        seen.push((*code, &variant.ident));
    }
}

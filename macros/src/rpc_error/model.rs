//! The parsed type ([`ErrorType`]): its variants, each with a code, a message and the fields that
//! are sent. Reports errors in each variant and across variants.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{GenericParam, Generics, Ident, Item, Member, Type};

use super::attr::{
    Code, FieldOptions, Given, TypeOptions, VariantOptions, check_from_without_thiserror,
};
use super::template::{Message, in_words};
use crate::report::Report;
use crate::types::check_has_bounds;

/// A type with `#[derive(RpcError)]` on it. A struct counts as one variant.
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
        /// `None` if the code is missing, which was reported.
        code: Option<Code>,
        message: Message,
        /// The message as the user wrote it, with the names of fields in braces.
        shown: String,
    },
    /// In the same way as its only field.
    Transparent,
}

/// A field of a variant.
pub(super) struct Field {
    pub(super) member: Member,
    pub(super) ty: Type,
    /// Its name on the wire, if it has one.
    pub(super) name: String,
    pub(super) has_default: bool,
    /// The type whose schema describes the field. Default: the type of the field.
    pub(super) schema: Option<Type>,
    /// Whether thiserror takes it for the error's source.
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
                report.error(keyword, "`RpcError` can only be derived for an enum or a struct");
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
                report.error_at(
                    span,
                    "duplicate `from`: only one variant can receive errors from `?`",
                );
            }
        }
        Some(item)
    }

    /// Whether the type describes its codes.
    pub(super) fn describes(&self) -> bool {
        self.options.schema
    }

    /// The path to the runtime's module for generated code.
    pub(super) fn private(&self) -> TokenStream {
        self.private_at(Span::mixed_site())
    }

    /// Like [`private`](Self::private), for code whose type errors must be shown at `span`.
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
                let shown = match (&message, &own.message) {
                    (Message::Text(text), _) => text.clone(),
                    (_, Some(template)) => template.value(),
                    (_, None) => {
                        own.error_text.unwrap_or_else(|| in_words(&ident.unraw().to_string()))
                    }
                };
                Kind::Coded { code: code(&ident, own.code, report), message, shown }
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
                    "`{ident}` has no code: add `#[rpc_error(code = 1001)]` with a code that no \
                     other variant has"
                ),
            );
            None
        }
    }
}

/// A message on the variant takes precedence over one on the type, and this crate's attribute over
/// thiserror's.
fn message(
    ident: &Ident,
    own: &VariantOptions,
    fields: &[Field],
    options: &TypeOptions,
    report: &mut Report,
) -> Message {
    if let (Some(_), Some(display)) = (&own.message, own.display) {
        report
            .error_at(display, "`display` and `message` both set the message: remove one of them");
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
                "`transparent` needs exactly one field, which is sent in place of the variant: \
                 `{ident}(OtherError)`, or `{ident}(ErrorObject)` for all other errors"
            ),
        );
    }
    let code = if let Given::Right(code) = &own.code { Some(code.to_token_stream()) } else { None };
    let message = own.message.as_ref().map(ToTokens::to_token_stream);
    let display = own.display.map(|span| quote_spanned!(span=> display));
    for what in [code, message, display].into_iter().flatten() {
        report.error(what, "a `transparent` variant takes its code and its message from its field: remove this argument, or `transparent`");
    }
}

/// Both conversions need a field that holds any error object.
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
                "`from` needs a transparent variant that holds an `ErrorObject`: \
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
                "thiserror's attribute needs `std::error::Error`, which `ErrorObject` does not \
                 implement: replace it with `#[rpc_error(transparent, from)]` on the variant",
            );
        }
        if transparent.is_none() {
            check_owned(&field.ty, report);
        } else if let Some(span) = own.default.or(own.rename.as_ref().map(Spanned::span)) {
            report.error_at(span, "`default` and `rename` have no effect on the field of a `transparent` variant, which is sent unchanged: remove them");
        }
        match (&own.schema, transparent) {
            (Some(schema), Some(_)) => report.error(
                schema,
                "`schema` has no effect on the field of a `transparent` variant, whose type \
                 describes its own codes: remove it",
            ),
            (Some(schema), None) if !options.schema => report.error(
                schema,
                "`schema` has no effect without `#[rpc_error(schema)]` on the type: add it there, \
                 or remove this",
            ),
            _ => {}
        }
        let (name, span) = match (&member, &own.rename) {
            (Member::Unnamed(_), rename) => {
                if let Some(rename) = rename {
                    report.error(
                        rename,
                        "`rename` has no effect on an unnamed field: remove it, or name the field",
                    );
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
            report.error_at(
                span,
                format!(
                    "two fields have the name `{name}` on the wire: rename one of them with \
                     `#[rpc_error(rename = \"…\")]`"
                ),
            );
        }
        let (has_default, is_source) = (own.default.is_some(), own.source.is_some());
        let schema = own.schema;
        seen.push(Field { member, ty: field.ty, name, has_default, schema, is_source });
    }
    seen
}

/// Reports borrowed fields: rustc would only report that an implementation is not general enough.
fn check_owned(ty: &Type, report: &mut Report) {
    if let Type::Reference(reference) = ty {
        report.error(
            reference,
            "a field cannot borrow, because errors are also received: use an owned type, such as \
             `String`, `Vec<T>` or `Cow<'static, str>`",
        );
    }
}

fn check_generics(generics: &Generics, report: &mut Report) {
    for param in &generics.params {
        match param {
            GenericParam::Lifetime(lifetime) => report.error(
                lifetime,
                "an error cannot borrow, because errors are also received: use owned types, and \
                 remove the lifetime",
            ),
            GenericParam::Type(param) => {
                const BOUNDS: &str = "Serialize + DeserializeOwned + Send + 'static";
                let ident = &param.ident;
                check_has_bounds(param, generics, report, || {
                    format!(
                        "`{ident}` needs bounds, because its values are sent with the error: \
                         `{ident}: {BOUNDS}`"
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
            report.error(written, format!("the code {code} is already used by `{owner}`"));
        }
        seen.push((*code, &variant.ident));
    }
}

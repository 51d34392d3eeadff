//! Reads one method: which argument is the context, which arguments are sent, and whether the peer
//! can call the signature.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, GenericParam, Ident, Pat, PatType, Receiver, ReceiverKind, ReturnType,
    Safety, Signature, TraitItemFn, Type,
};

use crate::attr::{MethodOptions, ParamOptions, RpcOptions};
use crate::example::Example;
use crate::model::{Method, Param, Subscription, WireName};
use crate::report::Report;
use crate::subscription;
use crate::text::readable;
use crate::types::{self, is_one_of};

/// Removes this crate's attributes from `function`.
pub(crate) fn read(function: &mut TraitItemFn, rpc: &RpcOptions, report: &mut Report) -> Method {
    let subscription = subscription::Options::take(&mut function.attrs, report);
    let is_method = |attribute: &&Attribute| attribute.path().is_ident("method");
    if let (Some(_), Some(method)) = (&subscription, function.attrs.iter().find(is_method)) {
        report.error(
            method,
            "a function with `#[subscription]` takes no `#[method]`: move these arguments to \
             `#[subscription(…)]`",
        );
    }
    let mut options = MethodOptions::take(&mut function.attrs, report);
    let subscription = subscription.map(|(subscription, common)| {
        options = common;
        subscription
    });
    let examples = Example::take(&mut function.attrs, report);
    let param_options = take_param_options(&mut function.sig, report);

    let before = report.count();
    check_modifiers(&function.sig, report);
    check_receiver(&function.sig, report);
    let items = match &subscription {
        Some(options) => options.items(&function.sig.output, &function.sig.ident, report),
        None => {
            types::check_output(&function.sig.output, report);
            None
        }
    };
    if subscription.is_some() {
        subscription::make_send(&mut function.sig.output);
    }
    let receiver_is_right = report.count() == before;
    let mut arguments = typed(&function.sig).zip(param_options).peekable();
    let context = arguments.next_if(|(argument, _)| context_shape(&argument.ty).is_some());
    let mut params = Vec::new();
    let mut misplaced = false;
    for (argument, options) in arguments {
        match context_shape(&argument.ty) {
            // The user may have another type named `Context`. It is taken for an ordinary argument
            // unless it is borrowed.
            Some(shape) if context.is_none() || shape != ContextShape::Owned => {
                misplaced = true;
                report.error(&argument.ty, misplaced_context(context.is_some(), &function.sig));
            }
            _ => params.extend(read_param(argument, options, &function.sig, rpc, report)),
        }
    }
    if let Some((argument, options)) = &context {
        check_context(argument, options, &function.sig, report);
    }
    let usable = report.count() == before;
    if context.is_none() && !misplaced && receiver_is_right {
        report.error(
            &function.sig.ident,
            format!(
                "expected the context as the first argument after `&self`: {}",
                right_form(&function.sig)
            ),
        );
    }

    let ident = function.sig.ident.clone();
    let name = options.name.as_ref().map_or_else(|| rpc.method_name(&ident), WireName::from);
    let subscription = subscription.zip(items).map(|(options, items)| {
        let unsubscribe = options.unsubscribe.as_ref();
        let notification = options.notification.as_ref();
        Subscription {
            unsubscribe: unsubscribe.map_or_else(|| rpc.unsubscribe_name(&ident), WireName::from),
            notification: notification.map_or_else(
                || WireName { text: name.text.clone(), span: name.span },
                WireName::from,
            ),
            options,
            items,
        }
    });
    Method {
        usable,
        attrs: function.attrs.clone(),
        name,
        subscription,
        options,
        ident,
        is_async: function.sig.asyncness.is_some(),
        context: context.map(|(argument, _)| (*argument.ty).clone()),
        params,
        examples,
        output: match &function.sig.output {
            ReturnType::Default => quote!(()),
            ReturnType::Type(_, ty) => ty.to_token_stream(),
        },
    }
}

fn typed(sig: &Signature) -> impl Iterator<Item = &PatType> {
    sig.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(argument) => Some(argument),
        FnArg::Receiver(_) => None,
    })
}

/// The options of each argument except the receiver.
fn take_param_options(sig: &mut Signature, report: &mut Report) -> Vec<ParamOptions> {
    let mut options = Vec::new();
    for input in &mut sig.inputs {
        if let FnArg::Typed(argument) = input {
            options.push(ParamOptions::take(&mut argument.attrs, report));
            let cfg = |attribute: &&Attribute| is_one_of(attribute.path(), &["cfg", "cfg_attr"]);
            if let Some(cfg) = argument.attrs.iter().find(cfg) {
                report.error(
                    cfg,
                    "`cfg` on an argument is not supported, because client and server could \
                     disagree about the arguments: write the method twice, each with a `cfg`",
                );
            }
        }
    }
    options
}

fn check_modifiers(sig: &Signature, report: &mut Report) {
    let mut refuse = |word: Option<TokenStream>, why: &str| {
        if let Some(word) = word {
            report.error(
                &word,
                format!("an RPC method cannot be `{}`: {why}", readable(word.clone())),
            );
        }
    };
    refuse(sig.constness.map(|word| word.to_token_stream()), "it runs when the peer calls it");
    refuse(sig.abi.as_ref().map(|abi| abi.to_token_stream()), "remove the ABI");
    if let Safety::Unsafe(word) = &sig.safety {
        refuse(Some(word.to_token_stream()), "the peer can call it with any arguments");
    }
    if let Some(variadic) = &sig.variadic {
        report.error(
            variadic,
            "an RPC method cannot be variadic: take a list, as in `numbers: Vec<f64>` \
             with `#[method(params = \"whole\")]`",
        );
    }
    match sig.generics.params.first() {
        Some(GenericParam::Lifetime(_)) => report.error(
            &sig.generics.params,
            "an RPC method cannot have lifetime parameters: remove them here and in the arguments, \
             which live as long as the call",
        ),
        Some(_) => report.error(
            &sig.generics.params,
            "an RPC method cannot have generic parameters, because the peer does not know them: \
             use a concrete type, or move the parameters to the trait",
        ),
        None => {}
    }
    if let Some(clause) = &sig.generics.where_clause {
        report.error(clause, "an RPC method cannot have a `where` clause: move it to the trait");
    }
}

fn check_receiver(sig: &Signature, report: &mut Report) {
    let expected =
        || format!("because one service handles all calls concurrently: {}", right_form(sig));
    match sig.receiver() {
        None => report.error(
            &sig.ident,
            format!(
                "expected `&self` as the first argument, because methods are called on the service: {}",
                right_form(sig)
            ),
        ),
        Some(Receiver { kind: ReceiverKind::Reference(_, None, None), .. }) => {}
        Some(Receiver { kind: ReceiverKind::Reference(_, Some(lifetime), None), .. }) => {
            report.error(lifetime, "expected `&self` without a lifetime");
        }
        Some(other) => {
            let mut shown = other.clone();
            shown.attrs.clear();
            let found = readable(shown.to_token_stream());
            report.error(shown, format!("expected `&self` instead of `{found}`, {}", expected()));
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum ContextShape {
    Shared,
    Mutable,
    Owned,
}

/// A context is recognized by the last segment of its type, so that it can be imported from
/// anywhere.
fn context_shape(ty: &Type) -> Option<ContextShape> {
    match ty {
        Type::Path(path) if path.path.segments.last()?.ident == "Context" => {
            Some(ContextShape::Owned)
        }
        Type::Reference(reference) => match context_shape(&reference.elem)? {
            ContextShape::Owned if reference.mutability.is_some() => Some(ContextShape::Mutable),
            ContextShape::Owned => Some(ContextShape::Shared),
            ContextShape::Shared | ContextShape::Mutable => None,
        },
        Type::Group(group) => context_shape(&group.elem),
        Type::Paren(paren) => context_shape(&paren.elem),
        _ => None,
    }
}

fn misplaced_context(is_second: bool, sig: &Signature) -> String {
    if is_second {
        "duplicate context: remove this argument".to_owned()
    } else {
        format!("expected the context as the first argument after `&self`: {}", right_form(sig))
    }
}

fn check_context(argument: &PatType, options: &ParamOptions, sig: &Signature, report: &mut Report) {
    let rename = options.rename.as_ref().map(Spanned::span);
    let schema = options.schema.as_ref().map(Spanned::span);
    if let Some(span) = options.default.or(rename).or(schema) {
        report.error_at(
            span,
            "`#[param(…)]` has no effect on the context, which is not sent: remove it",
        );
    }
    if context_shape(&argument.ty) == Some(ContextShape::Shared) {
        types::check_argument(&argument.ty, &sig.generics, report);
    } else {
        report.error(
            &argument.ty,
            format!("expected the context by reference, `&Context`: {}", right_form(sig)),
        );
    }
}

fn read_param(
    argument: &PatType,
    options: ParamOptions,
    sig: &Signature,
    rpc: &RpcOptions,
    report: &mut Report,
) -> Option<Param> {
    let before = report.count();
    types::check_argument(&argument.ty, &sig.generics, report);
    let ident = plain_name(&argument.pat, report)?;
    let name = options.rename.as_ref().map_or_else(|| rpc.renamed(ident), WireName::from);
    let param = Param { name, options, ident: ident.clone(), ty: (*argument.ty).clone() };
    (report.count() == before).then_some(param)
}

fn plain_name<'a>(pattern: &'a Pat, report: &mut Report) -> Option<&'a Ident> {
    const WHY: &str = "the name of an argument is its name on the wire";
    let advice = match pattern {
        Pat::Ident(name)
            if name.by_ref.is_none() && name.mutability.is_none() && name.subpat.is_none() =>
        {
            return Some(&name.ident);
        }
        Pat::Ident(name) if name.mutability.is_some() => {
            let name = &name.ident;
            format!(
                "expected a plain name: {WHY}. \
                 Write `{name}` here and `let mut {name} = {name};` in the body"
            )
        }
        Pat::Wild(_) => format!("expected a name instead of `_`: {WHY}"),
        _ => format!("expected a plain name instead of a pattern: {WHY}"),
    };
    report.error(pattern, advice);
    None
}

/// The correct signature, on a separate line.
fn right_form(sig: &Signature) -> String {
    let asyncness = &sig.asyncness;
    let ident = &sig.ident;
    let output = &sig.output;
    let arguments = typed(sig).filter(|argument| context_shape(&argument.ty).is_none());
    let arguments = arguments.map(|PatType { pat, ty, .. }| quote!(, #pat: #ty));
    let form = readable(quote!(#asyncness fn #ident(&self, ctx: &Context #(#arguments)*) #output));
    format!("\n\n    {form}\n")
}

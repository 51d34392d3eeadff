//! Rules about names and options that need the whole method or the whole trait. Errors in a single
//! signature are found earlier, by `signature`.

use syn::ext::IdentExt;
use syn::{Ident, Type};

use crate::attr::{Cancel, Form, Mock};
use crate::model::{Contract, Method, Subscription};
use crate::report::Report;

/// The client's own methods.
const CLIENT_METHODS: [&str; 4] = ["new", "connect", "peer", "batch"];
/// The mock's own methods, besides those that the client has, too.
const MOCK_METHODS: [&str; 2] = ["calls", "into_client"];
/// The trait's own method.
pub(crate) const TRAIT_METHOD: &str = "into_service";

pub(crate) fn check(contract: &Contract, report: &mut Report) {
    check_namespace(contract, report);
    check_sides(contract, report);
    check_mock(contract, report);
    check_duplicate_names(contract, report);
    for method in &contract.methods {
        check_rust_name(contract, method, report);
        check_wire_names(contract, method, report);
        if method.usable {
            check_form(method, report);
            check_omit_none(method, report);
        }
        check_blocking(method, report);
        check_subscription(contract, method, report);
        check_cancel(method, report);
        check_params(method, report);
    }
}

fn check_namespace(contract: &Contract, report: &mut Report) {
    match (&contract.options.namespace, &contract.options.separator) {
        (None, Some(separator)) => report.error(
            separator,
            "`separator` stands between the namespace and the name, and there is no namespace: \
             add `namespace = \"…\"`",
        ),
        (Some(namespace), _) if namespace.value().is_empty() => {
            report.error(namespace, "the namespace is empty: leave it out if there is none");
        }
        (Some(namespace), _) if is_reserved(&contract.options.prefix()) => {
            report.error(
                namespace,
                "names that begin with `rpc.` are reserved by JSON-RPC: \
                 choose another namespace",
            );
        }
        _ => {}
    }
}

fn check_sides(contract: &Contract, report: &mut Report) {
    let options = &contract.options;
    if let (Some(_), Some(client)) = (options.server, options.client) {
        report.error_at(
            client,
            "`server` generates only the service, and `client` only the client: remove both words \
             to have both",
        );
    } else if let (Some(side), Some(_)) = (options.server.or(options.client), &options.mock) {
        report.error_at(side, "a mock needs the client and the service: remove this word");
    }
}

fn check_mock(contract: &Contract, report: &mut Report) {
    let Some(Mock::Named(name)) = &contract.options.mock else { return };
    if contract.has_type(name) {
        report.error(name, format!("`{name}` is there already: choose another name for the mock"));
    }
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("rpc.")
}

/// Two methods may share a name only if both have a `cfg`, as these may exclude each other.
fn check_duplicate_names(contract: &Contract, report: &mut Report) {
    let mut seen: Vec<(String, &Method)> = Vec::new();
    for method in &contract.methods {
        for name in method.names().into_iter().filter(|name| !name.text.is_empty()) {
            let clash = seen.iter().find(|(text, other)| {
                let same = std::ptr::eq::<Method>(*other, method);
                *text == name.text && (same || !(other.has_cfg() && method.has_cfg()))
            });
            if let Some((text, other)) = clash {
                let owner = other.ident.unraw();
                report.error_at(
                    name.span,
                    format!("the name `{text}` is taken: `{owner}` is called so on the wire"),
                );
            }
            seen.push((name.text, method));
        }
    }
}

/// Whether generated code already has a method with this name.
pub(crate) fn is_rust_name_taken(contract: &Contract, ident: &Ident) -> bool {
    *ident == TRAIT_METHOD
        || CLIENT_METHODS.iter().any(|name| ident == name)
        || contract.mock().is_some() && MOCK_METHODS.iter().any(|name| ident == name)
}

fn check_rust_name(contract: &Contract, method: &Method, report: &mut Report) {
    if !is_rust_name_taken(contract, &method.ident) {
        return;
    }
    let ident = method.ident.unraw();
    let owner = match contract.mock() {
        _ if ident == TRAIT_METHOD => contract.item.ident.clone(),
        Some(mock) if MOCK_METHODS.iter().any(|name| ident == name) => mock,
        _ => contract.client(),
    };
    let wire = &method.name.text;
    report.error(
        &method.ident,
        format!(
            "`{owner}` has a method `{ident}` of its own: choose another name, \
             and keep the one on the wire with `#[method(name = \"{wire}\")]`"
        ),
    );
}

fn check_wire_names(contract: &Contract, method: &Method, report: &mut Report) {
    let namespace_is_reserved = is_reserved(&contract.options.prefix());
    for name in method.names() {
        if name.text.is_empty() {
            report.error_at(name.span, "the method's name on the wire is empty");
        } else if is_reserved(&name.text)
            && !(namespace_is_reserved && method.options.name.is_none())
        {
            report.error_at(
                name.span,
                format!(
                    "names that begin with `rpc.` are reserved by JSON-RPC: \
                     choose another one than `{}`",
                    name.text
                ),
            );
        }
    }
}

fn check_form(method: &Method, report: &mut Report) {
    let Some((Form::Whole, span)) = method.options.form else { return };
    let ident = method.ident.unraw();
    match method.params.as_slice() {
        [] => report.error_at(
            span,
            format!(
                "`\"whole\"` decodes all of `params` into one argument, and `{ident}` takes none"
            ),
        ),
        [param] => {
            if let Some(found) = scalar(&param.ty) {
                report.error_at(
                    span,
                    format!(
                        "`\"whole\"` decodes a list or an object into the one argument, and \
                         `{found}` is neither: leave `params` out, and the argument is the only \
                         one of a list"
                    ),
                );
            }
            let without_meaning = [
                ("default", param.options.default),
                ("rename", param.options.rename.as_ref().map(syn::LitStr::span)),
            ];
            for (option, span) in without_meaning {
                if let Some(span) = span {
                    report.error_at(span, format!(
                        "`{option}` is about one of several params, and with `params = \"whole\"` \
                         the argument is all of them"
                    ));
                }
            }
        }
        params => report.error_at(
            span,
            format!(
                "`\"whole\"` decodes all of `params` into one argument, and `{ident}` takes {}: \
                 put them into a struct",
                params.len()
            ),
        ),
    }
}

fn check_omit_none(method: &Method, report: &mut Report) {
    if let (Some(span), Form::Whole) = (method.options.omit_none, method.form()) {
        report.error_at(
            span,
            "with `params = \"whole\"`, the argument's own type says what is left out: remove \
             `omit_none`, and put `#[serde(skip_serializing_if = \"Option::is_none\")]` on its \
             fields",
        );
    }
}

/// The name of a type that is a number, a string or a boolean, judged by its name.
fn scalar(ty: &Type) -> Option<String> {
    const SCALARS: [&str; 18] = [
        "bool", "char", "str", "String", "i8", "i16", "i32", "i64", "i128", "isize", "u8", "u16",
        "u32", "u64", "u128", "usize", "f32", "f64",
    ];
    match ty {
        Type::Path(path) => {
            let name = path.path.get_ident()?.to_string();
            SCALARS.contains(&name.as_str()).then_some(name)
        }
        Type::Reference(reference) => scalar(&reference.elem),
        _ => None,
    }
}

fn check_blocking(method: &Method, report: &mut Report) {
    if let (Some(span), true) = (method.options.blocking, method.is_async) {
        report.error_at(
            span,
            "`blocking` runs a plain `fn` on a thread where it may block: \
             remove `blocking`, or the `async` of the method",
        );
    }
}

fn check_subscription(contract: &Contract, method: &Method, report: &mut Report) {
    let Some(subscription) = &method.subscription else { return };
    let Subscription { unsubscribe, notification, .. } = subscription;
    for (what, name) in [("`unsubscribe`", unsubscribe), ("`notification`", notification)] {
        if name.text.is_empty() {
            report.error_at(name.span, format!("the name in {what} is empty"));
        }
    }
    if is_reserved(&unsubscribe.text) && !is_reserved(&contract.options.prefix()) {
        report.error_at(
            unsubscribe.span,
            format!(
                "names that begin with `rpc.` are reserved by JSON-RPC: \
                 choose another one than `{}`",
                unsubscribe.text
            ),
        );
    }
    // Any unsubscribe method ends any subscription, so two of them may share a name; a method may
    // share it only if both have a `cfg`.
    let owner = contract.methods.iter().find(|other| {
        let either = !std::ptr::eq::<Method>(*other, method) && other.has_cfg() && method.has_cfg();
        !either && other.names().iter().any(|name| name.text == unsubscribe.text)
    });
    if let Some(owner) = owner.filter(|_| !unsubscribe.text.is_empty()) {
        report.error_at(
            unsubscribe.span,
            format!(
                "the name `{}` is taken, `{}` is called so on the wire: choose another one for \
                 the method that ends this subscription, with `unsubscribe = \"…\"`",
                unsubscribe.text,
                owner.ident.unraw()
            ),
        );
    }
}

fn check_cancel(method: &Method, report: &mut Report) {
    let Some((Cancel::Drop, span)) = method.options.cancel else { return };
    if method.is_async {
        return;
    }
    let ident = &method.ident;
    let advice = match method.options.blocking {
        Some(_) => "leave `cancel` out, and look at `ctx.is_cancelled()` now and then",
        None => "leave `cancel` out, as such a method is done where its call is read",
    };
    report.error_at(
        span,
        format!(
            "`\"drop\"` drops the future of an `async fn`, and a plain `fn` has none: \
             write `async fn {ident}(…)`, or {advice}"
        ),
    );
}

fn check_params(method: &Method, report: &mut Report) {
    let mut seen: Vec<&str> = Vec::new();
    for param in &method.params {
        let name = &param.name;
        if name.text.is_empty() {
            report.error_at(name.span, "the argument's name on the wire is empty");
        } else if seen.contains(&name.text.as_str()) {
            report.error_at(
                name.span,
                format!("two arguments are called `{}` on the wire", name.text),
            );
        }
        seen.push(&name.text);
    }
}

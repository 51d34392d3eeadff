//! Rules about names and options that need the whole method or the whole trait. Errors in a single
//! signature are found earlier, by `signature`.

use syn::ext::IdentExt;
use syn::{Ident, Type};

use crate::attr::{Cancel, Form, Mock};
use crate::model::{Contract, Method, Subscription};
use crate::report::Report;

/// Methods that every client has.
const CLIENT_METHODS: [&str; 4] = ["new", "connect", "peer", "batch"];
/// Methods that every mock has, besides those in [`CLIENT_METHODS`].
const MOCK_METHODS: [&str; 2] = ["calls", "into_client"];
/// The method that every trait gets.
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
        check_schema(contract, method, report);
    }
}

fn check_namespace(contract: &Contract, report: &mut Report) {
    match (&contract.options.namespace, &contract.options.separator) {
        (None, Some(separator)) => report.error(
            separator,
            "`separator` has no effect without a namespace: add `namespace = \"…\"`",
        ),
        (Some(namespace), _) if namespace.value().is_empty() => {
            report.error(namespace, "the namespace is empty: remove `namespace`, or write a name");
        }
        (Some(namespace), _) if is_reserved(&contract.options.prefix()) => {
            report.error(
                namespace,
                "method names that begin with `rpc.` are reserved by JSON-RPC: \
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
            "`server` generates only the service and `client` only the client: remove both to \
             generate both",
        );
    } else if let (Some(side), Some(_)) = (options.server.or(options.client), &options.mock) {
        report.error_at(
            side,
            "a mock needs both the client and the service: remove `mock`, or remove this argument",
        );
    }
}

fn check_mock(contract: &Contract, report: &mut Report) {
    let Some(Mock::Named(name)) = &contract.options.mock else { return };
    if contract.has_type(name) {
        report.error(
            name,
            format!("a type `{name}` already exists: choose another name for the mock"),
        );
    }
}

fn is_reserved(name: &str) -> bool {
    name.starts_with("rpc.")
}

/// Two methods may share a name only if both have a `cfg`, because the two may exclude each other.
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
                    format!("the name `{text}` on the wire is already used by method `{owner}`"),
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
            "`{ident}` conflicts with the generated method `{owner}::{ident}`: rename the method, \
             and keep its name on the wire with `#[method(name = \"{wire}\")]`"
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
                    "the method name `{}` is reserved: JSON-RPC reserves names that begin with \
                     `rpc.`",
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
                "`params = \"whole\"` needs exactly one argument besides the context, and \
                 `{ident}` has none"
            ),
        ),
        [param] => {
            if let Some(found) = scalar(&param.ty) {
                report.error_at(
                    span,
                    format!(
                        "`params = \"whole\"` decodes a list or an object into the argument, and \
                         `{found}` is neither: remove `params` to send a list with one element"
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
                        "`{option}` has no effect with `params = \"whole\"`: the argument is the \
                         whole of `params`, not one of them"
                    ));
                }
            }
        }
        params => report.error_at(
            span,
            format!(
                "`params = \"whole\"` needs exactly one argument besides the context, and \
                 `{ident}` has {}: put them into a struct",
                params.len()
            ),
        ),
    }
}

fn check_omit_none(method: &Method, report: &mut Report) {
    if let (Some(span), Form::Whole) = (method.options.omit_none, method.form()) {
        report.error_at(
            span,
            "`omit_none` has no effect with `params = \"whole\"`: remove it, and put \
             `#[serde(skip_serializing_if = \"Option::is_none\")]` on the fields of the argument's \
             type",
        );
    }
}

/// The name of the type if it is the name of a number, a string or a boolean.
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
            "`blocking` runs a plain `fn` on a thread for blocking code: \
             remove `blocking`, or remove `async` from the method",
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
                "the method name `{}` is reserved: JSON-RPC reserves names that begin with `rpc.`",
                unsubscribe.text
            ),
        );
    }
    // Subscriptions may share an unsubscribe method. An ordinary method may have the same name only
    // if both have a `cfg`.
    let owner = contract.methods.iter().find(|other| {
        let either = !std::ptr::eq::<Method>(*other, method) && other.has_cfg() && method.has_cfg();
        !either && other.names().iter().any(|name| name.text == unsubscribe.text)
    });
    if let Some(owner) = owner.filter(|_| !unsubscribe.text.is_empty()) {
        report.error_at(
            unsubscribe.span,
            format!(
                "the name `{}` on the wire is already used by method `{}`: choose another name for \
                 the method that ends this subscription with `unsubscribe = \"…\"`",
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
        Some(_) => "remove `cancel` and check `ctx.is_cancelled()` regularly",
        None => "remove `cancel`, because such a method finishes before it can be cancelled",
    };
    report.error_at(
        span,
        format!(
            "`cancel = \"drop\"` drops the future of an `async fn`, and a plain `fn` has no \
             future: write `async fn {ident}(…)`, or {advice}"
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
                format!(
                    "two arguments have the name `{}` on the wire: rename one of them with \
                     `#[param(rename = \"…\")]`",
                    name.text
                ),
            );
        }
        seen.push(&name.text);
    }
}

fn without_schema(what: &str) -> String {
    format!(
        "`{what}` has no effect without `#[rpc(schema)]`: add `schema` to the trait's attribute, or \
         remove this"
    )
}

fn check_schema(contract: &Contract, method: &Method, report: &mut Report) {
    if contract.options.schema.is_none() {
        let of_params = method.params.iter().map(|param| ("schema", param.options.schema.as_ref()));
        let items = method.subscription.as_ref().and_then(|it| it.options.item_schema.as_ref());
        let others = [
            ("result_schema", method.options.result_schema.as_ref()),
            ("progress", method.options.progress.as_ref()),
            ("item_schema", items),
        ];
        for (name, ty) in of_params.chain(others) {
            if let Some(ty) = ty {
                report.error(ty, without_schema(name));
            }
        }
        for example in &method.examples {
            report.error_at(example.span, without_schema("#[example]"));
        }
        return;
    }
    for example in &method.examples {
        let (given, span) = (example.params.0.len(), example.params.1);
        let ident = method.ident.unraw();
        if method.subscription.is_some() {
            report.error_at(
                example.span,
                "an example shows a call and its result, and a subscription returns items: remove \
                 the example, and show it in the doc comment",
            );
        } else if example.wrong || !method.usable {
            // Reported earlier.
        } else if given != method.params.len() {
            let names: Vec<_> =
                method.params.iter().map(|param| param.ident.unraw().to_string()).collect();
            let expected = match names.len() {
                0 => format!("`{ident}` has no arguments: remove `params`"),
                1 => format!("`{ident}` has one argument: `params = ({},)`", names[0]),
                count => {
                    format!("`{ident}` has {count} arguments: `params = ({})`", names.join(", "))
                }
            };
            let given = match given {
                0 => "no values".to_owned(),
                1 => "one value".to_owned(),
                count => format!("{count} values"),
            };
            report.error_at(span, format!("the example has {given}, and {expected}"));
        }
    }
}

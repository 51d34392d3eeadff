//! The members with the prefix `x-` that this crate adds to methods and examples. A document
//! declares those that it uses, in the form of OpenRPC's specification extensions.
//!
//! `docs/wire.md` says what each means.

use serde_json::{Value, json};

/// The version of all declarations.
const VERSION: &str = "0.1.0";

struct Extension {
    name: &'static str,
    /// The objects that have it, by their names in OpenRPC's meta-schema.
    on: &'static [&'static str],
    summary: &'static str,
    schema: fn() -> Value,
}

const EXTENSIONS: [Extension; 10] = [
    Extension {
        name: "x-aliases",
        on: &["methodObject"],
        summary: "Other names of the method.",
        schema: || json!({ "type": "array", "items": { "type": "string" } }),
    },
    Extension {
        name: "x-cancel",
        on: &["methodObject"],
        summary: "What happens to the handler if the caller cancels the call: `signal`, the default, notifies the handler; `drop` stops it.",
        schema: || json!({ "type": "string", "enum": ["signal", "drop"] }),
    },
    Extension {
        name: "x-error",
        on: &["examplePairingObject"],
        summary: "The error object that the call of the example fails with.",
        schema: || json!({ "type": "object", "required": ["code", "message"] }),
    },
    Extension {
        name: "x-error-data",
        on: &["methodObject"],
        summary: "The schemas of the `data` of the method's errors, by code.",
        schema: || json!({ "type": "object" }),
    },
    Extension {
        name: "x-idempotent",
        on: &["methodObject"],
        summary: "Several identical calls have the effect of one, so a client may send a call again.",
        schema: || json!({ "type": "boolean" }),
    },
    Extension {
        name: "x-implemented-by",
        on: &["methodObject"],
        summary: "The sides that answer calls of the method, `server` or `client`. Default: the server.",
        schema: || {
            json!({
                "type": "array",
                "items": { "type": "string", "enum": ["server", "client"] },
                "minItems": 1,
                "uniqueItems": true,
            })
        },
    },
    Extension {
        name: "x-ordered",
        on: &["methodObject"],
        summary: "The calls of all ordered methods on a connection run one after another.",
        schema: || json!({ "type": "boolean" }),
    },
    Extension {
        name: "x-params",
        on: &["methodObject", "examplePairingObject"],
        summary: "The schema of `params` as a whole, for a method whose `params` are one value. In an example, that value.",
        schema: || json!({}),
    },
    Extension {
        name: "x-progress",
        on: &["methodObject"],
        summary: "The schema of the progress that the method reports.",
        schema: || json!({ "type": ["object", "boolean"] }),
    },
    Extension {
        name: "x-subscription",
        on: &["methodObject"],
        summary: "The method starts a subscription: the names of its notifications and of the method that ends it, and the schema of its items. With `resume`, a consumer can continue after an item that it has received.",
        schema: || {
            json!({
                "type": "object",
                "required": ["notification", "unsubscribe", "item"],
                "properties": {
                    "notification": { "type": "string" },
                    "unsubscribe": { "type": "string" },
                    "item": { "type": ["object", "boolean"] },
                    "resume": { "type": "boolean" },
                },
            })
        },
    },
];

/// The declarations of the extensions that these methods use.
pub(super) fn used_by(methods: &Value) -> Vec<Value> {
    let used = |name: &str| {
        methods.as_array().into_iter().flatten().any(|method| {
            let examples = method.get("examples").and_then(Value::as_array);
            method.get(name).is_some()
                || examples.is_some_and(|list| list.iter().any(|e| e.get(name).is_some()))
        })
    };
    let declared = EXTENSIONS.iter().filter(|extension| used(extension.name));
    declared
        .map(|Extension { name, on, summary, schema }| {
            json!({
                "openrpcExtension": "0.0.0-development",
                "name": name,
                "version": VERSION,
                "restricted": on,
                "summary": summary,
                "schema": schema(),
            })
        })
        .collect()
}

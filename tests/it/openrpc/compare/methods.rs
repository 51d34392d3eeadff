//! Methods, params, results, errors and extensions.

use std::collections::HashSet;

use wsjsonrpc::openrpc::{ChangeKind, compare};

use super::{check, document};

struct Row {
    what: &'static str,
    old: &'static str,
    new: &'static str,
    /// The lines of the changes from old to new.
    forward: &'static [&'static str],
    /// The lines of the changes from new to old.
    backward: &'static [&'static str],
}

const ROWS: &[Row] = &[
    Row {
        what: "a method that is gone and one that is new",
        old: r#"{"name":"a","params":[]},{"name":"b","params":[],"result":{"name":"r","schema":{"type":"integer"}}}"#,
        new: r#"{"name":"a","params":[]},{"name":"c","params":[],"result":{"name":"r","schema":{"type":"string"}}}"#,
        forward: &["b: method removed; breaks callers", "c: method added; breaks implementers"],
        backward: &["c: method removed; breaks callers", "b: method added; breaks implementers"],
    },
    Row {
        what: "renamed: everything else is the same",
        old: r#"{"name":"a","summary":"Old.","params":[{"name":"x","schema":{"type":"string"}}]}"#,
        new: r#"{"name":"b","summary":"New.","params":[{"name":"x","schema":{"type":"string"}}]}"#,
        forward: &[
            "a: method renamed: `b`; breaks callers and implementers",
            "b: documentation changed: summary",
        ],
        backward: &[
            "b: method renamed: `a`; breaks callers and implementers",
            "a: documentation changed: summary",
        ],
    },
    Row {
        what: "renamed: either of two could be meant",
        old: r#"{"name":"a","params":[{"name":"x","schema":{"type":"string"}}]}"#,
        new: r#"{"name":"b","params":[{"name":"x","schema":{"type":"string"}}]},{"name":"c","params":[{"name":"x","schema":{"type":"string"}}]}"#,
        forward: &[
            "a: method removed; breaks callers",
            "b: method added; breaks implementers",
            "c: method added; breaks implementers",
        ],
        backward: &[
            "b: method removed; breaks callers",
            "c: method removed; breaks callers",
            "a: method added; breaks implementers",
        ],
    },
    Row {
        what: "renamed, and the old name is an alias",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"b","x-aliases":["a"],"params":[{"name":"x","required":true,"schema":{}}]}"#,
        forward: &[
            "a: method renamed: `b`, the old name is an alias; breaks implementers",
            "b: param `x`: added: required, any value; breaks callers and implementers",
        ],
        backward: &[
            "b: method renamed: `a`; breaks callers",
            "a: param `x`: removed: required, any value; breaks callers and implementers",
        ],
    },
    Row {
        what: "an alias becomes the name",
        old: r#"{"name":"a","x-aliases":["b"],"params":[]}"#,
        new: r#"{"name":"b","params":[]}"#,
        forward: &["a: method renamed: `b`; breaks callers"],
        backward: &["b: method renamed: `a`, the old name is an alias; breaks implementers"],
    },
    Row {
        what: "name and alias change places",
        old: r#"{"name":"a","x-aliases":["b"],"params":[]}"#,
        new: r#"{"name":"b","x-aliases":["a"],"params":[]}"#,
        forward: &["a: method renamed: `b`, the old name is an alias"],
        backward: &["b: method renamed: `a`, the old name is an alias"],
    },
    Row {
        what: "aliases",
        old: r#"{"name":"a","x-aliases":["b","c"],"params":[]}"#,
        new: r#"{"name":"a","x-aliases":["c","d"],"params":[]}"#,
        forward: &[
            "a: alias removed: `b`; breaks callers",
            "a: alias added: `d`; breaks implementers",
        ],
        backward: &[
            "a: alias removed: `d`; breaks callers",
            "a: alias added: `b`; breaks implementers",
        ],
    },
    Row {
        what: "an alias becomes a method",
        old: r#"{"name":"a","x-aliases":["b"],"params":[]}"#,
        new: r#"{"name":"a","params":[]},{"name":"b","params":[{"name":"x","required":true,"schema":{}}]}"#,
        forward: &["b: param `x`: added: required, any value; breaks callers and implementers"],
        backward: &[
            "b: method renamed: `a`, the old name is an alias",
            "b: param `x`: removed: required, any value; breaks callers and implementers",
        ],
    },
    Row {
        what: "x-implemented-by",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","x-implemented-by":["client"],"params":[]}"#,
        forward: &[
            "a: implemented by another side: server -> client; breaks callers and implementers",
        ],
        backward: &[
            "a: implemented by another side: client -> server; breaks callers and implementers",
        ],
    },
    Row {
        what: "x-implemented-by both",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","x-implemented-by":["client","server"],"params":[]}"#,
        forward: &[
            "a: implemented by another side: server -> client and server; breaks implementers",
        ],
        backward: &["a: implemented by another side: client and server -> server; breaks callers"],
    },
    Row {
        what: "required param",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","params":[{"name":"x","required":true,"schema":{"type":"integer","format":"int64"}}]}"#,
        forward: &[
            "a: param `x`: added: required, integer (int64); breaks callers and implementers",
        ],
        backward: &[
            "a: param `x`: removed: required, integer (int64); breaks callers and implementers",
        ],
    },
    Row {
        what: "optional param at the end",
        old: r#"{"name":"a","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","params":[{"name":"x","schema":{}},{"name":"y","schema":{"type":"array","items":{"type":"string"}}}]}"#,
        forward: &["a: param `y`: added: optional, array of string; breaks implementers"],
        backward: &["a: param `y`: removed: optional, array of string; breaks callers"],
    },
    Row {
        what: "optional param in the middle",
        old: r#"{"name":"a","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","params":[{"name":"y","schema":{"type":"boolean"}},{"name":"x","schema":{}}]}"#,
        forward: &["a: param `y`: added: optional, boolean; breaks callers and implementers"],
        backward: &["a: param `y`: removed: optional, boolean; breaks callers and implementers"],
    },
    Row {
        what: "optional param in the middle, by name",
        old: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"y","schema":{"type":"boolean"}},{"name":"x","schema":{}}]}"#,
        forward: &["a: param `y`: added: optional, boolean; breaks implementers"],
        backward: &["a: param `y`: removed: optional, boolean; breaks callers"],
    },
    Row {
        what: "param renamed",
        old: r#"{"name":"a","params":[{"name":"x","required":true,"schema":{"type":"string"}}]}"#,
        new: r#"{"name":"a","params":[{"name":"y","required":true,"schema":{"type":"string"}}]}"#,
        forward: &["a: param `x`: renamed: `y`; breaks callers and implementers"],
        backward: &["a: param `y`: renamed: `x`; breaks callers and implementers"],
    },
    Row {
        what: "param renamed, by position, with another type",
        old: r#"{"name":"a","paramStructure":"by-position","params":[{"name":"x","schema":{"type":"integer"}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-position","params":[{"name":"y","schema":{"type":"number"}}]}"#,
        forward: &[
            "a: param `x`: renamed: `y`",
            "a: param `y`: accepts more: integer -> number; breaks implementers",
        ],
        backward: &[
            "a: param `y`: renamed: `x`",
            "a: param `x`: accepts less: number -> integer; breaks callers",
        ],
    },
    Row {
        what: "params reordered",
        old: r#"{"name":"a","params":[{"name":"x","schema":{"type":"string"}},{"name":"y","schema":{"type":"boolean"}}]}"#,
        new: r#"{"name":"a","params":[{"name":"y","schema":{"type":"boolean"}},{"name":"x","schema":{"type":"string"}}]}"#,
        forward: &["a: params reordered: x, y -> y, x; breaks callers and implementers"],
        backward: &["a: params reordered: y, x -> x, y; breaks callers and implementers"],
    },
    Row {
        what: "params reordered, by name",
        old: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","schema":{"type":"string"}},{"name":"y","schema":{"type":"boolean"}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"y","schema":{"type":"boolean"}},{"name":"x","schema":{"type":"string"}}]}"#,
        forward: &["a: params reordered: x, y -> y, x"],
        backward: &["a: params reordered: y, x -> x, y"],
    },
    Row {
        what: "optional param becomes required",
        old: r#"{"name":"a","params":[{"name":"x","schema":{"default":1}}]}"#,
        new: r#"{"name":"a","params":[{"name":"x","required":true,"schema":{}}]}"#,
        forward: &["a: param `x`: is now required; breaks callers"],
        backward: &["a: param `x`: is now optional; breaks implementers"],
    },
    Row {
        what: "default",
        old: r#"{"name":"a","params":[{"name":"x","schema":{"default":1}}]}"#,
        new: r#"{"name":"a","params":[{"name":"x","schema":{"default":2}}]}"#,
        forward: &["a: param `x`: default changed: 1 -> 2; breaks callers and implementers"],
        backward: &["a: param `x`: default changed: 2 -> 1; breaks callers and implementers"],
    },
    Row {
        what: "default added",
        old: r#"{"name":"a","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","params":[{"name":"x","schema":{"default":[]}}]}"#,
        forward: &["a: param `x`: default changed: none -> []"],
        backward: &["a: param `x`: default changed: [] -> none"],
    },
    Row {
        what: "param deprecated",
        old: r#"{"name":"a","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","params":[{"name":"x","deprecated":true,"schema":{}}]}"#,
        forward: &["a: param `x`: is now deprecated"],
        backward: &["a: param `x`: is no longer deprecated"],
    },
    Row {
        what: "structure",
        old: r#"{"name":"a","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","schema":{}}]}"#,
        forward: &["a: structure of params changed: either -> by-name; breaks callers"],
        backward: &["a: structure of params changed: by-name -> either; breaks implementers"],
    },
    Row {
        what: "structure, one to the other",
        old: r#"{"name":"a","paramStructure":"by-position","params":[{"name":"x","schema":{}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","schema":{}}]}"#,
        forward: &[
            "a: structure of params changed: by-position -> by-name; breaks callers and implementers",
        ],
        backward: &[
            "a: structure of params changed: by-name -> by-position; breaks callers and implementers",
        ],
    },
    Row {
        what: "structure without params",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","paramStructure":"by-position","params":[]}"#,
        forward: &["a: structure of params changed: either -> by-position"],
        backward: &["a: structure of params changed: by-position -> either"],
    },
    Row {
        what: "x-params",
        old: r#"{"name":"a","paramStructure":"by-position","params":[],"x-params":{"type":"array","items":{"type":"string"}}}"#,
        new: r#"{"name":"a","paramStructure":"by-position","params":[],"x-params":{"type":"array","items":{"type":"integer"}}}"#,
        forward: &[
            "a: params[]: accepts other values: string -> integer; breaks callers and implementers",
        ],
        backward: &[
            "a: params[]: accepts other values: integer -> string; breaks callers and implementers",
        ],
    },
    Row {
        what: "x-params with one param for each member",
        old: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","required":true,"schema":{"type":"integer"}}],"x-params":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}}}"#,
        new: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","schema":{"type":"number"}}],"x-params":{"type":"object","properties":{"x":{"type":"number"}}}}"#,
        forward: &[
            "a: param `x`: is now optional; breaks implementers",
            "a: param `x`: accepts more: integer -> number; breaks implementers",
        ],
        backward: &[
            "a: param `x`: is now required; breaks callers",
            "a: param `x`: accepts less: number -> integer; breaks callers",
        ],
    },
    Row {
        what: "a struct instead of arguments",
        old: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","required":true,"schema":{"type":"integer"}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-name","params":[{"name":"x","required":true,"schema":{"type":"integer"}}],"x-params":{"type":"object","required":["x"],"properties":{"x":{"type":"integer"}}}}"#,
        forward: &[],
        backward: &[],
    },
    Row {
        what: "a list of any length instead of arguments",
        old: r#"{"name":"a","paramStructure":"by-position","params":[{"name":"x","required":true,"schema":{"type":"integer"}}]}"#,
        new: r#"{"name":"a","paramStructure":"by-position","params":[],"x-params":{"type":"array","items":{"type":"integer"}}}"#,
        forward: &[
            "a: params: accepts other values: the schema of all params together was added; breaks callers and implementers",
        ],
        backward: &[
            "a: params: accepts other values: the schema of all params together was removed; breaks callers and implementers",
        ],
    },
    Row {
        what: "result",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","params":[],"result":{"name":"r","schema":{"type":"null"}}}"#,
        forward: &["a: result added; breaks implementers"],
        backward: &["a: result removed; breaks callers"],
    },
    Row {
        what: "errors",
        old: r#"{"name":"a","params":[],"errors":[{"code":1,"message":"one"},{"code":2,"message":"two"}]}"#,
        new: r#"{"name":"a","params":[],"errors":[{"code":2,"message":"zwei"},{"code":30,"message":"three"}]}"#,
        forward: &[
            "a: error 1: removed: `one`",
            "a: error 2: message changed: `two` -> `zwei`",
            "a: error 30: added: `three`",
        ],
        backward: &[
            "a: error 1: added: `one`",
            "a: error 2: message changed: `zwei` -> `two`",
            "a: error 30: removed: `three`",
        ],
    },
    Row {
        what: "data of errors",
        old: r#"{"name":"a","params":[],"errors":[{"code":1,"message":"one"}],"x-error-data":{"1":{"type":"integer"}}}"#,
        new: r#"{"name":"a","params":[],"errors":[{"code":1,"message":"one"}],"x-error-data":{"1":{"type":"number"}}}"#,
        forward: &["a: data of error 1: sends more: integer -> number; breaks callers"],
        backward: &["a: data of error 1: sends less: number -> integer; breaks implementers"],
    },
    Row {
        what: "data of errors, as a value",
        old: r#"{"name":"a","params":[],"errors":[{"code":1,"message":"one"},{"code":1,"message":"uno","data":"x"}]}"#,
        new: r#"{"name":"a","params":[],"errors":[{"code":1,"message":"one","data":"x"},{"code":1,"message":"uno","data":"y"}]}"#,
        forward: &[
            r#"a: data of error 1: sends less: any value -> "x" or "y"; breaks implementers"#,
        ],
        backward: &[r#"a: data of error 1: sends more: "x" or "y" -> any value; breaks callers"#],
    },
    Row {
        what: "subscription",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","params":[],"x-subscription":{"notification":"n","unsubscribe":"u","item":{}}}"#,
        forward: &["a: is now a subscription; breaks callers and implementers"],
        backward: &["a: is no longer a subscription; breaks callers and implementers"],
    },
    Row {
        what: "names of a subscription",
        old: r#"{"name":"a","params":[],"x-subscription":{"notification":"n","unsubscribe":"u","item":{"type":"integer"}}}"#,
        new: r#"{"name":"a","params":[],"x-subscription":{"notification":"m","unsubscribe":"v","item":{"type":"string"},"resume":true}}"#,
        forward: &[
            "a: item: sends other values: integer -> string; breaks callers and implementers",
            r#"a: subscription changed: notification: "n" -> "m"; breaks callers and implementers"#,
            "a: subscription changed: can be resumed; breaks implementers",
            r#"a: subscription changed: unsubscribe: "u" -> "v"; breaks callers and implementers"#,
        ],
        backward: &[
            "a: item: sends other values: string -> integer; breaks callers and implementers",
            r#"a: subscription changed: notification: "m" -> "n"; breaks callers and implementers"#,
            "a: subscription changed: can no longer be resumed; breaks callers",
            r#"a: subscription changed: unsubscribe: "v" -> "u"; breaks callers and implementers"#,
        ],
    },
    Row {
        what: "progress",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","params":[],"x-progress":{"type":"number"}}"#,
        forward: &["a: reports progress; breaks implementers"],
        backward: &["a: no longer reports progress; breaks callers"],
    },
    Row {
        what: "type of progress",
        old: r#"{"name":"a","params":[],"x-progress":{"type":"number"}}"#,
        new: r#"{"name":"a","params":[],"x-progress":{"type":"integer"}}"#,
        forward: &["a: progress: sends less: number -> integer; breaks implementers"],
        backward: &["a: progress: sends more: integer -> number; breaks callers"],
    },
    Row {
        what: "promises",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","params":[],"x-idempotent":true,"x-ordered":true,"x-cancel":"drop"}"#,
        forward: &[
            "a: is now idempotent; breaks implementers",
            "a: is now ordered; breaks implementers",
            r#"a: effect of cancellation changed: none -> "drop"; breaks implementers"#,
        ],
        backward: &[
            "a: is no longer idempotent; breaks callers",
            "a: is no longer ordered; breaks callers",
            r#"a: effect of cancellation changed: "drop" -> none; breaks callers"#,
        ],
    },
    Row {
        what: "effect of cancellation",
        old: r#"{"name":"a","params":[],"x-cancel":"drop"}"#,
        new: r#"{"name":"a","params":[],"x-cancel":"finish"}"#,
        forward: &[
            r#"a: effect of cancellation changed: "drop" -> "finish"; breaks callers and implementers"#,
        ],
        backward: &[
            r#"a: effect of cancellation changed: "finish" -> "drop"; breaks callers and implementers"#,
        ],
    },
    Row {
        what: "deprecated",
        old: r#"{"name":"a","params":[]}"#,
        new: r#"{"name":"a","params":[],"deprecated":true}"#,
        forward: &["a: is now deprecated"],
        backward: &["a: is no longer deprecated"],
    },
    Row {
        what: "documentation",
        old: r#"{"name":"a","summary":"Adds.","params":[{"name":"x","schema":{"title":"X"}}],"result":{"name":"r","schema":{}}}"#,
        new: r#"{"name":"a","description":"Adds.","tags":[],"params":[{"name":"x","summary":"A number.","schema":{"title":"Y"}}],"result":{"name":"s","schema":{}}}"#,
        forward: &[
            "a: documentation changed: description, name of the result, summary, summary of param `x` and tags",
        ],
        backward: &[
            "a: documentation changed: description, name of the result, summary, summary of param `x` and tags",
        ],
    },
    Row {
        what: "unknown members",
        old: r#"{"name":"a","params":[],"x-role":"admin"}"#,
        new: r#"{"name":"a","params":[],"x-role":"user","later":1}"#,
        forward: &["a: `later`: changed", "a: `x-role`: changed"],
        backward: &["a: `later`: changed", "a: `x-role`: changed"],
    },
    Row {
        what: "a member that is added to params or a result",
        old: r#"{"name":"a","params":[{"name":"x","schema":{"type":"object","properties":{"a":{}},"required":["a"]}}],"result":{"name":"r","schema":{"type":"object","properties":{"a":{}},"required":["a"]}}}"#,
        new: r#"{"name":"a","params":[{"name":"x","schema":{"type":"object","properties":{"a":{},"b":{"type":"string"},"c":{}},"required":["a","c"]}}],"result":{"name":"r","schema":{"type":"object","properties":{"a":{},"b":{"type":"string"},"c":{}},"required":["a","c"]}}}"#,
        forward: &[
            "a: param `x`.b: added: optional, string; breaks implementers",
            "a: param `x`.c: added: required, any value; breaks callers and implementers",
            "a: result.b: added: optional, string",
            "a: result.c: added: required, any value; breaks implementers",
        ],
        backward: &[
            "a: param `x`.b: removed: optional, string; breaks callers",
            "a: param `x`.c: removed: required, any value; breaks callers and implementers",
            "a: result.b: removed: optional, string",
            "a: result.c: removed: required, any value; breaks callers",
        ],
    },
    Row {
        what: "the same where other members are rejected",
        old: r#"{"name":"a","params":[{"name":"x","schema":{"type":"object","additionalProperties":false}}],"result":{"name":"r","schema":{"type":"object","additionalProperties":false}}}"#,
        new: r#"{"name":"a","params":[{"name":"x","schema":{"type":"object","properties":{"b":{"type":"string"}},"additionalProperties":false}}],"result":{"name":"r","schema":{"type":"object","properties":{"b":{"type":"string"}},"additionalProperties":false}}}"#,
        forward: &[
            "a: param `x`.b: added: optional, string; breaks implementers",
            "a: result.b: added: optional, string; breaks callers",
        ],
        backward: &[
            "a: param `x`.b: removed: optional, string; breaks callers",
            "a: result.b: removed: optional, string; breaks implementers",
        ],
    },
];

#[test]
fn each_change_of_a_method_is_found_in_both_directions() {
    let wrong: Vec<String> = ROWS
        .iter()
        .filter_map(|row| {
            let (old, new) = (document(row.old, ""), document(row.new, ""));
            check(row.what, (&old, &new), (row.forward, row.backward))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_rows_contain_every_kind() {
    let mut seen = HashSet::new();
    for row in ROWS {
        let (old, new) = (document(row.old, ""), document(row.new, ""));
        seen.extend(compare(&old, &new).iter().map(|change| change.kind));
        seen.extend(compare(&new, &old).iter().map(|change| change.kind));
    }
    for kind in [
        ChangeKind::MethodRemoved,
        ChangeKind::MethodAdded,
        ChangeKind::MethodRenamed,
        ChangeKind::AliasRemoved,
        ChangeKind::AliasAdded,
        ChangeKind::ImplementedByChanged,
        ChangeKind::ParamStructureChanged,
        ChangeKind::ParamAdded,
        ChangeKind::ParamRemoved,
        ChangeKind::ParamRenamed,
        ChangeKind::ParamsReordered,
        ChangeKind::ParamRequired,
        ChangeKind::ParamOptional,
        ChangeKind::DefaultChanged,
        ChangeKind::TypeNarrowed,
        ChangeKind::TypeWidened,
        ChangeKind::TypeChanged,
        ChangeKind::MemberAdded,
        ChangeKind::MemberRemoved,
        ChangeKind::MemberRequired,
        ChangeKind::MemberOptional,
        ChangeKind::ResultAdded,
        ChangeKind::ResultRemoved,
        ChangeKind::ErrorAdded,
        ChangeKind::ErrorRemoved,
        ChangeKind::ErrorMessageChanged,
        ChangeKind::SubscriptionAdded,
        ChangeKind::SubscriptionRemoved,
        ChangeKind::SubscriptionChanged,
        ChangeKind::ProgressAdded,
        ChangeKind::ProgressRemoved,
        ChangeKind::IdempotentAdded,
        ChangeKind::IdempotentRemoved,
        ChangeKind::OrderedAdded,
        ChangeKind::OrderedRemoved,
        ChangeKind::CancelChanged,
        ChangeKind::Deprecated,
        ChangeKind::Undeprecated,
        ChangeKind::ExtensionChanged,
        ChangeKind::Documentation,
    ] {
        assert!(seen.contains(&kind), "{kind:?}");
    }
}

#[test]
fn a_change_says_what_it_is_in_fields_too() {
    let old = document(r#"{"name": "a", "params": []}"#, "");
    let new = document(r#"{"name": "a", "params": [{"name": "x", "schema": {}}]}"#, "");
    let changes = compare(&old, &new);
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!(change.method.as_deref(), Some("a"));
    assert_eq!(change.at, "param `x`");
    assert_eq!(change.kind, ChangeKind::ParamAdded);
    assert_eq!(change.detail, "optional, any value");
    assert!(change.is_breaking() && change.breaks_implementers && !change.breaks_callers);
}

#[test]
fn references_to_methods_params_results_and_errors_are_followed() {
    let text = r##"{
        "openrpc": "1.2.6",
        "info": {"title": "Test", "version": "1.0.0"},
        "methods": [{"$ref": "#/components/methods/a"}],
        "components": {
            "methods": {"a": {
                "name": "a",
                "params": [{"$ref": "#/components/contentDescriptors/X"}],
                "result": {"$ref": "#/components/contentDescriptors/R"},
                "errors": [{"$ref": "#/components/errors/E"}]
            }},
            "contentDescriptors": {
                "X": {"name": "x", "required": true, "schema": {"type": "integer"}},
                "R": {"name": "r", "schema": {"$ref": "#/components/contentDescriptors/X/schema"}}
            },
            "errors": {"E": {"code": 7, "message": "seven"}}
        }
    }"##;
    let old = text.parse().unwrap();
    let new = text
        .replace(
            r#""required": true, "schema": {"type": "integer"}"#,
            r#""schema": {"type": "number"}"#,
        )
        .replace("seven", "sieben")
        .parse()
        .unwrap();
    let wrong = check(
        "references",
        (&old, &new),
        (
            &[
                "a: param `x`: is now optional; breaks implementers",
                "a: param `x`: accepts more: integer -> number; breaks implementers",
                "a: result: returns more: integer -> number; breaks callers",
                "a: error 7: message changed: `seven` -> `sieben`",
            ],
            &[
                "a: param `x`: is now required; breaks callers",
                "a: param `x`: accepts less: number -> integer; breaks callers",
                "a: result: returns less: number -> integer; breaks implementers",
                "a: error 7: message changed: `sieben` -> `seven`",
            ],
        ),
    );
    assert_eq!(wrong, None);
}

#[test]
fn texts_about_the_document_are_one_change() {
    let old = r#"{"openrpc": "1.3.2", "info": {"title": "T", "version": "1"}, "methods": []}"#;
    let new = r#"{"openrpc": "1.4.1", "info": {"title": "T", "version": "2"}, "methods": [],
        "servers": [{"name": "s", "url": "wss://example.com"}], "components": {"schemas": {}}}"#;
    let (old, new) = (old.parse().unwrap(), new.parse().unwrap());
    let line = ["document: documentation changed: info, openrpc and servers"];
    assert_eq!(check("document", (&old, &new), (&line, &line)), None);
}

#[test]
fn a_line_stays_one_line() {
    let old = document(r#"{"name": "a\nb", "params": []}"#, "");
    let name = r"n\u001b[31m".repeat(100);
    let new = document(&format!(r#"{{"name": "{name}", "params": []}}, {{"name": "c"}}"#), "");
    for change in compare(&old, &new).into_iter().chain(compare(&new, &old)) {
        let line = change.to_string();
        assert!(line.chars().count() < 300 && !line.contains(char::is_control), "{line:?}");
    }
}

//! Documents that are wrong, recursive or made to take long.

use serde_json::{Value, json};
use wsjsonrpc::openrpc::{ChangeKind, Document, compare};

use super::document;

fn parse(value: &Value) -> Document {
    value.to_string().parse().unwrap()
}

fn with_schemas(schema: &Value, schemas: &Value) -> Document {
    parse(&json!({
        "openrpc": "1.3.2",
        "info": {"title": "Test", "version": "1.0.0"},
        "methods": [{"name": "m", "params": [{"name": "x", "schema": schema}]}],
        "components": {"schemas": schemas},
    }))
}

fn reference(name: impl std::fmt::Display) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

#[test]
fn any_json_in_any_place_is_compared() {
    let odd = [
        "null",
        "true",
        "5",
        r#""text""#,
        "[]",
        "{}",
        "[[]]",
        r##"{"$ref": 5}"##,
        r##"{"$ref": "#"}"##,
        r##"{"$ref": "#/%ff/%zz/%"}"##,
        r##"{"$ref": "#/methods/0"}"##,
    ];
    let method = [
        "ODD",
        r#"{"name": ODD, "params": []}"#,
        r#"{"name": "m", "params": ODD, "result": ODD, "errors": ODD, "x-aliases": ODD}"#,
        r#"{"name": "m", "params": [ODD], "result": {"schema": ODD}, "errors": [ODD]}"#,
        r#"{"name": "m", "params": [{"name": ODD, "required": ODD, "schema": ODD}]}"#,
        r#"{"name": "m", "errors": [{"code": ODD, "message": ODD, "data": ODD}], "deprecated": ODD}"#,
        r#"{"name": "m", "paramStructure": ODD, "x-params": ODD, "x-implemented-by": ODD}"#,
        r#"{"name": "m", "x-subscription": ODD, "x-progress": ODD, "x-error-data": ODD}"#,
        r#"{"name": "m", "x-subscription": {"item": ODD, "resume": ODD}, "x-cancel": ODD}"#,
        r#"{"name": "m", "x-error-data": {"1": ODD, "x": ODD}, "x-aliases": [ODD, "m"]}"#,
        r#"{"name": "m", "x-params": {"type": ODD, "enum": ODD, "format": ODD, "minimum": ODD}}"#,
        r#"{"name": "m", "x-params": {"anyOf": ODD, "allOf": ODD, "not": ODD, "oneOf": ODD}}"#,
        r#"{"name": "m", "x-params": {"type": "object", "properties": ODD, "required": ODD,
            "additionalProperties": ODD, "patternProperties": ODD, "propertyNames": ODD,
            "minProperties": ODD}}"#,
        r#"{"name": "m", "x-params": {"type": "array", "items": ODD, "minItems": ODD,
            "maxItems": ODD, "uniqueItems": ODD, "additionalItems": ODD, "prefixItems": ODD}}"#,
        r#"{"name": "m", "x-params": {"type": "string", "minLength": ODD, "pattern": ODD,
            "const": ODD, "multipleOf": ODD, "exclusiveMinimum": ODD}}"#,
    ];
    let mut compared = 0;
    for template in method {
        let documents: Vec<Document> =
            odd.iter().map(|odd| document(&template.replace("ODD", odd), "")).collect();
        for one in &documents {
            for other in &documents {
                let (forward, backward) = (compare(one, other), compare(other, one));
                assert_eq!(forward.len(), backward.len(), "{one:#} {other:#}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, method.len() * odd.len() * odd.len());
}

/// Each type refers to the next one.
#[test]
fn a_long_chain_of_types_is_followed_to_its_end() {
    let chain = |end: &str| {
        let mut schemas = serde_json::Map::new();
        for at in 0..3_000 {
            let next = reference(at + 1);
            schemas.insert(at.to_string(), json!({"type": "array", "items": next}));
        }
        schemas.insert("3000".to_owned(), json!({"type": end}));
        with_schemas(&reference(0), &Value::Object(schemas))
    };
    let changes = compare(&chain("integer"), &chain("number"));
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].kind, ChangeKind::TypeWidened);
    assert!(changes[0].at.ends_with("[][][]"));
}

/// Each of the types refers to all others, so that there are more paths than any program can follow.
#[test]
fn types_that_refer_to_each_other_are_compared_once() {
    let web = |last: &str| {
        let mut schemas = serde_json::Map::new();
        for at in 0..40 {
            let mut properties: serde_json::Map<_, _> =
                (0..40).map(|other| (format!("to{other}"), reference(other))).collect();
            if at == 39 {
                properties.insert("value".to_owned(), json!({"type": last}));
            }
            schemas.insert(at.to_string(), json!({"type": "object", "properties": properties}));
        }
        with_schemas(&reference(0), &Value::Object(schemas))
    };
    let changes = compare(&web("integer"), &web("number"));
    assert_eq!(changes.len(), 1);
    assert_eq!(changes[0].at, "param `x`.to39.value");
}

/// Each type contains the next one twice.
#[test]
fn combinations_that_double_are_resolved_once() {
    for keyword in ["allOf", "anyOf", "oneOf"] {
        let doubling = |end: &str| {
            let mut schemas = serde_json::Map::new();
            for at in 0..60 {
                let next = reference(at + 1);
                schemas.insert(at.to_string(), json!({keyword: [next, next]}));
            }
            schemas.insert("60".to_owned(), json!({"type": end}));
            with_schemas(&reference(0), &Value::Object(schemas))
        };
        let changes = compare(&doubling("integer"), &doubling("number"));
        assert_eq!(changes.len(), 1, "{keyword}");
        assert_eq!(changes[0].kind, ChangeKind::TypeWidened, "{keyword}");
    }
}

/// No alternative has a name or a member that distinguishes it.
#[test]
fn a_union_of_many_similar_objects_ends_with_changes() {
    let union = |offset: usize| {
        let branches: Vec<Value> = (0..300)
            .map(|at| {
                let deep =
                    json!({"type": "array", "items": {"type": "integer", "minimum": at + offset}});
                json!({"type": "object", "properties": {"value": deep}})
            })
            .collect();
        with_schemas(&json!({"anyOf": branches}), &json!({}))
    };
    let changes = compare(&union(0), &union(2));
    // The last two are new, the first two are gone.
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0].kind, ChangeKind::TypeChanged);
    assert!(changes[0].is_breaking());
}

/// A comparison that would take too long reports that it breaks both.
#[test]
fn what_is_too_complex_counts_as_breaking() {
    let huge = |name: &str| {
        let branches: Vec<Value> = (0..450)
            .map(|at| json!({"type": "object", "properties": {format!("{name}{at}"): {}}}))
            .collect();
        let properties: serde_json::Map<_, _> =
            (0..8).map(|at| (format!("p{at}"), json!({"anyOf": branches, "title": at}))).collect();
        with_schemas(&json!({"type": "object", "properties": properties}), &json!({}))
    };
    let changes = compare(&huge("a"), &huge("b"));
    let last = changes.last().map(ToString::to_string);
    let line = "m: param `x`: accepts other values: too complex to compare; breaks callers and implementers";
    assert_eq!(last.as_deref(), Some(line));
}

#[test]
fn a_change_in_a_very_large_union_breaks_both() {
    let union = |word: &str, count: usize, first: usize| {
        let names = (first..first + count).map(|at| format!("k{at}"));
        let alternatives: Vec<Value> =
            names.map(|name| json!({"type": "object", "required": [name]})).collect();
        with_schemas(&json!({ word: alternatives }), &json!({}))
    };
    for word in ["anyOf", "oneOf"] {
        for (old, new) in [((500, 0), (500, 9000)), ((501, 0), (500, 0)), ((2000, 0), (2000, 1))] {
            let (old, new) = (union(word, old.0, old.1), union(word, new.0, new.1));
            let changes = compare(&old, &new);
            assert!(changes.iter().any(|change| change.breaks_callers), "{changes:?}");
            assert!(changes.iter().any(|change| change.breaks_implementers), "{changes:?}");
            assert_eq!(compare(&old, &old), []);
        }
    }
}

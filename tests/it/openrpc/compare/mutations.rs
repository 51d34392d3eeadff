//! Random changes of a document: what is equal has no changes, and comparing the other way round
//! gives the opposite.

use serde_json::{Map, Value, json};
use wsjsonrpc::openrpc::{Change, ChangeKind, Document, compare};

use super::Random;

/// A document with everything that the comparison knows.
const BASE: &str = r##"{
    "openrpc": "1.3.2",
    "info": {"title": "Shop", "version": "1.0.0"},
    "methods": [
        {
            "name": "shop.find",
            "summary": "Finds articles.",
            "x-aliases": ["find"],
            "params": [
                {"name": "filter", "required": true, "schema": {"$ref": "#/components/schemas/Filter"}},
                {"name": "limit", "required": false,
                    "schema": {"type": "integer", "format": "uint32", "minimum": 0, "default": 10}}
            ],
            "result": {"name": "result",
                "schema": {"type": "array", "items": {"$ref": "#/components/schemas/Article"}}},
            "errors": [{"code": 1, "message": "no such article"}, {"code": 2, "message": "busy"}],
            "x-error-data": {"1": {"type": "object", "properties": {"id": {"type": "string"}}}},
            "x-idempotent": true,
            "x-progress": {"type": "number", "minimum": 0, "maximum": 1}
        },
        {
            "name": "shop.watch",
            "paramStructure": "by-position",
            "params": [{"name": "ids", "required": true,
                "schema": {"type": "array", "items": {"type": "string", "format": "uuid"},
                    "minItems": 1, "maxItems": 20}}],
            "result": {"name": "result", "schema": {"type": ["string", "integer"]}},
            "x-subscription": {"notification": "shop.news", "unsubscribe": "shop.unwatch",
                "item": {"$ref": "#/components/schemas/Event"}, "resume": true},
            "x-ordered": true
        },
        {
            "name": "shop.configure",
            "paramStructure": "by-name",
            "params": [{"name": "open", "required": true, "schema": {"type": "boolean"}}],
            "x-params": {"type": "object", "required": ["open"],
                "properties": {"open": {"type": "boolean"}}, "additionalProperties": false},
            "x-cancel": "drop",
            "deprecated": true
        },
        {
            "name": "page.alert",
            "x-implemented-by": ["client"],
            "params": [{"name": "text", "required": true, "schema": {"type": "string", "minLength": 1}}]
        }
    ],
    "components": {"schemas": {
        "Filter": {"type": "object", "properties": {
            "word": {"type": "string", "maxLength": 100},
            "price": {"type": "number", "exclusiveMinimum": 0},
            "kind": {"type": "string", "enum": ["book", "film", "game"]},
            "not": {"anyOf": [{"$ref": "#/components/schemas/Filter"}, {"type": "null"}]}
        }},
        "Article": {"type": "object", "required": ["id", "price"], "properties": {
            "id": {"type": "string", "format": "uuid"},
            "price": {"allOf": [{"$ref": "#/components/schemas/Money"}], "description": "Net."},
            "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            "size": {"type": "array", "items": [{"type": "integer"}, {"type": "integer"}],
                "minItems": 2, "maxItems": 2}
        }},
        "Money": {"type": "object", "required": ["cents", "currency"], "properties": {
            "cents": {"type": "integer", "format": "int64"},
            "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}
        }},
        "Event": {"oneOf": [
            {"type": "object", "required": ["type", "article"], "properties": {
                "type": {"type": "string", "const": "added"},
                "article": {"$ref": "#/components/schemas/Article"}}},
            {"type": "object", "required": ["type", "id"], "properties": {
                "type": {"type": "string", "const": "sold"},
                "id": {"type": "string", "format": "uuid"},
                "price": {"anyOf": [{"$ref": "#/components/schemas/Money"}, {"type": "null"}]}}}
        ]}
    }}
}"##;

fn base() -> Value {
    serde_json::from_str(BASE).unwrap()
}

fn parse(value: &Value) -> Document {
    value.to_string().parse().unwrap()
}

/// The JSON pointers of all values for which the condition holds.
fn pointers(value: &Value, holds: fn(&Value) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = vec![(String::new(), value)];
    while let Some((pointer, value)) = rest.pop() {
        match value {
            Value::Object(members) => {
                let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
                rest.extend(
                    members.iter().map(|(key, v)| (format!("{pointer}/{}", escape(key)), v)),
                );
            }
            Value::Array(elements) => {
                rest.extend(
                    elements.iter().enumerate().map(|(at, v)| (format!("{pointer}/{at}"), v)),
                );
            }
            _ => {}
        }
        if holds(value) {
            found.push(pointer);
        }
    }
    found.sort_unstable();
    found
}

fn is_schema(value: &Value) -> bool {
    ["type", "$ref", "anyOf", "oneOf", "allOf"].iter().any(|key| {
        value.get(key).is_some_and(|found| found.is_string() || found.is_array() && *key != "type")
    })
}

/// Changes one schema, one param, one method or one member.
fn mutate(document: &mut Value, random: &mut Random) {
    let schemas = [
        json!({"type": "string"}),
        json!({"type": "integer", "format": "int32"}),
        json!({"type": "number"}),
        json!({"type": ["string", "null"]}),
        json!({"type": "array", "items": {"type": "integer"}}),
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
        json!({"enum": ["book", "film"]}),
        json!({"$ref": "#/components/schemas/Money"}),
        json!({"$ref": "#/components/schemas/Filter"}),
        json!({"not": {"type": "integer"}}),
        json!({"anyOf": [{"type": "integer"}, {"$ref": "#/components/schemas/Money"}]}),
        json!({}),
        json!(false),
    ];
    match random.below(6) {
        0 | 1 => {
            let places = pointers(&document["methods"], is_schema);
            let components = pointers(&document["components"], is_schema);
            let in_methods = places.iter().map(|place| format!("/methods{place}"));
            let places: Vec<String> =
                in_methods.chain(components.iter().map(|p| format!("/components{p}"))).collect();
            let place = random.one_of(&places).clone();
            *document.pointer_mut(&place).unwrap() = random.one_of(&schemas).clone();
        }
        2 => {
            let places =
                pointers(document, |value| value.get("properties").is_some_and(Value::is_object));
            let place = random.one_of(&places).clone();
            let object = document.pointer_mut(&place).unwrap();
            let names: Vec<String> =
                object["properties"].as_object().unwrap().keys().cloned().collect();
            match random.below(4) {
                0 => {
                    object["properties"][format!("new{}", random.below(3))] =
                        random.one_of(&schemas).clone()
                }
                1 if !names.is_empty() => {
                    object["properties"].as_object_mut().unwrap().remove(random.one_of(&names));
                }
                2 => object["required"] = json!(names[..random.below(names.len() + 1)]),
                _ => object["additionalProperties"] = json!(random.below(2) == 0),
            }
        }
        3 => {
            let at = random.below(document["methods"].as_array().unwrap().len());
            let Some(params) = document["methods"][at]["params"].as_array_mut() else { return };
            match random.below(4) {
                0 if !params.is_empty() => {
                    params.remove(random.below(params.len()));
                }
                1 => params.insert(
                    random.below(params.len() + 1),
                    json!({"name": "added", "required": random.below(2) == 0,
                        "schema": random.one_of(&schemas).clone()}),
                ),
                2 => params.reverse(),
                _ => {
                    if let Some(param) = params.first_mut() {
                        param["required"] = json!(random.below(2) == 0);
                    }
                }
            }
        }
        4 => {
            let methods = document["methods"].as_array_mut().unwrap();
            let at = random.below(methods.len());
            match random.below(6) {
                0 if methods.len() > 1 => {
                    methods.remove(at);
                }
                1 => methods.push(json!({"name": format!("new{}", random.below(3)), "params": []})),
                2 => {
                    methods[at]["paramStructure"] =
                        json!(random.one_of(&["either", "by-name", "by-position"]))
                }
                3 => {
                    methods[at].as_object_mut().unwrap().remove("result");
                }
                4 => methods[at]["x-aliases"] = json!([format!("alias{}", random.below(3))]),
                _ => methods[at]["errors"] = json!([{"code": random.below(4), "message": "m"}]),
            }
        }
        _ => {
            let at = random.below(document["methods"].as_array().unwrap().len());
            let method = document["methods"][at].as_object_mut().unwrap();
            let members = [
                "x-idempotent",
                "x-ordered",
                "x-cancel",
                "x-progress",
                "x-subscription",
                "deprecated",
                "x-error-data",
                "x-params",
                "summary",
                "x-implemented-by",
            ];
            let member = random.one_of(&members);
            match method.remove(*member) {
                Some(_) => {}
                None => {
                    let value = match *member {
                        "x-progress" => random.one_of(&schemas).clone(),
                        "x-cancel" => json!("drop"),
                        "summary" => json!("Text."),
                        "x-implemented-by" => json!(["client"]),
                        "x-error-data" => json!({"2": random.one_of(&schemas)}),
                        "x-params" | "x-subscription" => json!({"item": random.one_of(&schemas)}),
                        _ => json!(true),
                    };
                    method.insert((*member).to_owned(), value);
                }
            }
        }
    }
}

/// The kind of a change when the documents are compared the other way round.
fn mirrored(kind: ChangeKind) -> ChangeKind {
    const PAIRS: [(ChangeKind, ChangeKind); 14] = [
        (ChangeKind::MethodRemoved, ChangeKind::MethodAdded),
        (ChangeKind::AliasRemoved, ChangeKind::AliasAdded),
        (ChangeKind::ParamAdded, ChangeKind::ParamRemoved),
        (ChangeKind::ParamRequired, ChangeKind::ParamOptional),
        (ChangeKind::TypeNarrowed, ChangeKind::TypeWidened),
        (ChangeKind::MemberAdded, ChangeKind::MemberRemoved),
        (ChangeKind::MemberRequired, ChangeKind::MemberOptional),
        (ChangeKind::ResultAdded, ChangeKind::ResultRemoved),
        (ChangeKind::ErrorAdded, ChangeKind::ErrorRemoved),
        (ChangeKind::SubscriptionAdded, ChangeKind::SubscriptionRemoved),
        (ChangeKind::ProgressAdded, ChangeKind::ProgressRemoved),
        (ChangeKind::IdempotentAdded, ChangeKind::IdempotentRemoved),
        (ChangeKind::OrderedAdded, ChangeKind::OrderedRemoved),
        (ChangeKind::Deprecated, ChangeKind::Undeprecated),
    ];
    for (one, other) in PAIRS {
        if kind == one {
            return other;
        }
        if kind == other {
            return one;
        }
    }
    kind
}

/// What must be the same in both directions, sorted.
fn outline(changes: &[Change], backward: bool) -> Vec<String> {
    let params_renamed = changes.iter().any(|change| change.kind == ChangeKind::ParamRenamed);
    let mut lines: Vec<String> = changes
        .iter()
        .map(|change| {
            let (callers, implementers) = match backward {
                true => (change.breaks_implementers, change.breaks_callers),
                false => (change.breaks_callers, change.breaks_implementers),
            };
            let kind = if backward { mirrored(change.kind) } else { change.kind };
            // The names before and after renaming differ.
            let method_renamed = kind == ChangeKind::MethodRenamed;
            let method = change.method.as_deref().filter(|_| !method_renamed);
            // So do the names of types.
            let parts =
                change.at.split('(').map(|part| part.split_once(')').map_or(part, |two| two.1));
            let at = parts.collect::<String>();
            let at = Some(at).filter(|at| !(params_renamed && at.starts_with("param")));
            format!("{method:?} {at:?} {kind:?} {callers} {implementers}")
        })
        .collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_other_way_round_is_the_opposite() {
    let mut random = Random(17);
    let mut changed = 0;
    for run in 0..400 {
        let mut one = base();
        for _ in 0..random.below(3) {
            mutate(&mut one, &mut random);
        }
        let mut other = one.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut other, &mut random);
        }
        let (one, other) = (parse(&one), parse(&other));
        let (forward, backward) = (compare(&one, &other), compare(&other, &one));
        assert_eq!(
            outline(&forward, false),
            outline(&backward, true),
            "run {run}: {one:#}\n{other:#}"
        );
        changed += usize::from(!forward.is_empty());
    }
    assert!(changed > 250, "only {changed} mutations changed anything");
}

/// Adds texts to all schemas and gives all types other names. Another version keeps the two documents
/// from being equal.
fn disguised(document: &Value) -> Value {
    fn annotate(value: &mut Value) {
        match value {
            Value::Object(members) => {
                let schema = is_schema(&Value::Object(members.clone()));
                members.values_mut().for_each(annotate);
                if schema {
                    members.insert("title".to_owned(), json!("A title"));
                    members.insert("examples".to_owned(), json!([1, "a"]));
                    members.insert("$comment".to_owned(), json!("A comment."));
                }
            }
            Value::Array(elements) => elements.iter_mut().for_each(annotate),
            _ => {}
        }
    }
    let mut disguised = document.clone();
    for member in ["methods", "components"] {
        annotate(&mut disguised[member]);
    }
    let text = disguised.to_string().replace("#/components/schemas/", "#/components/schemas/Other");
    let mut disguised: Value = serde_json::from_str(&text).unwrap();
    let schemas = disguised["components"]["schemas"].as_object_mut().unwrap();
    let renamed: Map<String, Value> = std::mem::take(schemas)
        .into_iter()
        .map(|(name, schema)| (format!("Other{name}"), schema))
        .collect();
    *schemas = renamed;
    disguised["info"]["version"] = json!("1.0.1");
    disguised
}

#[test]
fn texts_and_names_of_types_are_no_changes() {
    let mut random = Random(4);
    for run in 0..200 {
        let mut document = base();
        for _ in 0..random.below(6) {
            mutate(&mut document, &mut random);
        }
        assert_eq!(compare(&parse(&document), &parse(&document)), [], "run {run}");
        let other = disguised(&document);
        let changes = compare(&parse(&document), &parse(&other));
        let lines: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(lines, ["document: documentation changed: info"], "run {run} {document:#}");
    }
}

/// What is found in a document is found in its disguise.
#[test]
fn changes_are_found_in_spite_of_other_names() {
    let mut random = Random(99);
    for run in 0..200 {
        let one = base();
        let mut other = one.clone();
        mutate(&mut other, &mut random);
        let summary = |changes: Vec<Change>| -> Vec<(ChangeKind, bool, bool)> {
            let changes = changes.into_iter().filter(|change| change.method.is_some());
            changes
                .map(|change| (change.kind, change.breaks_callers, change.breaks_implementers))
                .collect()
        };
        let plain = summary(compare(&parse(&one), &parse(&other)));
        let hidden = summary(compare(&parse(&one), &parse(&disguised(&other))));
        assert_eq!(plain, hidden, "run {run} {other:#}");
    }
}

#[test]
fn random_values_in_random_places_do_no_harm() {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!("text"),
        json!([]),
        json!({}),
        json!({"$ref": "#/components/schemas/Money"}),
        json!({"$ref": "#/nowhere"}),
        json!({"$ref": "#"}),
        json!(["string", 3]),
        json!({"allOf": [{"$ref": "#/components/schemas/Filter"}, 3]}),
    ];
    let mut random = Random(5);
    for run in 0..400 {
        let mut other = base();
        for _ in 0..=random.below(3) {
            let places = pointers(&other["methods"], |_| true);
            let in_components = pointers(&other["components"], |_| true);
            let place = match random.below(2) {
                0 => format!("/methods{}", random.one_of(&places)),
                _ => format!("/components{}", random.one_of(&in_components)),
            };
            if place != "/methods" {
                *other.pointer_mut(&place).unwrap() = random.one_of(&values).clone();
            }
        }
        let (one, other) = (parse(&base()), parse(&other));
        let (forward, backward) = (compare(&one, &other), compare(&other, &one));
        assert_eq!(outline(&forward, false), outline(&backward, true), "run {run}: {other:#}");
    }
}

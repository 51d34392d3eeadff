//! What the comparison says about two schemas, checked with values: if the new schema does not accept
//! less, it accepts every value that the old one accepts.

use serde_json::{Map, Value, json};
use wsjsonrpc::openrpc::{Change, ChangeKind, Document, compare};

use super::Random;

const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];

/// A schema with the keywords that `accepts` knows.
fn schema(random: &mut Random, depth: usize) -> Value {
    let mut keywords = Map::new();
    let mut set = |key: &str, value: Value| {
        keywords.insert(key.to_owned(), value);
    };
    match random.below(if depth == 0 { 5 } else { 13 }) {
        0 => set("type", json!(random.one_of(&TYPES))),
        1 => {
            set("type", json!(random.one_of(&["integer", "number"])));
            for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
                if random.below(3) == 0 {
                    set(key, json!(random.below(5)));
                }
            }
            if random.below(4) == 0 {
                set("multipleOf", json!(1 + random.below(3)));
            }
        }
        2 => {
            set("type", json!("string"));
            for key in ["minLength", "maxLength"] {
                if random.below(2) == 0 {
                    set(key, json!(random.below(4)));
                }
            }
        }
        3 => {
            let values = [json!(null), json!(true), json!(1), json!(2), json!("a"), json!("bb")];
            let some: Vec<&Value> = (0..=random.below(3)).map(|_| random.one_of(&values)).collect();
            set("enum", json!(some));
            if random.below(4) == 0 {
                set("type", json!(["string", "integer"]));
            }
        }
        4 => set("type", json!([random.one_of(&TYPES), random.one_of(&TYPES)])),
        5 | 6 => {
            if random.below(4) > 0 {
                set("type", json!("object"));
            }
            let properties: Map<String, Value> = (0..random.below(3))
                .map(|_| ((*random.one_of(&["a", "b"])).to_owned(), schema(random, depth - 1)))
                .collect();
            set("properties", Value::Object(properties));
            let required: Vec<&str> =
                ["a", "b"].into_iter().filter(|_| random.below(3) == 0).collect();
            set("required", json!(required));
            match random.below(4) {
                0 => set("additionalProperties", json!(false)),
                1 => set("additionalProperties", schema(random, depth - 1)),
                _ => {}
            }
        }
        7 | 8 => {
            set("type", json!("array"));
            match random.below(3) {
                0 => set("items", schema(random, depth - 1)),
                1 => {
                    let first: Vec<Value> =
                        (0..=random.below(2)).map(|_| schema(random, depth - 1)).collect();
                    set("items", json!(first));
                    if random.below(2) == 0 {
                        set("additionalItems", json!(random.below(2) == 0));
                    }
                }
                _ => {}
            }
            for key in ["minItems", "maxItems"] {
                if random.below(3) == 0 {
                    set(key, json!(random.below(3)));
                }
            }
        }
        9 => {
            let branches: Vec<Value> =
                (0..=random.below(3)).map(|_| schema(random, depth - 1)).collect();
            set("anyOf", json!(branches));
        }
        10 => set("oneOf", json!([schema(random, depth - 1), {"type": "null"}])),
        11 => set("allOf", json!([schema(random, depth - 1), schema(random, depth - 1)])),
        _ => {
            set("not", schema(random, depth - 1));
            if random.below(2) == 0 {
                set("type", json!("string"));
            }
        }
    }
    Value::Object(keywords)
}

/// The same schema with one part exchanged.
fn mutated(original: &Value, random: &mut Random) -> Value {
    let mut changed = original.clone();
    match &mut changed {
        Value::Object(keywords) if !keywords.is_empty() && random.below(4) > 0 => {
            let keys: Vec<String> = keywords.keys().cloned().collect();
            let key = random.one_of(&keys).clone();
            if random.below(4) == 0 {
                keywords.remove(&key);
                return changed;
            }
            let other = schema(random, 1);
            let part = &mut keywords[&key];
            match part {
                Value::Number(_) => *part = json!(1 + random.below(4)),
                Value::Bool(value) => *value = !*value,
                Value::Object(members) if key == "properties" => match random.below(2) {
                    0 => {
                        members.insert((*random.one_of(&["a", "b"])).to_owned(), other);
                    }
                    _ => {
                        let name = members.keys().next().cloned();
                        if let Some(name) = name {
                            members[&name] = mutated(&members[&name], random);
                        }
                    }
                },
                Value::Object(_) => *part = mutated(part, random),
                Value::Array(elements) if !elements.is_empty() => {
                    let at = random.below(elements.len());
                    match (elements[at].is_object(), random.below(3)) {
                        (_, 0) if elements.len() > 1 => {
                            elements.remove(at);
                        }
                        (true, 1) => elements.push(other),
                        (true, _) => elements[at] = mutated(&elements[at], random),
                        (false, _) => elements.reverse(),
                    }
                }
                _ => {}
            }
        }
        _ => return schema(random, 2),
    }
    changed
}

fn value(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 12 } else { 18 }) {
        0 | 1 => json!(null),
        2 | 3 => json!(random.below(2) == 0),
        4..=7 => json!(random.below(7)),
        8 => json!(random.below(5) as f64 + 0.5),
        9..=11 => json!("abcd"[..random.below(5)]),
        12 | 13 => (0..random.below(4)).map(|_| value(random, depth - 1)).collect(),
        _ => {
            let names = ["a", "b", "c"].into_iter().filter(|_| random.below(2) == 0);
            let names: Vec<&str> = names.collect();
            names.into_iter().map(|name| (name.to_owned(), value(random, depth - 1))).collect()
        }
    }
}

/// Validates a value against a schema, as JSON Schema defines it. The comparison takes the
/// alternatives of `oneOf` to exclude each other, and this function too.
fn accepts(schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { return *schema == Value::Bool(true) };
    let get = |key: &str| keywords.get(key);
    let schemas = |key: &str| get(key).and_then(Value::as_array).map(Vec::as_slice);
    let number = |key: &str| get(key).and_then(Value::as_f64);
    let has_type = |name: &Value| match (name.as_str().unwrap(), value) {
        ("null", Value::Null) | ("boolean", Value::Bool(_)) | ("number", Value::Number(_)) => true,
        ("string", Value::String(_)) | ("array", Value::Array(_)) => true,
        ("object", Value::Object(_)) => true,
        ("integer", Value::Number(number)) => number.as_f64().unwrap().fract() == 0.0,
        _ => false,
    };
    let of_type = match get("type") {
        Some(Value::Array(names)) => names.iter().any(has_type),
        Some(name) => has_type(name),
        None => true,
    };
    let combined = schemas("anyOf").is_none_or(|all| all.iter().any(|one| accepts(one, value)))
        && schemas("allOf").is_none_or(|all| all.iter().all(|one| accepts(one, value)))
        && schemas("oneOf").is_none_or(|all| all.iter().any(|one| accepts(one, value)))
        && get("not").is_none_or(|not| !accepts(not, value))
        && schemas("enum").is_none_or(|values| values.contains(value));
    let inside = match value {
        Value::Number(value) => {
            let value = value.as_f64().unwrap();
            number("minimum").is_none_or(|limit| value >= limit)
                && number("maximum").is_none_or(|limit| value <= limit)
                && number("exclusiveMinimum").is_none_or(|limit| value > limit)
                && number("exclusiveMaximum").is_none_or(|limit| value < limit)
                && number("multipleOf").is_none_or(|step| value % step == 0.0)
        }
        Value::String(value) => {
            let length = value.len() as f64;
            number("minLength").is_none_or(|limit| length >= limit)
                && number("maxLength").is_none_or(|limit| length <= limit)
        }
        Value::Array(elements) => {
            let length = elements.len() as f64;
            let fits = elements.iter().enumerate().all(|(at, element)| {
                let schema = match get("items") {
                    Some(Value::Array(first)) => first.get(at).or(get("additionalItems")),
                    all => all,
                };
                schema.is_none_or(|schema| accepts(schema, element))
            });
            fits && number("minItems").is_none_or(|limit| length >= limit)
                && number("maxItems").is_none_or(|limit| length <= limit)
        }
        Value::Object(members) => {
            let required = schemas("required").unwrap_or_default();
            let property = |name: &str| get("properties").and_then(|all| all.get(name));
            required.iter().all(|name| members.contains_key(name.as_str().unwrap()))
                && members.iter().all(|(name, member)| {
                    let schema = property(name).or(get("additionalProperties"));
                    schema.is_none_or(|schema| accepts(schema, member))
                })
        }
        _ => true,
    };
    of_type && combined && inside
}

fn with_param(schema: &Value) -> Document {
    json!({"openrpc": "1.3.2", "info": {"title": "Test", "version": "1.0.0"}, "methods": [
        {"name": "m", "params": [{"name": "x", "required": true, "schema": schema}]}
    ]})
    .to_string()
    .parse()
    .unwrap()
}

/// A receiver ignores members that it does not know, which JSON Schema does not say.
fn is_about_unknown_members(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::MemberAdded | ChangeKind::MemberRemoved)
}

#[test]
fn what_is_not_reported_is_not_there() {
    let mut random = Random(2026);
    let (mut checked, mut unchanged, mut one_way) = (0, 0, 0);
    for run in 0..2_000 {
        let old = schema(&mut random, 2);
        let new = mutated(&old, &mut random);
        let changes = compare(&with_param(&old), &with_param(&new));
        if changes.iter().any(is_about_unknown_members) {
            continue;
        }
        let less = changes.iter().any(|change| change.breaks_callers);
        let more = changes.iter().any(|change| change.breaks_implementers);
        unchanged += usize::from(!less && !more);
        one_way += usize::from(less != more);
        for _ in 0..60 {
            let value = value(&mut random, 2);
            let (before, after) = (accepts(&old, &value), accepts(&new, &value));
            let context = || format!("run {run}: {old} -> {new}: {value}\n{changes:#?}");
            assert!(less || !before || after, "accepts less, {}", context());
            assert!(more || before || !after, "accepts more, {}", context());
            checked += 1;
        }
    }
    assert!(
        checked > 60_000 && unchanged > 100 && one_way > 300,
        "{checked} {unchanged} {one_way}"
    );
}

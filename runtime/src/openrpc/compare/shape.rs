//! What a schema says, without `$ref`, `allOf` and annotations: its [`Shape`], and its alternatives.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet, VecDeque};

use serde_json::{Map, Value};

use super::source::Source;

/// A schema: a part of a document, or put together from such parts.
pub(super) type Schema<'a> = Cow<'a, Value>;

pub(super) type Keywords<'a> = BTreeMap<String, Schema<'a>>;

/// Keywords that do not change which values a schema accepts.
const ANNOTATIONS: [&str; 13] = [
    "title",
    "description",
    "default",
    "example",
    "examples",
    "$comment",
    "$schema",
    "deprecated",
    "readOnly",
    "writeOnly",
    "externalDocs",
    "definitions",
    "$defs",
];

/// Stands for a schema that is neither an object nor a boolean.
const NOT_A_SCHEMA: &str = "(not a schema)";

/// The most alternatives that a union is divided into.
const ALTERNATIVES: usize = 500;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape<'a> {
    /// Every value.
    Any,
    /// No value.
    Never,
    /// These values, all of one type.
    Literals(Vec<Value>),
    Keywords(Keywords<'a>),
}

/// One of the alternatives of a union. A schema that is not a union has one alternative.
#[derive(Clone, Debug)]
pub(super) struct Alternative<'a> {
    pub(super) shape: Shape<'a>,
    /// The last part of the `$ref` that leads to it.
    pub(super) name: Option<String>,
}

/// The alternatives of a schema.
pub(super) struct Union<'a> {
    pub(super) alternatives: Vec<Alternative<'a>>,
    /// The schema has more alternatives than [`ALTERNATIVES`], so it was not divided.
    pub(super) too_large: bool,
    /// A value must match exactly one of them.
    pub(super) exactly_one: bool,
    /// A `$ref` was relative to the schema.
    pub(super) scoped: bool,
    /// How many keywords were read.
    pub(super) steps: usize,
}

/// The members of an object. Empty for anything else.
pub(super) fn members<'a>(schema: &Schema<'a>) -> Vec<(String, Schema<'a>)> {
    match schema {
        Cow::Borrowed(Value::Object(members)) => {
            members.iter().map(|(key, value)| (key.clone(), Cow::Borrowed(value))).collect()
        }
        Cow::Owned(Value::Object(members)) => {
            members.iter().map(|(key, value)| (key.clone(), Cow::Owned(value.clone()))).collect()
        }
        _ => Vec::new(),
    }
}

/// The elements of a list. Empty for anything else.
pub(super) fn elements<'a>(schema: &Schema<'a>) -> Vec<Schema<'a>> {
    match schema {
        Cow::Borrowed(Value::Array(elements)) => elements.iter().map(Cow::Borrowed).collect(),
        Cow::Owned(Value::Array(elements)) => elements.iter().cloned().map(Cow::Owned).collect(),
        _ => Vec::new(),
    }
}

fn reference<'s>(schema: &'s Schema<'_>) -> Option<&'s str> {
    schema.get("$ref").and_then(Value::as_str)
}

/// The last part of a reference, `Account` of `#/components/schemas/Account`.
fn last_part(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or(reference).to_owned()
}

/// All that a schema requires: its keywords, those of its `$ref` and those of its `allOf`.
pub(super) struct Flat<'a> {
    pub(super) shape: Shape<'a>,
    pub(super) name: Option<String>,
    pub(super) scoped: bool,
    pub(super) steps: usize,
}

/// Resolves `$ref` and merges `allOf`.
pub(super) fn flatten<'a>(source: Source<'a>, schema: Schema<'a>) -> Flat<'a> {
    let mut waiting = VecDeque::from([schema]);
    // A schema that requires itself requires nothing more.
    let mut seen = HashSet::new();
    let mut parts: Vec<Keywords<'a>> = Vec::new();
    let mut never = false;
    let mut flat = Flat { shape: Shape::Any, name: None, scoped: false, steps: 0 };
    while let Some(schema) = waiting.pop_front() {
        flat.steps += 1;
        match schema.as_ref() {
            Value::Bool(accepts) => never |= !accepts,
            Value::Object(_) => {
                let mut keywords = Keywords::new();
                for (key, value) in members(&schema) {
                    flat.steps += 1;
                    match (key.as_str(), value.as_ref()) {
                        ("$ref", Value::String(reference)) => {
                            if !seen.insert(reference.clone()) {
                                continue;
                            }
                            let Some((target, scoped)) = source.resolve(reference) else {
                                keywords.insert(key, value);
                                continue;
                            };
                            flat.name.get_or_insert_with(|| last_part(reference));
                            flat.scoped |= scoped;
                            waiting.push_back(Cow::Borrowed(target));
                        }
                        ("allOf", Value::Array(_)) => waiting.extend(elements(&value)),
                        (annotation, _) if ANNOTATIONS.contains(&annotation) => {}
                        _ => {
                            keywords.insert(key, value);
                        }
                    }
                }
                if !keywords.is_empty() {
                    parts.push(keywords);
                }
            }
            _ => parts.push(Keywords::from([(NOT_A_SCHEMA.to_owned(), schema)])),
        }
    }
    flat.shape = match never {
        true => Shape::Never,
        false => merge(parts),
    };
    flat
}

fn merge(parts: Vec<Keywords<'_>>) -> Shape<'_> {
    let mut parts = parts.into_iter();
    let Some(mut merged) = parts.next() else { return Shape::Any };
    let mut apart: Vec<Value> = Vec::new();
    let mut seen = HashSet::new();
    for part in parts {
        match can_merge(&merged, &part) {
            true => merge_into(&mut merged, part),
            false => {
                let object: Map<_, _> =
                    part.into_iter().map(|(key, value)| (key, value.into_owned())).collect();
                let object = Value::Object(object);
                if seen.insert(object.to_string()) {
                    apart.push(object);
                }
            }
        }
    }
    if !apart.is_empty() {
        merged.insert("allOf".to_owned(), Cow::Owned(Value::Array(apart)));
    }
    Shape::Keywords(merged)
}

/// `additionalProperties` and its like apply to the members that their own schema does not name, so
/// schemas that use them cannot be merged with others.
fn can_merge(one: &Keywords<'_>, other: &Keywords<'_>) -> bool {
    let about_objects = ["properties", "patternProperties", "additionalProperties"];
    let depends = |keywords: &Keywords<'_>| {
        keywords.keys().any(|key| key.starts_with("unevaluated"))
            || keywords.get("additionalProperties").is_some_and(|rest| **rest != Value::Bool(true))
    };
    let names =
        |keywords: &Keywords<'_>| about_objects.iter().any(|key| keywords.contains_key(*key));
    if (depends(one) && names(other)) || (depends(other) && names(one)) {
        return false;
    }
    let both_are = |key: &str, check: fn(&Value) -> bool| {
        [one, other].iter().all(|keywords| keywords.get(key).is_some_and(|value| check(value)))
    };
    other.iter().all(|(key, value)| match key.as_str() {
        "properties" | "patternProperties" if both_are(key, Value::is_object) => true,
        "required" if both_are(key, Value::is_array) => true,
        // Their meaning depends on keywords beside them.
        "items" | "prefixItems" | "additionalItems" | "if" | "then" | "else" | "contains"
        | "minContains" | "maxContains" => !one.contains_key(key) && !about_arrays(one),
        _ => one.get(key).is_none_or(|present| present == value),
    })
}

fn about_arrays(keywords: &Keywords<'_>) -> bool {
    ["items", "prefixItems", "additionalItems", "contains", "if"]
        .iter()
        .any(|key| keywords.contains_key(*key))
}

fn merge_into<'a>(merged: &mut Keywords<'a>, part: Keywords<'a>) {
    for (key, value) in part {
        let Some(present) = merged.get_mut(&key) else {
            merged.insert(key, value);
            continue;
        };
        match (present.to_mut(), value.into_owned()) {
            (Value::Object(properties), Value::Object(more)) => {
                for (name, schema) in more {
                    match properties.get_mut(&name) {
                        Some(one) if *one != schema => both(one, schema),
                        Some(_) => {}
                        None => {
                            properties.insert(name, schema);
                        }
                    }
                }
            }
            (Value::Array(names), Value::Array(more)) if key == "required" => {
                for name in more {
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
            // Equal, as `can_merge` has checked.
            _ => {}
        }
    }
}

/// Makes `one` a schema that requires both.
fn both(one: &mut Value, schema: Value) {
    if let Value::Object(keywords) = one {
        if let (1, Some(Value::Array(schemas))) = (keywords.len(), keywords.get_mut("allOf")) {
            schemas.push(schema);
            return;
        }
    }
    let both = Value::Array(vec![one.take(), schema]);
    *one = Value::Object(Map::from_iter([("allOf".to_owned(), both)]));
}

/// The types of JSON as bits. A number is an integer or has a fraction.
pub(super) type Types = u8;
pub(super) const NULL: Types = 1;
pub(super) const BOOLEAN: Types = 2;
pub(super) const INTEGER: Types = 4;
pub(super) const NUMBER: Types = 4 + 8;
pub(super) const STRING: Types = 16;
pub(super) const ARRAY: Types = 32;
pub(super) const OBJECT: Types = 64;
pub(super) const ALL: Types = 127;

/// The names of the types, for `type` and for people.
pub(super) const NAMES: [(&str, Types); 7] = [
    ("null", NULL),
    ("boolean", BOOLEAN),
    ("number", NUMBER),
    ("integer", INTEGER),
    ("string", STRING),
    ("array", ARRAY),
    ("object", OBJECT),
];

fn type_bits(name: &Value) -> Option<Types> {
    let name = name.as_str()?;
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, bits)| *bits)
}

/// The types that a schema accepts. `None` if there is one that JSON Schema does not know.
pub(super) fn types(keywords: &Keywords<'_>) -> Option<Types> {
    match keywords.get("type").map(AsRef::as_ref) {
        None => Some(ALL),
        Some(Value::Array(names)) => {
            names.iter().try_fold(0, |all, name| Some(all | type_bits(name)?))
        }
        Some(name) => type_bits(name),
    }
}

pub(super) fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() != 0.0 => NUMBER & !INTEGER,
            _ => INTEGER,
        },
        Value::String(_) => STRING,
        Value::Array(_) => ARRAY,
        Value::Object(_) => OBJECT,
    }
}

/// The types whose values a keyword can reject.
pub(super) fn applies_to(keyword: &str) -> Types {
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => NUMBER,
        "minLength" | "maxLength" | "pattern" | "contentEncoding" | "contentMediaType" => STRING,
        "format" => NUMBER | STRING,
        "items" | "prefixItems" | "additionalItems" | "minItems" | "maxItems" | "uniqueItems"
        | "contains" | "minContains" | "maxContains" | "unevaluatedItems" => ARRAY,
        "properties"
        | "required"
        | "additionalProperties"
        | "patternProperties"
        | "propertyNames"
        | "minProperties"
        | "maxProperties"
        | "dependencies"
        | "dependentRequired"
        | "dependentSchemas"
        | "unevaluatedProperties" => OBJECT,
        _ => ALL,
    }
}

/// Divides a schema into its alternatives: `anyOf` or `oneOf`, the members of a list `type`, and the
/// values of an `enum` by type.
pub(super) fn alternatives<'a>(source: Source<'a>, schema: Schema<'a>) -> Union<'a> {
    let whole = flatten(source, schema.clone());
    let mut union = Union {
        alternatives: Vec::new(),
        too_large: false,
        exactly_one: false,
        scoped: whole.scoped,
        steps: whole.steps,
    };
    let mut waiting = vec![(schema, None)];
    // A union that contains itself gains nothing from that.
    let mut seen = HashSet::new();
    let mut processed = 0;
    while let Some((schema, name)) = waiting.pop() {
        if reference(&schema).is_some_and(|reference| !seen.insert(reference.to_owned())) {
            continue;
        }
        processed += 1;
        if processed > ALTERNATIVES {
            let alternative = Alternative { shape: whole.shape, name: whole.name };
            return Union {
                alternatives: vec![alternative],
                too_large: true,
                exactly_one: false,
                ..union
            };
        }
        let flat = flatten(source, schema);
        union.scoped |= flat.scoped;
        union.steps += flat.steps;
        let name = flat.name.or(name);
        match flat.shape {
            Shape::Never => {}
            Shape::Any | Shape::Literals(_) => {
                union.alternatives = vec![Alternative { shape: Shape::Any, name: None }];
                union.exactly_one = false;
                return union;
            }
            Shape::Keywords(keywords) => match branches(&keywords) {
                Some((branches, exactly_one)) => {
                    union.exactly_one |= exactly_one;
                    waiting.extend(branches.into_iter().rev().map(|branch| (branch, None)));
                }
                None => union.alternatives.extend(
                    split(keywords)
                        .into_iter()
                        .map(|shape| Alternative { shape, name: name.clone() }),
                ),
            },
        }
    }
    group_literals(&mut union.alternatives);
    union
}

/// The branches of a schema that is only a union, and whether exactly one of them must match.
fn branches<'a>(keywords: &Keywords<'a>) -> Option<(Vec<Schema<'a>>, bool)> {
    let (key, value) = keywords.first_key_value().filter(|_| keywords.len() == 1)?;
    match key.as_str() {
        "anyOf" | "oneOf" if value.is_array() => Some((elements(value), key == "oneOf")),
        _ => None,
    }
}

/// Divides a schema by type, and leaves out the keywords that do not apply to the type.
fn split(keywords: Keywords<'_>) -> Vec<Shape<'_>> {
    let names = match keywords.get("type").map(AsRef::as_ref) {
        Some(Value::Array(names)) if names.iter().all(|name| type_bits(name).is_some()) => {
            names.clone()
        }
        Some(name) if type_bits(name).is_some() => vec![name.clone()],
        _ => return by_type(keywords, ALL),
    };
    let mut shapes = Vec::new();
    for name in &names {
        let bits = type_bits(name).unwrap_or_default();
        let mut keywords = keywords.clone();
        keywords.retain(|key, _| applies_to(key) & bits != 0);
        keywords.insert("type".to_owned(), Cow::Owned(name.clone()));
        for shape in by_type(keywords, bits) {
            if !shapes.contains(&shape) {
                shapes.push(shape);
            }
        }
    }
    shapes
}

/// Makes literals of `enum` and `const`, if the schema says nothing else.
fn by_type(keywords: Keywords<'_>, bits: Types) -> Vec<Shape<'_>> {
    let only = |key: &str| keywords.keys().all(|other| other == key || other == "type");
    let values = match (keywords.get("enum"), keywords.get("const")) {
        (Some(values), None) if only("enum") && values.is_array() => elements(values),
        (None, Some(value)) if only("const") => vec![value.clone()],
        _ => return vec![Shape::Keywords(keywords)],
    };
    let mut values: Vec<Value> = values.into_iter().map(Cow::into_owned).collect();
    values.retain(|value| type_of(value) & bits != 0);
    let mut shapes = Vec::new();
    for (name, bits) in NAMES.iter().filter(|(name, _)| *name != "integer") {
        let of_type = values.iter().filter(|value| type_of(value) & bits != 0);
        let of_type = without_duplicates(of_type.cloned().collect());
        if *bits == NULL && !of_type.is_empty() {
            let name = Cow::Owned(Value::from(*name));
            shapes.push(Shape::Keywords(Keywords::from([("type".to_owned(), name)])));
        } else if !of_type.is_empty() {
            shapes.push(Shape::Literals(of_type));
        }
    }
    shapes
}

fn without_duplicates(mut values: Vec<Value>) -> Vec<Value> {
    let mut seen = HashSet::new();
    values.retain(|value| seen.insert(value.to_string()));
    values
}

/// Joins the literals of each type.
fn group_literals(alternatives: &mut Vec<Alternative<'_>>) {
    let mut grouped: Vec<Alternative<'_>> = Vec::new();
    for alternative in alternatives.drain(..) {
        if let Shape::Literals(values) = &alternative.shape {
            let same_type = |known: &&mut Alternative<'_>| match &known.shape {
                Shape::Literals(others) => others.iter().zip(values).any(|(one, other)| {
                    std::mem::discriminant(one) == std::mem::discriminant(other)
                }),
                _ => false,
            };
            if let Some(known) = grouped.iter_mut().find(same_type) {
                if let Shape::Literals(others) = &mut known.shape {
                    others.extend(values.iter().cloned());
                }
                // The group is no longer the type that either name stands for.
                known.name = None;
                continue;
            }
        }
        grouped.push(alternative);
    }
    for alternative in &mut grouped {
        if let Shape::Literals(values) = &mut alternative.shape {
            *values = without_duplicates(std::mem::take(values));
            if values.len() == 2 && values.iter().all(Value::is_boolean) {
                let boolean = Cow::Owned(Value::from("boolean"));
                alternative.shape = Shape::Keywords(Keywords::from([("type".to_owned(), boolean)]));
            }
        }
    }
    *alternatives = grouped;
}

/// The members of an object that have only one possible value, with the value as JSON. Without
/// them, the only member that an object can have, with an empty text.
pub(super) fn discriminating_members(shape: &Shape<'_>) -> Vec<(String, String)> {
    let Shape::Keywords(keywords) = shape else { return Vec::new() };
    let Some(properties) = keywords.get("properties") else { return Vec::new() };
    let mut found = Vec::new();
    for (name, schema) in members(properties) {
        let only = match (schema.get("const"), schema.get("enum").and_then(Value::as_array)) {
            (Some(value), _) => Some(value),
            (None, Some(values)) if values.len() == 1 => values.first(),
            _ => None,
        };
        if let Some(value) = only {
            found.push((name, value.to_string()));
        }
    }
    if found.is_empty() {
        let required = keywords.get("required").map(elements).unwrap_or_default();
        if let ([only], 1) = (required.as_slice(), members(properties).len()) {
            if let Some(name) = only.as_str().filter(|name| properties.get(name).is_some()) {
                found.push((name.to_owned(), String::new()));
            }
        }
    }
    found
}

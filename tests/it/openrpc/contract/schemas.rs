//! The schemas of a document, and which parts of them values have reached.

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::{Draft, Registry, Validator};
use serde_json::{Value, json};

/// The address of the document, for references.
const DOCUMENT: &str = "urn:document";

/// All schemas of a document, by JSON pointer.
pub(super) struct Schemas {
    document: Value,
    validators: BTreeMap<String, Validator>,
    /// Definitions, alternatives and enumerated values that no value has reached.
    unreached: BTreeSet<String>,
    definitions: BTreeSet<String>,
}

impl Schemas {
    pub(super) fn of(document: Value) -> Self {
        let mut pointers = Vec::new();
        let mut unreached = BTreeSet::new();
        find(&document, String::new(), &mut pointers);
        for pointer in pointers.clone() {
            parts(&document, pointer, &mut pointers, &mut unreached);
        }
        let registry = Registry::new().add(DOCUMENT, document.clone()).unwrap();
        let registry = registry.prepare().unwrap();
        let options = jsonschema::options()
            .with_draft(Draft::Draft7)
            .should_validate_formats(true)
            .with_registry(&registry);
        let validators = pointers.into_iter().map(|pointer| {
            let reference =
                json!({ "$ref": format!("{DOCUMENT}#{}", pointer.replace('^', "%5E")) });
            let validator = options.build(&reference);
            let validator = validator.unwrap_or_else(|error| panic!("{pointer}: {error}"));
            (pointer, validator)
        });
        let validators = validators.collect();
        Schemas { document, validators, unreached, definitions: BTreeSet::new() }
    }

    pub(super) fn document(&self) -> &Value {
        &self.document
    }

    /// Whether the schema at this pointer allows the value.
    pub(super) fn allows(&self, pointer: &str, value: &Value) -> bool {
        self.validators[pointer].is_valid(value)
    }

    /// Checks a value that was sent. Returns why it does not fit, and otherwise notes which parts
    /// of the schema it reaches.
    pub(super) fn check(&mut self, pointer: &str, value: &Value) -> Result<(), String> {
        let errors: Vec<String> =
            self.validators[pointer].iter_errors(value).map(|error| error.to_string()).collect();
        if errors.is_empty() {
            self.reach(pointer, value);
            return Ok(());
        }
        let schema = self.document.pointer(pointer).unwrap();
        Err(format!("{value} does not fit {schema}: {}", errors.join("; ")))
    }

    /// The definitions that values have reached.
    pub(super) fn definitions(&self) -> &BTreeSet<String> {
        &self.definitions
    }

    /// Definitions, alternatives and enumerated values that no value has reached.
    pub(super) fn unreached(&self) -> &BTreeSet<String> {
        &self.unreached
    }

    fn reach(&mut self, pointer: &str, value: &Value) {
        let schema = self.document.pointer(pointer).unwrap().clone();
        if let Some(definition) = pointer.strip_prefix("/components/schemas/") {
            if !definition.contains('/') {
                self.definitions.insert(definition.to_owned());
                self.unreached.remove(pointer);
            }
        }
        if let Some(target) = target(&schema) {
            return self.reach(&target, value);
        }
        for (index, allowed) in members(&schema, "enum").enumerate() {
            if allowed == value {
                self.unreached.remove(&format!("{pointer}/enum/{index}"));
            }
        }
        for alternatives in ["anyOf", "oneOf"] {
            for index in 0..members(&schema, alternatives).count() {
                let alternative = format!("{pointer}/{alternatives}/{index}");
                if self.allows(&alternative, value) {
                    self.unreached.remove(&alternative);
                    self.reach(&alternative, value);
                }
            }
        }
        for index in 0..members(&schema, "allOf").count() {
            self.reach(&format!("{pointer}/allOf/{index}"), value);
        }
        for (index, element) in value.as_array().into_iter().flatten().enumerate() {
            let items = format!("{pointer}/items");
            match schema.get("items") {
                Some(Value::Array(list)) if index < list.len() => {
                    self.reach(&format!("{items}/{index}"), element);
                }
                Some(Value::Object(_)) => self.reach(&items, element),
                _ => {}
            }
        }
        for (name, member) in value.as_object().into_iter().flatten() {
            let has = |keyword: &str| schema.get(keyword).is_some_and(Value::is_object);
            if schema.pointer(&format!("/properties/{name}")).is_some() {
                self.reach(&format!("{pointer}/properties/{name}"), member);
            } else if has("patternProperties") {
                for pattern in schema["patternProperties"].as_object().unwrap().keys() {
                    self.reach(&format!("{pointer}/patternProperties/{pattern}"), member);
                }
            } else if has("additionalProperties") {
                self.reach(&format!("{pointer}/additionalProperties"), member);
            }
        }
    }
}

fn members<'a>(schema: &'a Value, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

/// The pointer to the definition that a schema refers to.
fn target(schema: &Value) -> Option<String> {
    let reference = schema.get("$ref")?.as_str()?;
    let pointer = reference.strip_prefix('#').expect("references stay inside of the document");
    assert!(pointer.starts_with("/components/schemas/"), "{reference}");
    Some(pointer.to_owned())
}

/// Finds the places of schemas in a document.
fn find(value: &Value, pointer: String, found: &mut Vec<String>) {
    for (name, member) in value.as_object().into_iter().flatten() {
        let member_pointer = format!("{pointer}/{name}");
        match name.as_str() {
            "schema" | "item" | "x-params" | "x-progress" => found.push(member_pointer),
            "x-error-data" | "schemas" => {
                let names = member.as_object().unwrap().keys();
                found.extend(names.map(|name| format!("{member_pointer}/{name}")));
            }
            "x-extensions" => {}
            _ => find(member, member_pointer, found),
        }
    }
    for (index, element) in value.as_array().into_iter().flatten().enumerate() {
        find(element, format!("{pointer}/{index}"), found);
    }
}

/// Finds the alternatives in a schema, and what values must reach.
fn parts(
    document: &Value,
    pointer: String,
    alternatives: &mut Vec<String>,
    unreached: &mut BTreeSet<String>,
) {
    let schema = document.pointer(&pointer).unwrap();
    if let Some(target) = target(schema) {
        assert!(document.pointer(&target).is_some(), "no {target} for {pointer}");
        return;
    }
    if pointer.matches('/').count() == 3 && pointer.starts_with("/components/schemas/") {
        unreached.insert(pointer.clone());
    }
    let many = members(schema, "enum").count();
    unreached.extend((0..many).map(|index| format!("{pointer}/enum/{index}")));
    for keyword in ["anyOf", "oneOf"] {
        for index in 0..members(schema, keyword).count() {
            let alternative = format!("{pointer}/{keyword}/{index}");
            alternatives.push(alternative.clone());
            unreached.insert(alternative);
        }
    }
    for (keyword, inside) in schema.as_object().into_iter().flatten() {
        let inside_pointer = format!("{pointer}/{keyword}");
        match (keyword.as_str(), inside) {
            ("anyOf" | "oneOf" | "allOf" | "items", Value::Array(list)) => {
                for index in 0..list.len() {
                    let pointer = format!("{inside_pointer}/{index}");
                    parts(document, pointer, alternatives, unreached);
                }
            }
            ("items" | "additionalProperties", Value::Object(_)) => {
                parts(document, inside_pointer, alternatives, unreached);
            }
            ("properties" | "patternProperties", Value::Object(properties)) => {
                for name in properties.keys() {
                    let pointer = format!("{inside_pointer}/{name}");
                    parts(document, pointer, alternatives, unreached);
                }
            }
            _ => {}
        }
    }
}

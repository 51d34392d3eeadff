//! The references between the schemas of a document: which definitions are used, which of them
//! differ between params and results, and their final names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::build::{INPUTS, Object, SCHEMAS};

/// Decodes `%xx`. `None` if the bytes are not UTF-8.
pub(super) fn percent_decoded(text: &str) -> Option<String> {
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = match bytes[at..] {
            [b'%', high, low, ..] => hex(high).zip(hex(low)),
            _ => None,
        };
        match pair {
            Some((high, low)) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).ok()
}

/// Calls `found` for each `$ref` in a value. Returns how many values it visited.
pub(super) fn references<'v>(value: &'v Value, mut found: impl FnMut(&'v str)) -> usize {
    let mut rest = vec![value];
    let mut visited = 0;
    while let Some(value) = rest.pop() {
        visited += 1;
        match value {
            Value::Array(elements) => rest.extend(elements),
            Value::Object(members) => {
                if let Some(Value::String(reference)) = members.get("$ref") {
                    found(reference);
                }
                rest.extend(members.values());
            }
            _ => {}
        }
    }
    visited
}

/// The name of the definition that a reference points to, if it is at `path`.
pub(super) fn name_in(reference: &str, path: &str) -> Option<String> {
    let name = reference.strip_prefix('#')?.strip_prefix(path)?.strip_prefix('/')?;
    // `~1` and `~0` stand for `/` and `~` in a JSON pointer.
    Some(percent_decoded(name)?.replace("~1", "/").replace("~0", "~"))
}

/// The definitions at `path` that `root` uses, directly or through others.
pub(super) fn reachable(root: &Value, definitions: &Object, path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![root];
    while let Some(value) = waiting.pop() {
        references(value, |reference| {
            let Some(name) = name_in(reference, path) else { return };
            if let Some(definition) = definitions.get(&name) {
                if found.insert(name) {
                    waiting.push(definition);
                }
            }
        });
    }
    found
}

/// The names of the definitions that both sides have and that differ, directly or in a definition
/// that they use.
pub(super) fn differing(inputs: &Object, outputs: &Object) -> BTreeSet<String> {
    let plain = BTreeMap::new();
    let mut differing: BTreeSet<String> = BTreeSet::new();
    let mut alike: Vec<(&String, &Value)> = Vec::new();
    for (name, input) in inputs {
        let Some(output) = outputs.get(name) else { continue };
        let mut input_in_place = input.clone();
        rename(&mut input_in_place, &plain);
        if input_in_place == *output {
            alike.push((name, input));
        } else {
            differing.insert(name.clone());
        }
    }
    loop {
        let before = differing.len();
        alike.retain(|(name, input)| {
            let mut uses_differing = false;
            references(input, |reference| {
                let used = name_in(reference, INPUTS);
                uses_differing |= used.is_some_and(|used| differing.contains(&used));
            });
            if uses_differing {
                differing.insert((*name).clone());
            }
            !uses_differing
        });
        if differing.len() == before {
            return differing;
        }
    }
}

/// Moves all references to their final places. `inputs` has the new names of definitions of params.
pub(super) fn rename(value: &mut Value, inputs: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        let input = name_in(reference, INPUTS);
                        let input = input.map(|name| inputs.get(&name).cloned().unwrap_or(name));
                        let output = || name_in(reference, SCHEMAS);
                        if let Some(name) = input.or_else(output) {
                            *reference = format!("#{SCHEMAS}/{}", in_components(&name));
                        }
                    }
                    value => rename(value, inputs),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| rename(value, inputs)),
        _ => {}
    }
}

/// A name that may stand in `components`: letters, digits, and `.`, `-` and `_`.
pub(super) fn in_components(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().map(allowed).collect()
}

/// Gives each schema a title that no other has. Generators name the types of other languages by
/// their titles, and take two types with one title for the same.
pub(super) fn set_titles(schemas: &mut Object) {
    let mut used: BTreeSet<String> = schemas.keys().cloned().collect();
    for (name, schema) in schemas.iter_mut() {
        let Some(members) = schema.as_object_mut() else { continue };
        let title = members.get("title").and_then(Value::as_str);
        if !title.is_some_and(|title| title == name || used.insert(title.to_owned())) {
            members.insert("title".to_owned(), name.clone().into());
        }
    }
}

//! The references between the schemas of a document: which definitions are used, which of them
//! differ between params and results, and their final names.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::build::{INPUTS, Object, SCHEMAS};

/// Calls `visit` with each `$ref` in a schema, or in anything that contains schemas.
fn for_each_ref<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a str)) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(reference) if name == "$ref" => visit(reference),
                    value => for_each_ref(value, visit),
                }
            }
        }
        Value::Array(elements) => elements.iter().for_each(|value| for_each_ref(value, visit)),
        _ => {}
    }
}

/// The name of the definition that a reference points to, if it is at `path`.
pub(super) fn name_in<'a>(reference: &'a str, path: &str) -> Option<Cow<'a, str>> {
    let name = reference.strip_prefix('#')?.strip_prefix(path)?.strip_prefix('/')?;
    Some(decoded(name))
}

/// Decodes a part of a JSON pointer in a URI fragment: `%20`, `~1` and `~0`.
fn decoded(part: &str) -> Cow<'_, str> {
    if !part.contains(['%', '~']) {
        return Cow::Borrowed(part);
    }
    let mut bytes = Vec::new();
    let mut rest = part.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = match (first, after) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).unwrap_or_default();
                u8::from_str_radix(digits, 16).ok().map(|byte| (byte, after))
            }
            _ => None,
        };
        let (byte, after) = hex.unwrap_or((*first, after));
        bytes.push(byte);
        rest = after;
    }
    let text = String::from_utf8_lossy(&bytes).replace("~1", "/").replace("~0", "~");
    Cow::Owned(text)
}

/// The definitions at `path` that `root` uses, directly or through others.
pub(super) fn reachable(root: &Value, definitions: &Object, path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![root];
    while let Some(value) = waiting.pop() {
        for_each_ref(value, &mut |reference| {
            let Some(name) = name_in(reference, path) else { return };
            if let Some(definition) = definitions.get(&*name) {
                if found.insert(name.into_owned()) {
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
            for_each_ref(input, &mut |reference| {
                let used = name_in(reference, INPUTS);
                uses_differing |= used.is_some_and(|used| differing.contains(&*used));
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
                        let input = input
                            .map(|name| inputs.get(&*name).cloned().unwrap_or(name.into_owned()));
                        let output = || name_in(reference, SCHEMAS).map(Cow::into_owned);
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

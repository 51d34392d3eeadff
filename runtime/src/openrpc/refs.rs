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

/// The final names of the definitions of both sides, by their names in the generators.
#[derive(Default)]
pub(super) struct Names {
    pub(super) inputs: BTreeMap<String, String>,
    pub(super) outputs: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn of(inputs: &Object, outputs: &Object) -> Self {
        let differing = differing(inputs, outputs);
        let mut taken = BTreeSet::new();
        let mut unique = |name: &str| {
            let name = in_components(name);
            let numbered = (2..).map(|number: u64| format!("{name}{number}"));
            let mut all = std::iter::once(name.clone()).chain(numbered);
            all.find(|name| taken.insert(name.clone())).unwrap_or(name)
        };
        let mut names = Names::default();
        // serde_json may keep the order of insertion, so the names are sorted first.
        let sorted = |definitions: &Object| definitions.keys().cloned().collect::<BTreeSet<_>>();
        for name in sorted(outputs) {
            let new = unique(&name);
            names.outputs.insert(name, new);
        }
        for name in sorted(inputs) {
            let new = match names.outputs.get(&name) {
                Some(output) if !differing.contains(&name) => output.clone(),
                Some(_) => unique(&format!("{name}Input")),
                None => unique(&name),
            };
            names.inputs.insert(name, new);
        }
        names
    }

    /// Moves all references to their final places.
    pub(super) fn rename(&self, value: &mut Value) {
        rename(value, &|reference| {
            let input = name_in(reference, INPUTS).and_then(|name| self.inputs.get(&name));
            let output = || name_in(reference, SCHEMAS).and_then(|name| self.outputs.get(&name));
            Some(format!("#{SCHEMAS}/{}", input.or_else(output)?))
        });
    }
}

/// The names of the definitions that both sides have and that differ, directly or in a definition
/// that they use.
fn differing(inputs: &Object, outputs: &Object) -> BTreeSet<String> {
    let mut differing: BTreeSet<String> = BTreeSet::new();
    let mut alike: Vec<(&String, &Value)> = Vec::new();
    for (name, input) in inputs {
        let Some(output) = outputs.get(name) else { continue };
        let mut input_in_place = input.clone();
        rename(&mut input_in_place, &|reference| {
            Some(format!("#{SCHEMAS}{}", reference.strip_prefix(&format!("#{INPUTS}"))?))
        });
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

/// Replaces each `$ref` for which `new` returns another one.
fn rename(value: &mut Value, new: &dyn Fn(&str) -> Option<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members.iter_mut() {
                match value {
                    Value::String(reference) if name == "$ref" => {
                        if let Some(new) = new(reference) {
                            *reference = new;
                        }
                    }
                    value => rename(value, new),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|value| rename(value, new)),
        _ => {}
    }
}

/// A name that may stand in `components`: letters, digits, and `.`, `-` and `_`.
fn in_components(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    name.chars().map(allowed).collect()
}

/// Gives each schema a title that no other has. Generators name the types of other languages by
/// their titles, and take two types with one title for the same.
pub(super) fn set_titles(schemas: &mut Object) {
    let mut used: BTreeSet<String> = schemas.keys().cloned().collect();
    let sorted: BTreeMap<&String, &mut Value> = schemas.iter_mut().collect();
    for (name, schema) in sorted {
        let Some(members) = schema.as_object_mut() else { continue };
        let title = members.get("title").and_then(Value::as_str);
        if !title.is_some_and(|title| title == name || used.insert(title.to_owned())) {
            members.insert("title".to_owned(), name.clone().into());
        }
    }
}

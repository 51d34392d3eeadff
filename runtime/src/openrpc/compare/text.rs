//! Schemas in a few words, and names inside paths.

use serde_json::Value;

use super::shape::{Alternative, Keywords, Shape, discriminating_members};

/// The most characters of a name, a pattern or a value that a line shows.
const SHOWN: usize = 60;

/// The most values or types that a line lists.
const LISTED: usize = 8;

/// A text on one line, in a limited length.
pub(super) fn shortened(text: &str) -> String {
    let mut short = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == SHOWN {
            short.push('…');
            break;
        }
        match character.is_control() {
            true => short.extend(character.escape_default()),
            false => short.push(character),
        }
    }
    short
}

/// Adds a member to a path.
pub(super) fn join(path: &str, name: &str) -> String {
    // All params of a method as one value: its members are the params.
    if path == "params" {
        return format!("param `{}`", shortened(name));
    }
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    match !name.is_empty() && name.chars().all(is_plain) {
        true => format!("{path}.{}", shortened(name)),
        false => format!("{path}[\"{}\"]", shortened(name)),
    }
}

/// Joins texts with commas and a last word: `a, b or c`.
pub(super) fn list(mut texts: Vec<String>, last: &str) -> String {
    if texts.len() > LISTED {
        let more = texts.len() - (LISTED - 1);
        texts.truncate(LISTED - 1);
        texts.push(format!("{more} more"));
    }
    let Some(end) = texts.pop() else { return "nothing".to_owned() };
    match texts.is_empty() {
        true => end,
        false => format!("{} {last} {end}", texts.join(", ")),
    }
}

pub(super) fn value(value: &Value) -> String {
    shortened(&value.to_string())
}

pub(super) fn union(alternatives: &[Alternative<'_>]) -> String {
    list(alternatives.iter().map(alternative).collect(), "or")
}

pub(super) fn alternative(alternative: &Alternative<'_>) -> String {
    match (&alternative.shape, &alternative.name) {
        (Shape::Keywords(keywords), Some(name)) if !is_scalar(keywords) => shortened(name),
        (Shape::Keywords(keywords), None) if !is_scalar(keywords) => {
            let described = self::keywords(keywords);
            match discriminating_members(&alternative.shape).first() {
                Some((name, only)) if only.is_empty() => {
                    format!("{described} with `{}`", shortened(name))
                }
                Some((name, value)) => {
                    format!("{described} with `{}` {}", shortened(name), shortened(value))
                }
                None => described,
            }
        }
        (shape, _) => self::shape(shape),
    }
}

fn is_scalar(keywords: &Keywords<'_>) -> bool {
    let names = match keywords.get("type").map(AsRef::as_ref) {
        Some(Value::Array(names)) => names.iter().all(is_scalar_name),
        Some(name) => is_scalar_name(name),
        None => false,
    };
    names && !["anyOf", "oneOf", "allOf", "not"].iter().any(|key| keywords.contains_key(*key))
}

fn is_scalar_name(name: &Value) -> bool {
    !matches!(name.as_str(), Some("array" | "object") | None)
}

fn shape(shape: &Shape<'_>) -> String {
    match shape {
        Shape::Any => "any value".to_owned(),
        Shape::Never => "nothing".to_owned(),
        Shape::Literals(values) => list(values.iter().map(value).collect(), "or"),
        Shape::Keywords(keywords) => self::keywords(keywords),
    }
}

/// `integer (int64), at least 1`.
pub(super) fn keywords(keywords: &Keywords<'_>) -> String {
    let text = |key: &str| keywords.get(key).map(|found| value(found));
    if let Some(constant) = text("const") {
        return constant;
    }
    if let Some(Value::Array(values)) = keywords.get("enum").map(AsRef::as_ref) {
        return list(values.iter().map(value).collect(), "or");
    }
    let mut described = match keywords.get("type").map(AsRef::as_ref) {
        Some(Value::Array(names)) => {
            list(names.iter().map(|name| shortened(name.as_str().unwrap_or("?"))).collect(), "or")
        }
        Some(name) => shortened(name.as_str().unwrap_or("?")),
        None => match keywords.get("$ref").and_then(|reference| reference.as_str()) {
            Some(reference) => format!("`{}`", shortened(reference)),
            None if keywords.contains_key("anyOf") || keywords.contains_key("oneOf") => {
                "one of several schemas".to_owned()
            }
            None => "a schema without `type`".to_owned(),
        },
    };
    if let Some(Value::String(format)) = keywords.get("format").map(AsRef::as_ref) {
        described.push_str(&format!(" ({})", shortened(format)));
    }
    if let Some(Value::Object(element)) = keywords.get("items").map(AsRef::as_ref) {
        if let Some(name) = element.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or(name);
            described.push_str(&format!(" of {}", shortened(name)));
        } else if let Some(Value::String(name)) = element.get("type") {
            described.push_str(&format!(" of {}", shortened(name)));
        }
    }
    if let Some(Value::String(pattern)) = keywords.get("pattern").map(AsRef::as_ref) {
        described.push_str(&format!(" matching `{}`", shortened(pattern)));
    }
    let length = text("minLength").filter(|least| text("maxLength").as_ref() == Some(least));
    if let Some(length) = &length {
        described.push_str(&format!(", length {length}"));
    }
    for (key, words) in [
        ("minimum", "at least"),
        ("exclusiveMinimum", "greater than"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "less than"),
        ("multipleOf", "a multiple of"),
        ("minLength", "length at least"),
        ("maxLength", "length at most"),
    ] {
        if key.ends_with("Length") && length.is_some() {
            continue;
        }
        if let Some(limit) = text(key) {
            described.push_str(&format!(", {words} {limit}"));
        }
    }
    described
}

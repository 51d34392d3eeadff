//! Where the parts of a document are: `$ref`s, and those that mean the same in both documents.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::openrpc::refs::{percent_decoded, references};

/// One of the two documents.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    root: &'a Value,
    /// A schema that may contain definitions. Its `$ref`s can start there instead of at the
    /// document.
    scope: Option<&'a Value>,
}

impl<'a> Source<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Source { root, scope: None }
    }

    pub(super) fn within(self, scope: Option<&'a Value>) -> Self {
        Source { scope, ..self }
    }

    pub(super) fn root(self) -> &'a Value {
        self.root
    }

    /// The target of a local reference, and whether it is relative to the scope.
    pub(super) fn resolve(self, reference: &str) -> Option<(&'a Value, bool)> {
        let pointer = percent_decoded(reference.strip_prefix('#')?)?;
        match self.root.pointer(&pointer) {
            Some(target) => Some((target, false)),
            None => Some((self.scope?.pointer(&pointer)?, true)),
        }
    }

    /// Follows `$ref`s of anything that is not a schema: a method, a param, a result, an error. A
    /// reference without a target is returned as it is.
    pub(super) fn follow(self, value: &'a Value) -> &'a Value {
        let mut current = value;
        for _ in 0..100 {
            let reference = current.get("$ref").and_then(Value::as_str);
            match reference.and_then(|reference| self.resolve(reference)) {
                Some((target, _)) => current = target,
                None => return current,
            }
        }
        value
    }

    /// A member of an object, as a list of objects whose `$ref`s are followed.
    pub(super) fn objects(
        self,
        parent: &'a Map<String, Value>,
        member: &str,
    ) -> impl Iterator<Item = &'a Map<String, Value>> {
        let list = parent.get(member).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(move |value| self.follow(value).as_object())
    }
}

/// The number of values that [`unchanged`] visits at most.
const VISITS: usize = 5_000_000;

/// The references that have the same target in both documents, including everything that the target
/// refers to.
pub(super) fn unchanged(old: Source<'_>, new: Source<'_>) -> HashSet<String> {
    let mut all = HashSet::new();
    references(old.root, |reference| {
        all.insert(reference);
    });
    let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
    let mut changed = Vec::new();
    let mut visits = 0;
    for reference in &all {
        let targets = old.resolve(reference).zip(new.resolve(reference));
        match targets {
            Some(((target, _), (other, _))) if visits < VISITS && target == other => {
                visits += references(target, |used| {
                    users.entry(used).or_default().push(reference);
                });
            }
            // The text of a reference to another document is all that there is to compare.
            None if old.resolve(reference).is_none() && new.resolve(reference).is_none() => {}
            _ => changed.push(*reference),
        }
    }
    while let Some(reference) = changed.pop() {
        if all.remove(reference) {
            changed.extend(users.remove(reference).unwrap_or_default());
        }
    }
    all.into_iter().map(str::to_owned).collect()
}

//! Whether one schema accepts less or more than another.
//!
//! A pair of schemas is compared without following what is inside them: members and elements are
//! pairs of their own, in a queue. A pair that has been in the queue is not compared again. Therefore
//! recursive types end, and a difference in a type appears once for each place that starts a
//! comparison. If no pair differs, the two schemas accept the same values.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet, VecDeque};

use serde_json::{Map, Number, Value};

use super::shape::{
    ALL, ARRAY, Alternative, INTEGER, Keywords, NAMES, NUMBER, OBJECT, STRING, Schema, Shape,
    Types, alternatives, applies_to, discriminating_members, elements, members, type_of, types,
};
use super::source::{Source, unchanged};
use super::text;
use crate::openrpc::refs::references;

/// Which side sends the values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Direction {
    /// The caller: params.
    Input,
    /// The implementer: results, items, progress, the data of errors.
    Output,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum DifferenceKind {
    Type,
    MemberAdded,
    MemberRemoved,
    MemberRequired,
    MemberOptional,
}

/// A difference between two schemas.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) path: String,
    pub(super) kind: DifferenceKind,
    /// The new schema rejects values that the old one accepted.
    pub(super) less: bool,
    /// The new schema accepts values that the old one rejected.
    pub(super) more: bool,
    pub(super) detail: String,
}

/// How much a comparison that starts at one schema may do, in steps of about one keyword.
const STEPS: usize = 1_000_000;

/// The same for all comparisons of two documents.
const ALL_STEPS: usize = 5_000_000;

/// How deeply the search for equal alternatives may start searches of the same kind.
const PROBES: usize = 3;

/// Compares schemas of two documents.
pub(super) struct Schemas<'a> {
    old: Source<'a>,
    new: Source<'a>,
    /// References that mean the same in both documents.
    unchanged: HashSet<String>,
    /// Pairs that accept the same values.
    equal: HashSet<(String, String)>,
    steps: usize,
}

impl<'a> Schemas<'a> {
    pub(super) fn new(old: Source<'a>, new: Source<'a>) -> Self {
        let unchanged = unchanged(old, new);
        Schemas { old, new, unchanged, equal: HashSet::new(), steps: ALL_STEPS }
    }

    /// The differences of two schemas, nearest first. `path` is the place of both.
    pub(super) fn compare(
        &mut self,
        old: Schema<'a>,
        new: Schema<'a>,
        direction: Direction,
        path: &str,
    ) -> Vec<Difference> {
        let scope = |schema: &Schema<'a>| match schema {
            Cow::Borrowed(schema) => Some(*schema),
            Cow::Owned(_) => None,
        };
        let steps = STEPS.min(self.steps);
        let mut comparison = Comparison {
            old: self.old.within(scope(&old)),
            new: self.new.within(scope(&new)),
            direction,
            queue: VecDeque::new(),
            visited: HashSet::new(),
            order: Vec::new(),
            differences: Vec::new(),
            scoped: false,
            steps,
            probes: 0,
            schemas: self,
        };
        comparison.enqueue(old, new, path.to_owned(), false);
        comparison.run();
        let Comparison { visited, mut differences, scoped, steps: left, .. } = comparison;
        self.steps -= steps - left;
        if left == 0 {
            differences.push(Difference {
                path: path.to_owned(),
                kind: DifferenceKind::Type,
                less: true,
                more: true,
                detail: "too complex to compare".to_owned(),
            });
        } else if differences.is_empty() && !scoped {
            let pairs = visited.into_iter().filter(|(_, _, inside_not)| !inside_not);
            self.equal.extend(pairs.map(|(old, new, _)| (old, new)));
        }
        differences
    }

    /// Equal texts, which mean the same because all references inside do.
    fn same(&self, old: &Value, new: &Value) -> bool {
        let mut same = old == new;
        if same {
            references(old, |reference| same &= self.unchanged.contains(reference));
        }
        same
    }

    fn same_shape(&self, old: &Shape<'_>, new: &Shape<'_>) -> bool {
        match (old, new) {
            (Shape::Keywords(old), Shape::Keywords(new)) => {
                old.len() == new.len()
                    && old
                        .iter()
                        .zip(new)
                        .all(|((key, value), (other, with))| key == other && self.same(value, with))
            }
            _ => old == new,
        }
    }
}

struct Pair<'a> {
    old: Schema<'a>,
    new: Schema<'a>,
    path: String,
    /// Inside `not`, where accepting less means accepting more.
    inside_not: bool,
}

struct Comparison<'a, 's> {
    schemas: &'s mut Schemas<'a>,
    old: Source<'a>,
    new: Source<'a>,
    direction: Direction,
    queue: VecDeque<Pair<'a>>,
    visited: HashSet<(String, String, bool)>,
    /// What was put into `visited`, so that a search can be undone.
    order: Vec<(String, String, bool)>,
    differences: Vec<Difference>,
    scoped: bool,
    steps: usize,
    probes: usize,
}

/// The place of a pair in the schemas, and whether it is inside `not`.
#[derive(Clone, Copy)]
struct Place<'p> {
    path: &'p str,
    inside_not: bool,
}

impl<'a> Comparison<'a, '_> {
    fn enqueue(&mut self, old: Schema<'a>, new: Schema<'a>, path: String, inside_not: bool) {
        if self.schemas.same(&old, &new) {
            return;
        }
        let key = (old.to_string(), new.to_string(), inside_not);
        self.steps = self.steps.saturating_sub(1 + (key.0.len() + key.1.len()) / 100);
        let pair = (key.0, key.1);
        if self.schemas.equal.contains(&pair) {
            return;
        }
        let key = (pair.0, pair.1, inside_not);
        if self.visited.insert(key.clone()) {
            self.order.push(key);
            self.queue.push_back(Pair { old, new, path, inside_not });
        }
    }

    fn run(&mut self) {
        while let Some(pair) = self.queue.pop_front() {
            if self.steps == 0 || (self.probes > 0 && !self.differences.is_empty()) {
                return;
            }
            let Pair { old, new, path, inside_not } = pair;
            let old = alternatives(self.old, old);
            let new = alternatives(self.new, new);
            self.scoped |= old.scoped | new.scoped;
            self.steps = self.steps.saturating_sub(old.steps + new.steps);
            let place = Place { path: &path, inside_not };
            if old.too_large || new.too_large {
                self.differs(place, true, true, "a union too large to compare".to_owned());
                continue;
            }
            let several = old.alternatives.len() > 1 && new.alternatives.len() > 1;
            if several && old.exactly_one != new.exactly_one {
                let (alternatives, less) = match new.exactly_one {
                    true => (&new.alternatives, true),
                    false => (&old.alternatives, false),
                };
                if !are_disjoint(alternatives) {
                    let detail = match less {
                        true => "exactly one alternative must match, not at least one",
                        false => "at least one alternative must match, not exactly one",
                    };
                    self.differs(place, less, !less, detail.to_owned());
                }
            }
            self.unions(old.alternatives, new.alternatives, place);
        }
    }

    fn push(&mut self, difference: Difference, inside_not: bool) {
        let Difference { less, more, .. } = difference;
        let (less, more) = if inside_not { (more, less) } else { (less, more) };
        self.differences.push(Difference { less, more, ..difference });
    }

    fn differs(&mut self, place: Place<'_>, less: bool, more: bool, detail: String) {
        if less || more {
            let path = place.path.to_owned();
            let kind = DifferenceKind::Type;
            self.push(Difference { path, kind, less, more, detail }, place.inside_not);
        }
    }

    /// Whether two schemas accept the same values, if the pairs that were visited do. If they don't,
    /// leaves no trace.
    fn are_equal(&mut self, old: Schema<'a>, new: Schema<'a>) -> bool {
        if self.schemas.same(&old, &new) {
            return true;
        }
        if self.probes >= PROBES {
            return false;
        }
        self.probes += 1;
        let queue = std::mem::take(&mut self.queue);
        let differences = std::mem::take(&mut self.differences);
        let visited = self.order.len();
        self.enqueue(old, new, String::new(), false);
        self.run();
        let equal = self.differences.is_empty() && self.steps > 0;
        if !equal {
            for pair in self.order.drain(visited..) {
                self.visited.remove(&pair);
            }
        }
        self.queue = queue;
        self.differences = differences;
        self.probes -= 1;
        equal
    }

    fn unions(
        &mut self,
        mut old: Vec<Alternative<'a>>,
        mut new: Vec<Alternative<'a>>,
        place: Place<'_>,
    ) {
        match (old.as_slice(), new.as_slice()) {
            ([one], [other]) => return self.shapes(one, other, place),
            ([], []) => return,
            ([], _) | (_, []) => {}
            ([one], _) | (_, [one]) if one.shape == Shape::Any => {}
            _ => return self.alternatives(old, new, place),
        }
        let is_any = |alternatives: &[Alternative<'_>]| {
            alternatives.iter().any(|alternative| alternative.shape == Shape::Any)
        };
        let less = new.is_empty() || is_any(&old);
        let detail = format!("{} -> {}", text::union(&old), text::union(&new));
        old.clear();
        new.clear();
        self.differs(place, less, !less, detail);
    }

    /// Finds the pairs of alternatives, and compares each pair.
    fn alternatives(
        &mut self,
        old: Vec<Alternative<'a>>,
        new: Vec<Alternative<'a>>,
        place: Place<'_>,
    ) {
        self.steps = self.steps.saturating_sub(old.len() * new.len());
        if self.steps == 0 {
            return;
        }
        let mut rest_old: Vec<usize> = (0..old.len()).collect();
        let mut rest_new: Vec<usize> = (0..new.len()).collect();
        rest_old.retain(|one| {
            let same =
                |other: &usize| self.schemas.same_shape(&old[*one].shape, &new[*other].shape);
            match rest_new.iter().position(same) {
                Some(at) => {
                    rest_new.remove(at);
                    false
                }
                None => true,
            }
        });
        let mut pairs = Vec::new();
        let mut join = |key: fn(&Alternative<'_>) -> Vec<String>| {
            for (one, other) in
                unambiguous(&rest_old, &rest_new, |at| key(&old[at]), |at| key(&new[at]))
            {
                rest_old.retain(|at| *at != one);
                rest_new.retain(|at| *at != other);
                pairs.push((one, other));
            }
        };
        join(|alternative| alternative.name.iter().cloned().collect());
        join(discriminators);
        join(|alternative| vec![text::alternative(alternative)]);
        join(|alternative| class(alternative, true));
        join(|alternative| class(alternative, false));
        // What is left are several objects or several lists: those that are equal are pairs.
        let old_outlines: Vec<_> = old.iter().map(outline).collect();
        let new_outlines: Vec<_> = new.iter().map(outline).collect();
        rest_old.retain(|one| {
            let found = (0..rest_new.len()).find(|at| {
                let other = rest_new[*at];
                old_outlines[*one] == new_outlines[other]
                    && self.are_equal(as_schema(&old[*one].shape), as_schema(&new[other].shape))
            });
            found.map(|at| rest_new.remove(at)).is_none()
        });
        let covered = |literals: &Alternative<'a>, by: &[Alternative<'a>]| match &literals.shape {
            Shape::Literals(values) => values.iter().all(|value| {
                by.iter().any(|alternative| surely_accepts(&alternative.shape, value))
            }),
            _ => false,
        };
        rest_old.retain(|at| !covered(&old[*at], &new));
        rest_new.retain(|at| !covered(&new[*at], &old));

        let removed = rest_old.iter().map(|at| text::alternative(&old[*at])).collect::<Vec<_>>();
        let added = rest_new.iter().map(|at| text::alternative(&new[*at])).collect::<Vec<_>>();
        let (less, more) = (!removed.is_empty(), !added.is_empty());
        self.differs(place, less, more, no_longer_and_also(removed, added));

        pairs.sort_unstable();
        let is_null = |alternative: &&Alternative<'_>| alternative.shape == null();
        let several = |alternatives: &[Alternative<'_>]| {
            alternatives.iter().filter(|alternative| !is_null(alternative)).count() > 1
        };
        let several = several(&old) || several(&new);
        for (one, other) in pairs {
            let path = match label(&new[other]).filter(|_| several) {
                Some(label) => format!("{}({label})", place.path),
                None => place.path.to_owned(),
            };
            self.shapes(&old[one], &new[other], Place { path: &path, ..place });
        }
    }

    fn shapes(&mut self, old: &Alternative<'a>, new: &Alternative<'a>, place: Place<'_>) {
        let detail = || format!("{} -> {}", text::alternative(old), text::alternative(new));
        match (&old.shape, &new.shape) {
            (Shape::Any, Shape::Any) | (Shape::Never, Shape::Never) => {}
            (Shape::Any, _) | (_, Shape::Never) => self.differs(place, true, false, detail()),
            (_, Shape::Any) | (Shape::Never, _) => self.differs(place, false, true, detail()),
            (Shape::Literals(values), Shape::Literals(others)) => {
                let without = |values: &[Value], others: &[Value]| {
                    let others: HashSet<String> = others.iter().map(Value::to_string).collect();
                    let left = values.iter().filter(|value| !others.contains(&value.to_string()));
                    left.map(text::value).collect::<Vec<_>>()
                };
                let (removed, added) = (without(values, others), without(others, values));
                let (less, more) = (!removed.is_empty(), !added.is_empty());
                self.differs(place, less, more, no_longer_and_also(removed, added));
            }
            (Shape::Literals(values), shape) => {
                let less = !values.iter().all(|value| surely_accepts(shape, value));
                self.differs(place, less, true, detail());
            }
            (shape, Shape::Literals(values)) => {
                let more = !values.iter().all(|value| surely_accepts(shape, value));
                self.differs(place, true, more, detail());
            }
            (Shape::Keywords(old_keywords), Shape::Keywords(new_keywords)) => {
                let names = (text::alternative(old), text::alternative(new));
                self.keywords(old_keywords, new_keywords, names, place);
            }
        }
    }

    fn keywords(
        &mut self,
        old: &Keywords<'a>,
        new: &Keywords<'a>,
        (old_name, new_name): (String, String),
        place: Place<'_>,
    ) {
        let detail = match old_name == new_name {
            true => format!("{} -> {}", text::keywords(old), text::keywords(new)),
            false => format!("{old_name} -> {new_name}"),
        };
        // The target of a reference to another document can be anything.
        if [old, new].iter().any(|keywords| keywords.contains_key("$ref")) && old != new {
            return self.differs(place, true, true, detail);
        }
        let mut scalar = Range::default();
        let both = match (types(old), types(new)) {
            (Some(before), Some(after)) => {
                scalar.less(before & !after != 0);
                scalar.more(after & !before != 0);
                before & after
            }
            _ => {
                if old.get("type") != new.get("type") {
                    scalar.unknown();
                }
                ALL
            }
        };
        if both != 0 {
            scalar_keywords(old, new, both, &mut scalar);
        }
        self.differs(place, scalar.less, scalar.more, detail);
        if both & ARRAY != 0 {
            self.arrays(old, new, place);
        }
        if both & OBJECT != 0 {
            self.objects(old, new, place);
        }
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let is_understood = UNDERSTOOD.contains(&key.as_str())
                && [old, new].iter().all(|keywords| is_well_formed(key, keywords.get(key)));
            if applies_to(key) & both != 0 && !is_understood {
                self.other_keyword(key, old.get(key), new.get(key), place);
            }
        }
    }

    /// A keyword that combines schemas, or one that this module does not understand.
    fn other_keyword(
        &mut self,
        key: &str,
        old: Option<&Schema<'a>>,
        new: Option<&Schema<'a>>,
        place: Place<'_>,
    ) {
        let Place { path, inside_not } = place;
        if old.zip(new).is_some_and(|(old, new)| self.schemas.same(old, new)) {
            return;
        }
        let object = |value: &Schema<'a>| -> Schema<'a> {
            Cow::Owned(Value::Object(Map::from_iter([(key.to_owned(), value.as_ref().clone())])))
        };
        match (key, old, new) {
            ("anyOf" | "oneOf", Some(old), Some(new)) if old.is_array() && new.is_array() => {
                self.enqueue(object(old), object(new), path.to_owned(), inside_not);
            }
            ("allOf", Some(old), Some(new)) => self.all_of(elements(old), elements(new), place),
            ("not", Some(old), Some(new)) => {
                self.enqueue(old.clone(), new.clone(), format!("{path}(not)"), !inside_not);
            }
            ("anyOf" | "oneOf" | "allOf" | "not", None, Some(_)) => {
                self.differs(place, true, false, format!("`{key}` was added"));
            }
            ("anyOf" | "oneOf" | "allOf" | "not", Some(_), None) => {
                self.differs(place, false, true, format!("`{key}` was removed"));
            }
            (_, Some(old), Some(new)) => {
                let are_schemas = old.is_object() && new.is_object();
                if !(are_schemas && self.are_equal(old.clone(), new.clone())) {
                    let detail = format!("`{}` was changed", text::shortened(key));
                    self.differs(place, true, true, detail);
                }
            }
            (_, None, _) => {
                let detail = format!("`{}` was added", text::shortened(key));
                self.differs(place, true, true, detail);
            }
            (_, _, None) => {
                let detail = format!("`{}` was removed", text::shortened(key));
                self.differs(place, true, true, detail);
            }
        }
    }

    /// Schemas that could not be merged. All of them must match.
    fn all_of(&mut self, mut old: Vec<Schema<'a>>, mut new: Vec<Schema<'a>>, place: Place<'_>) {
        self.steps = self.steps.saturating_sub(old.len() * new.len());
        if self.steps == 0 {
            return;
        }
        old.retain(|one| match new.iter().position(|other| self.schemas.same(one, other)) {
            Some(at) => {
                new.remove(at);
                false
            }
            None => true,
        });
        if let ([one], [other]) = (old.as_slice(), new.as_slice()) {
            return self.enqueue(
                one.clone(),
                other.clone(),
                place.path.to_owned(),
                place.inside_not,
            );
        }
        let detail = "another combination of schemas must match (`allOf`)".to_owned();
        self.differs(place, !new.is_empty(), !old.is_empty(), detail);
    }

    fn arrays(&mut self, old: &Keywords<'a>, new: &Keywords<'a>, place: Place<'_>) {
        let Place { path, inside_not } = place;
        let (before, after) = (List::of(old), List::of(new));
        if before.min != after.min {
            let detail = format!("at least {} -> at least {} elements", before.min, after.min);
            self.differs(place, after.min > before.min, after.min < before.min, detail);
        }
        if before.max != after.max {
            let limit = |max: Option<u64>| {
                max.map_or_else(|| "any number of".to_owned(), |max| format!("at most {max}"))
            };
            let detail = format!("{} -> {} elements", limit(before.max), limit(after.max));
            let (one, other) = (before.max.unwrap_or(u64::MAX), after.max.unwrap_or(u64::MAX));
            self.differs(place, other < one, other > one, detail);
        }
        let unique = |keywords: &Keywords<'_>| {
            keywords.get("uniqueItems").is_some_and(|value| **value == Value::Bool(true))
        };
        match (unique(old), unique(new)) {
            (false, true) => {
                self.differs(place, true, false, "elements must be unique".to_owned());
            }
            (true, false) => {
                self.differs(place, false, true, "elements need not be unique".to_owned());
            }
            _ => {}
        }
        // Elements that only one of the two can have are part of the difference in length.
        let longest = before.max.unwrap_or(u64::MAX).min(after.max.unwrap_or(u64::MAX));
        let first = before.first.len().max(after.first.len());
        let first = first.min(usize::try_from(longest).unwrap_or(usize::MAX));
        for at in 0..first {
            self.enqueue(before.at(at), after.at(at), format!("{path}[{at}]"), inside_not);
        }
        if longest > first as u64 {
            self.enqueue(before.rest, after.rest, format!("{path}[]"), inside_not);
        }
    }

    fn objects(&mut self, old: &Keywords<'a>, new: &Keywords<'a>, place: Place<'_>) {
        let Place { path, inside_not } = place;
        let (before, after) = (Object::of(old), Object::of(new));
        let names: BTreeSet<&String> = before
            .properties
            .keys()
            .chain(after.properties.keys())
            .chain(&before.required)
            .chain(&after.required)
            .collect();
        for name in names {
            let path = text::join(path, name);
            let (was_required, is_required) =
                (before.required.contains(name), after.required.contains(name));
            let input = self.direction == Direction::Input;
            let (old, new) = (before.properties.get(name), after.properties.get(name));
            match (old, new) {
                (None, Some(schema)) if before.rest_is_simple() && !was_required => {
                    let difference = Difference {
                        path,
                        kind: DifferenceKind::MemberAdded,
                        less: is_required || before.has_patterns(),
                        more: before.is_closed() || input,
                        detail: self.described(self.new, schema, is_required),
                    };
                    self.push(difference, inside_not);
                    continue;
                }
                (Some(schema), None) if after.rest_is_simple() && !is_required => {
                    let difference = Difference {
                        path,
                        kind: DifferenceKind::MemberRemoved,
                        less: after.is_closed() || input,
                        more: was_required || after.has_patterns(),
                        detail: self.described(self.old, schema, was_required),
                    };
                    self.push(difference, inside_not);
                    continue;
                }
                (None, Some(schema)) => {
                    let old = before.rest.clone().unwrap_or(Cow::Owned(Value::Bool(true)));
                    self.enqueue(old, schema.clone(), path.clone(), inside_not);
                }
                (Some(schema), None) => {
                    let new = after.rest.clone().unwrap_or(Cow::Owned(Value::Bool(true)));
                    self.enqueue(schema.clone(), new, path.clone(), inside_not);
                }
                (Some(old), Some(new)) => {
                    self.enqueue(old.clone(), new.clone(), path.clone(), inside_not);
                }
                (None, None) => {}
            }
            let (kind, less) = match (was_required, is_required) {
                (false, true) => (DifferenceKind::MemberRequired, true),
                (true, false) => (DifferenceKind::MemberOptional, false),
                _ => continue,
            };
            let difference = Difference { path, kind, less, more: !less, detail: String::new() };
            self.push(difference, inside_not);
        }

        let any = || Cow::Owned(Value::Bool(true));
        let (rest, other_rest) =
            (before.rest.clone().unwrap_or_else(any), after.rest.clone().unwrap_or_else(any));
        match (rest.as_ref(), other_rest.as_ref()) {
            (Value::Bool(false), Value::Bool(true)) => {
                self.differs(place, false, true, "other members are allowed".to_owned());
            }
            (Value::Bool(true), Value::Bool(false)) => {
                self.differs(place, true, false, "other members are not allowed".to_owned());
            }
            _ => self.enqueue(rest, other_rest, format!("{path}.*"), inside_not),
        }
        let patterns: BTreeSet<&String> =
            before.patterns.keys().chain(after.patterns.keys()).collect();
        for pattern in patterns {
            let shown = text::shortened(pattern);
            match (before.patterns.get(pattern), after.patterns.get(pattern)) {
                (Some(old), Some(new)) => {
                    self.enqueue(old.clone(), new.clone(), format!("{path}./{shown}/"), inside_not);
                }
                (None, _) => {
                    let detail = format!("members that match `{shown}` have a type");
                    self.differs(place, true, !before.is_open(), detail);
                }
                (_, None) => {
                    let detail = format!("members that match `{shown}` have no type");
                    self.differs(place, !after.is_open(), true, detail);
                }
            }
        }
        if let (Some(old), Some(new)) = (old.get("propertyNames"), new.get("propertyNames")) {
            self.enqueue(old.clone(), new.clone(), format!("{path}.* (names)"), inside_not);
        } else if old.contains_key("propertyNames") {
            self.differs(place, false, true, "members may have any name".to_owned());
        } else if new.contains_key("propertyNames") {
            self.differs(place, true, false, "names of members are restricted".to_owned());
        }
        for key in ["minProperties", "maxProperties"] {
            let mut limits = Range::default();
            limits.limit(old, new, key);
            let shown = |keywords: &Keywords<'_>| {
                keywords.get(key).map_or_else(|| "none".to_owned(), |limit| text::value(limit))
            };
            let detail = format!("`{key}`: {} -> {}", shown(old), shown(new));
            self.differs(place, limits.less, limits.more, detail);
        }
    }

    /// `required integer`, `optional string`.
    fn described(&mut self, source: Source<'a>, schema: &Schema<'a>, required: bool) -> String {
        let required = if required { "required" } else { "optional" };
        let union = alternatives(source, schema.clone());
        self.steps = self.steps.saturating_sub(union.steps);
        format!("{required}, {}", text::union(&union.alternatives))
    }
}

/// The keywords that `scalar_keywords`, `arrays` and `objects` compare.
const UNDERSTOOD: [&str; 26] = [
    "type",
    "enum",
    "const",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "items",
    "prefixItems",
    "additionalItems",
    "minItems",
    "maxItems",
    "uniqueItems",
    "properties",
    "required",
    "additionalProperties",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "$anchor",
];

/// Whether a value is of the kind that a keyword needs. `Range` accepts every kind.
fn is_well_formed(key: &str, value: Option<&Schema<'_>>) -> bool {
    value.is_none_or(|value| match key {
        "minItems" | "maxItems" => value.as_u64().is_some(),
        "uniqueItems" => value.is_boolean(),
        "properties" | "patternProperties" => value.is_object(),
        "required" => value.as_array().is_some_and(|names| names.iter().all(Value::is_string)),
        _ => true,
    })
}

fn null<'a>() -> Shape<'a> {
    Shape::Keywords(Keywords::from([("type".to_owned(), Cow::Owned(Value::from("null")))]))
}

/// `no longer A or B; also C`.
fn no_longer_and_also(removed: Vec<String>, added: Vec<String>) -> String {
    match (removed.is_empty(), added.is_empty()) {
        (true, _) => format!("also {}", text::list(added, "and")),
        (_, true) => format!("no longer {}", text::list(removed, "or")),
        _ => format!("no longer {}, but {}", text::list(removed, "or"), text::list(added, "and")),
    }
}

/// The pairs of two lists that have a key in common which no other entry of either list has.
fn unambiguous(
    old: &[usize],
    new: &[usize],
    key_of_old: impl Fn(usize) -> Vec<String>,
    key_of_new: impl Fn(usize) -> Vec<String>,
) -> Vec<(usize, usize)> {
    let by_key = |list: &[usize], key_of: &dyn Fn(usize) -> Vec<String>| {
        let mut found = std::collections::BTreeMap::<String, Vec<usize>>::new();
        for at in list {
            for key in key_of(*at) {
                found.entry(key).or_default().push(*at);
            }
        }
        found
    };
    let new = by_key(new, &key_of_new);
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (key, one) in by_key(old, &key_of_old) {
        if let ([one], Some([other])) = (one.as_slice(), new.get(&key).map(Vec::as_slice)) {
            if !pairs.iter().any(|(known, with)| known == one || with == other) {
                pairs.push((*one, *other));
            }
        }
    }
    pairs
}

/// The members of an object that say which alternative it is: those with only one possible value,
/// or the only member that an object can have.
fn discriminators(alternative: &Alternative<'_>) -> Vec<String> {
    discriminating_members(&alternative.shape)
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

/// The name of an alternative inside a path.
fn label(alternative: &Alternative<'_>) -> Option<String> {
    if let Some((name, value)) = discriminating_members(&alternative.shape).into_iter().next() {
        let value = value.trim_matches('"');
        return Some(text::shortened(if value.is_empty() { &name } else { value }));
    }
    match (&alternative.name, &alternative.shape) {
        (Some(name), _) => Some(text::shortened(name)),
        (None, Shape::Keywords(keywords)) => type_class(keywords).map(str::to_owned),
        (None, Shape::Literals(values)) => values.first().map(|value| kind_of(value).to_owned()),
        (None, _) => None,
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The one type of an alternative, with or without regard to whether it is a list of values.
fn class(alternative: &Alternative<'_>, with_literals: bool) -> Vec<String> {
    let (name, literal) = match &alternative.shape {
        Shape::Literals(values) => (values.first().map(kind_of), with_literals),
        Shape::Keywords(keywords) => (type_class(keywords), false),
        _ => (None, false),
    };
    name.map(|name| format!("{name} {literal}")).into_iter().collect()
}

/// The one type of a schema. An integer is a number.
fn type_class(keywords: &Keywords<'_>) -> Option<&'static str> {
    let bits = types(keywords)?;
    let holds = |known: Types| known == bits || known == NUMBER && bits & !NUMBER == 0;
    NAMES.iter().find(|(_, known)| bits != 0 && holds(*known)).map(|(name, _)| *name)
}

/// What two alternatives have in common if they are equal, quickly compared.
fn outline(alternative: &Alternative<'_>) -> Vec<String> {
    let Shape::Keywords(keywords) = &alternative.shape else { return Vec::new() };
    let mut outline: Vec<String> = keywords.keys().cloned().collect();
    for key in ["type", "required"] {
        let mut values: Vec<String> = match keywords.get(key) {
            Some(value) if value.is_array() => {
                elements(value).iter().map(|value| value.to_string()).collect()
            }
            Some(value) => vec![value.to_string()],
            None => Vec::new(),
        };
        values.sort_unstable();
        outline.extend(values);
    }
    if let Some(properties) = keywords.get("properties") {
        let mut names: Vec<String> =
            members(properties).into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        outline.extend(names);
    }
    outline
}

fn as_schema<'a>(shape: &Shape<'a>) -> Schema<'a> {
    Cow::Owned(match shape {
        Shape::Any => Value::Bool(true),
        Shape::Never => Value::Bool(false),
        Shape::Literals(values) => {
            Value::Object(Map::from_iter([("enum".to_owned(), Value::Array(values.clone()))]))
        }
        Shape::Keywords(keywords) => Value::Object(
            keywords.iter().map(|(key, value)| (key.clone(), value.as_ref().clone())).collect(),
        ),
    })
}

/// No value matches two of the alternatives.
fn are_disjoint(alternatives: &[Alternative<'_>]) -> bool {
    let bits = |alternative: &Alternative<'_>| match &alternative.shape {
        Shape::Literals(values) => values.first().map_or(0, type_of),
        Shape::Keywords(keywords) => types(keywords).unwrap_or(ALL),
        _ => ALL,
    };
    let differ = |one: &Alternative<'_>, other: &Alternative<'_>| {
        let others = discriminating_members(&other.shape);
        discriminating_members(&one.shape).iter().any(|(name, value)| {
            let known = |(other_name, other_value): &(String, String)| {
                name == other_name && value != other_value
            };
            !value.is_empty() && others.iter().any(known)
        })
    };
    let pairs = alternatives.len() * alternatives.len();
    pairs < 10_000
        && alternatives.iter().enumerate().all(|(at, one)| {
            alternatives[..at]
                .iter()
                .all(|other| bits(one) & bits(other) == 0 || differ(one, other))
        })
}

/// Whether a value is accepted, without regard to keywords whose effect is not certain.
fn surely_accepts(shape: &Shape<'_>, value: &Value) -> bool {
    match shape {
        Shape::Any => true,
        Shape::Never => false,
        Shape::Literals(values) => {
            let same_type = |first: &Value| type_of(first) == type_of(value);
            values.first().is_some_and(same_type) && values.contains(value)
        }
        Shape::Keywords(keywords) => {
            let of_type = types(keywords).is_some_and(|bits| type_of(value) & !bits == 0);
            let only_type =
                keywords.keys().all(|key| key == "type" || applies_to(key) & type_of(value) == 0);
            if of_type && only_type {
                return true;
            }
            let exact = match value {
                Value::Number(number) => Num::of(number),
                _ => None,
            };
            let within = exact.is_some_and(|number| {
                let (low, high) = bounds(keywords, INTEGER);
                low.is_none_or(|low| low.at_most(number))
                    && high.is_none_or(|high| high.at_least(number))
            });
            let only_bounds = keywords.keys().all(|key| {
                matches!(
                    key.as_str(),
                    "type" | "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
                ) || key == "format" && integer_format(keywords).is_some()
            });
            of_type && within && only_bounds && bounds_are_numbers(keywords)
        }
    }
}

/// Whether the values that keywords about scalars accept became less, more or both.
#[derive(Default)]
struct Range {
    less: bool,
    more: bool,
}

impl Range {
    fn less(&mut self, less: bool) {
        self.less |= less;
    }

    fn more(&mut self, more: bool) {
        self.more |= more;
    }

    fn unknown(&mut self) {
        self.less = true;
        self.more = true;
    }

    /// A keyword that restricts in a way that is not understood.
    fn opaque<T: PartialEq>(&mut self, old: Option<T>, new: Option<T>) {
        match (old, new) {
            (None, None) => {}
            (None, Some(_)) => self.less(true),
            (Some(_), None) => self.more(true),
            (Some(old), Some(new)) if old != new => self.unknown(),
            _ => {}
        }
    }

    /// A keyword with a number: `min…` restricts if it grows, `max…` if it shrinks.
    fn limit(&mut self, old: &Keywords<'_>, new: &Keywords<'_>, key: &str) {
        let read = |keywords: &Keywords<'_>| {
            keywords.get(key).map(|value| match value.as_ref() {
                Value::Number(number) => Num::of(number),
                _ => None,
            })
        };
        let is_min = key.starts_with("min");
        match (read(old), read(new)) {
            (Some(Some(old)), Some(Some(new))) => {
                self.less(if is_min { new.exceeds(old) } else { old.exceeds(new) });
                self.more(if is_min { old.exceeds(new) } else { new.exceeds(old) });
            }
            // Every length is at least 0.
            (None, Some(Some(zero))) | (Some(Some(zero)), None)
                if is_min && !zero.exceeds(Num::Whole(0)) => {}
            _ => self.opaque(old.get(key), new.get(key)),
        }
    }
}

fn scalar_keywords(old: &Keywords<'_>, new: &Keywords<'_>, both: Types, range: &mut Range) {
    let applies = |key: &str| applies_to(key) & both != 0;
    if both & NUMBER != 0 {
        if bounds_are_numbers(old) && bounds_are_numbers(new) {
            let ((low, high), (new_low, new_high)) = (bounds(old, both), bounds(new, both));
            range.less(Bound::tighter(new_low, low, true) || Bound::tighter(new_high, high, false));
            range.more(Bound::tighter(low, new_low, true) || Bound::tighter(high, new_high, false));
        } else {
            for key in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
                if old.get(key) != new.get(key) {
                    range.unknown();
                }
            }
        }
        match (whole(old, "multipleOf"), whole(new, "multipleOf")) {
            (Some(one), Some(other)) if one > 0 && other > 0 => {
                range.less(one % other != 0 || one != other && other % one == 0);
                range.more(other % one != 0 || one != other && one % other == 0);
            }
            _ => range.opaque(old.get("multipleOf"), new.get("multipleOf")),
        }
    }
    if applies("format") {
        let other_format = |keywords: &Keywords<'_>| {
            let format = keywords.get("format")?;
            let is_double = both & STRING == 0 && format.as_str() == Some("double");
            let in_bounds = both & STRING == 0 && integer_format(keywords).is_some();
            (!is_double && !in_bounds).then(|| format.as_ref().clone())
        };
        range.opaque(other_format(old), other_format(new));
    }
    if both & STRING != 0 {
        range.limit(old, new, "minLength");
        range.limit(old, new, "maxLength");
        range.opaque(old.get("pattern"), new.get("pattern"));
    }
    let values = |keywords: &Keywords<'_>| -> Option<Vec<Value>> {
        let constant = keywords.get("const").map(|value| vec![value.as_ref().clone()]);
        let listed = keywords.get("enum").map(|value| match value.as_ref() {
            Value::Array(values) => values.clone(),
            other => vec![other.clone()],
        });
        constant.or(listed)
    };
    match (values(old), values(new)) {
        (Some(old), Some(new)) => {
            let texts =
                |values: &[Value]| values.iter().map(Value::to_string).collect::<HashSet<_>>();
            let (old, new) = (texts(&old), texts(&new));
            range.less(!old.is_subset(&new));
            range.more(!new.is_subset(&old));
        }
        (old, new) => range.opaque(old, new),
    }
    // One of both restricts the other.
    let has_both =
        |keywords: &Keywords<'_>| keywords.contains_key("const") && keywords.contains_key("enum");
    if (has_both(old) || has_both(new)) && old.get("enum") != new.get("enum") {
        range.unknown();
    }
}

/// A number, exact if it is whole.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Num {
    Whole(i128),
    Float(f64),
}

impl Num {
    fn of(number: &Number) -> Option<Num> {
        if let Some(whole) = number.as_i64() {
            return Some(Num::Whole(whole.into()));
        }
        if let Some(whole) = number.as_u64() {
            return Some(Num::Whole(whole.into()));
        }
        let float = number.as_f64()?;
        match float.fract() == 0.0 && float.abs() < 1e30 {
            true => Some(Num::Whole(float as i128)),
            false => Some(Num::Float(float)),
        }
    }

    fn float(self) -> f64 {
        match self {
            Num::Whole(whole) => whole as f64,
            Num::Float(float) => float,
        }
    }

    fn exceeds(self, other: Num) -> bool {
        match (self, other) {
            (Num::Whole(one), Num::Whole(other)) => one > other,
            _ => self.float() > other.float(),
        }
    }
}

/// The least or the greatest number that a schema accepts.
#[derive(Clone, Copy, Debug)]
struct Bound {
    number: Num,
    exclusive: bool,
}

impl Bound {
    /// Whether `one` excludes numbers that `other` admits.
    fn tighter(one: Option<Bound>, other: Option<Bound>, lower: bool) -> bool {
        match (one, other) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(one), Some(other)) => {
                let beyond = match lower {
                    true => one.number.exceeds(other.number),
                    false => other.number.exceeds(one.number),
                };
                let equal = !one.number.exceeds(other.number) && !other.number.exceeds(one.number);
                beyond || equal && one.exclusive && !other.exclusive
            }
        }
    }

    fn tightest(one: Option<Bound>, other: Option<Bound>, lower: bool) -> Option<Bound> {
        match Bound::tighter(one, other, lower) {
            true => one,
            false => other.or(one),
        }
    }

    fn at_most(self, number: Num) -> bool {
        number.exceeds(self.number) || !self.exclusive && !self.number.exceeds(number)
    }

    fn at_least(self, number: Num) -> bool {
        self.number.exceeds(number) || !self.exclusive && !number.exceeds(self.number)
    }
}

fn bounds_are_numbers(keywords: &Keywords<'_>) -> bool {
    ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"].iter().all(|key| {
        keywords.get(*key).is_none_or(|value| match value.as_ref() {
            Value::Number(number) => Num::of(number).is_some(),
            _ => false,
        })
    })
}

/// The bounds of a number: those of `minimum` and its like, and of a format such as `int32`.
fn bounds(keywords: &Keywords<'_>, types: Types) -> (Option<Bound>, Option<Bound>) {
    let integers = types & NUMBER == INTEGER;
    let read = |key: &str, exclusive: bool, step: i128| {
        let Value::Number(number) = keywords.get(key)?.as_ref() else { return None };
        Some(match (Num::of(number)?, exclusive) {
            // An integer greater than 0 is at least 1.
            (Num::Whole(whole), true) if integers => {
                Bound { number: Num::Whole(whole.saturating_add(step)), exclusive: false }
            }
            (number, exclusive) => Bound { number, exclusive },
        })
    };
    let (low, high) = integer_format(keywords).unwrap_or_default();
    let lower = Bound::tightest(read("minimum", false, 1), read("exclusiveMinimum", true, 1), true);
    let upper =
        Bound::tightest(read("maximum", false, -1), read("exclusiveMaximum", true, -1), false);
    (Bound::tightest(lower, low, true), Bound::tightest(upper, high, false))
}

/// The range of an integer format: `int8`, `uint64`. `int` and `uint` have 64 bits.
fn integer_format(keywords: &Keywords<'_>) -> Option<(Option<Bound>, Option<Bound>)> {
    let format = keywords.get("format")?.as_str()?;
    let (signed, bits) = match format.strip_prefix("uint") {
        Some(bits) => (false, bits),
        None => (true, format.strip_prefix("int")?),
    };
    let bits: i32 = match bits {
        "" => 64,
        "8" | "16" | "32" | "64" | "128" => bits.parse().ok()?,
        _ => return None,
    };
    let power = |bits: i32| match bits < 127 {
        true => Num::Whole((1_i128 << bits) - 1),
        false => Num::Float(2_f64.powi(bits)),
    };
    let low = match (signed, bits) {
        (false, _) => Num::Whole(0),
        (true, 128) => Num::Whole(i128::MIN),
        (true, bits) => Num::Whole(-(1_i128 << (bits - 1))),
    };
    let high = power(if signed { bits - 1 } else { bits });
    let bound = |number: Num| Some(Bound { number, exclusive: false });
    Some((bound(low), bound(high)))
}

fn whole(keywords: &Keywords<'_>, key: &str) -> Option<i128> {
    match keywords.get(key)?.as_ref() {
        Value::Number(number) => match Num::of(number)? {
            Num::Whole(whole) => Some(whole),
            Num::Float(_) => None,
        },
        _ => None,
    }
}

/// What a schema says about lists.
struct List<'a> {
    min: u64,
    max: Option<u64>,
    /// The schemas of the first elements.
    first: Vec<Schema<'a>>,
    /// The schema of all other elements.
    rest: Schema<'a>,
}

impl<'a> List<'a> {
    fn of(keywords: &Keywords<'a>) -> Self {
        let any = || Cow::Owned(Value::Bool(true));
        let (first, rest) = match (keywords.get("prefixItems"), keywords.get("items")) {
            (Some(first), rest) if first.is_array() => (elements(first), rest),
            (_, Some(first)) if first.is_array() => {
                (elements(first), keywords.get("additionalItems"))
            }
            (_, rest) => (Vec::new(), rest),
        };
        let rest = rest.cloned().unwrap_or_else(any);
        let number = |key: &str| keywords.get(key).and_then(|value| value.as_u64());
        let mut max = number("maxItems");
        if *rest == Value::Bool(false) {
            let longest = first.len() as u64;
            max = Some(max.map_or(longest, |max| max.min(longest)));
        }
        List { min: number("minItems").unwrap_or(0), max, first, rest }
    }

    fn at(&self, at: usize) -> Schema<'a> {
        self.first.get(at).unwrap_or(&self.rest).clone()
    }
}

/// What a schema says about objects.
struct Object<'a> {
    properties: Keywords<'a>,
    required: BTreeSet<String>,
    patterns: Keywords<'a>,
    /// The schema of all other members.
    rest: Option<Schema<'a>>,
    unevaluated: bool,
}

impl<'a> Object<'a> {
    fn of(keywords: &Keywords<'a>) -> Self {
        let objects = |key: &str| -> Keywords<'a> {
            keywords.get(key).map(members).unwrap_or_default().into_iter().collect()
        };
        let required = keywords.get("required").map(elements).unwrap_or_default();
        Object {
            properties: objects("properties"),
            required: required.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect(),
            patterns: objects("patternProperties"),
            rest: keywords.get("additionalProperties").cloned(),
            unevaluated: keywords
                .get("unevaluatedProperties")
                .is_some_and(|rest| **rest != Value::Bool(true)),
        }
    }

    /// Other members are rejected, or may be.
    fn is_closed(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| **rest == Value::Bool(false))
            || self.unevaluated
            || self.has_patterns()
    }

    /// Other members may be anything.
    fn is_open(&self) -> bool {
        self.rest.as_ref().is_none_or(|rest| **rest == Value::Bool(true)) && !self.unevaluated
    }

    /// The names of other members decide on their type.
    fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// Other members are either all accepted or all rejected.
    fn rest_is_simple(&self) -> bool {
        self.rest.as_ref().is_none_or(|rest| rest.is_boolean()) || self.has_patterns()
    }
}

//! Compares the methods of two documents: which belong together, and what differs in each pair.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::schema::{Difference, DifferenceKind, Direction, Schemas};
use super::shape::{Schema, alternatives};
use super::source::Source;
use super::{Change, ChangeKind, text};

/// How many pairs of methods are compared to find those that were renamed.
const RENAMES: usize = 5_000;

static ANY: Value = Value::Bool(true);

struct Method<'a> {
    name: &'a str,
    aliases: Vec<&'a str>,
    members: &'a Map<String, Value>,
}

impl<'a> Method<'a> {
    fn has(&self, member: &str) -> bool {
        self.members.contains_key(member)
    }

    fn is(&self, flag: &str) -> bool {
        self.members.get(flag) == Some(&Value::Bool(true))
    }

    fn strings(&self, member: &str) -> Option<Vec<&'a str>> {
        Some(self.members.get(member)?.as_array()?.iter().filter_map(Value::as_str).collect())
    }

    /// The sides that implement the method.
    fn implemented_by(&self) -> BTreeSet<&'a str> {
        let sides = self.strings("x-implemented-by").unwrap_or_else(|| vec!["server"]);
        sides.into_iter().collect()
    }

    /// Whether callers may send a list, and whether they may send an object.
    fn structure(&self) -> (bool, bool) {
        match self.members.get("paramStructure").and_then(Value::as_str) {
            Some("by-position") => (true, false),
            Some("by-name") => (false, true),
            _ => (true, true),
        }
    }
}

/// The methods of a document, without those that have no name. The first of a name counts.
fn methods<'a>(source: Source<'a>) -> Vec<Method<'a>> {
    let Some(root) = source.root().as_object() else { return Vec::new() };
    let mut seen = HashSet::new();
    let mut methods = Vec::new();
    for members in source.objects(root, "methods") {
        let Some(name) = members.get("name").and_then(Value::as_str) else { continue };
        if seen.insert(name) {
            let mut method = Method { name, aliases: Vec::new(), members };
            method.aliases = method.strings("x-aliases").unwrap_or_default();
            methods.push(method);
        }
    }
    methods
}

struct Param<'a> {
    name: &'a str,
    required: bool,
    schema: &'a Value,
    members: &'a Map<String, Value>,
}

fn params<'a>(source: Source<'a>, method: &Method<'a>) -> Vec<Param<'a>> {
    source
        .objects(method.members, "params")
        .map(|members| Param {
            name: members.get("name").and_then(Value::as_str).unwrap_or_default(),
            required: members.get("required") == Some(&Value::Bool(true)),
            schema: members.get("schema").unwrap_or(&ANY),
            members,
        })
        .collect()
}

/// Which texts for people differ.
fn texts(
    keys: &[&str],
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) -> impl Iterator<Item = String> {
    let differ = |key: &&&str| old.get(**key) != new.get(**key);
    keys.iter().filter(differ).map(|key| (*key).to_owned()).collect::<Vec<_>>().into_iter()
}

pub(super) fn compare(old: &Value, new: &Value) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let (old, new) = (Source::new(old), Source::new(new));
    let schemas = Schemas::new(old, new);
    let mut comparison = Comparison { old, new, schemas, method: None, changes: Vec::new() };
    comparison.methods();
    comparison.document();
    comparison.changes
}

struct Comparison<'a> {
    old: Source<'a>,
    new: Source<'a>,
    schemas: Schemas<'a>,
    /// The method that is compared.
    method: Option<String>,
    changes: Vec<Change>,
}

impl<'a> Comparison<'a> {
    fn report(
        &mut self,
        at: impl Into<String>,
        kind: ChangeKind,
        (breaks_callers, breaks_implementers): (bool, bool),
        detail: impl Into<String>,
    ) {
        self.changes.push(Change {
            method: self.method.clone(),
            at: at.into(),
            kind,
            breaks_callers,
            breaks_implementers,
            detail: detail.into(),
        });
    }

    fn methods(&mut self) {
        let (old, new) = (methods(self.old), methods(self.new));
        // A name is an alias only if no method has it as its name.
        let served = |methods: &[Method<'a>]| {
            let mut served: HashMap<&'a str, usize> = HashMap::new();
            for (at, method) in methods.iter().enumerate() {
                served.insert(method.name, at);
            }
            for (at, method) in methods.iter().enumerate() {
                for alias in &method.aliases {
                    served.entry(alias).or_insert(at);
                }
            }
            served
        };
        let (was_served, is_served) = (served(&old), served(&new));
        let own_names = |methods: &[Method<'a>]| -> HashSet<&'a str> {
            methods.iter().map(|method| method.name).collect()
        };
        let (old_names, new_names) = (own_names(&old), own_names(&new));

        // Under its name, or under a name that is an alias in one of the documents.
        let mut targets: Vec<Option<usize>> = Vec::with_capacity(old.len());
        for method in &old {
            let became_name =
                |alias: &&&str| new_names.contains(*alias) && !old_names.contains(*alias);
            let by_alias = || is_served.get(method.aliases.iter().find(became_name)?);
            targets.push(is_served.get(method.name).or_else(by_alias).copied());
        }
        let mut is_target = vec![false; new.len()];
        for target in targets.iter().flatten() {
            is_target[*target] = true;
        }
        // An alias that became a method.
        let origins: Vec<Option<usize>> = new
            .iter()
            .zip(&is_target)
            .map(|(method, is_target)| was_served.get(method.name).copied().filter(|_| !is_target))
            .collect();
        for (one, other) in self.renamed(&old, &new, &targets, &is_target, &origins) {
            targets[one] = Some(other);
            is_target[other] = true;
        }

        let mut compared = HashSet::new();
        for (at, method) in old.iter().enumerate() {
            self.method = Some(method.name.to_owned());
            let Some(target) = targets[at] else {
                self.report("", ChangeKind::MethodRemoved, (true, false), "");
                for alias in method.aliases.iter().filter(|alias| !is_served.contains_key(*alias)) {
                    let detail = format!("`{}`", text::shortened(alias));
                    self.report("", ChangeKind::AliasRemoved, (true, false), detail);
                }
                continue;
            };
            let other = &new[target];
            if other.name != method.name {
                let breaks =
                    (!is_served.contains_key(method.name), !was_served.contains_key(other.name));
                let alias = if breaks.0 { "" } else { ", the old name is an alias" };
                let detail = format!("`{}`{alias}", text::shortened(other.name));
                self.report("", ChangeKind::MethodRenamed, breaks, detail);
                if !old_names.contains(other.name) {
                    self.method = Some(other.name.to_owned());
                }
            }
            for alias in &method.aliases {
                if !is_served.contains_key(alias) {
                    let detail = format!("`{}`", text::shortened(alias));
                    self.report("", ChangeKind::AliasRemoved, (true, false), detail);
                }
            }
            if compared.insert(target) {
                self.aliases_added(other, &was_served);
            }
            self.pair(method, other);
        }
        for (at, method) in new.iter().enumerate().filter(|(at, _)| !is_target[*at]) {
            self.method = Some(method.name.to_owned());
            match origins[at] {
                Some(origin) => self.pair(&old[origin], method),
                None => self.report("", ChangeKind::MethodAdded, (false, true), ""),
            }
            self.aliases_added(method, &was_served);
        }
        self.method = None;
    }

    fn aliases_added(&mut self, method: &Method<'a>, was_served: &HashMap<&str, usize>) {
        for alias in method.aliases.iter().filter(|alias| !was_served.contains_key(*alias)) {
            let detail = format!("`{}`", text::shortened(alias));
            self.report("", ChangeKind::AliasAdded, (false, true), detail);
        }
    }

    /// Methods that were removed, each with the one that was added in its place.
    fn renamed(
        &mut self,
        old: &[Method<'a>],
        new: &[Method<'a>],
        targets: &[Option<usize>],
        is_target: &[bool],
        origins: &[Option<usize>],
    ) -> Vec<(usize, usize)> {
        let outline = |source: Source<'a>, method: &Method<'a>| {
            let params = params(source, method);
            let params = params.iter().map(|param| (param.name, param.required));
            (
                params.collect::<Vec<_>>(),
                method.structure(),
                method.has("result"),
                method.has("x-subscription"),
            )
        };
        let mut added = HashMap::<_, Vec<usize>>::new();
        for (at, method) in new.iter().enumerate() {
            if !is_target[at] && origins[at].is_none() {
                added.entry(outline(self.new, method)).or_default().push(at);
            }
        }
        let mut same: Vec<(usize, usize)> = Vec::new();
        let mut compared = 0;
        for (one, method) in old.iter().enumerate().filter(|(at, _)| targets[*at].is_none()) {
            for other in added.get(&outline(self.old, method)).into_iter().flatten() {
                compared += 1;
                if compared > RENAMES {
                    return Vec::new();
                }
                let known = self.changes.len();
                self.pair(method, &new[*other]);
                let changes = self.changes.drain(known..);
                if changes.into_iter().all(|change| change.kind == ChangeKind::Documentation) {
                    same.push((one, *other));
                }
            }
        }
        let mut times = (HashMap::<usize, usize>::new(), HashMap::<usize, usize>::new());
        for (one, other) in &same {
            *times.0.entry(*one).or_default() += 1;
            *times.1.entry(*other).or_default() += 1;
        }
        same.retain(|(one, other)| times.0[one] == 1 && times.1[other] == 1);
        same
    }

    fn pair(&mut self, old: &Method<'a>, new: &Method<'a>) {
        let mut documentation = BTreeSet::new();
        let keys =
            ["summary", "description", "tags", "examples", "externalDocs", "links", "servers"];
        documentation.extend(texts(&keys, old.members, new.members));

        self.implemented_by(old, new);
        self.params(old, new, &mut documentation);
        self.result(old, new, &mut documentation);
        self.errors(old, new);
        self.subscription(old, new);
        self.optional_output(
            (old, new),
            ("x-progress", "progress"),
            (ChangeKind::ProgressAdded, ChangeKind::ProgressRemoved),
        );
        for (flag, added, removed) in [
            ("x-idempotent", ChangeKind::IdempotentAdded, ChangeKind::IdempotentRemoved),
            ("x-ordered", ChangeKind::OrderedAdded, ChangeKind::OrderedRemoved),
        ] {
            match (old.is(flag), new.is(flag)) {
                (false, true) => self.report("", added, (false, true), ""),
                (true, false) => self.report("", removed, (true, false), ""),
                _ => {}
            }
        }
        let cancel = |method: &Method<'a>| method.members.get("x-cancel");
        let (before, after) = (cancel(old), cancel(new));
        if before != after {
            let shown =
                |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), text::value);
            let detail = format!("{} -> {}", shown(before), shown(after));
            let breaks = (before.is_some(), after.is_some());
            self.report("", ChangeKind::CancelChanged, breaks, detail);
        }
        self.deprecated("", old.members, new.members);
        self.other_members(old, new);
        self.documentation(documentation);
    }

    fn deprecated(&mut self, at: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        let deprecated =
            |members: &Map<String, Value>| members.get("deprecated") == Some(&Value::Bool(true));
        let kind = match (deprecated(old), deprecated(new)) {
            (false, true) => ChangeKind::Deprecated,
            (true, false) => ChangeKind::Undeprecated,
            _ => return,
        };
        self.report(at, kind, (false, false), "");
    }

    fn documentation(&mut self, texts: BTreeSet<String>) {
        if !texts.is_empty() {
            let texts = texts.iter().map(|text| text::shortened(text)).collect();
            let detail = text::list(texts, "and");
            self.report("", ChangeKind::Documentation, (false, false), detail);
        }
    }

    fn other_members(&mut self, old: &Method<'a>, new: &Method<'a>) {
        const KNOWN: [&str; 23] = [
            "name",
            "summary",
            "description",
            "tags",
            "externalDocs",
            "links",
            "servers",
            "examples",
            "deprecated",
            "paramStructure",
            "params",
            "result",
            "errors",
            "x-aliases",
            "x-idempotent",
            "x-ordered",
            "x-cancel",
            "x-progress",
            "x-error-data",
            "x-params",
            "x-implemented-by",
            "x-subscription",
            "$ref",
        ];
        let keys: BTreeSet<&String> = old.members.keys().chain(new.members.keys()).collect();
        for key in keys {
            if !KNOWN.contains(&key.as_str()) && old.members.get(key) != new.members.get(key) {
                let at = format!("`{}`", text::shortened(key));
                self.report(at, ChangeKind::ExtensionChanged, (false, false), "");
            }
        }
    }

    fn implemented_by(&mut self, old: &Method<'a>, new: &Method<'a>) {
        let (before, after) = (old.implemented_by(), new.implemented_by());
        if before != after {
            let breaks = (!before.is_subset(&after), !after.is_subset(&before));
            let names = |sides: &BTreeSet<&str>| {
                text::list(sides.iter().map(|side| text::shortened(side)).collect(), "and")
            };
            let detail = format!("{} -> {}", names(&before), names(&after));
            self.report("", ChangeKind::ImplementedByChanged, breaks, detail);
        }
    }

    /// Compares two schemas and reports their differences. Returns whether there are any.
    fn schema(&mut self, old: &'a Value, new: &'a Value, direction: Direction, at: &str) -> bool {
        self.any_schema(Cow::Borrowed(old), Cow::Borrowed(new), direction, at)
    }

    fn any_schema(
        &mut self,
        old: Schema<'a>,
        new: Schema<'a>,
        direction: Direction,
        at: &str,
    ) -> bool {
        let differences = self.schemas.compare(old, new, direction, at);
        let differ = !differences.is_empty();
        for Difference { path, kind, less, more, detail } in differences {
            let kind = match (kind, less, more) {
                (DifferenceKind::MemberAdded, ..) => ChangeKind::MemberAdded,
                (DifferenceKind::MemberRemoved, ..) => ChangeKind::MemberRemoved,
                (DifferenceKind::MemberRequired, ..) => ChangeKind::MemberRequired,
                (DifferenceKind::MemberOptional, ..) => ChangeKind::MemberOptional,
                (DifferenceKind::Type, true, false) => ChangeKind::TypeNarrowed,
                (DifferenceKind::Type, false, _) => ChangeKind::TypeWidened,
                (DifferenceKind::Type, true, true) => ChangeKind::TypeChanged,
            };
            let breaks = match direction {
                Direction::Input => (less, more),
                Direction::Output => (more, less),
            };
            self.report(path, kind, breaks, detail);
        }
        differ
    }

    fn params(&mut self, old: &Method<'a>, new: &Method<'a>, documentation: &mut BTreeSet<String>) {
        let (before, after) = (params(self.old, old), params(self.new, new));
        let (whole_before, whole_after) =
            (old.members.get("x-params"), new.members.get("x-params"));
        let (old_list, old_object) = old.structure();
        let (new_list, new_object) = new.structure();
        let structure = |method: &Method<'a>| method.members.get("paramStructure");
        if (old_list, old_object) != (new_list, new_object) {
            // Calls without params are the same in both structures.
            let had_params = !before.is_empty() || whole_before.is_some();
            let has_params = !after.is_empty() || whole_after.is_some();
            let breaks = (
                had_params && (old_list && !new_list || old_object && !new_object),
                has_params && (new_list && !old_list || new_object && !old_object),
            );
            let shown =
                |method: &Method<'a>| structure(method).and_then(Value::as_str).unwrap_or("either");
            let detail =
                format!("{} -> {}", text::shortened(shown(old)), text::shortened(shown(new)));
            self.report("", ChangeKind::ParamStructureChanged, breaks, detail);
        }
        // What can be sent in both versions.
        let (list, object) = match (old_list && new_list, old_object && new_object) {
            (false, false) => (true, true),
            both => both,
        };
        let known = self.changes.len();
        let differ = match (whole_before, whole_after) {
            (None, None) => false,
            (Some(old), Some(new)) => self.schema(old, new, Direction::Input, "params"),
            // Params that are described one by one are an object only if they can be sent as one.
            (Some(old), None) if object && new_object => {
                self.any_schema(Cow::Borrowed(old), as_object(&after), Direction::Input, "params")
            }
            (None, Some(new)) if object && old_object => {
                self.any_schema(as_object(&before), Cow::Borrowed(new), Direction::Input, "params")
            }
            _ => {
                let detail = match whole_after {
                    Some(_) => "the schema of all params together was added",
                    None => "the schema of all params together was removed",
                };
                self.report("params", ChangeKind::TypeChanged, (true, true), detail);
                true
            }
        };
        let whole = self.changes.split_off(known);
        let compared = self.changes.len();
        self.param_lists(&before, &after, (list, object), documentation);
        // The schema of all params describes the same differences more exactly.
        if differ {
            self.changes.truncate(compared);
            self.changes.extend(whole);
        }
    }

    fn param_lists(
        &mut self,
        before: &[Param<'a>],
        after: &[Param<'a>],
        (list, object): (bool, bool),
        documentation: &mut BTreeSet<String>,
    ) {
        let pairs = self.matching_params(before, after, object);
        let place = |param: &Param<'a>| format!("param `{}`", text::shortened(param.name));
        let last_before = pairs.iter().map(|(one, _)| *one).max();
        let last_after = pairs.iter().map(|(_, other)| *other).max();
        let kept: HashSet<usize> = pairs.iter().map(|(one, _)| *one).collect();
        let origins: HashMap<usize, usize> =
            pairs.iter().map(|(one, other)| (*other, *one)).collect();
        for (at, param) in before.iter().enumerate().filter(|(at, _)| !kept.contains(at)) {
            let in_middle = last_before.is_some_and(|last| last > at);
            let breaks = (true, param.required || list && in_middle);
            let detail = described(self.old, param);
            self.report(place(param), ChangeKind::ParamRemoved, breaks, detail);
        }
        for (at, param) in after.iter().enumerate() {
            let Some(one) = origins.get(&at) else {
                let in_middle = last_after.is_some_and(|last| last > at);
                let breaks = (param.required || list && in_middle, true);
                let detail = described(self.new, param);
                self.report(place(param), ChangeKind::ParamAdded, breaks, detail);
                continue;
            };
            let old = &before[*one];
            if old.name != param.name {
                let detail = format!("`{}`", text::shortened(param.name));
                self.report(place(old), ChangeKind::ParamRenamed, (object, object), detail);
            }
            match (old.required, param.required) {
                (false, true) => {
                    self.report(place(param), ChangeKind::ParamRequired, (true, false), "");
                }
                (true, false) => {
                    self.report(place(param), ChangeKind::ParamOptional, (false, true), "");
                }
                (true, true) => {}
                (false, false) => self.default(old, param, &place(param)),
            }
            self.schema(old.schema, param.schema, Direction::Input, &place(param));
            self.deprecated(&place(param), old.members, param.members);
            let texts = texts(&["summary", "description"], old.members, param.members);
            documentation.extend(texts.map(|text| format!("{text} of {}", place(param))));
        }
        let mut in_order = pairs;
        in_order.sort_unstable();
        if in_order.windows(2).any(|two| two[0].1 > two[1].1) {
            let names = |params: &[Param<'a>]| {
                params.iter().map(|param| text::shortened(param.name)).collect::<Vec<_>>()
            };
            let detail = format!("{} -> {}", names(before).join(", "), names(after).join(", "));
            self.report("", ChangeKind::ParamsReordered, (list, list), text::shortened(&detail));
        }
    }

    /// The params that belong together: those of the same name, and otherwise those of the same
    /// position and type. Without names on the wire, the position is enough.
    fn matching_params(
        &mut self,
        before: &[Param<'a>],
        after: &[Param<'a>],
        object: bool,
    ) -> Vec<(usize, usize)> {
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (at, param) in after.iter().enumerate() {
            places.entry(param.name).or_insert(at);
        }
        let mut pairs = Vec::new();
        for (at, param) in before.iter().enumerate() {
            if let Some(other) = places.remove(param.name) {
                pairs.push((at, other));
            }
        }
        let kept: HashSet<usize> = pairs.iter().map(|(one, _)| *one).collect();
        let placed: HashSet<usize> = pairs.iter().map(|(_, other)| *other).collect();
        for (at, (old, new)) in before.iter().zip(after).enumerate() {
            if !kept.contains(&at) && !placed.contains(&at) {
                let (one, other) = (Cow::Borrowed(old.schema), Cow::Borrowed(new.schema));
                if !object
                    || old.required == new.required
                        && self.schemas.compare(one, other, Direction::Input, "").is_empty()
                {
                    pairs.push((at, at));
                }
            }
        }
        pairs
    }

    fn default(&mut self, old: &Param<'a>, new: &Param<'a>, at: &str) {
        let default = |param: &Param<'a>| param.schema.get("default");
        let (before, after) = (default(old), default(new));
        if before != after {
            let shown =
                |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), text::value);
            let both = before.is_some() && after.is_some();
            let detail = format!("{} -> {}", shown(before), shown(after));
            self.report(at, ChangeKind::DefaultChanged, (both, both), detail);
        }
    }

    fn result(&mut self, old: &Method<'a>, new: &Method<'a>, documentation: &mut BTreeSet<String>) {
        let result = |source: Source<'a>, method: &Method<'a>| {
            method.members.get("result").map(|result| source.follow(result))
        };
        match (result(self.old, old), result(self.new, new)) {
            (None, Some(_)) => self.report("", ChangeKind::ResultAdded, (false, true), ""),
            (Some(_), None) => self.report("", ChangeKind::ResultRemoved, (true, false), ""),
            (Some(old), Some(new)) => {
                let schema = |result: &'a Value| result.get("schema").unwrap_or(&ANY);
                self.schema(schema(old), schema(new), Direction::Output, "result");
                if let (Value::Object(old), Value::Object(new)) = (old, new) {
                    let texts = texts(&["name", "summary", "description"], old, new);
                    documentation.extend(texts.map(|text| format!("{text} of the result")));
                }
            }
            (None, None) => {}
        }
    }

    fn errors(&mut self, old: &Method<'a>, new: &Method<'a>) {
        let (before, after) = (errors(self.old, old), errors(self.new, new));
        let codes: BTreeSet<&Code> = before.keys().chain(after.keys()).collect();
        for code in codes {
            let place = format!("error {}", text::shortened(&code.1));
            match (before.get(code), after.get(code)) {
                (None, Some(error)) => {
                    self.report(place, ChangeKind::ErrorAdded, (false, false), error.message());
                }
                (Some(error), None) => {
                    self.report(place, ChangeKind::ErrorRemoved, (false, false), error.message());
                }
                (Some(old), Some(new)) => {
                    if old.messages != new.messages {
                        let detail = format!("{} -> {}", old.message(), new.message());
                        let kind = ChangeKind::ErrorMessageChanged;
                        self.report(&place, kind, (false, false), detail);
                    }
                    let place = format!("data of {place}");
                    self.any_schema(old.data(), new.data(), Direction::Output, &place);
                }
                (None, None) => {}
            }
        }
    }

    fn subscription(&mut self, old: &Method<'a>, new: &Method<'a>) {
        let get = |method: &Method<'a>| method.members.get("x-subscription");
        let (before, after) = match (get(old), get(new)) {
            (None, None) => return,
            (None, Some(_)) => {
                return self.report("", ChangeKind::SubscriptionAdded, (true, true), "");
            }
            (Some(_), None) => {
                return self.report("", ChangeKind::SubscriptionRemoved, (true, true), "");
            }
            (Some(before), Some(after)) => (before, after),
        };
        let (Value::Object(before), Value::Object(after)) = (before, after) else {
            if before != after {
                self.report("", ChangeKind::SubscriptionChanged, (true, true), "");
            }
            return;
        };
        let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for key in keys {
            let (old, new) = (before.get(key), after.get(key));
            match key.as_str() {
                "item" => {
                    let (old, new) = (old.unwrap_or(&ANY), new.unwrap_or(&ANY));
                    self.schema(old, new, Direction::Output, "item");
                }
                "resume" => {
                    let resumes = |value: Option<&Value>| value == Some(&Value::Bool(true));
                    let (breaks, detail) = match (resumes(old), resumes(new)) {
                        (false, true) => ((false, true), "can be resumed"),
                        (true, false) => ((true, false), "can no longer be resumed"),
                        _ => continue,
                    };
                    self.report("", ChangeKind::SubscriptionChanged, breaks, detail);
                }
                _ if old != new => {
                    let shown = |value: Option<&Value>| {
                        value.map_or_else(|| "none".to_owned(), text::value)
                    };
                    let detail =
                        format!("{}: {} -> {}", text::shortened(key), shown(old), shown(new));
                    self.report("", ChangeKind::SubscriptionChanged, (true, true), detail);
                }
                _ => {}
            }
        }
    }

    /// A schema of what the implementer may send besides the result.
    fn optional_output(
        &mut self,
        (old, new): (&Method<'a>, &Method<'a>),
        (member, place): (&str, &str),
        (added, removed): (ChangeKind, ChangeKind),
    ) {
        match (old.members.get(member), new.members.get(member)) {
            (None, Some(_)) => self.report("", added, (false, true), ""),
            (Some(_), None) => self.report("", removed, (true, false), ""),
            (Some(old), Some(new)) => {
                self.schema(old, new, Direction::Output, place);
            }
            (None, None) => {}
        }
    }

    fn document(&mut self) {
        let (Some(old), Some(new)) = (self.old.root().as_object(), self.new.root().as_object())
        else {
            return;
        };
        let keys: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
        let keys: Vec<&str> =
            keys.into_iter().filter(|key| !matches!(*key, "methods" | "components")).collect();
        self.documentation(texts(&keys, old, new).collect());
    }
}

/// `required, integer`.
fn described<'a>(source: Source<'a>, param: &Param<'a>) -> String {
    let required = if param.required { "required" } else { "optional" };
    let union = alternatives(source, Cow::Borrowed(param.schema));
    format!("{required}, {}", text::union(&union.alternatives))
}

/// The params that are described one by one, as the schema of an object.
fn as_object<'a>(params: &[Param<'_>]) -> Schema<'a> {
    let schemas = params.iter().map(|param| (param.name.to_owned(), param.schema.clone()));
    let required = params.iter().filter(|param| param.required).map(|param| param.name.into());
    Cow::Owned(Value::Object(Map::from_iter([
        ("type".to_owned(), Value::from("object")),
        ("properties".to_owned(), Value::Object(schemas.collect())),
        ("required".to_owned(), Value::Array(required.collect())),
    ])))
}

/// A code as a number, if it is one, and as text.
type Code = (Option<i64>, String);

#[derive(Default)]
struct Error<'a> {
    messages: BTreeSet<&'a str>,
    /// The data of each variant, which OpenRPC describes by a value.
    values: Vec<Option<&'a Value>>,
    /// The schema of the data (`x-error-data`).
    schema: Option<&'a Value>,
}

impl<'a> Error<'a> {
    fn message(&self) -> String {
        let messages = self.messages.iter();
        match self.messages.is_empty() {
            true => "no message".to_owned(),
            false => text::list(
                messages.map(|text| format!("`{}`", text::shortened(text))).collect(),
                "or",
            ),
        }
    }

    fn data(&self) -> Schema<'a> {
        if let Some(schema) = self.schema {
            return Cow::Borrowed(schema);
        }
        let values: Option<Vec<Value>> = self.values.iter().map(|value| value.cloned()).collect();
        match values.filter(|values| !values.is_empty()) {
            Some(values) => Cow::Owned(Value::Object(Map::from_iter([(
                "enum".to_owned(),
                Value::Array(values),
            )]))),
            None => Cow::Borrowed(&ANY),
        }
    }
}

/// The errors that a method declares, by code.
fn errors<'a>(source: Source<'a>, method: &Method<'a>) -> BTreeMap<Code, Error<'a>> {
    let mut errors = BTreeMap::<Code, Error<'a>>::new();
    for members in source.objects(method.members, "errors") {
        let code = members.get("code").unwrap_or(&Value::Null);
        let error = errors.entry((code.as_i64(), code.to_string())).or_default();
        error.messages.extend(members.get("message").and_then(Value::as_str));
        error.values.push(members.get("data"));
    }
    let schemas = method.members.get("x-error-data").and_then(Value::as_object);
    for (code, schema) in schemas.into_iter().flatten() {
        errors.entry((code.parse().ok(), code.clone())).or_default().schema = Some(schema);
    }
    errors
}
